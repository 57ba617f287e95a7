"""Models with a fault, for tests of engines; a module of its own so that workers can import it."""

import itertools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from dem.models.mixture import Mixture
from dem.store import value


@value
@dataclass(frozen=True)
class Dying(Mixture):
    """Kills its process, once, at the block that begins with `marker`."""

    marker: float = 0.0
    flag: str = ""

    def e_step(self, prepared: Any, rows: Any, weights: Any, posterior: Any) -> Any:
        if len(rows) and rows[0, 0] == self.marker and not Path(self.flag).exists():
            Path(self.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().e_step(prepared, rows, weights, posterior)


@value
@dataclass(frozen=True)
class Deadly(Mixture):
    """Kills every process that comes to the block that begins with `marker`.

    deaths : a directory, in which each leaves a file.
    """

    marker: float = 0.0
    deaths: str = ""

    def e_step(self, prepared: Any, rows: Any, weights: Any, posterior: Any) -> Any:
        if len(rows) and rows[0, 0] == self.marker:
            Path(self.deaths, str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().e_step(prepared, rows, weights, posterior)


class ModelFault(Exception):
    """What `Raising` raises."""


@dataclass(frozen=True)
class Raising(Mixture):
    """Raises at the block that begins with `marker`."""

    marker: float = 0.0

    def e_step(self, prepared: Any, rows: Any, weights: Any, posterior: Any) -> Any:
        if len(rows) and rows[0, 0] == self.marker:
            raise ModelFault("a fault in the model")
        return super().e_step(prepared, rows, weights, posterior)


@value
@dataclass(frozen=True)
class Slow(Mixture):
    """Takes its time over every block, and stands still while there is a file `hold`."""

    seconds: float = 0.05
    hold: str = ""

    def e_step(self, prepared: Any, rows: Any, weights: Any, posterior: Any) -> Any:
        if len(rows):
            time.sleep(self.seconds)
        while len(rows) and self.hold and Path(self.hold).exists():
            time.sleep(0.01)
        return super().e_step(prepared, rows, weights, posterior)


class EveryThird(LocalStore):
    """A store of which every third read of a chunk fails, in each process."""

    every = 3
    reads = itertools.count(1)
    failed = 0

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        if "c/" in key and next(self.reads) % self.every == 0:
            type(self).failed += 1
            raise TimeoutError("the store does not answer")
        return await super().get(key, *args, **kwargs)


def failed_reads() -> int:
    """Of this process."""
    return EveryThird.failed


class Silenced(EveryThird):
    """A store that gives no chunk."""

    every = 1


class Watching:
    """An observer to derive from."""

    def on_start(self, description: str, total_steps: int | None) -> None: ...
    def on_blocks(self, done: int, total: int) -> None: ...
    def on_step(self, step: Any) -> None: ...
    def on_end(self, reason: str) -> None: ...


class Cut(Exception):
    """What `CutAfter` raises."""


class CutAfter(Watching):
    """An observer that ends a fit after so many turns."""

    def __init__(self, turns: int) -> None:
        self.left = turns

    def on_step(self, step: Any) -> None:
        self.left -= 1
        if not self.left:
            raise Cut


def large(limit: int) -> int:
    """From now on passes of so many bytes are large to this process; how many it took before."""
    from dem.engine import cluster

    before, cluster.LARGE_BYTES = cluster.LARGE_BYTES, limit
    return before
