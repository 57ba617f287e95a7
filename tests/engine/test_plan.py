"""How many tasks a pass is worth."""

from itertools import pairwise

import pytest

from dem.engine import plan


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
    costs.learn(int, 5, 2.0)
    assert costs.expected(int, 10) == 4.0
    assert costs.expected(str, 10) is None
