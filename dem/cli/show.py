"""`dem show`: what a model says."""

from __future__ import annotations

import json
import shutil
from typing import Any

import click

from dem.cli.options import debug_option, json_option
from dem.cli.tables import figures, table

DESCRIBED = (
    *("means", "covariances", "scales", "df", "rates", "probabilities", "levels", "parameters"),
    *("components", "noise_variance", "mean", "explained_variance", "explained_variance_ratio"),
    *("classes", "raters", "confusion_matrices", "match_weights", "converged", "lower_bound"),
    *("startprob", "transmat", "lambdas", "emissionprob"),
    *("coef", "intercept", "sigma", "concomitant_coef", "concomitant_intercept"),
)
SHOWN = 12  # words of a topic


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
    return hasattr(estimator, "weights_")


def _columns(estimator: Any) -> list[str]:
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(estimator.n_features_in_)] if names is None else list(names)


def _facts(estimator: Any) -> dict[str, str]:
    facts = {
        "type": type(estimator).__name__,
        "components": str(len(_cells(estimator))),
        "columns": str(estimator.n_features_in_),
    }
    if hasattr(estimator, "top_words"):
        return {
            **facts,
            "perplexity": f"{getattr(estimator, 'bound_', float('nan')):.8g} of the documents",
            "turns": str(len(estimator.history_)),
            "passes": f"{estimator.n_passes_:.3g}",
        }
    if hasattr(estimator, "components_"):
        return {
            **facts,
            "log-likelihood": f"{estimator.lower_bound_:.8g} per row, of the fit",
            "turns": str(estimator.n_iter_),
            "passes": f"{estimator.n_passes_:.3g}",
        }
    if not _is_mixture(estimator):
        return {
            **facts,
            "inertia": f"{estimator.inertia_:.8g}",
            "turns": str(estimator.n_iter_),
            "passes": f"{estimator.n_passes_:.3g}",
        }
    if hasattr(estimator, "covariance_type"):
        facts["covariance"] = estimator.covariance_type
    history = estimator.history_
    if history:
        end = "converged" if estimator.converged_ else "not converged"
        seconds = sum(record.seconds for record in history)
        facts["bound per row"] = f"{history[0].bound_e:.6g} at first, {history[-1].bound_e:.8g} now"
        facts["turns"] = f"{len(history)}, {end}, {seconds / len(history):.2g} s each"
    return {**facts, "passes": f"{estimator.n_passes_:.3g}"}


def _components(estimator: Any, width: int) -> str:
    """A line for each component: its number, weight, and what its rows are like."""
    if hasattr(estimator, "top_words"):
        words = (" ".join(map(str, words)) for words in estimator.top_words(SHOWN))
        return table(["k", "words"], [[str(k), some] for k, some in enumerate(words)], width)
    weights = estimator.weights_ if _is_mixture(estimator) else None
    names = ["intercept"] * hasattr(estimator, "intercept_") + _columns(estimator)
    header = ["k", *(["weight"] if weights is not None else []), *names]
    numbers = [str(k) for k in range(len(_cells(estimator)))]
    if weights is not None and weights.ndim == 2:  # of mixtures
        numbers = [f"{k}.{j}" for k in range(len(weights)) for j in range(weights.shape[1])]
        weights = weights.ravel()
    rows = [
        [number, *([f"{weights[i]:.4f}"] if weights is not None else []), *cells]
        for i, (number, cells) in enumerate(zip(numbers, _cells(estimator), strict=True))
    ]
    return table(header, rows, width)


def _cells(estimator: Any) -> list[list[str]]:
    """For each component and column the mean, slope, probability of 1, or commonest level."""
    if hasattr(estimator, "confusion_matrices_"):
        return _answers(estimator)
    for name in ("means_", "cluster_centers_", "rates_", "lambdas_", "components_"):
        if hasattr(estimator, name):
            values = getattr(estimator, name)
            rows = values.reshape(-1, values.shape[-1])
            return [[f"{value:.4g}" for value in row] for row in rows]
    if hasattr(estimator, "coef_"):
        both = zip(estimator.intercept_, estimator.coef_, strict=True)
        return [[f"{value:.4g}" for value in (first, *rest)] for first, rest in both]
    if hasattr(estimator, "emissionprob_"):
        from numpy import split

        parts = split(estimator.emissionprob_, estimator.n_features_in_, axis=1)
        columns = [_commonest(part, range(part.shape[1])) for part in parts]
    elif hasattr(estimator, "parameters_"):
        columns = _of_parts(estimator)
    elif isinstance(estimator.probabilities_, list):
        pairs = zip(estimator.probabilities_, estimator.levels_, strict=True)
        columns = [_commonest(probabilities, levels) for probabilities, levels in pairs]
    else:
        columns = [[f"{p:.4g}" for p in column] for column in estimator.probabilities_.T]
    return [list(row) for row in zip(*columns, strict=True)]


def _answers(estimator: Any) -> list[list[str]]:
    """The commonest answer of each column's rater, for each true class."""
    raters = estimator.raters_.tolist()
    own = raters if estimator.raters is None else list(estimator.raters)
    matrices = [estimator.confusion_matrices_[raters.index(name)] for name in own]
    columns = [_commonest(matrix, estimator.classes_) for matrix in matrices]
    return [list(row) for row in zip(*columns, strict=True)]


def _of_parts(estimator: Any) -> list[list[str]]:
    """The cells of a mixed mixture, column by column."""
    found: dict[Any, list[str]] = {}
    for key, arrays in estimator.parameters_.items():
        if isinstance(key, tuple):
            for name, column in zip(key, arrays["means"].T, strict=True):
                found[name] = [f"{value:.4g}" for value in column]
        else:
            found[key] = _of_column(arrays, estimator.levels_.get(key))
    names = getattr(estimator, "feature_names_in_", range(estimator.n_features_in_))
    return [found[name] for name in names]


def _of_column(arrays: dict[str, Any], levels: Any) -> list[str]:
    if "a" in arrays:  # a beta density
        values = arrays["a"] / (arrays["a"] + arrays["b"])
    else:
        values = next(
            arrays[name] for name in ("means", "rates", "probabilities") if name in arrays
        )
    if values.ndim == 2:
        return _commonest(values, range(values.shape[1]) if levels is None else levels)
    return [f"{value:.4g}" for value in values]


def _commonest(probabilities: Any, levels: Any) -> list[str]:
    """The commonest level for each component, and its probability."""
    return [f"{levels[row.argmax()]} {row.max():.2f}" for row in probabilities]


def _record(estimator: Any) -> dict[str, Any]:
    common = {
        "type": type(estimator).__name__,
        "columns": _columns(estimator),
        "n_iter": estimator.n_iter_,
        "n_passes": estimator.n_passes_,
    }
    if hasattr(estimator, "top_words"):
        return {**common, "top_words": estimator.top_words(SHOWN)}
    if hasattr(estimator, "components_"):
        return {**common, **_parameters(estimator)}
    if not _is_mixture(estimator):
        return {
            **common,
            "n_clusters": len(estimator.cluster_centers_),
            "inertia": estimator.inertia_,
            "cluster_centers": estimator.cluster_centers_.tolist(),
        }
    form = getattr(estimator, "covariance_type", None)
    return {
        **common,
        **({} if form is None else {"covariance_type": form}),
        "n_components": len(estimator.weights_),
        "converged": estimator.converged_,
        "weights": estimator.weights_.tolist(),
        **_parameters(estimator),
        "history": [vars(record) for record in estimator.history_],
    }


def _parameters(estimator: Any) -> dict[str, Any]:
    """What describes the components, and the levels of categories."""
    found = {name: getattr(estimator, f"{name}_", None) for name in DESCRIBED}
    return {name: _plain(value) for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    """Arrays inside as lists; keys as text."""
    if isinstance(value, dict):
        return {
            ",".join(map(str, key)) if isinstance(key, tuple) else str(key): _plain(part)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.tolist() if hasattr(value, "tolist") else value
