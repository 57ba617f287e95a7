"""Which rows of X are a sequence: by lengths, or by a group for each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.engine.manifest import cut, find, open_source
from dem.engine.readers.base import Source, is_a
from dem.engine.readers.columns import chosen
from dem.engine.readers.sequences import SequenceSource, starts_of
from dem.errors import DataError, SupportError
from dem.estimators import inputs
from dem.estimators.covariates import number_of
from dem.fitting import total
from dem.passes import Block

Array = np.ndarray
NO_KEY = "Every row must have a group"


def in_sequences(
    estimator: Any, X: Any, lengths: Any, groups: Any, *, reset: bool
) -> SequenceSource:
    """The source of X with one more column, 1 where a sequence begins; see `inputs.usable`.

    lengths : of the sequences, in order. groups : a column of X, by its name, or a value for each
        row; a sequence ends where it changes. Neither: X is one sequence.
    """
    if lengths is not None and groups is not None:
        raise ValueError("Give lengths or groups, not both.")
    if lengths is not None and inputs.elsewhere(lengths):
        lengths = _read(lengths)
    if groups is None:
        source = inputs.usable(estimator, X, reset=reset)
        return SequenceSource.of(source, starts_of(lengths, source.shape[0]))
    if not isinstance(groups, str):
        source, keys = inputs.usable(estimator, X, reset=reset), groups
    elif is_a(X, "pandas", "DataFrame"):
        number_of(groups, tuple(X.columns), X.shape[1], "groups")
        source = inputs.usable(estimator, X.drop(columns=groups), reset=reset)
        keys = X[groups]
    else:
        source, keys = _column_of(estimator, X, groups, reset=reset)
    return SequenceSource.of(source, _changes(keys, source.shape[0]))


def _column_of(estimator: Any, X: Any, groups: str, *, reset: bool) -> tuple[Source, Source]:
    """The other columns of data that are elsewhere, and that one, of numbers."""
    whole = open_source(X)
    j = number_of(groups, whole.columns, whole.shape[1], "groups")
    source = chosen(whole, [i for i in range(whole.shape[1]) if i != j])
    inputs.note(estimator, source, reset=reset)
    return source, chosen(whole, [j])


def _read(lengths: Any) -> Array:
    """Lengths that are at a path, or in an array of Dask or Zarr."""
    manifest = cut(_Column(find(lengths)))
    parts = [manifest.reader.read(block).ravel() for block in range(manifest.n_blocks)]
    return np.concatenate(parts)


def _changes(keys: Any, n_rows: int) -> Array:
    """The rows with which sequences begin, each of rows that follow each other with one key."""
    if is_a(keys, "pandas", "Series") or isinstance(keys, (list, tuple)):
        keys = np.asarray(keys)
    if isinstance(keys, np.ndarray) and keys.dtype.kind not in "fiub":
        lacking = [key is None or key != key for key in keys.ravel().tolist()]
        if any(lacking):
            raise DataError(f"{NO_KEY}: row {lacking.index(True)} has none.")
        keys = np.unique(keys.astype(str), return_inverse=True)[1]
    source: Any = keys if hasattr(keys, "reader") else find(keys)
    if source.shape[0] != n_rows or source.shape[1:] not in ((), (1,)):
        raise DataError(f"groups must be a value for each of {n_rows} rows, got {source.shape}.")
    column = source if len(source.shape) == 2 else _Column(source)
    return total(Changes(), cut(column)).starts


@dataclass(frozen=True, eq=False)
class _Column:
    """A source of one dimension, for a manifest."""

    source: Source

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.source.shape, 1)

    @property
    def columns(self) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)


@dataclass(frozen=True, eq=False)
class Runs:
    """Where the key changes; + puts one after the other.

    starts : the rows with which runs of one key begin. first, last : keys.
    """

    starts: Array
    first: int | float
    last: int | float

    def __add__(self, other: Runs) -> Runs:
        goes_on = int(self.last == other.first)
        starts = np.concatenate([self.starts, other.starts[goes_on:]])
        return Runs(starts, self.first, other.last)


@dataclass(frozen=True)
class Changes:
    """The runs of rows of one key; a pass over a column of keys."""

    description = "looking for sequences"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Runs:
        keys = np.asarray(block.rows).reshape(-1)
        if (lacking := np.flatnonzero(keys != keys)).size:
            raise SupportError(NO_KEY, float("nan"), int(lacking[0]), 0)
        changes = np.flatnonzero(keys[1:] != keys[:-1]) + 1
        starts = block.start + np.concatenate([[0], changes])
        return Runs(starts, keys[0].item(), keys[-1].item())  # floats would merge large integers
