"""Chunks that are files of their own, each decoded straight to where its rows are wanted.

Zarr holds a chunk twice on its way, in memory that is asked of the system and given back each time,
which costs more than decoding does. Whatever is not plain, or goes wrong, is left to Zarr.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from sys import byteorder
from threading import local
from typing import Any

import numpy as np
import zarr
from numcodecs import blosc
from zarr.codecs import BloscCodec, BytesCodec
from zarr.storage import LocalStore

_own = local()  # of each thread: a buffer for what a file holds


@dataclass(frozen=True, eq=False)
class PlainChunks:
    """Files of whole rows of an array, compressed by Blosc; below `root` is their store."""

    array: zarr.Array
    root: Path

    def read(self, start: int, stop: int, rows: np.ndarray) -> bool:
        """Rows from start to stop into `rows`; False if it could not, and they may hold anything.

        It can if these are whole chunks, or end with the array, and nothing is amiss.
        """
        step, end = self.array.chunks[0], self.array.shape[0]
        if start % step or (stop % step and stop != end):
            return False
        folder, encode = self.root / self.array.path, self.array.metadata.encode_chunk_key
        try:
            for first in range(start, stop, step):
                encoded = _contents(folder / encode((first // step, *self._rest)))
                out = rows[first - start : first - start + step]
                if len(out) == step:
                    _decode(encoded, out)
                else:  # the last, which has rows beyond the end
                    whole = np.empty((step, *rows.shape[1:]), rows.dtype)
                    _decode(encoded, whole)
                    out[:] = whole[: len(out)]
        except (OSError, RuntimeError, ValueError):  # Zarr will say what it is
            return False
        return True

    @property
    def _rest(self) -> tuple[int, ...]:
        return (0,) * (self.array.ndim - 1)


def plain(array: zarr.Array, store: Any) -> PlainChunks | None:
    """The array's chunks, if they are files of that kind in this store; else None."""
    whole_rows = array.chunks[1:] == array.shape[1:] and array.shards is None
    if type(store) is not LocalStore or not whole_rows or not array.dtype.isnative:
        return None
    match getattr(array.metadata, "codecs", ()):
        case (BytesCodec(endian=order), BloscCodec()) if order is None or order.value == byteorder:
            return PlainChunks(array, store.root)
    return None


def _contents(path: Path) -> memoryview:
    """The bytes of a file, until the thread asks for those of another."""
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if len(getattr(_own, "buffer", b"")) <= size:
            _own.buffer = bytearray(size + size // 4 + 1)
        view, filled = memoryview(_own.buffer), 0
        while more := file.readinto(view[filled:]):
            filled += more
    return view[:filled]


def _decode(encoded: memoryview, out: np.ndarray) -> None:
    # Blosc goes by what its header says of both sizes, whatever there is.
    sizes = (int.from_bytes(encoded[at : at + 4], "little") for at in (4, 12))
    if tuple(sizes) != (out.nbytes, len(encoded)):
        raise ValueError("the chunk has another size than its header or the array says")
    blosc.decompress(encoded, out)
