"""Blocks that a process has read or computed once and keeps for the passes to come.

Passes go round and round over the same blocks, so the one that was used the longest ago is the
next to be needed. Nothing is therefore thrown out for another block: the first that fit are kept
until their fit ends, in the precision that they are stored in, and the others are read each time.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any

import dask
import psutil
from dask.utils import parse_bytes

# Of the limit of a process: what it keeps by itself, and all of its memory while it keeps more.
# Above the last it gives up what it keeps: there distributed begins to spill.
SHARE, ROOM, SHORT = 0.3, 0.5, 0.6
SPARE = 0.2  # of the machine's memory that stays available
WATCH_SECONDS = 0.25
IDLE_SECONDS = 300.0  # then the process that drove the fit is taken to have died
ENDED_RUNS = 1000
METRIC = "dem-cache"


@dataclass(frozen=True)
class Budget:
    """What each process may keep.

    most : bytes; None for 30 % of what the process may use.
    """

    most: int | None = None


def configured() -> Budget | None:
    """What the setting `dem.cache` of Dask's configuration asks for; None if to keep nothing.

    False, the default: nothing. "auto": each process keeps blocks in up to 30 % of the memory that
    it may use (a worker's limit, else what the container or machine has), and none while it uses
    half of that, or the machine has less than 20 % available. A number of bytes, or a text such as
    "2 GB": that many instead of the 30 %. Raises ValueError for anything else.

    It is the setting of the process that asks for a fit: dask.config.set({"dem.cache": "auto"}),
    or DASK_DEM__CACHE=auto in its environment. It pays where a fit takes many passes over data
    that are dear to read: compressed, across a network, or computed. The first pass is dearer, as
    memory has to be had, and where there are few the rest does not make up for that.
    """
    asked = dask.config.get("dem.cache", False)
    if asked == "auto":
        return Budget()
    try:
        most = parse_bytes(asked or 0)
    except (TypeError, ValueError, AttributeError):
        most = -1
    if most < 0 or asked is True:
        raise ValueError(
            f"The setting dem.cache is {asked!r}; it may be 'auto', False, or the bytes that each "
            "process may keep, such as '2 GB'."
        )
    return Budget(most) if most else None


class Cache:
    """What this process keeps, by run and the name of a block within it."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._blocks: dict[str, dict[Any, Any]] = defaultdict(dict)
        self._sizes: dict[str, int] = defaultdict(int)
        self._used: dict[str, float] = {}
        self._closed: dict[str, None] = {}  # runs that keep no more: full, given up, or ended
        self._watch: Thread | None = None
        self.limit: int | None = None  # bytes that the process may use; None: as the machine says

    @property
    def nbytes(self) -> int:
        """Of all that is kept."""
        with self._changed:
            return sum(self._sizes.values())

    def find(self, run: str, name: Any) -> Any:
        """A block that is kept, or None."""
        with self._changed:
            if run not in self._blocks:
                return None
            self._used[run] = time.monotonic()
            return self._blocks[run].get(name)

    def keeps(self, run: str) -> bool:
        """Whether more blocks of a run are to be kept."""
        return run not in self._closed

    def put(self, run: str, name: Any, rows: Any, nbytes: int, most: int | None) -> None:
        """Keep a block, unless that would be too much: then this run keeps no more here."""
        with self._changed:
            if run in self._closed or name in self._blocks.get(run, ()):
                return
            limit = self._allowed()
            share = SHARE * limit if most is None else most
            full = sum(self._sizes.values()) + nbytes > share
            if full or _used() + nbytes > ROOM * limit or _scarce(SPARE, nbytes):
                self._close(run)
                return
            self._blocks[run][name] = rows
            self._sizes[run] += nbytes
            self._used[run] = time.monotonic()
            if self._watch is None:
                self._watch = Thread(target=self._guard, name="dem-cache", daemon=True)
                self._watch.start()

    def drop(self, run: str) -> None:
        """Forget all of a run, which has ended: what is still at work for it keeps nothing."""
        with self._changed:
            self._close(run)
            self._forget(run)
            self._changed.notify_all()

    def _allowed(self) -> int:
        if self.limit is None:
            from distributed.system import MEMORY_LIMIT  # of the container or the machine

            self.limit = MEMORY_LIMIT
        return self.limit

    def _close(self, run: str) -> None:
        self._closed[run] = None
        while len(self._closed) > ENDED_RUNS:
            del self._closed[next(iter(self._closed))]

    def _forget(self, run: str) -> None:
        for table in (self._blocks, self._sizes, self._used):
            table.pop(run, None)

    def _guard(self) -> None:
        """Give up what is kept where memory gets short, and what nobody asks for any more."""
        with self._changed:
            while self._blocks:
                self._changed.wait(WATCH_SECONDS)
                if _used() > SHORT * self._allowed() or _scarce(SPARE / 2):
                    for run in tuple(self._blocks):
                        self._close(run)
                        self._forget(run)
                now = time.monotonic()
                for run in [r for r, used in self._used.items() if now - used > IDLE_SECONDS]:
                    self._forget(run)
            self._watch = None


CACHE = Cache()


def on_worker(worker: Any) -> None:
    """Let this process keep what the memory limit of its worker allows, and tell how much it is."""
    CACHE.limit = worker.memory_manager.memory_limit
    worker.metrics.setdefault(METRIC, _told)


def drop(run: str) -> None:
    """Forget what this process keeps of a run."""
    CACHE.drop(run)


def _told(worker: Any) -> int:
    return CACHE.nbytes


def _used() -> int:
    """Bytes of memory that this process holds."""
    held: int = psutil.Process().memory_info().rss
    return held


def _scarce(share: float, nbytes: int = 0) -> bool:
    """Whether so many bytes more would leave less than a share of the machine's memory."""
    memory = psutil.virtual_memory()
    return bool(memory.available - nbytes < share * memory.total)
