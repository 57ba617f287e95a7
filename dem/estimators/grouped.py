"""Which rows of X are a sequence: by lengths, or by a group for each row."""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.engine.manifest import check_source, cut, find
from dem.engine.readers.base import is_a
from dem.engine.readers.sequences import SequenceSource, starts_of
from dem.estimators import inputs
from dem.estimators.keys import Column, runs_in_parquet, runs_of

Array = np.ndarray


def in_sequences(
    estimator: Any, X: Any, lengths: Any, groups: Any, *, reset: bool
) -> SequenceSource:
    """The source of X with one more column, 1 where a sequence begins; see `inputs.usable`.

    lengths : of the sequences, in order. groups : a column of X, by its name, or a value for each
        row, of any kind; a sequence ends where it changes. Neither: X is one sequence.
    """
    if lengths is not None and groups is not None:
        raise ValueError("Give lengths or groups, not both.")
    if lengths is not None and inputs.elsewhere(lengths):
        lengths = _read(lengths)
    if groups is None:
        source = inputs.usable(estimator, X, reset=reset)
        return SequenceSource.of(source, starts_of(lengths, source.shape[0]))
    if isinstance(groups, (str, int, np.integer)):
        return _by_column(estimator, X, groups, reset=reset)
    source = inputs.usable(estimator, X, reset=reset)
    return SequenceSource.of(source, runs_of(groups, source.shape[0]))


def _by_column(estimator: Any, X: Any, name: Any, *, reset: bool) -> SequenceSource:
    """The sequences of the other columns of X, as the one of this name says."""
    if is_a(X, "pandas", "DataFrame") or is_a(X, "dask.dataframe", "DataFrame"):
        _check_there(name, tuple(X.columns))
        source = inputs.usable(estimator, X.drop(columns=[name]), reset=reset)
        return SequenceSource.of(source, runs_of(X[name], source.shape[0]))
    whole: Any = find(X)
    _check_there(name, whole.columns)
    source = whole.without(name)  # nothing else has names than dataframes and Parquet
    check_source(source)
    inputs.note(estimator, source, reset=reset)
    return SequenceSource.of(source, runs_in_parquet(whole, name))


def _check_there(name: Any, names: tuple[Any, ...] | None) -> None:
    if names is None:
        raise ValueError(
            f"groups is the column {name!r}, and those of X have no names: give a value for each "
            "row."
        )
    if name not in names:
        there = ", ".join(map(repr, names))
        raise ValueError(f"groups is the column {name!r}; those of X are: {there}.")


def _read(lengths: Any) -> Array:
    """Lengths that are at a path, or in an array of Dask or Zarr."""
    manifest = cut(Column(find(lengths)))
    parts = [manifest.reader.read(block).ravel() for block in range(manifest.n_blocks)]
    return np.concatenate(parts)
