"""Schedules: which blocks get a fresh q before the next M-step, and what becomes of the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, ClassVar

from dem.checks import check_all, check_number
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
class Once:
    """Full batches of a model whose statistics do not depend on θ: one read, which is remembered.

    Such a model has an attribute `fixed`, True. All turns but the first take no time to speak of.
    """

    groups: ClassVar[int] = 1

    def choose(self, turn: int, n_groups: int) -> tuple[int, ...]:
        return _every(n_groups)

    def merge(
        self, memory: Stats | None, groups: tuple[int, ...], fresh: tuple[Stats, ...], n_groups: int
    ) -> tuple[Stats, Stats]:
        total = reduce(add, fresh)
        return total, total

    def known(self, memory: Stats | None) -> Stats | None:
        """The statistics of all the data, if they have been read."""
        return memory


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

    The first turn is a full batch. After the k-th group the average moves towards that group's
    statistics, scaled up to all of the data, by (k + 1)^−power. Until the batches begin the bounds
    are estimates, and may fall. Groups should be alike: they are spread over the data, but where
    rows are in some order and blocks few, each has rows of some components alone.

    groups : minibatches in one read of the data.
    sweeps : reads of the data before the batches begin.
    power : above 0.5, or the average does not settle, and at most 1.
    """

    estimates: ClassVar[bool] = True

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
        if turn == 1 or turn > self.sweeps * n_groups + 1:
            return _every(n_groups)
        return ((turn - 2) % n_groups,)

    def merge(
        self,
        memory: Average | None,
        groups: tuple[int, ...],
        fresh: tuple[Stats, ...],
        n_groups: int,
    ) -> tuple[Average, Stats]:
        stats = reduce(add, fresh) * (n_groups / len(groups))
        if len(groups) == n_groups or memory is None:
            return Average(1, stats), stats
        rate = (memory.count + 2) ** -self.power
        stats = memory.stats * (1 - rate) + stats * rate
        return Average(memory.count + 1, stats), stats


@dataclass(frozen=True)
class Online:
    """Stepwise from the first turn on, as online variational Bayes (Hoffman, Blei and Bach 2010).

    The average begins with what the start stands for: the statistics whose M-step it is, which the
    model tells, `imagined(params)`, of no weight. After the k-th group it moves towards that
    group's, scaled up to all of the data, by (offset + k)^−power; after some reads of the data full
    batches follow. Until then the bounds are estimates.

    groups : minibatches in one read of the data.
    sweeps : reads of the data before the batches begin.
    power : above 0.5, or the average does not settle, and at most 1.
    offset : the larger, the less the first groups count.
    """

    estimates: ClassVar[bool] = True

    groups: int = 64
    sweeps: int = 2
    power: float = 0.7
    offset: float = 10.0

    def __post_init__(self) -> None:
        check_number("groups", self.groups, int, 1)
        check_number("sweeps", self.sweeps, int, 0)
        check_number("power", self.power, float, 0.5)
        check_number("offset", self.offset, float, 0)
        if not 0.5 < self.power <= 1:
            raise ValueError(f"power must be above 0.5 and at most 1, got {self.power}.")

    def begin(self, model: Any, params: Any) -> Average:
        """What is remembered before the first turn."""
        return Average(0, model.imagined(params))

    def choose(self, turn: int, n_groups: int) -> tuple[int, ...]:
        if turn > self.sweeps * n_groups:
            return _every(n_groups)
        return ((turn - 1) % n_groups,)

    def merge(
        self,
        memory: Average,
        groups: tuple[int, ...],
        fresh: tuple[Stats, ...],
        n_groups: int,
    ) -> tuple[Average, Stats]:
        stats = reduce(add, fresh) * (n_groups / len(groups))
        if len(groups) < n_groups:
            rate = (self.offset + memory.count + 1) ** -self.power
            stats = memory.stats * (1 - rate) + stats * rate
        return Average(memory.count + 1, stats), stats


@dataclass(frozen=True)
class Epoch:
    """What `VarianceReduced` remembers.

    snapshot : the statistics of each group under the parameters of the last full batch.
    average : of the statistics of all the data, as it has moved since; None before it does.
    """

    snapshot: tuple[Stats, ...]
    average: Stats | None = None

    def __post_init__(self) -> None:
        check_all("snapshot", self.snapshot, Stats)
        check_all("average", (self.average,), Stats | None)
        if not self.snapshot:
            raise ValueError("a snapshot has the statistics of at least one group")


@dataclass(frozen=True)
class VarianceReduced:
    """Stepwise EM without most of its noise (Chen, Zhu, Teh and Zhang 2018), then full batches.

    An epoch begins with a full batch, the snapshot: the statistics S_h of each group h are kept.
    Then each group g is read again, one a turn, and with S_g' its statistics under the parameters
    of that turn the average moves

        S ← (1 − γ) S + γ (Σ_h S_h + n_groups (S_g' − S_g)),    γ = rate,

    with an M-step each time. What makes one group unlike another is in S_g' and S_g alike and
    drops out, so γ need not fall, and n_groups·γ M-steps' worth of progress is made in one read.

    A difference of statistics may be that of no rows, with negative weights or variances: if S_g
    has 1/γ times its share of a component's and S_g' lost it. No step above 1 / n_groups rules
    that out (at it this would be `Incremental`), and no look at S could tell for every model. But
    Σ_h S_h are the statistics of rows, with a bound of their own, so `dem.em` asks that bound: a
    turn which takes it down by `dem.em.FAR` nats per row is taken back to where these lead; and
    so is an epoch whose end has a lower likelihood, as the next full batch tells, at the price of
    another. So the bounds of the full batches never fall. In between they are estimates, and where
    a limit ends a fit there, what the turns since the snapshot made has not been checked.

    To replace S_g by S_g' in each turn (Karimi et al. 2019) would save the snapshots, but diverges
    at rates at which this still converges.

    groups : turns in one read of the data. `groups` statistics are kept.
    epochs : how many, of two reads each, before only full batches go on.
    rate : γ, above 0 and at most 1; the estimates are the surer the lower it is.
    """

    estimates: ClassVar[bool] = True

    groups: int = 32
    epochs: int = 2
    rate: float = 0.2

    def __post_init__(self) -> None:
        check_number("groups", self.groups, int, 1)
        check_number("epochs", self.epochs, int, 0)
        check_number("rate", self.rate, float, 0)
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must be above 0 and at most 1, got {self.rate}.")

    def choose(self, turn: int, n_groups: int) -> tuple[int, ...]:
        epoch, place = divmod(turn - 1, n_groups + 1)
        return (place - 1,) if place and epoch < self.epochs else _every(n_groups)

    def merge(
        self,
        memory: Epoch | None,
        groups: tuple[int, ...],
        fresh: tuple[Stats, ...],
        n_groups: int,
    ) -> tuple[Epoch, Stats]:
        check_all("memory", (memory,), Epoch | None)
        if len(groups) == n_groups:
            return Epoch(fresh), reduce(add, fresh)
        if memory is None or len(memory.snapshot) != n_groups:
            raise ValueError(f"an epoch begins with a snapshot of its {n_groups} groups")
        (group,), (new,), total = groups, fresh, reduce(add, memory.snapshot)
        estimate = total + (new - memory.snapshot[group]) * n_groups
        average = (memory.average or total) * (1 - self.rate) + estimate * self.rate
        return replace(memory, average=average), average

    def sure(self, memory: Epoch | None) -> Stats | None:
        """Σ_h S_h: where what an epoch makes of them is judged, and taken back to."""
        return reduce(add, memory.snapshot) if memory and memory.average else None
