"""Schedules: which blocks get a fresh q before the next M-step, and what becomes of the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, ClassVar

from dem.checks import check_number
from dem.stats import Stats


def _every(n_groups: int) -> tuple[int, ...]:
    return tuple(range(n_groups))


@dataclass(frozen=True)
class FullBatch:
    """The textbook: every row gets a fresh q, then one M-step. Nothing is remembered."""

    groups: ClassVar[int] = 1

    def choose(self, turn: int, n_groups: int) -> tuple[int, ...]:
        return _every(n_groups)

    def merge(
        self, memory: Any, groups: tuple[int, ...], fresh: tuple[Stats, ...], n_groups: int
    ) -> tuple[None, Stats]:
        return None, reduce(add, fresh)


@dataclass(frozen=True)
class Incremental:
    """An M-step after every group of blocks (Neal and Hinton 1998): L never falls.

    Each group keeps the statistics and the entropy of its last q until its turn comes, so their
    sum is what L(v, θ, q) asks for at any time. The first turn is a full batch.

    groups : more of them mean more M-steps in one read of the data. Those of one turn are worked
        on side by side, so each should have a block for every thread of the cluster. The
        statistics of all groups are kept, and added up anew in each turn: nothing drifts.
    """

    groups: int = 16

    def __post_init__(self) -> None:
        check_number("groups", self.groups, int, 1)

    def choose(self, turn: int, n_groups: int) -> tuple[int, ...]:
        return _every(n_groups) if turn == 1 else ((turn - 2) % n_groups,)

    def merge(
        self,
        memory: tuple[Stats, ...] | None,
        groups: tuple[int, ...],
        fresh: tuple[Stats, ...],
        n_groups: int,
    ) -> tuple[tuple[Stats, ...], Stats]:
        cached = dict(enumerate(memory or ())) | dict(zip(groups, fresh, strict=True))
        new = tuple(cached[g] for g in range(n_groups))
        return new, reduce(add, new)


@dataclass(frozen=True)
class Average:
    """How many statistics of groups have gone into an average, and the average."""

    count: int
    stats: Stats


@dataclass(frozen=True)
class Stepwise:
    """An M-step on a running average of statistics, then full batches (Cappé and Moulines 2009).

    After the k-th group the average moves towards that group's statistics, scaled up to all of
    the data, by (k + 1)^−power. Until the batches begin the bounds are estimates, and may fall.

    groups : minibatches in one read of the data.
    sweeps : reads of the data before the batches begin.
    power : above 0.5, or the average does not settle, and at most 1.
    """

    groups: int = 64
    sweeps: int = 2
    power: float = 0.6

    def __post_init__(self) -> None:
        check_number("groups", self.groups, int, 1)
        check_number("sweeps", self.sweeps, int, 0)
        check_number("power", self.power, float, 0.5)
        if not 0.5 < self.power <= 1:
            raise ValueError(f"power must be above 0.5 and at most 1, got {self.power}.")

    def choose(self, turn: int, n_groups: int) -> tuple[int, ...]:
        if turn > self.sweeps * n_groups:
            return _every(n_groups)
        return ((turn - 1) % n_groups,)

    def merge(
        self,
        memory: Average | None,
        groups: tuple[int, ...],
        fresh: tuple[Stats, ...],
        n_groups: int,
    ) -> tuple[Average | None, Stats]:
        stats = reduce(add, fresh) * (n_groups / len(groups))
        if len(groups) == n_groups:
            return None, stats
        count = memory.count + 1 if memory else 1
        if memory:
            rate = (count + 1) ** -self.power
            stats = memory.stats * (1 - rate) + stats * rate
        return Average(count, stats), stats
