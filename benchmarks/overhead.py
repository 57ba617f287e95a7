"""What the engine adds to an iteration: passes that do nothing, over many blocks and workers.

    python benchmarks/overhead.py [--turns 30] [--simulated 200]

The first table is of two worker processes: milliseconds for a whole turn, for the tasks of the
worker that had the most to do, and for the rest, which is the overhead. The second is of a
scheduler and one process that plays any number of workers: milliseconds of CPU that the scheduler
took for a turn.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import numpy as np
import psutil
from distributed import Client, LocalCluster, Worker, get_task_stream

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


def turns(client: Client, n_blocks: int, n: int) -> tuple[float, float, float]:
    """Medians in ms: of a turn, of the tasks of its busiest worker, and of the rest of the turn."""
    whole, busiest = [], []
    with Cluster(manifest(n_blocks), client) as engine, get_task_stream(client) as stream:
        for _ in range(n + 2):
            began = time.perf_counter()
            engine.sweep(Nothing(100), [range(n_blocks)])
            whole.append(time.perf_counter() - began)
    for turn in range(n + 2):
        spent: dict[str, float] = defaultdict(float)
        for task in stream.data:
            if task["key"][1:3] == (turn, "range"):
                spent[task["worker"]] += sum(
                    part["stop"] - part["start"]
                    for part in task["startstops"]
                    if part["action"] == "compute"
                )
        busiest.append(max(spent.values()))
    # The first two have no measured cost to plan with, or were planned without.
    columns = np.array([whole, busiest, np.subtract(whole, busiest)])[:, 2:]
    first, second, rest = 1e3 * np.median(columns, axis=1)
    return first, second, rest


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
            whole, busy, rest = turns(client, n_blocks, n)
            print(f"{n_blocks:8} {planned:8.3f} {whole:9.1f} {busy:9.1f} {rest:12.1f}", flush=True)


def crowd(address: str, workers: int) -> None:
    """So many workers in this process, until the scheduler goes."""

    async def work() -> None:
        options: dict[str, Any] = {"nthreads": 1, "memory_limit": 0, "dashboard": False}
        started = await asyncio.gather(*(Worker(address, **options) for _ in range(workers)))
        await asyncio.gather(*(worker.finished() for worker in started))

    # What each of them measures about itself would be most of the work of a process of hundreds.
    quiet = {
        "distributed.worker.profile.enabled": False,
        "distributed.admin.system-monitor.interval": "60s",
    }
    with dask.config.set(quiet):
        asyncio.run(work())


def simulated(n: int, workers: int) -> None:
    print(f"{'workers':>8} {'tasks':>6} {'turn ms':>9} {'scheduler CPU ms':>17} {'a task':>8}")
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        told = Path(place) / "scheduler.json"

        def begin(*command: str) -> psutil.Process:
            process = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
            stack.callback(process.kill)
            return psutil.Process(process.pid)

        scheduler = begin(
            *("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"),
            *("--no-dashboard", "--scheduler-file", str(told)),
        )
        while not (told.exists() and told.read_text().endswith("}")):
            time.sleep(0.1)
        client = stack.enter_context(Client(scheduler_file=str(told)))
        begin(__file__, "--crowd", client.scheduler.address, "--simulated", str(workers))
        client.wait_for_workers(workers)
        for tasks in (workers, plan.RANGES_PER_THREAD * workers):
            plan.ranges = lambda *_, tasks=tasks: tasks  # type: ignore[assignment]
            before = scheduler.cpu_times()
            whole, *_ = turns(client, tasks, n)
            after = scheduler.cpu_times()
            used = after.user + after.system - before.user - before.system
            each = 1e3 * used / (n + 2)
            print(
                f"{workers:8} {tasks:6} {whole:9.1f} {each:17.1f} {each / tasks:8.2f}", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--simulated", type=int, default=0, metavar="WORKERS")
    parser.add_argument("--crowd", metavar="ADDRESS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.crowd:
        crowd(arguments.crowd, arguments.simulated)
    elif arguments.simulated:
        simulated(arguments.turns, arguments.simulated)
    else:
        processes(arguments.turns)


if __name__ == "__main__":
    sys.exit(main())
