"""When to stop: rules about the bound per row, which do not depend on the number of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Stop(Protocol):
    """Whether to stop after these bounds, in nats per row, one for each sweep over the data."""

    def __call__(self, bounds: Sequence[float], tol: float) -> bool: ...


@dataclass(frozen=True)
class Change:
    """Stop when the last sweep has changed the bound by less than tol, as scikit-learn does."""

    def __call__(self, bounds: Sequence[float], tol: float) -> bool:
        return len(bounds) > 1 and abs(bounds[-1] - bounds[-2]) < tol


def left_to_gain(bounds: Sequence[float]) -> float:
    """What is still to come after these bounds, by Aitken's extrapolation; infinity if unknown.

    If gains shrink by a factor c from one sweep to the next, c / (1 − c) times the last one is
    (Böhning et al. 1994; McLachlan and Peel 2000, section 2.11). While gains grow nothing is said.
    """
    if len(bounds) < 3 or not math.isfinite(bounds[-3]):
        return math.inf
    before, gain = bounds[-2] - bounds[-3], bounds[-1] - bounds[-2]
    if gain <= 0:
        return abs(gain)  # rounding moves it about
    return gain * gain / (before - gain) if gain < before else math.inf


@dataclass(frozen=True)
class Aitken:
    """Stop when the last sweep has gained less than tol and less than that is left to gain.

    `Change` stops on plateaus, where gains shrink slowly.
    """

    def __call__(self, bounds: Sequence[float], tol: float) -> bool:
        if len(bounds) < 2 or not math.isfinite(bounds[-2]):
            return False
        gain = abs(bounds[-1] - bounds[-2])
        return gain < tol * 1e-3 or max(gain, left_to_gain(bounds)) < tol
