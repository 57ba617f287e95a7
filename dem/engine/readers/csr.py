"""Sparse rows in Zarr: a group of the arrays data, indices and indptr, as anndata writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import zarr
from scipy.sparse import csr_array
from zarr.storage import MemoryStore

from dem.engine.readers.base import native
from dem.engine.readers.sparse import SparseBlocks, balanced
from dem.engine.readers.zarrs import ZarrRows, address, rows_between
from dem.errors import DataError

ARRAYS = ("data", "indices", "indptr")


@dataclass(frozen=True, eq=False)
class StoredRows:
    """Blocks of rows whose values, columns and offsets are three arrays.

    data, indices : read the values of each block. starts : its rows' offsets, but for the last.
    """

    data: ZarrRows
    indices: ZarrRows
    starts: ZarrRows
    n_columns: int
    in_memory: bool = field(default=False, init=False)
    blocks_held: ClassVar[float] = 4.0
    sparse: ClassVar[bool] = True

    @property
    def block_bytes(self) -> int:
        """Of the largest block."""
        each = self.data.array.dtype.itemsize + self.indices.array.dtype.itemsize
        return each * self.data.spans.largest + 8 * self.starts.spans.largest

    @property
    def ahead(self) -> int:
        return self.data.ahead

    def read(self, block: int, out: np.ndarray | None = None) -> Any:
        start, stop = self.starts.spans[block]
        first, last = self.data.spans[block]
        indices = self.indices.read(block)
        offsets = np.append(self.starts.read(block), last) - first
        where = f"block {block} (rows {start} to {stop - 1}) of {address(self.data.array)}"
        if offsets[0] or (np.diff(offsets) < 0).any():
            raise DataError(f"{where}: the offsets in indptr do not rise from {first} to {last}.")
        if indices.size and not 0 <= indices.min() <= indices.max() < self.n_columns:
            raise DataError(
                f"{where}: a column index is {indices.min()} or {indices.max()}, and there are "
                f"{self.n_columns} columns."
            )
        parts = self.data.read(block), indices, offsets.astype(indices.dtype)
        return csr_array(parts, shape=(stop - start, self.n_columns))

    def take(self, blocks: Sequence[int]) -> StoredRows:
        data, indices, starts = (
            part.take(blocks) for part in (self.data, self.indices, self.starts)
        )
        return StoredRows(data, indices, starts, self.n_columns)

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        parts = (self.data, self.indices, self.starts)
        return " ".join((str(self.n_columns), *(part.token() for part in parts)))


@dataclass(frozen=True, eq=False)
class StoredSource:
    """A Zarr group of sparse rows. Its indptr, 8 bytes a row, is read while it is opened."""

    group: zarr.Group
    columns: None = field(default=None, init=False)
    sparse: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        shape: Any = self.group.attrs["shape"]
        return int(shape[0]), int(shape[1])

    @property
    def dtype(self) -> np.dtype:
        return native(self._array("data").dtype)

    @property
    def nbytes(self) -> int:
        return sum(array.size * array.dtype.itemsize for array in map(self._array, ARRAYS))

    @cached_property
    def _indptr(self) -> np.ndarray:
        array = self._array("indptr")
        return rows_between(array, np.array([0, array.size])).read(0)

    def boundaries(self, block_bytes: int) -> np.ndarray:
        each = self.dtype.itemsize + self._array("indices").dtype.itemsize
        return balanced(self._indptr, max(block_bytes // each, 1))

    def reader(self, boundaries: np.ndarray) -> StoredRows | SparseBlocks:
        values = self._indptr[boundaries].astype(np.int64)
        data, indices = (rows_between(self._array(name), values) for name in ARRAYS[:2])
        starts = rows_between(self._array("indptr"), boundaries)
        stored = StoredRows(data, indices, starts, self.shape[1])
        if not isinstance(self.group.store, MemoryStore):
            return stored
        return SparseBlocks({block: stored.read(block) for block in range(len(boundaries) - 1)})

    def _array(self, name: str) -> zarr.Array:
        array = self.group[name]
        assert isinstance(array, zarr.Array)
        return array


def is_csr(node: Any) -> bool:
    """Whether a Zarr node is a group of sparse rows."""
    if not isinstance(node, zarr.Group):
        return False
    kind = str(node.attrs.get("encoding-type", "csr_matrix"))
    members = (node.get(name) for name in ARRAYS)
    return kind.startswith("csr") and all(isinstance(member, zarr.Array) for member in members)


def open_csr(group: zarr.Group) -> StoredSource:
    """The rows of a group; `DataError` if its arrays do not fit together."""
    source = StoredSource(group)
    shape, place = group.attrs.get("shape"), str(group.store_path)
    if not isinstance(shape, (list, tuple)) or len(shape) != 2:
        raise DataError(
            f"{place} does not say how many columns it has: set its attribute 'shape' to [rows, "
            "columns]."
        )
    data, indices, indptr = (source._array(name) for name in ARRAYS)
    if not data.ndim == indices.ndim == indptr.ndim == 1 or data.shape != indices.shape:
        raise DataError(
            f"{place}: data has the shape {data.shape}, indices {indices.shape}: they must be of "
            "one dimension and as many."
        )
    if indptr.size != source.shape[0] + 1 or indices.dtype.kind != "i" or indptr.dtype.kind != "i":
        raise DataError(
            f"{place}: indptr must be {source.shape[0] + 1} integers for {source.shape[0]} rows, "
            f"and indices integers; got {indptr.size} of {indptr.dtype}, and {indices.dtype}."
        )
    ends = int(source._indptr[0]), int(source._indptr[-1])
    if ends != (0, data.size) or (np.diff(source._indptr) < 0).any():
        raise DataError(
            f"{place}: indptr must rise from 0 to {data.size}, the number of values; it has "
            f"{ends[0]} and {ends[1]} at its ends."
        )
    return source
