"""How far a worker is within a pass: a count that its heartbeats carry to the scheduler."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

NAME = "dem"
KEPT_PASSES = 64


class Meter:
    """Blocks done by this worker, by pass; a worker's metric."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._lock = Lock()

    def __call__(self, worker: Any) -> dict[str, int]:
        with self._lock:
            return dict(self._done)

    def count(self, name: str) -> None:
        """One more block of this pass is done."""
        with self._lock:
            self._done[name] = self._done.get(name, 0) + 1
            while len(self._done) > KEPT_PASSES:
                del self._done[next(iter(self._done))]


def counter(name: str) -> Callable[[], None]:
    """Counts blocks of a pass on the worker whose task calls this."""
    from distributed import get_worker

    meter: Any = get_worker().metrics.setdefault(NAME, Meter())
    return lambda: meter.count(name)
