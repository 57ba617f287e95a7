"""Reading ahead: order, buffers, errors and threads."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from dem.engine.manifest import open_data
from dem.engine.read import blocks
from dem.errors import DataError


@dataclass
class Slow:
    """Block i holds i + 1 rows of the value i, is written late, and is logged."""

    in_memory: bool = False
    delay: float = 0.002
    bad: int = -1
    begun: list = field(default_factory=list)
    buffers: list = field(default_factory=list)

    def buffer(self):
        self.buffers.append(np.full((20, 2), -1.0))
        return self.buffers[-1]

    def read(self, block, out=None):
        self.begun.append(block)
        rows = out[: block + 1]
        rows[: len(rows) // 2] = block
        time.sleep(self.delay)
        rows[len(rows) // 2 :] = block
        if block == self.bad:
            raise DataError(f"block {block} is bad")
        return rows


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("dem-read")]


@pytest.mark.parametrize("prefetch", [0, 1, 2, 4, 30])
@pytest.mark.parametrize("which", [range(20), [7, 3, 3, 19, 0], [5], []])
def test_what_is_yielded_holds_until_the_next_block(prefetch, which):
    slow = Slow()
    order = []
    for block, rows, weights in blocks(slow, None, which, prefetch):
        order.append(block)
        assert weights is None
        before = rows.copy()
        time.sleep(0.004)  # whoever reads ahead has the time to do harm
        np.testing.assert_array_equal(rows, before)
        np.testing.assert_array_equal(rows, np.full((block + 1, 2), block))
    assert order == list(which)
    assert sorted(slow.begun) == sorted(which)
    assert len(slow.buffers) <= prefetch + 1
    assert not readers()


@pytest.mark.parametrize("prefetch", [1, 3])
def test_so_many_blocks_are_read_ahead_and_no_more(prefetch):
    slow = Slow(delay=0)
    reading = blocks(slow, None, range(20), prefetch)
    for turn in range(5):
        next(reading)
        wanted = turn + 1 + prefetch
        deadline = time.monotonic() + 10
        while len(slow.begun) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.005)
        assert len(slow.begun) == wanted
    reading.close()
    assert not readers()


def test_weights_come_with_their_rows():
    X, w = np.arange(60_000.0).reshape(-1, 3), np.arange(20_000.0)
    manifest = open_data(X, weights=w)
    for block, rows, weights in blocks(manifest.reader, manifest.weights, range(manifest.n_blocks)):
        np.testing.assert_array_equal(weights, w[manifest.rows_of(block)])
        np.testing.assert_array_equal(rows[:, 0], weights * 3)


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_an_error_surfaces_at_its_block(prefetch):
    reading = blocks(Slow(bad=6), None, range(20), prefetch)
    assert [next(reading)[0] for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(DataError, match="block 6 is bad"):
        next(reading)
    assert not readers()


def test_closing_early_leaves_no_thread():
    reading = blocks(Slow(delay=0.02), None, range(20), 2)
    next(reading)
    assert readers()
    start = time.perf_counter()
    reading.close()
    assert time.perf_counter() - start < 5
    assert not readers()


def test_nothing_is_read_ahead_in_memory():
    slow = Slow(in_memory=True)
    for block, *_ in blocks(slow, None, range(5), 3):
        assert slow.begun[-1] == block
        assert not readers()
