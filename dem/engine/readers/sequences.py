"""Where sequences begin, as one more column of 0 and 1 beside those of the data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from dem.engine.readers.arrays import ArraySource, FileSource
from dem.engine.readers.base import Reader, Source, Spans, regular
from dem.engine.readers.beside import BesideSource
from dem.engine.readers.dasks import DaskSource, stored_array
from dem.errors import DataError

# Of a block of rows that can be cut anywhere: an E-step holds some numbers for each row and state.
MOST_ROWS = 2**16


@dataclass(frozen=True, eq=False)
class BeginningRows:
    """Blocks of the column, made when they are read.

    starts : the sorted numbers of the rows with which sequences begin.
    """

    starts: np.ndarray
    spans: Spans
    in_memory: bool = field(default=True, init=False)
    blocks_held: ClassVar[float] = 0.0

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        first, end = self.spans[block]
        here = self.starts[slice(*np.searchsorted(self.starts, [first, end]))]
        column = np.zeros(end - first, np.int8)
        column[here - first] = 1
        return column

    def take(self, blocks: Sequence[int]) -> BeginningRows:
        spans = self.spans.take(blocks)
        if not len(blocks):
            return BeginningRows(self.starts[:0], spans)
        ends = np.searchsorted(self.starts, [spans.offsets[0], spans.offsets[-1]])
        return BeginningRows(self.starts[slice(*ends)].copy(), spans)

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        digest = hashlib.blake2b(np.ascontiguousarray(self.starts).data, digest_size=16)
        return f"sequences {digest.hexdigest()}"


@dataclass(frozen=True, eq=False)
class BeginningSource:
    """The column for so many rows; see `BeginningRows`."""

    starts: np.ndarray
    n_rows: int
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.int8), init=False)
    columns: None = field(default=None, init=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n_rows,)

    def boundaries(self, block_bytes: int) -> np.ndarray:
        return regular(self.n_rows, max(block_bytes, 1))

    def reader(self, boundaries: np.ndarray) -> BeginningRows:
        return BeginningRows(self.starts, Spans(boundaries))


@dataclass(frozen=True, eq=False)
class SequenceSource:
    """Other columns and where sequences begin, in blocks of whole sequences if these are shorter.

    Then no block need know of the others. Chunks that lie on workers, or in memory as results of
    Dask, stay what they are.
    """

    both: BesideSource
    starts: np.ndarray

    @classmethod
    def of(cls, source: Source, starts: np.ndarray) -> SequenceSource:
        """The sequences of a source that begin with these rows, in order; the first is row 0."""
        column = BeginningSource(starts, source.shape[0])
        return cls(BesideSource(source, column, "sequences"), starts)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.both.shape

    @property
    def dtype(self) -> np.dtype:
        return self.both.dtype

    @property
    def columns(self) -> tuple[str, ...] | None:
        names = self.both.left.columns
        return None if names is None else (*names, "begins")

    def boundaries(self, block_bytes: int) -> np.ndarray:
        left: Any = self.both.left
        edges = left.boundaries(block_bytes)
        if isinstance(left, DaskSource) and stored_array(left.array) is None:
            return np.asarray(edges)
        if isinstance(getattr(left, "stored", left), (ArraySource, FileSource)):
            most = int(np.diff(edges).max(initial=1))
            edges = regular(self.shape[0], min(most, MOST_ROWS))
        before = self.starts[np.searchsorted(self.starts, edges[1:-1], side="right") - 1]
        moved = np.concatenate([edges[:1], before, edges[-1:]])
        return np.asarray(moved if (np.diff(moved) > 0).all() else edges)

    def reader(self, boundaries: np.ndarray) -> Reader:
        return self.both.reader(boundaries)


def starts_of(lengths: Any, n_rows: int) -> np.ndarray:
    """The rows with which sequences of these lengths begin; None for one of all the rows.

    Raises `DataError` unless they are whole numbers above 0 whose sum is the number of rows.
    """
    if lengths is None:
        return np.zeros(1, np.int64)
    array = np.atleast_1d(np.asarray(lengths))
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array) or array.min() < 1:
        raise DataError("lengths must be whole numbers above 0, one for each sequence, in order.")
    ends = np.cumsum(array, dtype=np.int64)
    if ends[-1] != n_rows:
        raise DataError(f"lengths add up to {ends[-1]}, and there are {n_rows} rows.")
    return np.concatenate([[0], ends[:-1]])
