"""The range tasks of a pass on a `distributed` cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import Any, Self
from uuid import uuid4

import dask
from dask._task_spec import TaskRef
from distributed import Client, Future, rejoin, secede, span
from distributed.client import _wait
from distributed.scheduler import KilledWorker
from distributed.threadpoolexecutor import thread_state

from dem.engine import cache, graph, plan
from dem.engine.manifest import Manifest
from dem.engine.placement import Placement
from dem.passes import Pass

RETRIES = 3
PAUSE_SECONDS = 0.1
TICK_SECONDS = 0.25
SCATTER_SECONDS = 3.0
DROP_SECONDS = 3.0
LARGE_BYTES = 10 * 2**20  # what a scheduler had better not receive, keep and send in a graph


class Cluster:
    """Runs passes over the data on the workers of a client's cluster.

    Data on disk are read by the workers, which must see the same paths. What rests on persisted
    Dask arrays is worked on where those are. Arrays in this process are sent to the workers once,
    in blocks, and sent again if a worker dies with them.

    on_blocks : called with (blocks done, blocks in all) when a pass is complete, and now and then
        before; it may raise to give the pass up.
    workers : threads by address of the workers that take tasks, asked before each pass.
    done : how many blocks of a pass under way are done, given its name; where nobody knows, 0.
    budget : of blocks that workers keep once they have read them; None for none.
    """

    def __init__(
        self,
        manifest: Manifest,
        client: Client,
        on_blocks: Callable[[int, int], Any] | None = None,
        workers: Callable[[], Mapping[str, int]] | None = None,
        done: Callable[[str], int] = lambda name: 0,
        budget: cache.Budget | None = None,
    ) -> None:
        self.manifest, self.client = manifest, client
        self._on_blocks = on_blocks
        self._workers = workers or client.nthreads
        self._done = done
        self._name = f"dem-{uuid4().hex[:12]}"
        self._turns = count()
        self._totals: list[Future] = []  # of the last pass
        self._pass: list[Future] = []  # the last that was large
        self.costs = plan.Costs()
        self.seconds = plan.Seconds()  # of the last pass
        self._span = ExitStack()
        self._budget = budget
        self._placement = Placement(manifest, client, self._name, budget)

    def __enter__(self) -> Self:
        self._placement.place()
        self._span.enter_context(span("dem"))  # one for all passes: the scheduler keeps each
        return self

    def __exit__(self, *exception: object) -> None:
        self._span.close()
        self._release([*self._totals, *self._pass])
        self._placement.forget()
        if self._budget and self.client.status == "running":
            self._drop()

    def memory(self) -> Iterator[tuple[str, int, int]]:
        """(where, threads, bytes available to them) for each process that does the work."""
        ends = dask.config.get("distributed.worker.memory.terminate") or 1.0
        for address, worker in self.client.scheduler_info(n_workers=-1)["workers"].items():
            if limit := worker["memory_limit"]:
                metrics = worker.get("metrics", {})
                # What is kept is given up where memory gets short.
                used = metrics.get("memory", 0) - metrics.get(cache.METRIC, 0)
                yield f"Worker {address}", worker["nthreads"], max(int(ends * limit) - used, 0)

    def sweep(self, work: Pass, groups: Sequence[Sequence[int]]) -> tuple[Any, ...]:
        """The pass over the blocks of each group: one total for each of them."""
        return self._persist(lambda: self._sweep(work, groups))

    def run(self, tasks: Sequence[Callable[[], Any]]) -> tuple[Any, ...]:
        """The results of tasks that need no data."""
        return self._persist(lambda: self._run(tasks))

    def _persist(self, act: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        """What workers lose as they die is done again by others; that much Dask does.

        Where all trace of it is lost, as by `Client.restart`, it is begun afresh, a few times.
        """
        for attempt in count():
            try:
                return act()
            except (CancelledError, KilledWorker) as error:
                # Not again and again: it may be the task that kills its workers.
                most = 1 if isinstance(error, KilledWorker) else RETRIES
                if attempt == most or self.client.status != "running":
                    raise
                time.sleep(PAUSE_SECONDS * 2**attempt)
                self._placement.place()
        raise AssertionError("unreachable")

    def _sweep(self, work: Pass, groups: Sequence[Sequence[int]]) -> tuple[Any, ...]:
        n_blocks = sum(map(len, groups))
        busy = self.costs.expected(type(work), n_blocks)
        workers = dict(sorted(self._workers().items()))
        threads = max(sum(workers.values()), 1)
        n = plan.ranges(threads, len(workers), busy)
        speeds = dict.fromkeys(workers, 1.0)
        if busy and busy / threads > plan.SLOW_SECONDS:
            speeds = self.costs.speeds(type(work), workers)
        pieces = [self._placement.pieces(group, workers, n, speeds) for group in groups]
        turn, began = next(self._turns), time.perf_counter()
        shipped = self._shipped(work)
        dsk, roots = graph.build(self._name, turn, shipped, pieces)
        totals = self._gathered(
            dsk, roots, lambda: (min(self._done(f"{self._name}-{turn}"), n_blocks), n_blocks)
        )
        spent = plan.together(spent for _, spent, _ in totals)
        self.costs.learn(type(work), spent)
        waited = sum(waited for _, _, waited in totals)
        self.seconds = plan.Seconds.of(time.perf_counter() - began, spent, waited, workers)
        self._tell(n_blocks, n_blocks)
        return tuple(total for total, _, _ in totals)

    def _run(self, tasks: Sequence[Callable[[], Any]]) -> tuple[Any, ...]:
        shipped = self._shipped(tuple(tasks))
        workers = sorted(self._workers())
        dsk, keys = graph.errands(self._name, next(self._turns), shipped, len(tasks), workers)
        return tuple(self._gathered(dsk, keys, lambda: (0, 0)))

    def _gathered(self, dsk: Any, keys: list[Any], done: Callable[[], tuple[int, int]]) -> list:
        """The results of these keys; tells of blocks done meanwhile."""
        futures = self.client.get(dsk, keys, sync=False)
        # Not before: as long as there is one of its tasks the scheduler keeps the group of them
        # all, whereas it would remember a new one for every pass.
        self._release(self._totals)
        self._totals = futures
        with seceded():
            while not self._ended(futures):
                self._tell(*done())
            results: list = self.client.gather(futures)
        return results

    def _shipped(self, work: Any) -> bytes | TaskRef:
        """The pass as its graph is to have it: large parameters go from worker to worker.

        A driver on a worker keeps them there, and a lost copy ends the sweep, which is tried again.
        Where no worker takes them they stand in the graph.
        """
        shipped = graph.pickled(work)
        if len(shipped) < LARGE_BYTES:
            return shipped
        try:
            (future,) = self.client.scatter([shipped], hash=False, timeout=SCATTER_SECONDS)
        except OSError:  # no worker is there, or the one that was to have it has just died
            return shipped
        self._release(self._pass)
        self._pass = [future]
        return TaskRef(future.key)

    @staticmethod
    def _release(futures: Sequence[Future]) -> None:
        """Now, even where a traceback still refers to them."""
        for future in futures:
            future.release()

    def _ended(self, futures: Sequence[Future]) -> bool:
        """Whether they are done or failed within a moment."""
        try:
            self.client.sync(_wait, futures, timeout=TICK_SECONDS)
        except TimeoutError:
            return False
        return True

    def _drop(self) -> None:
        """Have the workers drop what they keep. One that does not answer in time does so later."""
        tell, how = self.client._run, {"on_error": "ignore", "callback_timeout": DROP_SECONDS}
        with suppress(TimeoutError, OSError):
            self.client.sync(tell, cache.drop, self._name, **how)

    def _tell(self, done: int, n_blocks: int) -> None:
        if self._on_blocks:
            self._on_blocks(done, n_blocks)


@contextmanager
def seceded() -> Iterator[None]:
    """Leaves the thread's slot on its worker to other tasks, where the caller is a task itself."""
    if not getattr(thread_state, "proceed", False):  # no task, or one that has left its slot
        yield
        return
    secede()
    try:
        yield
    finally:
        rejoin()
