"""Sparse rows in memory: scipy matrices and arrays, and lists of them, in blocks of CSR."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_array, issparse, vstack

from dem.engine.readers.base import native
from dem.errors import DataError

LEAST_BLOCK = 2**15  # values of a block in memory: some ten milliseconds of work
MOST_ROWS = 2**14  # of a block, however empty: models hold arrays of rows · components


@dataclass(frozen=True, eq=False)
class SparseBlocks:
    """Blocks that are CSR arrays already."""

    parts: Mapping[int, csr_array]
    in_memory: bool = field(default=True, init=False)
    blocks_held: ClassVar[float] = 0.0
    sparse: ClassVar[bool] = True

    @cached_property
    def block_bytes(self) -> int:
        """Of the largest block."""
        return max((bytes_of(part) for part in self.parts.values()), default=0)

    def read(self, block: int, out: np.ndarray | None = None) -> Any:
        return self.parts[block]

    def take(self, blocks: Sequence[int]) -> SparseBlocks:
        return SparseBlocks({block: self.parts[block] for block in blocks})

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        """A hash of all values and where they are."""
        digest = hashlib.blake2b(digest_size=16)
        for part in self.parts.values():
            for array in (part.data, part.indices, part.indptr):
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class SparseSource:
    """CSR arrays that follow each other; blocks are views of them where they lie within one."""

    parts: tuple[csr_array, ...]
    columns: None = field(default=None, init=False)
    sparse: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        return sum(part.shape[0] for part in self.parts), self.parts[0].shape[1]

    @property
    def dtype(self) -> np.dtype:
        return native(np.result_type(*(part.dtype for part in self.parts)))

    @property
    def nbytes(self) -> int:
        return sum(map(bytes_of, self.parts))

    def boundaries(self, block_bytes: int) -> np.ndarray:
        """Of blocks with about as many values as there are columns, or a few thousand."""
        edges, start = [np.zeros(1, np.int64)], 0
        for part in self.parts:
            edges.append(start + balanced(part.indptr, max(LEAST_BLOCK, self.shape[1])))
            start += part.shape[0]
        return np.unique(np.concatenate(edges))

    def reader(self, boundaries: np.ndarray) -> SparseBlocks:
        edges = np.cumsum([0, *(part.shape[0] for part in self.parts)])
        blocks = {}
        for block, (start, stop) in enumerate(pairwise(boundaries.tolist())):
            pieces = [
                view(part, max(start - first, 0), min(stop, end) - first)
                for part, (first, end) in zip(self.parts, pairwise(edges.tolist()), strict=True)
                if start < end and stop > first
            ]
            whole = pieces[0] if len(pieces) == 1 else vstack(pieces, format="csr")
            blocks[block] = csr_array(whole.astype(self.dtype, copy=False))
        return SparseBlocks(blocks)


def balanced(indptr: np.ndarray, values: int, most_rows: int = MOST_ROWS) -> np.ndarray:
    """Offsets of blocks of rows, each with about so many values, but not too many rows."""
    full = np.searchsorted(indptr, np.arange(values, int(indptr[-1]), values))
    edges = np.unique([0, *full.tolist(), len(indptr) - 1])
    parts = [
        np.linspace(start, stop, -(-(stop - start) // most_rows), endpoint=False).astype(np.int64)
        for start, stop in pairwise(edges.tolist())
    ]
    return np.concatenate([*parts, edges[-1:]]).astype(np.int64)


def view(rows: csr_array, start: int, stop: int) -> csr_array:
    """Rows from start to stop, which share their values with the others."""
    first, last = int(rows.indptr[start]), int(rows.indptr[stop])
    parts = rows.data[first:last], rows.indices[first:last], rows.indptr[start : stop + 1] - first
    return csr_array(parts, shape=(stop - start, rows.shape[1]))


def bytes_of(rows: csr_array) -> int:
    """What a CSR array takes in memory."""
    return int(rows.data.nbytes + rows.indices.nbytes + rows.indptr.nbytes)


def is_sparse(data: Any) -> bool:
    """Whether data are a scipy matrix or array, or a list of them."""
    if isinstance(data, (list, tuple)):
        return bool(data) and all(map(issparse, data))
    return bool(issparse(data))


def open_sparse(data: Any) -> SparseSource:
    """The rows of one scipy matrix or array, or of a list of them; `DataError` for others."""
    parts = tuple(map(as_csr, data if isinstance(data, (list, tuple)) else (data,)))
    widths = sorted({part.shape[1] for part in parts})
    if len(widths) > 1:
        raise DataError(f"The matrices have different numbers of columns: {widths}.")
    return SparseSource(parts)


def as_csr(rows: Any) -> csr_array:
    """Anything with `tocsr`, as a CSR array of two dimensions."""
    if len(rows.shape) != 2:
        raise DataError(f"Expected sparse data of 2 dimensions, got the shape {rows.shape}.")
    return csr_array(rows.tocsr())
