"""Noisy-or: h are K causes, each there or not, any of which may turn on what is seen.

    h_j ~ Bernoulli(π_j),   p(v_d = 0 | h) = (1 − λ_0d) ∏_j (1 − λ_jd)^h_j

Given v the causes are not independent: one explains another away. So a q that is a product,
`MeanField((2, ..., 2))`, leaves a gap between L and log p(v), which pairs of causes that keep their
dependence, `MeanField((4, ..., 4))`, make smaller, and `Exact()` closes (Pearl 1988; Singliar and
Hauskrecht 2006).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from dem.checks import check_number
from dem.contract import Posterior, Sample
from dem.errors import SupportError
from dem.posteriors import Exact
from dem.stats import Stats, Vector

Array = np.ndarray
MOST_CAUSES = 12  # all 2^K combinations are gone through
EDGE = 1e-9  # from 0 and 1, for probabilities
TILE = 2**18  # numbers at once


@dataclass(frozen=True, eq=False)
class NoisyOrParams:
    """π (K,), and λ (K + 1, D), the chances that causes turn on what is seen: the leak's first."""

    priors: Array
    chances: Array


@dataclass(frozen=True, eq=False)
class NoisyOrSums(Vector):
    """Σ q(h) (2^K,) and Σ q(h) v (2^K, D): all that any p(v | h) of zeros and ones needs."""

    states: Array
    on: Array


@dataclass(frozen=True)
class NoisyOr:
    """Independent causes of binary observations; q is over all 2^K combinations of them.

    k : causes, at most 12. Combinations count in binary, the last cause varies fastest.
    steps : of the M-step for λ, which is EM itself, for who turned on what: it raises the bound
        without going to its maximum.
    """

    k: int
    steps: int = 5

    def __post_init__(self) -> None:
        check_number("k", self.k, int, 1)
        check_number("steps", self.steps, int, 1)
        if self.k > MOST_CAUSES:
            raise ValueError(f"k must be at most {MOST_CAUSES}, got {self.k}.")

    @property
    def present(self) -> Array:
        """Which causes are there, and the leak always, in each combination, (2^K, K + 1)."""
        causes = np.indices((2,) * self.k).reshape(self.k, -1).T
        return np.column_stack([np.ones(len(causes)), causes])

    def start(self, sample: Sample, rng: np.random.Generator) -> NoisyOrParams:
        """Causes that are there every other time, and turn on each column by a random chance."""
        share = sample.weights @ sample.rows / sample.weights.sum()
        chances = share * rng.uniform(0.2, 1.0, (self.k + 1, len(share)))
        chances[0] /= 4
        return NoisyOrParams(np.full(self.k, 0.5), _inside(chances))

    def prepare(self, params: NoisyOrParams) -> tuple[Array, Array]:
        """log p(h, v = 0) (2^K,), and log p(v_d = 1 | h) − log p(v_d = 0 | h) (2^K, D)."""
        off, on = self._log_chances(params)
        return self._log_priors(params) + off.sum(axis=1), on - off

    def e_step(
        self,
        prepared: tuple[Array, Array],
        rows: Array,
        weights: Array | None,
        posterior: Posterior,
    ) -> Stats:
        size, entropy = len(prepared[0]), 0.0
        states, on = np.zeros(size), np.zeros((size, rows.shape[1]))
        w = np.ones(len(rows)) if weights is None else weights
        for here in self._tiles(rows):
            log_joint = self._log_joint(prepared, rows, here)
            q = np.empty_like(log_joint)
            entropy += posterior.respond(log_joint, q, w[here])
            states, on = states + q.sum(axis=1), on + q @ rows[here]
        return Stats(float(w.sum()), entropy, NoisyOrSums(states, on))

    def m_step(self, params: NoisyOrParams, stats: Stats) -> NoisyOrParams:
        states, on, present = stats.sums.states, stats.sums.on, self.present
        there = present.T @ states
        chances = params.chances
        for _ in range(self.steps):
            # E: cause j has turned on v_d, which is on, with the chance λ_jd / p(v_d = 1 | h)
            seen = -np.expm1(present @ np.log1p(-chances))
            turned = chances * (present.T @ (on / seen))
            chances = _inside(turned / np.maximum(there, np.finfo(float).tiny)[:, None])
        return NoisyOrParams(_inside(there[1:] / there[0]), chances)

    def expected_log_joint(self, params: NoisyOrParams, stats: Stats) -> float:
        states, on = stats.sums.states, stats.sums.on
        log_off, log_on = self._log_chances(params)
        seen = np.vdot(on, log_on) + np.vdot(states[:, None] - on, log_off)
        return float(states @ self._log_priors(params) + seen)

    def log_prob(self, prepared: tuple[Array, Array], rows: Array) -> Array:
        result = np.empty(len(rows))
        for here in self._tiles(rows):
            result[here] = logsumexp(self._log_joint(prepared, rows, here), axis=0)
        return result

    def posterior(self, prepared: tuple[Array, Array], rows: Array) -> Array:
        """p(h_j = 1 | v) for each row, (n, K)."""
        result = np.empty((len(rows), self.k))
        for here in self._tiles(rows):
            log_joint = self._log_joint(prepared, rows, here)
            Exact().respond(log_joint, q := np.empty_like(log_joint), None)
            result[here] = q.T @ self.present[:, 1:]
        return result

    def check(self, params: NoisyOrParams) -> None:
        """Raise ValueError unless params have the shapes and signs that this model's have."""
        if params.priors.shape != (self.k,) or params.chances.ndim != 2:
            raise ValueError(f"priors must be {self.k} numbers, and chances a matrix")
        if len(params.chances) != self.k + 1:
            raise ValueError(f"chances must have {self.k + 1} rows, the first for the leak")
        for values in (params.priors, params.chances):
            if not ((values > 0) & (values < 1)).all():
                raise ValueError("priors and chances must be between 0 and 1")

    def n_parameters(self, params: NoisyOrParams) -> int:
        return self.k + params.chances.size

    def sample(
        self, params: NoisyOrParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """n rows (n, D) and their causes (n, K)."""
        causes = rng.random((n, self.k)) < params.priors
        off = np.log1p(-params.chances)
        chance = -np.expm1(off[0] + causes @ off[1:])
        return (rng.random(chance.shape) < chance).astype(float), causes

    def _tiles(self, rows: Array) -> list[slice]:
        step = max(TILE >> self.k, 1)
        return [slice(first, first + step) for first in range(0, len(rows), step)]

    def _log_joint(self, prepared: tuple[Array, Array], rows: Array, here: slice) -> Array:
        """log p(h, v) of some rows, (2^K, n); `SupportError` for what is neither 0 nor 1."""
        some = np.asarray(rows[here], float)
        if (wrong := (some != 0) & (some != 1) & np.isfinite(some)).any():
            row, column = (int(i) for i in np.argwhere(wrong)[0])
            what = "It must be 0 or 1"
            raise SupportError(what, float(some[row, column]), here.start + row, column)
        base, slope = prepared
        return np.asarray(base[:, None] + slope @ some.T)

    def _log_priors(self, params: NoisyOrParams) -> Array:
        causes = self.present[:, 1:]
        return causes @ np.log(params.priors) + (1 - causes) @ np.log1p(-params.priors)

    def _log_chances(self, params: NoisyOrParams) -> tuple[Array, Array]:
        """log p(v_d = 0 | h) and log p(v_d = 1 | h), (2^K, D)."""
        off = self.present @ np.log1p(-params.chances)
        return off, np.log(-np.expm1(off))


def _inside(chances: Array) -> Array:
    return np.clip(chances, EDGE, 1 - EDGE)
