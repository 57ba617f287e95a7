"""Rows in a Zarr array on disk, in the page cache or not, and as if across a network."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from iteration import overlapping
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore, WrapperStore

CHUNK_BYTES = 8 * 2**20
DIFFERENT = 16  # chunks; the files of others are copies, which is ten times as quick


class Distant(WrapperStore):
    """A store across a network: so many seconds to the first byte of anything."""

    def __init__(self, store: Any, latency: float = 0.0) -> None:
        super().__init__(store)
        self.latency = latency

    def _with_store(self, store: Any) -> Distant:
        return type(self)(store, self.latency)

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(self.latency)
        return await self._store.get(*args, **kwargs)


def written(place: Path, gigabytes: float, d: int, k: int, dtype: str) -> zarr.Array:
    """Whole chunks of rows; those of the first one, in another order and a little moved."""
    row = d * np.dtype(dtype).itemsize
    n = CHUNK_BYTES // row
    chunks = max(int(gigabytes * 1e9 / CHUNK_BYTES), 1)
    array = zarr.create_array(
        LocalStore(place), shape=(n * chunks, d), chunks=(n, d), dtype=dtype,
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),
    )  # fmt: skip
    rows, rng = overlapping(n, d, k), np.random.default_rng(0)
    for i in range(min(chunks, DIFFERENT)):
        moved = (rng.permutation(rows) + rng.normal(size=d) / 100).astype(dtype)
        whole = moved.view(f"u{moved.itemsize}")
        whole >>= 4 * moved.itemsize
        whole <<= 4 * moved.itemsize
        array[i * n : (i + 1) * n] = moved
    for i in range(DIFFERENT, chunks):
        known, new = (place / array.metadata.encode_chunk_key((j, 0)) for j in (i % DIFFERENT, i))
        new.parent.mkdir(exist_ok=True)
        shutil.copyfile(known, new)
    forget(place)
    return array


def files(place: Path) -> Iterator[Path]:
    return (path for path in sorted(place.rglob("*")) if path.is_file())


def read_all(place: Path) -> None:
    buffer = bytearray(2 * CHUNK_BYTES)
    for path in files(place):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def forget(place: Path) -> None:
    """Let the page cache forget the files, which are on disk by then."""
    for path in files(place):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
