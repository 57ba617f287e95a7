"""The same range tasks on a `distributed` cluster: one small graph for each pass.

Range tasks → combine tasks of 16 → root. Keys are never used twice, since the scheduler would
answer with the old result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from typing import Any, Self
from uuid import uuid4

import cloudpickle
import dask
from dask._task_spec import DataNode, List, Task, TaskRef
from distributed import Client, Future, span
from distributed.client import FutureCancelledError

from dem.engine import reduce, task
from dem.engine.manifest import Manifest, Reader
from dem.engine.readers.base import Spans
from dem.engine.readers.lazy import FutureRows
from dem.passes import Pass

RANGES_PER_THREAD = 3
FAN_IN = 16
LITERAL_BYTES = 64 * 2**10
RETRIES = 3


class Cluster:
    """Runs passes over the data on the workers of a client's cluster.

    Data on disk are read by the workers, which must see the same paths. What rests on persisted
    Dask arrays is worked on where those are. Arrays in this process are sent to the workers once,
    in blocks, and sent again if a worker dies with them.

    on_blocks : called with (blocks done, blocks in all) when a pass is complete.
    """

    def __init__(
        self,
        manifest: Manifest,
        client: Client,
        on_blocks: Callable[[int, int], Any] | None = None,
    ) -> None:
        self.manifest, self.client = manifest, client
        self._on_blocks = on_blocks
        self._name = f"dem-{uuid4().hex[:12]}"
        self._turns = count()
        self._span = ExitStack()
        self._scattered: list[Future] = []
        self._placed = manifest  # as the workers are to read it
        self._homes: dict[int, Any] = {}  # of each block the key of what it rests on, if anything

    def __enter__(self) -> Self:
        self._place()
        self._span.enter_context(span("dem"))  # one for all passes: the scheduler keeps each
        return self

    def __exit__(self, *exception: object) -> None:
        self._span.close()
        self._forget()

    @property
    def threads(self) -> int:
        return max(sum(self.client.nthreads().values()), 1)

    def memory(self) -> Iterator[tuple[str, int, int]]:
        """(where, threads, bytes available to them) for each process that does the work."""
        ends = dask.config.get("distributed.worker.memory.terminate") or 1.0
        for address, worker in self.client.scheduler_info(n_workers=-1)["workers"].items():
            if limit := worker["memory_limit"]:
                used = worker.get("metrics", {}).get("memory", 0)
                yield f"Worker {address}", worker["nthreads"], max(int(ends * limit) - used, 0)

    def sweep(self, work: Pass, groups: Sequence[Sequence[int]]) -> tuple[Any, ...]:
        """The pass over the blocks of each group: one total for each of them."""
        for attempt in count():
            try:
                totals = self._sweep(work, groups)
                break
            except FutureCancelledError:
                if attempt == RETRIES or not any(r and r.in_memory for r in self._readers()):
                    raise
                self._place()  # a worker died with blocks that only this process can replace
        if self._on_blocks:
            done = sum(map(len, groups))
            self._on_blocks(done, done)
        return totals

    def _sweep(self, work: Pass, groups: Sequence[Sequence[int]]) -> tuple[Any, ...]:
        name = f"{self._name}-{next(self._turns)}"
        graph: dict[Any, Any] = {}
        # As bytes: a worker that cannot import the model's module would die of the message itself,
        # and all the others after it; inside a task it is an error with a name.
        shipped: Any = cloudpickle.dumps(work)
        if len(shipped) > LITERAL_BYTES:
            graph[name, "pass"] = DataNode((name, "pass"), shipped)
            shipped = TaskRef((name, "pass"))
        roots = []
        for g, group in enumerate(groups):
            keys = []
            for j, part in enumerate(self._ranges(group)):
                keys.append((f"{name}-estep", g, j))
                rows, weights = _refs(part.reader), _refs(part.weights)
                graph[keys[-1]] = Task(keys[-1], _run, shipped, part, rows, weights)
            roots.append(_combine(graph, f"{name}-sum-{g}", keys, len(group)))
        return tuple(self.client.get(graph, roots))

    def _ranges(self, group: Sequence[int]) -> list[task.Range]:
        """Contiguous ranges; or, of data that live on workers, the blocks of one worker each."""
        if not self._homes:
            ranges = task.split(self._placed, group, RANGES_PER_THREAD * self.threads)
            return [part.detached() for part in ranges]
        keys = list(set(self._homes.values()))
        holders = self.client.sync(self.client.scheduler.who_has, keys=keys)
        by_worker = defaultdict(list)
        for leaf, block in enumerate(group):
            by_worker[min(holders.get(self._homes.get(block), ()), default="")].append(leaf)
        threads = self.client.nthreads()
        ranges = []
        for worker, mine in sorted(by_worker.items()):
            pieces = RANGES_PER_THREAD * threads.get(worker, 1)
            ranges += task.pick(self._placed, group, mine, pieces)
        return [part.detached() for part in ranges]

    def _readers(self) -> tuple[Reader | None, ...]:
        return self.manifest.reader, self.manifest.weights

    def _place(self) -> None:
        """Send the workers what lives in this process; find a Future that each block rests on."""
        self._forget()
        self._placed, self._scattered = on_workers(self.manifest, self.client)
        reader = self._placed.reader
        if futures_of(reader):
            for block in range(self.manifest.n_blocks):
                if futures := futures_of(reader.take([block])):
                    self._homes[block] = futures[0].key

    def _forget(self) -> None:
        """Let the workers forget what they were sent, even where a traceback still refers to it."""
        for future in self._scattered:
            future.release()
        self._scattered, self._placed, self._homes = [], self.manifest, {}


def on_workers(manifest: Manifest, client: Client) -> tuple[Manifest, list[Future]]:
    """The manifest with readers of data in this process sent to the workers, and what was sent."""
    scattered: list[Future] = []

    def sent(reader: Reader) -> Reader:
        if not reader.in_memory:
            return reader
        parts = [reader.read(block) for block in range(manifest.n_blocks)]
        futures = client.scatter(parts, hash=False)
        scattered.extend(futures)
        spans, first = Spans(manifest.boundaries), parts[0]
        return FutureRows(dict(enumerate(futures)), spans, first.shape[1:], first.dtype)

    weights = manifest.weights and sent(manifest.weights)
    return replace(manifest, reader=sent(manifest.reader), weights=weights), scattered


def futures_of(reader: Reader | None) -> tuple[Any, ...]:
    """The Futures that a reader rests on."""
    return getattr(reader, "futures", ())


def _refs(reader: Reader | None) -> List | None:
    futures = futures_of(reader)
    return List(*[TaskRef(future.key) for future in futures]) if futures else None


def _run(work: bytes, part: task.Range, rows: list | None, weights: list | None) -> reduce.Partial:
    """A range task on a worker; `rows`, `weights`: results of the Futures that it rests on."""
    return task.run(cloudpickle.loads(work), part.resolved(rows, weights))


def _combine(graph: dict[Any, Any], name: str, keys: list[Any], n_leaves: int) -> Any:
    """Add tasks that merge these partial sums, 16 at a time; returns the key of the total."""
    level = 0
    while len(keys) > 1:
        merged = []
        for j, first in enumerate(range(0, len(keys), FAN_IN)):
            some = List(*map(TaskRef, keys[first : first + FAN_IN]))
            merged.append((name, level, j))
            graph[merged[-1]] = Task(merged[-1], reduce.merge, some, n_leaves)
        keys, level = merged, level + 1
    graph[name, "root"] = Task((name, "root"), reduce.root, TaskRef(keys[0]), n_leaves)
    return name, "root"
