"""Mixtures: h is which of K components a row came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.contract import Family, Params, Posterior, Sample
from dem.families.frame import Frame
from dem.families.gaussian import STARVED
from dem.kernels.logspace import log_sum_exp
from dem.kernels.seeding import nearest, plus_plus
from dem.stats import Stats

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class MixtureParams:
    """Mixing weights πₖ (K,), which sum to one, and the family's parameters."""

    weights: Array
    components: Params


@dataclass(frozen=True)
class Mixture:
    """p(v; θ) = Σₖ πₖ p(v | k; θ), with components of one family.

    The E-step sets q(k | v) ∝ πₖ p(v | k), the M-step is weighted maximum likelihood
    (Dempster, Laird and Rubin 1977).
    """

    k: int
    family: Family

    def start(self, sample: Sample, rng: np.random.Generator) -> MixtureParams:
        """From k-means++ on the sample; `dem.starts` has the other ways."""
        rows = Frame.of(sample.rows, sample.weights).inward(sample.rows)
        return self.start_around(sample, rows, plus_plus(rows, sample.weights, self.k, rng))

    def start_around(self, sample: Sample, rows: Array, centres: Array) -> MixtureParams:
        """The M-step on a sample with each row at the nearest centre, both in one frame.

        One row's worth of every component is spread over the whole sample, so that none is
        empty and no covariance singular.
        """
        index, _ = nearest(rows, centres)
        hard = (index == np.arange(self.k)[:, None]).astype(float)
        spread = 1.0 / max(sample.weights.sum(), len(rows))  # weights may be in any unit
        return self.start_from(sample, hard + spread)

    def start_from(self, sample: Sample, responsibilities: Array) -> MixtureParams:
        """The M-step on a sample under responsibilities (K, m)."""
        share = responsibilities @ sample.weights
        return MixtureParams(share / share.sum(), self.family.start(sample, responsibilities))

    def prepare(self, params: MixtureParams) -> Any:
        # A weight of zero must not make -inf: 0 · log 0 is 0 in the bound.
        offset = np.log(np.maximum(params.weights, np.finfo(float).tiny))
        return self.family.prepare(params.components, offset)

    def e_step(
        self, prepared: Any, rows: Array, weights: Array | None, posterior: Posterior
    ) -> Stats:
        tiles, entropy = self.family.tiles(prepared, rows, weights), 0.0
        for here, log_joint, responsibilities in tiles:
            w = None if weights is None else weights[here]
            entropy += posterior.respond(log_joint, responsibilities, w)
            tiles.add(responsibilities)
        weight = float(len(rows) if weights is None else weights.sum())
        return Stats(weight, entropy, tiles.sums())

    def m_step(self, params: MixtureParams, stats: Stats) -> MixtureParams:
        weights = stats.sums.weight / stats.sums.weight.sum()
        return MixtureParams(weights, self.family.maximise(params.components, stats.sums))

    def expected_log_joint(self, params: MixtureParams, stats: Stats) -> float:
        log_weights = np.log(np.maximum(params.weights, np.finfo(float).tiny))
        mixing = float(stats.sums.weight @ log_weights)
        return mixing + self.family.expected_log_density(params.components, stats.sums)

    def log_prob(self, prepared: Any, rows: Array) -> Array:
        tiles, result = self.family.tiles(prepared, rows, None), np.empty(len(rows))
        for here, log_joint, scratch in tiles:
            result[here] = log_sum_exp(log_joint, scratch) + tiles.constant()
        return result

    def posterior(self, prepared: Any, rows: Array) -> Array:
        """q(k | v) = p(k | v; θ) for each row, (n, K)."""
        from dem.posteriors import Exact

        result = np.empty((self.k, len(rows)))
        for here, log_joint, responsibilities in self.family.tiles(prepared, rows, None):
            Exact().respond(log_joint, responsibilities, None)
            result[:, here] = responsibilities
        return result.T

    def check(self, params: MixtureParams) -> None:
        """Raise ValueError unless params have the shapes and signs that this mixture's have."""
        weights = params.weights
        if weights.shape != (self.k,) or (weights < 0).any() or abs(weights.sum() - 1) > 1e-6:
            raise ValueError(f"weights must be {self.k}, non-negative, and sum to 1")
        self.family.check(params.components, self.k)

    def diagnose(self, params: MixtureParams) -> tuple[str, ...]:
        """What is wrong with components that collapsed onto too few rows or have none left."""
        starved = np.flatnonzero(params.weights <= STARVED).tolist()
        collapsed = np.flatnonzero(self.family.collapsed(params.components)).tolist()
        return tuple(
            f"{what}: components {which}"
            for what, which in (
                ("no rows are left, parameters stay as they were last", starved),
                ("variance is at its floor in some direction", collapsed),
            )
            if which
        )

    def n_parameters(self, params: MixtureParams) -> int:
        return self.k - 1 + self.family.n_parameters(params.components)

    def sample(
        self, params: MixtureParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """n rows (n, D) and the components they came from (n,), in the order of components."""
        counts = rng.multinomial(n, params.weights)
        labels = np.repeat(np.arange(self.k), counts)
        return self.family.sample(params.components, counts, rng), labels
