"""The embedded engine: threads in this process, no cluster needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import Any, Self
from uuid import uuid4

import dask
import psutil
from dask.system import CPU_COUNT

from dem.engine import reduce, task
from dem.engine.cache import CACHE, Budget
from dem.engine.manifest import Manifest
from dem.engine.readers.cached import cached
from dem.passes import Pass

RANGES_PER_THREAD = 4


class _Stopped(Exception):
    """Another range failed, or the user interrupted: the result is not wanted any more."""


class Local:
    """Runs passes over the data on a pool of threads.

    threads : as many as Dask's `num_workers` setting says, else one for each core.
    on_blocks : called with (blocks done, blocks in all) of the current pass.
    budget : of blocks that are kept once they have been read; None for none.
    """

    def __init__(
        self,
        manifest: Manifest,
        threads: int | None = None,
        on_blocks: Callable[[int, int], Any] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.manifest = manifest
        self._name = f"dem-{uuid4().hex[:12]}"
        self._read = cached(manifest, self._name, budget)
        self.threads = threads or dask.config.get("num_workers", None) or CPU_COUNT
        self._on_blocks = on_blocks
        self._pool = ThreadPoolExecutor(self.threads, "dem")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        CACHE.drop(self._name)

    def memory(self) -> Iterator[tuple[str, int, int]]:
        """(where, threads, bytes available to them) for each process that does the work."""
        # What is kept is given up where memory gets short.
        yield "This machine", self.threads, psutil.virtual_memory().available + CACHE.nbytes

    def sweep(self, work: Pass, groups: Sequence[Sequence[int]]) -> tuple[Any, ...]:
        """The pass over the blocks of each group: one total for each of them."""
        stop, lock = Event(), Lock()
        total, done = sum(map(len, groups)), 0

        def on_block() -> None:
            nonlocal done
            if stop.is_set():
                raise _Stopped
            if self._on_blocks:
                with lock:
                    done += 1
                    self._on_blocks(done, total)

        pieces = RANGES_PER_THREAD * self.threads
        parts = [task.split(self._read, group, pieces) for group in groups]
        futures = [
            [self._pool.submit(task.run, work, part, on_block) for part in group] for group in parts
        ]
        try:
            finished, _ = wait((f for fs in futures for f in fs), return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
        finally:
            stop.set()
            for future in (f for fs in futures for f in fs):
                future.cancel()
        return tuple(
            reduce.root(reduce.merge((f.result() for f in fs), len(group)), len(group))
            for fs, group in zip(futures, groups, strict=True)
        )

    def run(self, tasks: Sequence[Callable[[], Any]]) -> tuple[Any, ...]:
        """The results of tasks that need no data."""
        return tuple(self._pool.map(task.errand, tasks))
