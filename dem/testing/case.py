"""A model with rows to test it on, and how its statistics and parameters are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dem.accelerate import Plain
from dem.contract import Accelerator, Model, Params, Posterior, Sample, Schedule
from dem.em import EStep, Step, em
from dem.posteriors import Exact, Hard
from dem.schedules import FullBatch
from dem.stats import Stats

Array = np.ndarray
Way = tuple[Schedule, Accelerator]
Part = tuple[Array, Array | None]


@dataclass(frozen=True, eq=False)
class Case:
    """A model and some rows; each law is a function of a case. See `dem.testing.check_model`.

    given : the parameters to begin with, or None for the model's own start.
    """

    model: Model
    rows: Array
    weights: Array | None = None
    given: Params = None
    posteriors: tuple[Posterior, ...] = (Exact(), Hard())
    turns: int = 4
    seed: int = 0
    rtol: float = 1e-9

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or len(self.rows) < 4:
            raise ValueError(f"Expected rows (n, D) with n at least 4, got {self.rows.shape}.")
        if self.weights is not None and self.weights.shape != (len(self.rows),):
            raise ValueError(f"Expected ({len(self.rows)},) weights, got {self.weights.shape}.")

    @property
    def part(self) -> Part:
        """All the rows with their weights."""
        return self.rows, self.weights

    @property
    def masses(self) -> Array:
        """The weights, (n,): ones where there are none."""
        return np.ones(len(self.rows)) if self.weights is None else self.weights

    @cached_property
    def params(self) -> Params:
        """Where the climbs begin."""
        if self.given is not None:
            return self.given
        here = self.masses > 0
        sample = Sample.of(self.rows[here].astype(float), self.masses[here], complete=True)
        return self.model.start(sample, self.rng("start"))

    @cached_property
    def probes(self) -> tuple[Params, ...]:
        """A few different parameters: the first, after an M-step, after one on other weights."""
        tilted = self.tilted(1.0, self.rng("probes"))
        return (
            self.params,
            *(
                self.model.m_step(self.params, self.stats(self.params, self.posteriors[0], part))
                for part in (self.part, tilted)
            ),
        )

    def rng(self, purpose: str) -> np.random.Generator:
        """Random numbers of their own for each purpose."""
        return np.random.default_rng([self.seed, *purpose.encode()])

    def tilted(self, strength: float, rng: np.random.Generator) -> Part:
        """All the rows, their weights times random factors exp(strength · normal)."""
        return self.rows, self.masses * np.exp(strength * rng.standard_normal(len(self.rows)))

    def split(self, *edges: int) -> tuple[Part, ...]:
        """The rows cut before each of the edges."""
        spans = zip((0, *edges), (*edges, len(self.rows)), strict=True)
        w = self.weights
        return tuple((self.rows[a:b], None if w is None else w[a:b]) for a, b in spans)

    def stats(self, params: Params, posterior: Posterior, *parts: Part) -> Stats:
        """The statistics of all the rows, or the sum of those of the parts."""
        with np.errstate(all="ignore"):  # as the engine does
            prepared = self.model.prepare(params)
            first, *rest = (
                self.model.e_step(prepared, rows, weights, posterior)
                for rows, weights in parts or (self.part,)
            )
        return sum(rest, first)

    def empty(self, params: Params) -> Stats:
        """The statistics of no rows."""
        return self.stats(params, self.posteriors[0], (self.rows[:0], None))

    def joint(self, params: Params, stats: Stats) -> float:
        """expected_log_joint without the log prior of θ, which is all that no rows have."""
        whole = self.model.expected_log_joint(params, stats)
        return float(whole - self.model.expected_log_joint(params, self.empty(params)))

    def log_prob(self, params: Params) -> Array:
        """log p(v; θ) for each row, (n,)."""
        with np.errstate(all="ignore"):
            return np.asarray(self.model.log_prob(self.model.prepare(params), self.rows))

    def climb(
        self, posterior: Posterior, *parts: Part, way: Way = (FullBatch(), Plain())
    ) -> list[Step]:
        """The turns of the loop, from `params`, on all the rows or on the parts.

        way : the schedule, to which the parts are the groups, and the acceleration.
        """
        schedule, accelerate = way
        parts = parts or (self.part,)
        loop = em(self.model, self.params, schedule, len(parts), accelerate)
        steps: list[Step] = []
        request = next(loop)
        while len(steps) < self.turns:
            if isinstance(request, EStep):
                at, groups = request.params, [parts[g] for g in request.groups]
                request = loop.send(tuple(self.stats(at, posterior, part) for part in groups))
            else:
                steps.append(request)
                request = next(loop)
        return steps

    def allowed(self, params: Params) -> float:
        """What rounding may do to a bound, per unit of weight, in nats."""
        return self.rtol * float(np.mean(1 + np.abs(self.log_prob(params))))

    def same_stats(self, law: str, what: str, a: Stats, b: Stats, *, maximise: bool = True) -> None:
        """Raise AssertionError unless a and b are the same point, seen through the model.

        maximise : whether m_step makes sense on them, so that its results are compared too.
        """
        mass = max(float(self.masses.sum()), abs(a.weight), abs(b.weight))
        close(law, f"weight of {what}", a.weight, b.weight, self.rtol * mass)
        close(law, f"entropy of {what}", a.entropy, b.entropy, 10 * self.rtol * mass)
        for i, params in enumerate(self.probes):
            at = f"expected_log_joint at parameters {i}, of {what}"
            allowed = mass * self.allowed(params)
            close(law, at, self.joint(params, a), self.joint(params, b), allowed)
        if maximise:
            new = (self.model.m_step(self.params, stats) for stats in (a, b))
            self.same_params(law, f"m_step on {what}", *new)

    def same_params(self, law: str, what: str, a: Params, b: Params) -> None:
        """Raise AssertionError unless a and b give every row the same density."""
        ours, theirs = self.log_prob(a), self.log_prob(b)
        gaps = np.abs(ours - theirs) / (1 + np.abs(theirs))
        i = int(np.argmax(gaps))  # a NaN counts as the largest
        if not gaps[i] <= 100 * self.rtol:
            close(law, f"log_prob of row {i} after {what}", ours[i], theirs[i], 100 * self.rtol)


def close(law: str, what: str, a: float, b: float, allowed: float) -> None:
    """Raise AssertionError unless |a − b| ≤ allowed; NaN is close to nothing."""
    if not abs(a - b) <= allowed:
        raise broken(
            law, f"{what}: {a:.15g} and {b:.15g} differ by {abs(a - b):.3g}, allowed {allowed:.1g}"
        )


def broken(law: str, what: Any) -> AssertionError:
    """The error for a law that does not hold."""
    return AssertionError(f"law {law!r}: {what}")


def pairs(parts: Sequence[Part]) -> str:
    """The numbers of rows of parts, in words."""
    return " + ".join(str(len(rows)) for rows, _ in parts) + " rows"
