"""What a model, a family, a posterior and a schedule must offer, and the laws that they obey.

`dem.testing.check_model` tests the laws on any model; CONTRIBUTING.md has recipes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dem.stats import Stats

Array = np.ndarray
Params = Any  # a frozen dataclass of arrays (or a tuple of such): θ
Prepared = Any  # whatever a model wants computed from θ once per task
STARVED = 1e-15  # a component with no larger share of the weight has no rows left


@dataclass(frozen=True, eq=False)
class Sample:
    """A bounded number of rows that stand for the data, in lexicographic order.

    The order makes a start depend on which rows there are and not on how they are arranged.

    rows : (m, D) float64.
    weights : (m,) float64, positive.
    complete : whether these are all the rows of the data.
    share : of the rows of the data that were taken.
    """

    rows: Array
    weights: Array
    complete: bool
    share: float = 1.0

    @classmethod
    def of(cls, rows: Array, weights: Array, complete: bool, share: float = 1.0) -> Sample:
        """The sample of these rows in any order."""
        order = np.argsort(rows[:, 0], kind="stable")
        first = rows[order, 0]
        if not (first[1:] > first[:-1]).all():  # else the other columns decide nothing
            order = np.lexsort(rows.T[::-1])
        return cls(rows[order], weights[order], complete, share)


class Posterior(Protocol):
    """How q(h | v) is chosen given θ, for a hidden variable with K states."""

    def respond(self, log_joint: Array, out: Array, weights: Array | None) -> float:
        """Turn log p(h = k, v; θ) into weighted responsibilities.

        log_joint : (K, n), up to a constant per row; used as scratch space.
        out : (K, n), receives wᵢ q(hᵢ = k).
        weights : (n,) or None for ones.
        Returns Σᵢ wᵢ H(qᵢ) in nats, of exactly the q that is in `out`.
        """
        ...


class Model(Protocol):
    """A latent-variable model. Pure: parameters and statistics are values, nothing is mutated.

    Laws. *additive*: the statistics of a ⧺ b are those of a plus those of b, and of no rows zero.
    *tight*: under an exact q, expected_log_joint + entropy is the log-likelihood. *lower*: under
    any other q it is less. *maximiser*: m_step does not lower expected_log_joint. *weights*:
    weight 2 is the row twice, weight 0 is no row. *size*: statistics do not grow with the rows.
    """

    def start(self, sample: Sample, rng: np.random.Generator) -> Params:
        """First parameters, from a bounded sample of rows."""
        ...

    def prepare(self, params: Params) -> Prepared:
        """What the E-step wants computed from θ once (Cholesky factors, natural parameters)."""
        ...

    def e_step(
        self, prepared: Prepared, rows: Array, weights: Array | None, posterior: Posterior
    ) -> Stats:
        """The statistics of rows (n, D), in the data's dtype, under their q. n may be 0."""
        ...

    def m_step(self, params: Params, stats: Stats) -> Params:
        """θ that maximises expected_log_joint given the statistics, or at least raises it."""
        ...

    def expected_log_joint(self, params: Params, stats: Stats) -> float:
        """Σᵢ wᵢ E_qᵢ[log p(hᵢ, vᵢ; θ)] (+ log prior of θ where there is one), in nats."""
        ...

    def log_prob(self, prepared: Prepared, rows: Array) -> Array:
        """log p(vᵢ; θ) for each row, (n,), in nats."""
        ...

    def n_parameters(self, params: Params) -> int:
        """The number of free parameters, for BIC and AIC."""
        ...


class Space(Protocol):
    """Where a start measures distances between rows, as squared distances of points."""

    def inward(self, points: Array) -> Array:
        """The points (n, F) of rows (n, D) in the user's units."""
        ...

    def outward(self, points: Array) -> Array:
        """Rows (n, D) in the user's units, at or near these points."""
        ...


class Flat(Protocol):
    """What acceleration asks of a model besides: its parameters as points without constraints."""

    def flatten(self, params: Params) -> Array:
        """θ as a vector; any finite vector near it is the θ of some `unflatten`."""
        ...

    def unflatten(self, vector: Array, like: Params) -> Params:
        """The θ of a vector, in the shapes and units of `like`; ValueError if there is none."""
        ...


class Family(Protocol):
    """A component distribution p(v | k; θ), k = 1..K, as mixtures use it.

    Its statistics are a `Vector` with a field `weight` (K,): the expected number of rows of each.
    One that takes NaN for a missing value has an attribute `missing`, True.
    """

    def frame(self, sample: Sample) -> Space:
        """Where a start measures distances between rows."""
        ...

    def start(self, sample: Sample, responsibilities: Array) -> Params:
        """First parameters from a sample under responsibilities (K, n)."""
        ...

    def prepare(self, params: Params, offset: Array) -> Prepared:
        """Once per task; `offset` (K,), log mixing weights, is added to every log-density."""
        ...

    def tiles(
        self, prepared: Prepared, rows: Array, weights: Array | None, size: int | None = None
    ) -> Tiles:
        """A worker that goes over the rows tile by tile with buffers of its own.

        size : rows of a tile (the last may have fewer); None leaves it to the family.
        Raises `SupportError`, in the course of it, for a value that has no density.
        """
        ...

    def maximise(self, params: Params, sums: Any) -> Params:
        """θ that maximises expected_log_density; those `STARVED` of rows keep theirs."""
        ...

    def expected_log_density(self, params: Params, sums: Any) -> float:
        """Σ over rows and k of r log p(v | k; θ), in nats.

        A family with a hidden variable u of its own gives E_q[log p(v, u | k; θ)] + H(q(u)).
        """
        ...

    def check(self, params: Params, k: int) -> None:
        """Raise ValueError unless params have the shapes and signs of k components."""
        ...

    def diagnose(self, params: Params) -> tuple[str, ...]:
        """What is wrong with components at the edge of the allowed, and what to do, in words."""
        ...

    def n_parameters(self, params: Params) -> int:
        """The number of free parameters of all components."""
        ...

    def sample(self, params: Params, counts: Array, rng: np.random.Generator) -> Array:
        """counts[k] rows of each component, stacked in the order of k, (Σ counts, D)."""
        ...


class Tiles(Protocol):
    """One E-step over one block of rows: log-densities out, responsibilities in.

    Tiles may also have a method `sweep(posterior)`, which goes over all rows by a loop of its own,
    adds to the sums and returns Σ w H(q), or None if it cannot with this posterior and prepared.
    """

    size: int  # rows of a tile

    def __iter__(self) -> Any:
        """Yield (slice of rows, log_joint (K, n), out (K, n)); the caller fills `out`."""
        ...

    def add(self, responsibilities: Array) -> None:
        """Add the current tile's R T(x)ᵀ to the sums."""
        ...

    def constant(self) -> Array | float:
        """What the current tile's log_joint leaves out: a term per row that all k share."""
        ...

    def sums(self) -> Any:
        """The statistics of all tiles added so far."""
        ...


class Schedule(Protocol):
    """Which groups of blocks get a fresh q before the next M-step, and what is remembered.

    One whose bounds are estimates, but for those of turns on all groups, has an attribute
    `estimates`, True. One whose statistics may be those of no rows, as a difference may, offers
    `sure(memory)`: statistics of all the data that are those of rows, of the last turn on all
    groups, to judge them by and go back to; None if there are none, or the others are as good.
    """

    @property
    def groups(self) -> int:
        """Into how many the blocks are to be divided, if there are so many."""
        ...

    def choose(self, turn: int, n_groups: int) -> tuple[int, ...]:
        """The groups whose q is set afresh in this turn (counted from 1)."""
        ...

    def merge(
        self, memory: Any, groups: tuple[int, ...], fresh: tuple[Stats, ...], n_groups: int
    ) -> tuple[Any, Stats]:
        """New memory, and the statistics that the M-step is to see, from the fresh ones."""
        ...


class Accelerator(Protocol):
    """Where to make the next E-step, on all groups: beyond where the last M-step went, perhaps."""

    def leap(self, model: Model, params: Params, trail: Any) -> Params:
        """θ to try; `params` themselves if there is nothing better."""
        ...

    def follow(
        self, model: Model, trail: Any, point: Params, image: Params, landed: bool | None
    ) -> Any:
        """What to remember of a turn from θ `point` to `image`; `landed`: see `dem.accelerate`."""
        ...
