"""Expectation-Maximisation as coordinate ascent on one function.

    L(v, θ, q) = E_q[log p(h, v; θ)] + H(q)  ≤  log p(v; θ)

The E-step raises L in q with θ held still, the M-step raises it in θ with q held still
(Neal and Hinton 1998). The loop below does no input or output: it yields what it wants computed,
an `EStep`, and is sent the statistics back. Threads, a cluster, or a test drive it alike.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from dem.accelerate import Plain
from dem.contract import Accelerator, Model, Params, Schedule
from dem.stats import Stats

ROUNDING = 1e-12  # of the bound: a fall by less is none
FAR = 1.0  # nats per row: sound steps of a schedule take less than 0.1 from the bound of older q


@dataclass(frozen=True)
class EStep:
    """A request: set q afresh on these groups of blocks, given θ, and send their statistics.

    tentative : whether θ is only tried, so that its statistics need not be finite.
    """

    groups: tuple[int, ...]
    params: Params
    tentative: bool = False


@dataclass(frozen=True)
class Step:
    """One turn of the loop, done. The bounds are in nats per unit of weight (per row).

    turn : counts from 1.
    groups : which had their q set afresh.
    params : θ after the M-step.
    bound_e : L after the E half-step. With an exact q on all the data it is the mean
        log-likelihood of the parameters before this turn.
    bound : L after the M half-step, bound ≥ bound_e.
    weight : Σᵢ wᵢ of the rows behind the statistics.
    memory : what schedule and acceleration remember.
    """

    turn: int
    groups: tuple[int, ...]
    params: Params
    bound_e: float
    bound: float
    weight: float
    memory: Any = None


def bound(model: Model, params: Params, stats: Stats) -> float:
    """L(v, θ, q) in nats, summed over the rows: valid for any θ, whichever made q."""
    return float(model.expected_log_joint(params, stats) + stats.entropy)


def em(
    model: Model,
    params: Params,
    schedule: Schedule,
    n_groups: int,
    accelerate: Accelerator = Plain(),
    memory: Any = None,
    turns_before: int = 0,
    floor: float = -math.inf,
) -> Generator[EStep | Step, tuple[Stats, ...] | None, None]:
    """Raise L(v, θ, q) by turns: in q with θ held still, then in θ with q held still.

    Never ends by itself: when to stop is the business of whoever drives it. It goes on from
    where another stood after so many turns if it is given that one's parameters, memory and
    last `bound`.

    Where a schedule makes statistics that may be those of no rows, its `sure` ones judge what comes
    of them: after each turn by their own bound, and in the next full batch, like a leap, by L.
    """
    kept, trail = memory or (None, None)
    look_up = getattr(schedule, "sure", lambda memory: None)
    for turn in count(turns_before + 1):
        groups = schedule.choose(turn, n_groups)
        whole = len(groups) == n_groups
        leap = accelerate.leap(model, params, trail) if whole else params
        back, sure = params, look_up(kept)
        if whole and sure is not None:  # the turns since the last full batch were a leap as well
            back = model.m_step(params, sure)
            floor = bound(model, back, sure) / sure.weight
        # E: a fresh q on these groups, the rest keep theirs
        at, kept, stats, bound_e = yield from _e_step(
            model, (leap, back), schedule, groups, n_groups, kept, floor
        )
        n = stats.weight
        landed = None if leap is params else at is leap
        sure = look_up(kept)
        # M: θ meets the data only through the statistics
        params = model.m_step(at, stats) if sure is None else _tried(model, at, stats, sure)
        floor = bound(model, params, stats) / n
        trail = accelerate.follow(model, trail, at, params, landed) if whole else None
        yield Step(turn, groups, params, bound_e / n, floor, n, (kept, trail))


def _tried(model: Model, at: Params, stats: Stats, sure: Stats) -> Params:
    """The M-step of statistics that may be those of no rows; or, if it is none, of the sure ones.

    It is none if it fails, or falls `FAR` under the bound that goes with the sure ones.
    """
    least = bound(model, at, sure) - FAR * sure.weight
    with np.errstate(all="ignore"):
        try:
            params = model.m_step(at, stats)
            sound = bound(model, params, sure) >= least  # NaN is not
        except (ValueError, np.linalg.LinAlgError):  # for want of a maximum
            sound = False
    return params if sound else model.m_step(at, sure)


def _e_step(
    model: Model,
    points: tuple[Params, Params],
    schedule: Schedule,
    groups: tuple[int, ...],
    n_groups: int,
    memory: Any,
    floor: float,
) -> Generator[EStep, tuple[Stats, ...], tuple[Params, Any, Stats, float]]:
    """The E half-step at the first θ, or at the second if the bound would be below the floor.

    Returns θ, the schedule's memory, the statistics, and the bound, which a fresh q at the second
    raises.
    """
    first, second = points
    fresh = yield EStep(groups, first, tentative=first is not second)
    kept, stats = schedule.merge(memory, groups, fresh, n_groups)
    with np.errstate(all="ignore"):  # a leap may go to where nothing is finite
        reached = bound(model, first, stats)
    if first is second or reached >= (floor - ROUNDING * abs(floor)) * stats.weight:
        return first, kept, stats, reached
    fresh = yield EStep(groups, second)
    kept, stats = schedule.merge(memory, groups, fresh, n_groups)
    return second, kept, stats, bound(model, second, stats)
