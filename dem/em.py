"""Expectation-Maximisation as coordinate ascent on one function.

    L(v, θ, q) = E_q[log p(h, v; θ)] + H(q)  ≤  log p(v; θ)

The E-step raises L in q with θ held still, the M-step raises it in θ with q held still
(Neal and Hinton 1998). The loop below does no input or output: it yields what it wants computed,
an `EStep`, and is sent the statistics back. Threads, a cluster, or a test drive it alike.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from typing import Any

from dem.contract import Model, Params, Schedule
from dem.stats import Stats


@dataclass(frozen=True)
class EStep:
    """A request: set q afresh on these groups of blocks, given θ, and send their statistics."""

    groups: tuple[int, ...]
    params: Params


@dataclass(frozen=True)
class Step:
    """One turn of the loop, done. The bounds are in nats per unit of weight (per row).

    turn : counts from 1.
    params : θ after the M-step.
    bound_e : L after the E half-step. With an exact q on all the data it is the mean
        log-likelihood of the parameters before this turn.
    bound : L after the M half-step, bound ≥ bound_e.
    weight : Σᵢ wᵢ of the rows behind the statistics.
    memory : what the schedule remembers.
    """

    turn: int
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
    memory: Any = None,
    turns_before: int = 0,
) -> Generator[EStep | Step, tuple[Stats, ...] | None, None]:
    """Raise L(v, θ, q) by turns: in q with θ held still, then in θ with q held still.

    Never ends by itself: when to stop is the business of whoever drives it. It goes on from
    where another stood after so many turns if it is given that one's parameters and memory.
    """
    for turn in count(turns_before + 1):
        groups = schedule.choose(turn, n_groups)
        fresh = yield EStep(groups, params)  # E: a fresh q on these groups, the rest keep theirs
        memory, stats = schedule.merge(memory, groups, fresh)
        bound_e = bound(model, params, stats)
        params = model.m_step(params, stats)  # M: θ meets the data only through the statistics
        bound_m = bound(model, params, stats)
        n = stats.weight
        yield Step(turn, params, bound_e / n, bound_m / n, n, memory)
