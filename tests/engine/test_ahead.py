"""How far ahead blocks are read from stores that keep each request waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import dem
from dem.engine.hosts import check_memory
from dem.engine.read import blocks
from dem.engine.readers.base import AHEAD_BYTES, AHEAD_MOST, ahead_of, far_ahead, held_of

MIB = 2**20
WAIT = 0.04


class Waiting:
    """A reader of a store that takes a while to answer, and counts whom it keeps waiting."""

    in_memory = False
    blocks_held = 4.0
    ahead = 4

    def __init__(self, seconds: float, bad: int = -1) -> None:
        self.seconds, self.bad = seconds, bad
        self.now = self.most = self.began = 0
        self._lock = threading.Lock()

    def read(self, block: int, out: np.ndarray) -> np.ndarray:
        with self._lock:
            self.now, self.began = self.now + 1, self.began + 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self._lock:
            self.now -= 1
        if block == self.bad:
            raise ValueError(f"block {block} is bad")
        out[...] = block
        return out

    def buffer(self) -> np.ndarray:
        return np.empty((2, 1))


def read(reader: Any, which: Sequence[int], work: float = 0.0) -> list[tuple[int, float]]:
    got = []
    for block, rows, _ in blocks(reader, None, which):
        time.sleep(work)  # while it is in use no other block may be written over it
        got.append((block, float(rows[0, 0])))
    return got


def test_what_waits_is_waited_for_at_once() -> None:
    reader = Waiting(WAIT)
    began = time.perf_counter()
    assert read(reader, range(5, 21)) == [(i, float(i)) for i in range(5, 21)]
    assert time.perf_counter() - began < 16 * WAIT / 1.5
    assert reader.most == reader.ahead


def test_blocks_stand_as_long_as_they_are_in_use() -> None:
    assert read(Waiting(0.001), range(30), work=0.003) == [(i, float(i)) for i in range(30)]


def test_an_error_comes_when_its_block_has_its_turn() -> None:
    reader, seen = Waiting(0.001, bad=7), list[int]()
    with pytest.raises(ValueError, match="block 7 is bad"):
        seen.extend(block for block, *_ in blocks(reader, None, range(20)))
    assert seen == list(range(7))
    assert reader.began <= 7 + reader.ahead + 1


@given(st.integers(1, 2**33))
def test_what_is_read_ahead_is_bounded(block_bytes: int) -> None:
    ahead = far_ahead(block_bytes)
    assert 1 <= ahead <= AHEAD_MOST
    assert ahead == 1 or ahead * block_bytes <= AHEAD_BYTES


def test_one_block_ahead_is_what_readers_say_they_hold() -> None:
    reader: Any = Waiting(0.0)
    assert held_of(reader, 1) == reader.blocks_held
    assert held_of(reader, 4) == 5 + 4 * 2  # a buffer each and the one in use; four being decoded


@pytest.fixture
def url() -> Iterator[str]:
    """Of a place that is reached as those across a network are."""
    yield "memory://ahead"
    fsspec.filesystem("memory").rm("/ahead", recursive=True)


class Engine:
    def __init__(self, data: Any, mib: int) -> None:
        self.manifest, self._mib = dem.open_data(data), mib

    def memory(self) -> Iterator[tuple[str, int, int]]:
        yield "Worker 7", 1, self._mib * MIB


def test_across_a_network_it_is_more_and_the_budget_knows(url: str, tmp_path: Path) -> None:
    rows = 65536  # of 8 MB
    for place in (str(tmp_path), url):
        zarr.create_array(f"{place}/x.zarr", shape=(8 * rows, 16), chunks=(rows, 16), dtype="f8")
    near, far = Engine(tmp_path / "x.zarr", 95), Engine(f"{url}/x.zarr", 95)
    assert ahead_of(near.manifest.reader) == 1
    assert ahead_of(far.manifest.reader) == ahead_of(far.manifest.reader.take([3])) == 4
    # 4 blocks of 8 MB or 13, 64 bytes for each row, 48 MB for samples.
    check_memory(near, 0)
    with pytest.raises(MemoryError, match=r"each 108 MiB for blocks of 8\.0 MiB"):
        check_memory(far, 0)
    check_memory(Engine(f"{url}/x.zarr", 157), 0)


def test_parquet_across_a_network(url: str) -> None:
    values = np.random.default_rng(0).normal(size=(10_000, 3))
    table = pa.table(dict(zip("abc", values.T, strict=True)))
    with fsspec.open(f"{url}/x.parquet", "wb") as file:
        pq.write_table(table, file, row_group_size=500)
    manifest = dem.open_data(f"{url}/x.parquet", block_bytes=24_000)
    assert manifest.n_blocks == 10
    assert ahead_of(manifest.reader) == ahead_of(manifest.reader.take([3])) == 4
    read = [rows.copy() for _, rows, _ in blocks(manifest.reader, None, range(10))]
    assert np.array_equal(np.concatenate(read), values)
