"""Damage is noticed, and the memory that reading takes is bounded."""

import os
from pathlib import Path

import numpy as np
import pytest

from dem.errors import DataError
from dem.store import read, write
from storing import LITTLE, assert_same_bits, chunk_of


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "model", LITTLE, {})
    chunk = chunk_of(tmp_path / "model")
    content = bytearray(chunk.read_bytes())
    content[5] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(DataError, match="means: damaged"):
        read(tmp_path / "model")


def test_a_truncated_chunk_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "model", LITTLE, {})
    os.truncate(chunk_of(tmp_path / "model"), 20)
    with pytest.raises(DataError, match="means: damaged"):
        read(tmp_path / "model")


@pytest.mark.parametrize("content", [0.0, 1.0])
def test_a_lost_chunk_is_noticed(content: float, tmp_path: Path) -> None:
    write(tmp_path / "model", {"means": np.full(4, content)}, {})
    chunk_of(tmp_path / "model").unlink()
    with pytest.raises(DataError, match="means: some of its chunks are missing"):
        read(tmp_path / "model")


def test_a_chunk_that_is_far_too_large_is_refused_unread(tmp_path: Path) -> None:
    write(tmp_path / "model", LITTLE, {})
    os.truncate(chunk_of(tmp_path / "model"), 10**12)
    with pytest.raises(DataError, match="more room than its shape"):
        read(tmp_path / "model")


def test_the_memory_that_may_be_used_is_bounded(target: str) -> None:
    write(target, {"a": np.zeros(100), "b": np.zeros(100)}, {})
    assert_same_bits(read(target, max_bytes=1600)[0]["a"], np.zeros(100))
    with pytest.raises(DataError, match="2 arrays need 1,600 bytes and the limit is 1,599"):
        read(target, max_bytes=1599)


def test_nan_is_refused_unless_the_reader_expects_it(target: str) -> None:
    values = {"history": {"bound": np.array([-np.inf, 1.0])}, "historyless": np.zeros(1)}
    write(target, values, {}, nonfinite=["history"])
    assert_same_bits(read(target, nonfinite=["history"])[0], values)
    assert_same_bits(read(target, nonfinite=["history/bound"])[0], values)
    with pytest.raises(DataError, match=r"history/bound: holds NaN or infinity.*index \(0,\)"):
        read(target)
    with pytest.raises(DataError, match="holds NaN"):
        read(target, nonfinite=["hist"])
