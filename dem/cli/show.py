"""`dem show`: what a model says."""

from __future__ import annotations

import json
import shutil
from typing import Any

import click

from dem.cli.options import debug_option, json_option
from dem.cli.tables import figures, table


@click.command()
@click.argument("model")
@json_option
@debug_option
def show(model: str, as_json: bool) -> None:
    """Show the parameters of MODEL and how it was fitted."""
    from dem.cli.models import load

    estimator = load(model)
    if as_json:
        click.echo(json.dumps(_record(estimator)))
        return
    width = shutil.get_terminal_size((100, 24)).columns
    click.echo(f"{figures(_facts(estimator))}\n\n{_components(estimator, width)}")


def _is_mixture(estimator: Any) -> bool:
    return hasattr(estimator, "means_")


def _centres(estimator: Any) -> Any:
    return estimator.means_ if _is_mixture(estimator) else estimator.cluster_centers_


def _columns(estimator: Any) -> list[str]:
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(estimator.n_features_in_)] if names is None else list(names)


def _facts(estimator: Any) -> dict[str, str]:
    facts = {
        "type": type(estimator).__name__,
        "components": str(len(_centres(estimator))),
        "columns": str(estimator.n_features_in_),
    }
    if not _is_mixture(estimator):
        return {
            **facts,
            "inertia": f"{estimator.inertia_:.8g}",
            "turns": str(estimator.n_iter_),
            "passes": f"{estimator.n_passes_:.3g}",
        }
    facts["covariance"] = estimator.covariance_type
    history = estimator.history_
    if history:
        end = "converged" if estimator.converged_ else "not converged"
        seconds = sum(record.seconds for record in history)
        facts["bound per row"] = f"{history[0].bound_e:.6g} at first, {history[-1].bound_e:.8g} now"
        facts["turns"] = f"{len(history)}, {end}, {seconds / len(history):.2g} s each"
    return {**facts, "passes": f"{estimator.n_passes_:.3g}"}


def _components(estimator: Any, width: int) -> str:
    """A line for each component: its number, weight and mean."""
    weights = estimator.weights_ if _is_mixture(estimator) else None
    header = ["k", *(["weight"] if weights is not None else []), *_columns(estimator)]
    rows = [
        [
            str(k),
            *([f"{weights[k]:.4f}"] if weights is not None else []),
            *(f"{value:.4g}" for value in centre),
        ]
        for k, centre in enumerate(_centres(estimator))
    ]
    return table(header, rows, width)


def _record(estimator: Any) -> dict[str, Any]:
    common = {
        "type": type(estimator).__name__,
        "columns": _columns(estimator),
        "n_iter": estimator.n_iter_,
        "n_passes": estimator.n_passes_,
    }
    if not _is_mixture(estimator):
        return {
            **common,
            "n_clusters": len(estimator.cluster_centers_),
            "inertia": estimator.inertia_,
            "cluster_centers": estimator.cluster_centers_.tolist(),
        }
    return {
        **common,
        "n_components": len(estimator.weights_),
        "covariance_type": estimator.covariance_type,
        "converged": estimator.converged_,
        "weights": estimator.weights_.tolist(),
        "means": estimator.means_.tolist(),
        "covariances": estimator.covariances_.tolist(),
        "history": [vars(record) for record in estimator.history_],
    }
