"""How many range tasks a pass is worth, from what the last one cost."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Spent = Mapping[str, tuple[int, float]]  # blocks and seconds of each worker

# What a task costs a scheduler, one after the other for the whole cluster (measured: 0.55–0.65 ms).
TASK_SECONDS = 0.6e-3
# Up to three for each thread, so that a slow worker keeps the others waiting for a third of its
# share, where a task lasts so long that the 2 ms that it costs a worker do not count.
RANGES_PER_THREAD = 3
LONG_SECONDS = 0.2
SLOW_SECONDS = 0.05  # shorter shares are too short to tell that a worker is slow
INNER_THREADS = 1000  # above so many threads in a cluster, a task is for a whole process


def ranges(threads: int, processes: int, busy: float | None) -> int:
    """How many tasks to cut a pass into that keeps threads busy for so many seconds in all.

    n tasks take busy / n seconds side by side and n · `TASK_SECONDS` one after another, which is
    least at n = √(busy / `TASK_SECONDS`). So many while they are fewer than the threads, and more
    than one for each thread only if they are long. Where nobody has measured yet (None) they are
    taken to be; very many threads get one for each process.
    """
    if threads > INNER_THREADS:
        return processes
    if busy is None:
        return RANGES_PER_THREAD * threads
    best = math.sqrt(busy / TASK_SECONDS)
    if best < threads:
        return max(int(best), 1)
    return threads * min(max(int(busy / threads / LONG_SECONDS), 1), RANGES_PER_THREAD)


def together(parts: Iterable[Spent]) -> Spent:
    """What several took, added up by worker."""
    spent: dict[str, tuple[int, float]] = {}
    for worker, (blocks, seconds) in (item for part in parts for item in part.items()):
        before = spent.get(worker, (0, 0.0))
        spent[worker] = before[0] + blocks, before[1] + seconds
    return spent


@dataclass(frozen=True)
class Seconds:
    """Wall time of a pass: reading that kept work waiting, work, and all that is not on workers.

    gather : scheduling, adding up, and sending.
    """

    read: float = 0.0
    compute: float = 0.0
    gather: float = 0.0

    @classmethod
    def of(cls, wall: float, spent: Spent, waited: float, threads: Mapping[str, int]) -> Seconds:
        """By the worker that took the longest, its threads side by side.

        waited : of what all workers spent, the seconds without a block to work on.
        """
        longest = max((s / threads.get(worker, 1) for worker, (_, s) in spent.items()), default=0.0)
        longest = min(longest, wall)
        whole = sum(seconds for _, seconds in spent.values())
        share = min(waited / whole, 1.0) if whole else 0.0
        return cls(share * longest, (1 - share) * longest, wall - longest)

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(
            self.read + other.read, self.compute + other.compute, self.gather + other.gather
        )


@dataclass
class Costs:
    """What passes have cost lately.

    per_block : seconds of work per block of each kind of pass.
    by_worker : the same on each worker.
    """

    per_block: dict[type, float] = field(default_factory=dict)
    by_worker: dict[tuple[type, str], float] = field(default_factory=dict)

    def expected(self, kind: type, n_blocks: int) -> float | None:
        """Seconds of work in a pass of this kind over so many blocks; None if not known."""
        each = self.per_block.get(kind)
        return None if each is None else each * n_blocks

    def learn(self, kind: type, spent: Spent) -> None:
        """From the last pass of this kind; what was known of a worker counts as much."""
        blocks, seconds = (sum(part) for part in zip(*spent.values(), strict=True))
        self.per_block[kind] = seconds / max(blocks, 1)
        for worker, (n, some) in spent.items():
            each = some / max(n, 1)
            self.by_worker[kind, worker] = (self.by_worker.get((kind, worker), each) + each) / 2

    def speeds(self, kind: type, workers: Iterable[str]) -> dict[str, float]:
        """How fast workers are for their like, in steps, so that it seldom changes."""
        each = {worker: self.by_worker.get((kind, worker), 0.0) for worker in workers}
        known = [seconds for seconds in each.values() if seconds > 0]
        if not known:
            return dict.fromkeys(each, 1.0)
        usual = statistics.median(known)
        return {worker: _in_steps(usual / (seconds or usual)) for worker, seconds in each.items()}


def _in_steps(ratio: float) -> float:
    """The nearest power of √2, from 1/16 to 2."""
    return float(min(max(2.0 ** (round(2 * math.log2(ratio)) / 2), 1 / 16), 2.0))
