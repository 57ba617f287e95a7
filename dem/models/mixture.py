"""Mixtures: h is which of K components a row came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.checks import check_number, check_offers
from dem.contract import STARVED, Family, Params, Posterior, Sample
from dem.kernels.logspace import log_sum_exp
from dem.kernels.seeding import nearest, plus_plus
from dem.posteriors import Exact
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
    (Dempster, Laird and Rubin 1977). Where there are fewer distinct rows than components, some
    components end without rows, at weight 0, which `diagnose` tells.

    k : number of components.
    family : an object such as `Gaussian()`.
    """

    k: int
    family: Family

    def __post_init__(self) -> None:
        check_number("k", self.k, int, 1)
        check_offers("family", self.family, Family)

    @property
    def missing(self) -> bool:
        """Whether NaN is a missing value to the family."""
        return getattr(self.family, "missing", False)

    @property
    def fixed(self) -> bool:
        """Whether the statistics are the same under any θ, so that one read is enough."""
        return self.k == 1 and getattr(self.family, "fixed", False)

    def start(self, sample: Sample, rng: np.random.Generator) -> MixtureParams:
        """From k-means++ on the sample; `dem.starts` has the other ways."""
        frame = self.family.frame(sample)
        centres = plus_plus(frame.inward(sample.rows), sample.weights, self.k, rng)
        return self.start_around(sample, frame.outward(centres))

    def start_around(self, sample: Sample, centres: Array) -> MixtureParams:
        """The M-step on a sample with each row at the nearest of the centres (K, D).

        One row's worth of every component is spread over the whole sample, so that none is
        empty and no covariance singular.
        """
        frame = self.family.frame(sample)
        rows = frame.inward(sample.rows)
        index, _ = nearest(rows, frame.inward(centres))
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
        weight = float(len(rows) if weights is None else weights.sum())
        if self.fixed:  # there is one q
            family: Any = self.family
            return Stats(weight, 0.0, family.totals(prepared, rows, weights))
        tiles: Any = self.family.tiles(prepared, rows, weights)
        entropy = tiles.sweep(posterior) if hasattr(tiles, "sweep") else None
        if entropy is None:
            entropy = 0.0
            for here, log_joint, responsibilities in tiles:
                w = None if weights is None else weights[here]
                entropy += posterior.respond(log_joint, responsibilities, w)
                tiles.add(responsibilities)
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
        result = np.empty((self.k, len(rows)))
        for here, log_joint, responsibilities in self.family.tiles(prepared, rows, None):
            Exact().respond(log_joint, responsibilities, None)
            result[:, here] = responsibilities
        return result.T

    def flatten(self, params: MixtureParams) -> Array:
        """log πₖ, centred, and what the family makes of its parameters."""
        logits = np.log(np.maximum(params.weights, np.finfo(float).tiny))
        family: Any = self.family
        return np.concatenate([logits - logits.mean(), family.flatten(params.components)])

    def unflatten(self, vector: Array, like: MixtureParams) -> MixtureParams:
        logits, rest = np.split(vector, [self.k])
        weights = np.exp(logits - logits.max())
        family: Any = self.family
        return MixtureParams(weights / weights.sum(), family.unflatten(rest, like.components))

    def check(self, params: MixtureParams) -> None:
        """Raise ValueError unless params have the shapes and signs that this mixture's have."""
        weights = params.weights
        if weights.shape != (self.k,) or (weights < 0).any() or abs(weights.sum() - 1) > 1e-6:
            raise ValueError(f"weights must be {self.k}, non-negative, and sum to 1")
        self.family.check(params.components, self.k)

    def diagnose(self, params: MixtureParams) -> tuple[str, ...]:
        """What is wrong with components that have no rows left, or that the family complains of."""
        starved = np.flatnonzero(params.weights <= STARVED).tolist()
        ours = (
            f"no rows are left, parameters stay as they were last: components {starved}. Use fewer "
            "components, or another start.",
        )
        return ours[: bool(starved)] + self.family.diagnose(params.components)

    def n_parameters(self, params: MixtureParams) -> int:
        return self.k - 1 + self.family.n_parameters(params.components)

    def sample(
        self, params: MixtureParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """n rows (n, D) and the components they came from (n,), in the order of components."""
        counts = rng.multinomial(n, params.weights)
        labels = np.repeat(np.arange(self.k), counts)
        return self.family.sample(params.components, counts, rng), labels
