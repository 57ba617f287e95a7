"""Arrays in memory, memory-mapped arrays and .npy files."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, BinaryIO, ClassVar

import numpy as np

from dem.engine.readers.base import Spans, native, regular, row_bytes
from dem.engine.readers.codes import Codes
from dem.errors import DataError

MEMORY_BLOCK_BYTES = 2 * 2**20  # blocks in memory cost nothing to read: small ones balance better
HASHED_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class InMemory:
    """Blocks that are arrays already."""

    parts: Mapping[int, np.ndarray]
    in_memory: bool = field(default=True, init=False)
    blocks_held: ClassVar[float] = 0.0

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        return self.parts[block]

    def take(self, blocks: Sequence[int]) -> InMemory:
        return InMemory({block: self.parts[block] for block in blocks})

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        """A hash of the bytes: of all up to 64 MB, beyond that of evenly spaced rows."""
        total = sum(part.nbytes for part in self.parts.values())
        step = 1 + total // HASHED_BYTES
        digest = hashlib.blake2b(digest_size=16)
        for part in self.parts.values():
            digest.update(np.ascontiguousarray(part[::step]).data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class ArraySource:
    """A NumPy array; blocks are views of it."""

    array: np.ndarray
    columns: tuple[str, ...] | None = None
    codes: Codes | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return native(self.array.dtype)

    def boundaries(self, block_bytes: int) -> np.ndarray:
        rows = MEMORY_BLOCK_BYTES // row_bytes(self.shape, self.dtype)
        return regular(self.shape[0], min(max(rows, 4096), 262_144))

    def reader(self, boundaries: np.ndarray) -> InMemory:
        rows = np.asarray(self.array, dtype=self.dtype).view(np.ndarray)  # not of a subclass
        rows.flags.writeable = False
        spans = enumerate(pairwise(boundaries.tolist()))
        return InMemory({block: rows[start:stop] for block, (start, stop) in spans})


@dataclass(frozen=True, eq=False)
class FileRows:
    """Blocks of one uncompressed array in a file, read straight into a buffer."""

    path: str
    offset: int
    stored: np.dtype  # with the byte order of the file
    shape: tuple[int, ...]
    fortran: bool
    spans: Spans
    in_memory: bool = field(default=False, init=False)
    blocks_held: ClassVar[float] = 2.0

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        start, stop = self.spans[block]
        if out is None:
            out = np.empty((stop - start, *self.shape[1:]), self.stored.newbyteorder("="))
        rows = out[: stop - start]
        if rows.size == 0:
            return rows
        if self.fortran:
            rows[...] = np.memmap(self.path, self.stored, "r", self.offset, self.shape, order="F")[
                start:stop
            ]
            return rows
        with open_binary(self.path) as file:
            file.seek(self.offset + start * row_bytes(self.shape, self.stored))
            _fill(file, rows, f"{self.path}, block {block} (rows {start} to {stop - 1})")
        return rows if self.stored.isnative else rows.byteswap(inplace=True)

    def take(self, blocks: Sequence[int]) -> FileRows:
        return FileRows(
            self.path, self.offset, self.stored, self.shape, self.fortran, self.spans.take(blocks)
        )

    def buffer(self) -> np.ndarray:
        shape = (self.spans.largest, *self.shape[1:])
        return np.empty(shape, self.stored.newbyteorder("="))

    def token(self) -> str:
        """A hash of the first and the last block, so that a moved file is still the same data."""
        digest = hashlib.blake2b(digest_size=16)
        first, last = self.spans.first, self.spans.first + len(self.spans.offsets) - 2
        for block in {first: None, last: None}:
            digest.update(np.ascontiguousarray(self.read(block)).data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class FileSource:
    """One uncompressed array in a file."""

    path: str
    offset: int
    stored: np.dtype
    shape: tuple[int, ...]
    fortran: bool = False
    columns: None = field(default=None, init=False)

    @property
    def dtype(self) -> np.dtype:
        return self.stored.newbyteorder("=")

    def boundaries(self, block_bytes: int) -> np.ndarray:
        rows = block_bytes // row_bytes(self.shape, self.dtype)
        # The lower limit is small, since these blocks take memory, whatever the number of columns.
        return regular(self.shape[0], min(max(rows, 256), 262_144))

    def reader(self, boundaries: np.ndarray) -> FileRows:
        return FileRows(
            self.path, self.offset, self.stored, self.shape, self.fortran, Spans(boundaries)
        )


def open_binary(path: str) -> BinaryIO:
    """A file or a URL, for reading bytes without a buffer between."""
    if "://" not in path:
        return open(path, "rb", buffering=0)
    import fsspec

    return fsspec.open(path, "rb").open()


def _fill(file: BinaryIO, rows: np.ndarray, where: str) -> None:
    view = memoryview(rows.data).cast("B")
    done = 0
    while done < len(view):
        n = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not n:
            raise DataError(f"{where}: the file ends {len(view) - done} bytes too early.")
        done += n


def open_npy(path: str) -> FileSource:
    """An .npy file, which is never loaded as a whole."""
    try:
        with open_binary(path) as file:
            version = np.lib.format.read_magic(file)
            header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = header(file)
            offset, size = file.tell(), file.seek(0, os.SEEK_END)
    except (ValueError, KeyError) as error:
        raise DataError(f"{path} is not a .npy file, or is cut short: {error}") from error
    expected = offset + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if size < expected and not dtype.hasobject:
        raise DataError(
            f"{path} is cut short: it has {size} bytes, and {dtype} {shape} needs {expected}."
        )
    if fortran and len(shape) > 1 and "://" in path:
        raise DataError(f"{path} is in column order; save it in row order (np.ascontiguousarray).")
    return FileSource(path, offset, dtype, shape, fortran and len(shape) > 1)


def open_array(array: np.ndarray, columns: tuple[str, ...] | None = None) -> Any:
    """A NumPy array, or the file behind it where it is a plain memory map."""
    mapped = _mapped_file(array) if columns is None else None
    return mapped or ArraySource(array, columns)


def _mapped_file(array: np.ndarray) -> FileSource | None:
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not (isinstance(root, np.memmap) and isinstance(root.base, mmap.mmap)):
        return None
    # Writes to a copy-on-write map ("c") never reach the file, so the file is not the data.
    if root.mode == "c" or root.filename is None or not os.path.exists(root.filename):
        return None
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    if not (array.flags.c_contiguous or fortran):
        return None
    offset = root.offset + array.ctypes.data - root.ctypes.data
    path = os.path.abspath(root.filename)
    return FileSource(path, offset, array.dtype, array.shape, fortran)
