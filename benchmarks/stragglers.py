"""What a slow worker costs: turns of incremental groups, and of full batches, with and without.

    python benchmarks/stragglers.py [--workers 4] [--slow 4] [--turns 48]

Worker processes whose time for a block is given, since they sleep for it; one of them takes
`--slow` times as long. Rows a second of each, and the share that is lost; a cluster that lost
nothing but the slow worker's own part would lose (1 − 1/slow) / workers.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import Client, LocalCluster, get_worker
from overhead import ROWS, Nowhere

from dem.engine.cluster import Cluster
from dem.engine.manifest import Manifest
from dem.engine.readers.base import Spans
from dem.schedules import FullBatch, Incremental

SECONDS_A_BLOCK = 0.01


@dataclass(frozen=True)
class Sleep:
    """A pass that takes its time over each block, the longer on the worker of that name."""

    slow: str
    times: float

    def prepare(self) -> float:
        return SECONDS_A_BLOCK * (self.times if str(get_worker().name) == self.slow else 1.0)

    def __call__(self, prepared: float, block: Any) -> np.ndarray:
        time.sleep(prepared)
        return np.zeros(1)


def blocks_a_second(
    client: Client, n_blocks: int, schedule: Any, turns: int, times: float
) -> float:
    boundaries = np.arange(n_blocks + 1, dtype=np.int64) * ROWS
    manifest = Manifest(Nowhere(Spans(boundaries)), boundaries, 1, np.dtype(float))
    n = min(schedule.groups, n_blocks)
    groups, speeds = [range(g, n_blocks, n) for g in range(n)], []
    with Cluster(manifest, client) as engine:
        for turn in range(1, turns + 1):
            chosen = [groups[g] for g in schedule.choose(turn, n)]
            began = time.perf_counter()
            engine.sweep(Sleep("0", times), chosen)
            speeds.append(sum(map(len, chosen)) / (time.perf_counter() - began))
    return statistics.median(speeds[turns // 3 :])  # once it has measured what a block costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--slow", type=float, default=4.0)
    parser.add_argument("--turns", type=int, default=48)
    parser.add_argument("--blocks", type=int, default=2048)
    arguments = parser.parse_args()
    w, slow, turns = arguments.workers, arguments.slow, arguments.turns
    print(
        f"{'schedule':>12} {'blocks/s':>9} {'with one slow':>14} {'lost':>6} {'its own part':>13}"
    )
    with (
        LocalCluster(
            n_workers=0, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        cluster.scale(w)
        client.wait_for_workers(w)
        names = sorted(str(v["name"]) for v in client.scheduler_info(-1)["workers"].values())
        assert "0" in names, names
        for name, schedule, n in (
            ("full batch", FullBatch(), turns // 8),
            ("incremental", Incremental(), turns),
        ):
            usual, late = (
                blocks_a_second(client, arguments.blocks, schedule, n, times)
                for times in (1.0, slow)
            )
            lost, own = 1 - late / usual, (1 - 1 / slow) / w
            print(f"{name:>12} {usual:9.0f} {late:14.0f} {lost:6.0%} {own:13.0%}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
