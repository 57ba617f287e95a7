"""What the engine adds to an iteration: passes that do nothing, over many blocks and workers.

    python benchmarks/overhead.py [--turns 30] [--simulated 200]

The first table is of two worker processes: milliseconds for a whole turn, for what its tasks take
per thread, and for the rest, which is the overhead. The second is of one process that plays the
scheduler and any number of workers: tasks, and seconds of CPU that all of it took, which is an
upper bound of what the scheduler took.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import Client, LocalCluster

from dem.engine import plan
from dem.engine.cluster import Cluster
from dem.engine.manifest import Manifest
from dem.engine.readers.base import Spans

ROWS = 16
BLOCKS = (100, 10_000, 100_000)


@dataclass(frozen=True, eq=False)
class Nowhere:
    """A reader of the same few rows for every block."""

    spans: Spans
    in_memory: bool = False

    def read(self, block: int, out: Any = None) -> np.ndarray:
        return np.zeros((ROWS, 1))

    def take(self, blocks: Any) -> Nowhere:
        return Nowhere(self.spans.take(blocks))

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        return "nowhere"


@dataclass(frozen=True)
class Nothing:
    """A pass that does nothing, with a result of some size."""

    size: int

    def prepare(self) -> np.ndarray:
        return np.zeros(self.size)

    def __call__(self, prepared: np.ndarray, block: Any) -> np.ndarray:
        return prepared


def manifest(n_blocks: int) -> Manifest:
    boundaries = np.arange(n_blocks + 1, dtype=np.int64) * ROWS
    return Manifest(Nowhere(Spans(boundaries)), boundaries, 1, np.dtype(float))


def turns(client: Client, n_blocks: int, n: int, threads: int) -> tuple[float, float, float]:
    """Medians in ms: of a turn, of its tasks per thread that works, and CPU of this process."""
    data, whole, busy, cpu = manifest(n_blocks), [], [], []
    with Cluster(data, client) as engine:
        for _ in range(n + 2):
            began, used = time.perf_counter(), time.process_time()
            engine.sweep(Nothing(100), [range(n_blocks)])
            whole.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
            spent = engine.costs.expected(Nothing, n_blocks) or 0.0
            tasks = plan.ranges(threads, threads, spent)
            busy.append(spent / min(tasks, threads))
    # The first two have no measured cost to plan with, or were planned without.
    return tuple(1e3 * statistics.median(seconds[2:]) for seconds in (whole, busy, cpu))  # type: ignore[return-value]


def processes(n: int) -> None:
    print(f"{'blocks':>8} {'plan s':>8} {'turn ms':>9} {'tasks ms':>9} {'overhead ms':>12}")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        for n_blocks in BLOCKS:
            began = time.perf_counter()
            manifest(n_blocks)
            planned = time.perf_counter() - began
            whole, busy, _ = turns(client, n_blocks, n, 2)
            print(f"{n_blocks:8} {planned:8.3f} {whole:9.1f} {busy:9.1f} {whole - busy:12.1f}")


def simulated(n: int, workers: int) -> None:
    print(f"{'workers':>8} {'blocks':>8} {'tasks':>6} {'turn ms':>9} {'CPU ms':>8}")
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address=":0",
            memory_limit=0,
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster) as client,
    ):
        for tasks in (workers, plan.RANGES_PER_THREAD * workers):
            plan.ranges = lambda *_, tasks=tasks: tasks  # type: ignore[assignment]
            whole, _, cpu = turns(client, tasks, n, workers)
            print(f"{workers:8} {tasks:8} {tasks:6} {whole:9.1f} {cpu:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--simulated", type=int, default=0, metavar="WORKERS")
    arguments = parser.parse_args()
    if arguments.simulated:
        simulated(arguments.turns, arguments.simulated)
    else:
        processes(arguments.turns)


if __name__ == "__main__":
    sys.exit(main())
