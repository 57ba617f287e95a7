"""How many range tasks a pass is worth, from what the last one cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

# What a task costs a scheduler, one after the other for the whole cluster (measured: 0.55–0.65 ms).
TASK_SECONDS = 0.6e-3
# Up to three for each thread, so that a slow worker keeps the others waiting for a third of its
# share, where a task lasts so long that the 2 ms that it costs a worker do not count.
RANGES_PER_THREAD = 3
LONG_SECONDS = 0.2
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


@dataclass
class Costs:
    """Seconds of work per block of each kind of pass, as last measured."""

    per_block: dict[type, float] = field(default_factory=dict)

    def expected(self, kind: type, n_blocks: int) -> float | None:
        """Seconds of work in a pass of this kind over so many blocks; None if not known."""
        each = self.per_block.get(kind)
        return None if each is None else each * n_blocks

    def learn(self, kind: type, n_blocks: int, seconds: float) -> None:
        self.per_block[kind] = seconds / max(n_blocks, 1)
