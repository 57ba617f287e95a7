"""`dem score`: how well a model fits data."""

from __future__ import annotations

import json
from typing import Any

import click

from dem.cli.options import cluster, cluster_options, debug_option, json_option, weights_option
from dem.cli.tables import figures


@click.command()
@click.argument("model")
@click.argument("data")
@weights_option
@cluster_options
@json_option
@debug_option
def score(
    model: str,
    data: str,
    weights: str | None,
    scheduler: str | None,
    workers: int | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Score DATA under MODEL: the mean log-likelihood of a row in nats, BIC and AIC.

    For k-means, the inertia: the sum of squared distances to the nearest centres.
    """
    from dem.cli.models import load, opened

    estimator = load(model)
    rows = opened(estimator, data, weights).n_rows
    with cluster(scheduler, workers, threads, quiet=as_json):
        results = {"rows": rows, **_results(estimator, data, weights)}
    if as_json:
        click.echo(json.dumps(results))
    else:
        texts = {n: f"{v:,}" if n == "rows" else f"{v:.10g}" for n, v in results.items()}
        click.echo(figures({name.replace("_", " "): text for name, text in texts.items()}))


def _results(estimator: Any, data: str, weights: str | None) -> dict[str, float]:
    """The figures, by one pass over the data."""
    if hasattr(estimator, "inertia_"):
        return {"inertia": -estimator.score(data, sample_weight=weights)}
    found = estimator.criteria(data, weights)
    return {
        "mean_log_likelihood": found.log_likelihood / found.n_samples,
        "bic": found.bic,
        "aic": found.aic,
    }
