"""How a turn went: what a page that shows a fit wants to know beside the bound."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.engine.plan import Seconds
from dem.records import Turn

MOST_WEIGHTS = 64  # told one by one: a scheduler keeps those of every turn


@dataclass(frozen=True)
class Vitals:
    """Of one turn.

    at : when it was done, in seconds since the epoch.
    read, compute, gather, m_step : its wall time in seconds, see `plan.Seconds`; m_step is all
        that the process does that drives the fit.
    rows : rows read.
    components : how many there are, where the model has mixing weights.
    starved : how many of them have less than a row's weight.
    weights : theirs, where they are not many.
    kept : when the last checkpoint was written, in seconds since the epoch; 0 if none was.
    """

    turn: int
    at: float
    read: float
    compute: float
    gather: float
    m_step: float
    rows: int
    components: int = 0
    starved: int = 0
    weights: Sequence[float] = ()
    kept: float = 0.0


class Clock:
    """Adds up what a turn takes, until it is done."""

    def __init__(self, boundaries: np.ndarray) -> None:
        self._sizes = np.diff(boundaries)
        self.clear()

    def clear(self) -> None:
        """A turn begins."""
        self._passes, self._m_step, self._rows = Seconds(), 0.0, 0

    def drove(self, seconds: float) -> None:
        """So long it took from the statistics to the next request."""
        self._m_step += seconds

    def swept(self, groups: Sequence[Sequence[int]], seconds: Seconds) -> None:
        """A pass over these groups of blocks."""
        self._passes += seconds
        self._rows += sum(int(self._sizes[list(group)].sum()) for group in groups)

    def done(self, turn: Turn, kept: float) -> Vitals:
        """The vitals of a turn; the next begins."""
        weights, passes = _weights(turn.state.params), self._passes
        starved = int(np.sum(weights * float(self._sizes.sum()) < 1.0))
        told = tuple(weights.tolist()) if len(weights) <= MOST_WEIGHTS else ()
        vitals = Vitals(
            turn.record.turn, time.time(), passes.read, passes.compute, passes.gather,
            self._m_step, self._rows, len(weights), starved, told, kept,
        )  # fmt: skip
        self.clear()
        return vitals


def _weights(params: Any) -> np.ndarray:
    """Mixing weights (K,), which many models have under this name; empty without."""
    weights = getattr(params, "weights", None)
    if not isinstance(weights, np.ndarray) or weights.ndim != 1:
        return np.empty(0)
    return weights
