"""Covariates and a response, as one source whose last column is the response."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import assert_all_finite, check_is_fitted, column_or_1d

from dem.engine.manifest import find, open_source
from dem.engine.readers.base import Source, is_a
from dem.engine.readers.beside import BesideSource
from dem.engine.readers.columns import chosen
from dem.errors import DataError
from dem.estimators import inputs

Column = str | int  # a column of X, by its name or number


def split(X: Any, column: Column) -> tuple[Any, Any]:
    """The covariates and the response of an array or a pandas dataframe in memory."""
    if is_a(X, "pandas", "DataFrame"):
        j = number_of(column, tuple(X.columns), X.shape[1])
        return X.drop(columns=X.columns[j]), X.iloc[:, j]
    array = np.asarray(X)
    j = number_of(column, None, array.shape[-1])
    return np.delete(array, j, axis=1), array[:, j]


def number_of(column: Column, names: tuple[Any, ...] | None, width: int) -> int:
    """The place of a column among those of X; ValueError if it has no such column."""
    if isinstance(column, str):
        if names is None or column not in names:
            there = "no names" if names is None else ", ".join(map(repr, names))
            raise ValueError(f"y is the column {column!r}; those of X have: {there}")
        return names.index(column)
    if not -width <= column < width:
        raise ValueError(f"y is the column {column}; X has columns 0 to {width - 1}")
    return int(column) % width


def column_of(X: Any, y: Any) -> Column | None:
    """The column of X that y names, if it is no path and no values."""
    if isinstance(y, (int, np.integer)) and not isinstance(y, bool):
        return int(y)
    if not isinstance(y, str):
        return None
    names = tuple(X.columns) if hasattr(X, "columns") else _names_at(X)
    return y if y in names or not ("/" in y or "." in y) else None


def _names_at(X: Any) -> tuple[str, ...]:
    if not isinstance(X, str) and not hasattr(X, "__fspath__"):
        return ()
    return open_source(X).columns or ()


def with_response(estimator: Any, X: Any, y: Any, *, reset: bool) -> Source:
    """The covariates X with the response y as one more column; see `inputs.usable`.

    y : values, or the path of some, in any form that X may have; or a column of X.
    """
    if column_of(X, y) is not None:
        if not inputs.elsewhere(X):
            return with_response(estimator, *split(X, y), reset=reset)
        source = open_source(X)
        j = number_of(y, source.columns, source.shape[1])
        others = [i for i in range(source.shape[1]) if i != j]
        if not others:
            raise DataError("There are no columns beside the response: X has 0 feature(s).")
        inputs.note(estimator, chosen(source, others), reset=reset)
        return chosen(source, [*others, j])
    source = inputs.usable(estimator, X, reset=reset)
    if inputs.elsewhere(y):
        return BesideSource(source, find(y), "values of y", exact=True)
    check_consistent_length(X if not inputs.elsewhere(X) else np.empty(source.shape[0]), y)
    values = column_or_1d(y, warn=True)
    if values.dtype.kind not in "fiub":
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"y cannot be turned into numbers: {error}") from error
    assert_all_finite(values, input_name="y")
    return BesideSource(source, find(values), "values of y", exact=True)


def without_response(estimator: Any, X: Any, column: Column | None) -> Source:
    """The covariates in X, without the column that was y in the fit, if X has it still."""
    check_is_fitted(estimator)
    if column is None:
        return inputs.usable(estimator, X, reset=False)
    if not inputs.elsewhere(X):
        names = tuple(X.columns) if hasattr(X, "columns") else None
        if _there(estimator, column, names, np.shape(X)):
            X, _ = split(X, column)
        return inputs.usable(estimator, X, reset=False)
    source = open_source(X)
    if _there(estimator, column, source.columns, source.shape):
        j = number_of(column, source.columns, source.shape[1])
        source = chosen(source, [i for i in range(source.shape[1]) if i != j])
    inputs.note(estimator, source, reset=False)
    return source


def _there(
    estimator: Any, column: Column, names: tuple[Any, ...] | None, shape: tuple[int, ...]
) -> bool:
    if isinstance(column, str):
        return names is not None and column in names
    return len(shape) == 2 and shape[1] == estimator.n_features_in_ + 1
