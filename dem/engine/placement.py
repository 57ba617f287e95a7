"""Where the data of a fit are on a cluster, and how the work on them is cut into pieces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from distributed import Client, Future

from dem.engine import plan, task
from dem.engine.cache import Budget
from dem.engine.graph import Piece, futures_of
from dem.engine.manifest import Manifest, Reader
from dem.engine.readers.base import Spans
from dem.engine.readers.beside import BesideRows
from dem.engine.readers.cached import cached
from dem.engine.readers.lazy import FutureRows

PLANS_KEPT = 64


class Placement:
    """The data as the workers are to read them.

    What lives in this process is sent to them; see `Cluster`. What they read they keep within a
    budget, until the end of the run.
    """

    def __init__(
        self, manifest: Manifest, client: Client, run: str, budget: Budget | None = None
    ) -> None:
        self.manifest, self.client = manifest, client
        self._run, self._budget = run, budget
        self._sent: list[Future] = []
        self._placed = manifest
        self._pieces_of: dict[Any, list[Piece]] = {}
        self._homes: dict[int, Any] = {}  # of each block the key of what it rests on, if anything

    def place(self) -> None:
        """Send the workers what lives in this process; find a Future that each block rests on."""
        self.forget()
        placed, self._sent = on_workers(self.manifest, self.client)
        self._placed = cached(placed, self._run, self._budget)
        reader = self._placed.reader
        if futures_of(reader):
            for block in range(self.manifest.n_blocks):
                if futures := futures_of(reader.take([block])):
                    self._homes[block] = futures[0].key

    def forget(self) -> None:
        """Let the workers forget what they were sent."""
        for future in self._sent:
            future.release()
        self._sent, self._placed, self._homes = [], self.manifest, {}
        self._pieces_of.clear()

    def pieces(
        self,
        group: Sequence[int],
        workers: Mapping[str, int],
        n: int,
        speeds: Mapping[str, float],
    ) -> list[Piece]:
        """At most n or so pieces of the work, the same as the last time where nothing has changed.

        Of data that live on workers they may be others each time, as those move.
        """
        if self._homes or not isinstance(group, range):
            return self._cut(group, workers, n, speeds)
        asked = (group, tuple(workers.items()), n, tuple(speeds.values()))
        if asked not in self._pieces_of:
            while len(self._pieces_of) >= PLANS_KEPT:
                del self._pieces_of[next(iter(self._pieces_of))]
            self._pieces_of[asked] = self._cut(group, workers, n, speeds)
        return self._pieces_of[asked]

    def _cut(
        self,
        group: Sequence[int],
        workers: Mapping[str, int],
        n: int,
        speeds: Mapping[str, float],
    ) -> list[Piece]:
        """Contiguous ranges, smaller ones for slower workers.

        Of data that live on workers the blocks of one worker each.
        """
        threads = max(sum(workers.values()), 1)
        if self._homes:
            return [Piece.of(part) for part in self._resident(group, n / threads, workers)]
        if threads > plan.INNER_THREADS:
            parts = task.split(self._placed, group, n)
            return [Piece.of(part, threads=max(workers.values())) for part in parts]
        addresses = [address for address, some in workers.items() for _ in range(some)] or [""]
        n = min(n, len(group))
        homes = [addresses[j * len(addresses) // n] for j in range(n)]
        shares = [speeds.get(home, 1.0) for home in homes]
        parts = task.split(self._placed, group, n, shares)
        return [
            Piece.of(part, home) for part, home in zip(parts, homes, strict=True) if part.blocks
        ]

    def _resident(
        self, group: Sequence[int], per_thread: float, workers: Mapping[str, int]
    ) -> Iterator[task.Range]:
        keys = list(set(self._homes.values()))
        holders = self.client.sync(self.client.scheduler.who_has, keys=keys)
        by_worker = defaultdict(list)
        for leaf, block in enumerate(group):
            by_worker[min(holders.get(self._homes.get(block), ()), default="")].append(leaf)
        for worker, mine in sorted(by_worker.items()):
            n = max(round(per_thread * workers.get(worker, 1)), 1)
            yield from task.pick(self._placed, group, mine, n)


def on_workers(manifest: Manifest, client: Client) -> tuple[Manifest, list[Future]]:
    """The manifest with readers of data in this process sent to the workers, and what was sent."""
    scattered: list[Future] = []
    weights = manifest.weights and _sent(manifest.weights, manifest, client, scattered)
    reader = _sent(manifest.reader, manifest, client, scattered)
    return replace(manifest, reader=reader, weights=weights), scattered


def _sent(reader: Reader, manifest: Manifest, client: Client, scattered: list[Future]) -> Reader:
    """The reader of what is sent to the workers, which is added to `scattered`."""
    if isinstance(reader, BesideRows) and not reader.in_memory:
        return reader.each(lambda each: _sent(each, manifest, client, scattered))
    if not reader.in_memory:
        return reader
    parts = [reader.read(block) for block in range(manifest.n_blocks)]
    futures = _scattered(client, parts)
    scattered.extend(futures)
    spans, first = Spans(manifest.boundaries), parts[0]
    sparse = getattr(reader, "sparse", False)
    return FutureRows(dict(enumerate(futures)), spans, first.shape[1:], first.dtype, sparse)


def _scattered(client: Client, parts: Sequence[Any]) -> list[Future]:
    """The parts on workers, as soon as there are some: Dask itself gives up after 30 seconds."""
    while True:
        client.wait_for_workers(1)
        try:
            return client.scatter(parts, hash=False)
        except OSError:  # those that were there have gone, or are paused
            continue
