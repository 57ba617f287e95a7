"""What a fitted estimator shows of itself: pictures, and its parameters as a table."""

from __future__ import annotations

from typing import Any

from dem.inference.named import named
from dem.plots import Columns, plot_model
from dem.records import Fit


def picture(fit: Fit, names: Any, levels: Any = (), columns: Any = None, ax: Any = None) -> Any:
    """A picture of the model of a fit as matplotlib Axes; see `dem.plots.plot_model`."""
    return plot_model(fit.model, fit.params, Columns.of(names, levels, columns), ax)


def frame(fit: Fit, names: Any, levels: Any = ()) -> Any:
    """The parameters of a fit as a pandas DataFrame, a row for each number.

    Its columns are parameter, component, column, other (the second column of a covariance, or a
    level) and value; None where there is no such thing. Of a symmetric matrix the lower triangle.
    """
    from pandas import DataFrame

    shown = Columns.of(names, levels)
    fixed = {field.rpartition(".")[2] for field in getattr(fit.model, "fields", ())}
    head = ["parameter", "component", "column", "other", "value"]
    rows = []
    for part in named(fit.model, fit.params, shown.names):
        if part.name in fixed:  # such as the covariances of k-means
            continue
        for i, component, place in part.entries():
            column, other = (*place, None, None)[:2]
            if other is not None and not part.square:
                other = shown.word(column, other)
            rows.append((part.name, component, column, other, float(part.values.flat[i])))
    found = DataFrame(rows, columns=head, dtype=object)
    return found.astype({"parameter": str, "component": "Int64", "value": float})
