"""A fit of any length takes the same memory."""

from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import dem
from machines import Machines, eventually

WARM, MEASURED = 1500, 1000  # a scheduler keeps its last 1 000 messages to each worker
MIB = 2**20
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def left(dask_scheduler: Any) -> tuple[int, int, int]:
    spans = dask_scheduler.extensions["spans"].spans
    return len(dask_scheduler.tasks), len(dask_scheduler.task_groups), len(spans)


def test_a_thousand_iterations(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(20_000, 4)))
    with Machines(tmp_path) as machines:
        machines.staff(2)
        job = dem.submit(
            dem.Mixture(3, dem.Gaussian()),
            tmp_path / "x.npy",
            client=machines.client,
            max_iter=10 * (WARM + MEASURED),
            tol=0.0,
        )
        processes = [psutil.Process(process.pid) for process in machines.processes.values()]

        def used() -> np.ndarray:
            return np.array([process.memory_info().rss / MIB for process in processes])

        def at(turn: int) -> tuple[np.ndarray, tuple[int, int, int]]:
            eventually(lambda: job.status()["turns"] >= turn, f"turn {turn}", 120)
            counts = machines.client.run_on_scheduler(left)  # first: it takes memory itself
            return used(), counts

        before, (tasks, groups, spans) = at(WARM)
        after, now = at(WARM + MEASURED)
        job.cancel()
        assert len(job.result(60).history) >= WARM + MEASURED
    print(f"MiB of scheduler and workers at turn {WARM}: {before}; {MEASURED} turns later: {after}")
    assert now[0] <= tasks + 10
    assert (now[1], now[2]) == (groups, spans)
    # The history grows by some 1 KiB a turn; the rest is noise.
    assert (after - before).max() < 5
