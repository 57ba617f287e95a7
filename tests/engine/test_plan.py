"""How many tasks a pass is worth."""

from itertools import pairwise

import numpy as np
import pytest

from dem.engine import plan, task
from dem.engine.manifest import Manifest
from dem.engine.readers.arrays import ArraySource


def test_unmeasured_work_is_taken_to_be_long() -> None:
    assert plan.ranges(8, 4, None) == plan.ranges(8, 4, 1e6) == 24


def test_tiny_work_is_one_task() -> None:
    assert plan.ranges(8, 4, 0.0) == plan.ranges(8, 4, 1e-3) == 1


@pytest.mark.parametrize("threads", [1, 2, 7, 200, 1000])
def test_more_work_is_never_fewer_tasks(threads: int) -> None:
    counts = [plan.ranges(threads, threads, 10 ** (e / 10)) for e in range(-60, 60)]
    assert all(a <= b for a, b in pairwise(counts))
    assert all(count < threads or count % threads == 0 for count in counts)
    assert counts[-1] == plan.RANGES_PER_THREAD * threads


def test_below_the_number_of_threads_no_other_number_is_much_better() -> None:
    def seconds(n: int) -> float:
        return busy / n + n * plan.TASK_SECONDS

    busy, threads = 0.05, 100
    chosen = plan.ranges(threads, threads, busy)
    assert chosen < threads
    assert seconds(chosen) <= 1.1 * min(map(seconds, range(1, threads + 1)))


def test_a_task_for_each_process_of_a_very_large_cluster() -> None:
    assert plan.ranges(1001, 50, 1e6) == 50


def test_costs_are_of_each_kind_of_pass() -> None:
    costs = plan.Costs()
    assert costs.expected(int, 10) is None
    costs.learn(int, {"a": (2, 0.5), "b": (3, 1.5)})
    assert costs.expected(int, 10) == 4.0
    assert costs.expected(str, 10) is None


def test_speeds_are_those_of_late_in_steps() -> None:
    costs = plan.Costs()
    assert costs.speeds(int, "abc") == {"a": 1.0, "b": 1.0, "c": 1.0}
    for _ in range(6):
        costs.learn(int, {"a": (10, 1.0), "b": (10, 1.05), "c": (10, 4.1)})
    assert costs.speeds(int, "abcd") == {"a": 1.0, "b": 1.0, "c": 0.25, "d": 1.0}
    for _ in range(8):
        costs.learn(int, {"c": (10, 1.0)})
    assert costs.speeds(int, "abc")["c"] == 1.0
    costs.learn(int, {"a": (10, 1e9), "b": (10, 0.0)})
    assert min(costs.speeds(int, "abc").values()) >= 1 / 16


def test_ranges_in_proportion_to_shares() -> None:
    boundaries = np.arange(101, dtype=np.int64)
    rows = np.zeros((100, 1))
    manifest = Manifest(ArraySource(rows).reader(boundaries), boundaries, 1, rows.dtype)
    parts = task.split(manifest, range(100), 4, [1.0, 1.0, 0.25, 1.0])
    assert [len(part.blocks) for part in parts] == [31, 31, 7, 31]
    assert [block for part in parts for block in part.blocks] == list(range(100))
    few = task.split(manifest, range(2), 2, [1.0, 1 / 16])
    assert [len(part.blocks) for part in few] == [2, 0]
