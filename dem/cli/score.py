"""`dem score`: how well a model fits data."""

from __future__ import annotations

import json
import math
import shutil
from typing import Any

import click

from dem.cli.options import (
    cluster,
    cluster_options,
    debug_option,
    json_option,
    response_option,
    sequence_options,
    weights_option,
)
from dem.cli.recipe import column_of, sequences_of
from dem.cli.tables import figures, table


@click.command()
@click.argument("model")
@click.argument("data")
@weights_option
@response_option
@sequence_options
@click.option(
    "--components",
    is_flag=True,
    help="Tell how many rows each component of a mixture has, and how sure that is.",
)
@click.option(
    "--errors",
    is_flag=True,
    help="Tell standard errors of a mixture's parameters, DATA being what it was fitted to.",
)
@cluster_options
@json_option
@debug_option
def score(
    model: str,
    data: str,
    weights: str | None,
    components: bool,
    errors: bool,
    response: str | None,
    lengths: str | None,
    groups: str | None,
    scheduler: str | None,
    workers: int | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Score DATA under MODEL: the mean log-likelihood of a row in nats, BIC and AIC.

    That is of responses, for regressions; they are in the column where they were in the fit, or in
    --response. For k-means, the inertia: the sum of squared distances to the nearest centres. For
    topics, the perplexity, and that of one half of each document given the other.
    """
    from dem.cli.models import load, opened

    estimator = load(model)
    known = {} if response is None else {"y": column_of(response)}
    if known and not hasattr(estimator, "response_"):
        raise click.UsageError(f"{type(estimator).__name__} takes no --response.")
    known |= sequences_of(type(estimator).__name__, lengths, groups)
    rows = opened(estimator, data, weights).n_rows
    with cluster(scheduler, workers, threads, quiet=as_json):
        results = {"rows": rows, **_results(estimator, data, weights, known)}
        asked = {"components": components, "parameters": errors}
        tables = _tables(asked, estimator, data, weights=weights, **known)
    if as_json:
        records = {name: [row._asdict() for row in rows] for name, rows in tables.items()}
        click.echo(json.dumps(_finite({**results, **records})))
        return
    texts = {n: f"{v:,}" if n == "rows" else f"{v:.10g}" for n, v in results.items()}
    click.echo(figures({name.replace("_", " "): text for name, text in texts.items()}))
    for shown in tables.values():
        cells = [[_cell(value) for value in row] for row in shown]
        click.echo(
            "\n" + table(shown[0]._fields, cells, shutil.get_terminal_size((100, 24)).columns)
        )


def _tables(asked: dict[str, bool], estimator: Any, data: str, **more: Any) -> dict[str, Any]:
    """The tables that are asked for; a UsageError if there are none of such a model."""
    import dem

    made = {
        "components": lambda: dem.summarise(estimator, data, **more).classes,
        "parameters": lambda: dem.standard_errors(estimator, data, **more).table(),
    }
    try:
        return {name: made[name]() for name, wanted in asked.items() if wanted}
    except TypeError as error:
        raise click.UsageError(str(error)) from error


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    """The same with null for what JSON has no word for, NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    value = value.item() if hasattr(value, "item") else value  # of NumPy's
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _results(
    estimator: Any, data: str, weights: str | None, known: dict[str, Any]
) -> dict[str, float]:
    """The figures, by one pass over the data."""
    if hasattr(estimator, "inertia_"):
        return {"inertia": -estimator.score(data, sample_weight=weights)}
    if hasattr(estimator, "perplexity"):
        return {
            "perplexity": estimator.perplexity(data),
            "completion_perplexity": estimator.completion_perplexity(data),
        }
    found = estimator.criteria(data, weights, **known)
    return {
        "mean_log_likelihood": found.log_likelihood / found.n_samples,
        "bic": found.bic,
        "aic": found.aic,
    }
