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


@dataclass(frozen=True)
class Aitken:
    """Stop when what is left to gain is less than tol, by Aitken's extrapolation.

    If gains shrink by a factor c from one sweep to the next, c / (1 − c) times the last one is
    still to come (Böhning et al. 1994; McLachlan and Peel 2000, section 2.11). `Change` stops on
    plateaus, where c is near 1. While gains grow, nothing is said about the rest.
    """

    def __call__(self, bounds: Sequence[float], tol: float) -> bool:
        if len(bounds) < 2 or not math.isfinite(bounds[-2]):
            return False
        gain = bounds[-1] - bounds[-2]
        if abs(gain) < tol * 1e-3:
            return True
        if len(bounds) < 3 or not math.isfinite(bounds[-3]):
            return False
        before = bounds[-2] - bounds[-3]
        if not 0 <= gain < before:
            return gain < 0 and abs(gain) < tol  # a bound that rounding moves about
        return max(gain, gain * gain / (before - gain)) < tol
