"""Where keys change: runs of rows with one key, of any kind, compared as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, ClassVar

import numpy as np

from dem.engine.manifest import cut, find
from dem.engine.readers.base import is_a
from dem.engine.readers.frames import of_partitions
from dem.engine.readers.parquet import ParquetSource
from dem.errors import DataError, SupportError
from dem.fitting import total
from dem.passes import Block

Array = np.ndarray
NO_KEY = "Every row must have a group"


@dataclass(frozen=True, eq=False)
class Runs:
    """Where the key changes; + puts one after the other.

    starts : the rows with which runs of one key begin. first, last : keys.
    """

    starts: Array
    first: Any
    last: Any

    def __add__(self, other: Runs) -> Runs:
        goes_on = int(self.last == other.first)
        starts = np.concatenate([self.starts, other.starts[goes_on:]])
        return Runs(starts, self.first, other.last)


@dataclass(frozen=True)
class Changes:
    """The runs of rows of one key; a pass over a column of numbers."""

    description: ClassVar[str] = "looking for sequences"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Runs:
        keys = np.asarray(block.rows).reshape(-1)
        if (lacking := np.flatnonzero(keys != keys)).size:
            raise SupportError(NO_KEY, float("nan"), int(lacking[0]), 0)
        return _runs(keys[1:] != keys[:-1], block.start, keys[0].item(), keys[-1].item())


def runs_of(keys: Any, n_rows: int) -> Array:
    """The rows with which runs of one key begin, each of rows that follow each other.

    keys : a value for each row, as a list, an array of any kind, or a series of pandas or Dask.

    Raises `DataError` for keys of other rows, or where one lacks.
    """
    if isinstance(keys, (list, tuple)):
        keys = np.asarray(keys, object if any(isinstance(key, str) for key in keys) else None)
    if is_a(keys, "pandas", "Series"):
        return _joined([_of_series(keys)], n_rows)
    if is_a(keys, "dask.dataframe", "Series"):
        return _joined(of_partitions(keys, _of_series), n_rows)
    if isinstance(keys, np.ndarray) and keys.dtype.kind not in "fiub":
        _check_count(keys.shape, n_rows)
        return _joined([_of_values(keys.reshape(-1))], n_rows)
    source: Any = keys if hasattr(keys, "reader") else find(keys)
    _check_count(source.shape, n_rows)
    return total(Changes(), cut(source if len(source.shape) == 2 else Column(source))).starts


def runs_in_parquet(source: ParquetSource, name: str) -> Array:
    """The same of a column of Parquet files."""
    return _joined(source.each(name, _of_arrow), source.shape[0])


@dataclass(frozen=True, eq=False)
class Column:
    """A source of one dimension, for a manifest."""

    source: Any

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
class Part:
    """Keys that follow each other: how many; their runs, counted from 0; where one lacks."""

    size: int
    runs: Runs | None
    lacking: int | None = None


def _joined(parts: Iterable[Part], n_rows: int) -> Array:
    found, row = [], 0
    for part in parts:
        if part.lacking is not None:
            raise DataError(f"{NO_KEY}: row {row + part.lacking} has none.")
        if part.runs is not None:
            found.append(replace(part.runs, starts=part.runs.starts + row))
        row += part.size
    _check_count((row,), n_rows)
    return reduce(add, found).starts


def _of_values(keys: Array) -> Part:
    values = keys.tolist()
    lacking = np.array([key is None or bool(key != key) for key in values], bool)
    changes = np.array([a != b for a, b in zip(values[1:], values, strict=False)], bool)
    return _part(lacking, changes, lambda i: values[i])


def _of_series(keys: Any) -> Part:
    """Of a series of pandas: no dtype is left, so that large integers stay apart."""
    after, before = keys.iloc[1:], keys.iloc[:-1]
    changes = after.reset_index(drop=True) != before.reset_index(drop=True)
    lacking = keys.isna().to_numpy(bool)
    return _part(lacking, changes.fillna(True).to_numpy(bool), lambda i: keys.iloc[i])


def _of_arrow(keys: Any) -> Part:
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    if kinds.is_dictionary(keys.type):
        keys = keys.cast(keys.type.value_type)
    lacking = pc.is_null(keys, nan_is_null=True).to_numpy()
    changes = pc.fill_null(pc.not_equal(keys[1:], keys[:-1]), True).to_numpy()
    return _part(lacking, changes, lambda i: keys[i].as_py())


def _part(lacking: Array, changes: Array, key: Any) -> Part:
    n = len(lacking)
    if not n:
        return Part(0, None)
    if lacking.any():
        return Part(n, None, int(np.argmax(lacking)))
    return Part(n, _runs(changes, 0, key(0), key(n - 1)))


def _runs(changes: Array, start: int, first: Any, last: Any) -> Runs:
    starts = start + np.concatenate([[0], np.flatnonzero(changes) + 1])
    return Runs(starts, first, last)


def _check_count(shape: tuple[int, ...], n_rows: int) -> None:
    if shape[0] != n_rows or shape[1:] not in ((), (1,)):
        raise DataError(f"groups must be a value for each of {n_rows} rows, got {shape}.")
