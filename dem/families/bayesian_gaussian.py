"""Gaussian components with uncertain parameters: q(μ, Λ) is normal-Wishart (Bishop 2006, 10.2).

    p(μₖ, Λₖ) = N(μₖ; m₀, (β₀Λₖ)⁻¹) W(Λₖ; W₀, ν₀),   q(μₖ, Λₖ) the same with mₖ, βₖ, Wₖ, νₖ

W is kept as Σ = (νW)⁻¹ = E[Λ]⁻¹, in which a form of covariance restricts q and not the model: of
all q whose Σₖ have the form, the nearest to the posterior has the Σₖ of a Gaussian with νₖ rows of
scatter Wₖ⁻¹, and the νₖ of the posterior, since the divergence is a function of Σ plus one of ν.
Components that share Σ share ν too. That is what scikit-learn does for each of its forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from dem.checks import check_number, check_offers
from dem.contract import Sample, Space, Tiles
from dem.families.charts import Positive
from dem.families.covariance import Covariance
from dem.families.dense import Full
from dem.families.gaussian import Gaussian, GaussianPrepared
from dem.families.moments import Moments
from dem.families.normal_wishart import NormalWishart, NormalWishartParams

Array = np.ndarray
LOGARITHMS = Positive(1e-10, 1e15)


@dataclass(frozen=True, eq=False)
class BayesianGaussianParams:
    """q(μ, Λ) of K components, and the prior that all of them have, which stays as it is."""

    posterior: NormalWishartParams
    prior: NormalWishartParams


@dataclass(frozen=True)
class BayesianGaussian:
    """Gaussian components under q(μ, Λ), a mean-field approximation of their posterior.

    A log-density is E_q[log N(v; μₖ, Λₖ⁻¹)]: that of a Gaussian with the expected precision, plus
    a constant. `expected_log_density` includes −KL(q ‖ p).

    covariance : the form of Σ, as in `Gaussian`.
    reg_covar : added to the variances of the rows, as scikit-learn does. The bound may fall by a
        little with it.
    """

    covariance: Covariance = field(default_factory=Full)
    reg_covar: float = 0.0
    prior: NormalWishart = field(default_factory=NormalWishart)

    def __post_init__(self) -> None:
        check_offers("covariance", self.covariance, Covariance)
        check_number("reg_covar", self.reg_covar, float, 0)
        if not isinstance(self.prior, NormalWishart):
            raise TypeError(f"prior must be a NormalWishart, got {self.prior!r:.60}.")

    @property
    def gaussian(self) -> Gaussian:
        """The family of point estimates, whose E-step this is."""
        return Gaussian(self.covariance)

    def frame(self, sample: Sample) -> Space:
        return self.gaussian.frame(sample)

    def informed(self, sample: Sample) -> BayesianGaussian:
        """The same with a prior that leaves nothing to the data; ValueError if it can't be."""
        return replace(self, prior=self.prior.informed(self.gaussian, sample))

    def start(self, sample: Sample, responsibilities: Array) -> BayesianGaussianParams:
        """The posterior given the sample under responsibilities (K, m), each of whose rows counts
        for as many as it stands for."""
        point = self.gaussian.start(sample, responsibilities)
        k, d = point.means.shape
        prepared = self.gaussian.prepare(point, np.zeros(k))
        tiles = self.gaussian.tiles(prepared, sample.rows, sample.weights)
        r = responsibilities * sample.weights
        for here, _, out in tiles:
            out[:] = r[:, here]
            tiles.add(out)
        prior = self.informed(sample).prior.inward(self.gaussian, point.frame)
        blank = NormalWishartParams(point, np.ones(k), np.full(k, float(d)))
        sums = tiles.sums() * (1.0 / sample.share)
        return self.maximise(BayesianGaussianParams(blank, prior), sums)

    def prepare(self, params: BayesianGaussianParams, offset: Array) -> GaussianPrepared:
        q = params.posterior
        return self.gaussian.prepare(q.gaussian, offset + q.excess)

    def tiles(
        self,
        prepared: GaussianPrepared,
        rows: Array,
        weights: Array | None,
        size: int | None = None,
    ) -> Tiles:
        return self.gaussian.tiles(prepared, rows, weights, size)

    def maximise(self, params: BayesianGaussianParams, sums: Moments) -> BayesianGaussianParams:
        """q(μ, Λ) given the statistics: β = β₀ + N, ν = ν₀ + N, W⁻¹ = W₀⁻¹ + scatter about m."""
        form, old = self.covariance, params.posterior.gaussian
        df = params.prior.degrees_of_freedom + sums.weight
        if form.pooled:
            df = np.full_like(df, df.mean())
        if self.reg_covar:
            n = sums.weight.sum() if form.pooled else sums.weight[:, None]
            extra = form.outer(np.diag(np.sqrt(self.reg_covar) / old.frame.scale), None)
            sums = replace(sums, second=sums.second + n * extra)
        # As of ν rows with the mean m and the scatter W⁻¹: Σ is their covariance.
        gaussian = self.gaussian.maximise(old, params.prior.added(form, sums, df))
        precision = params.prior.mean_precision + sums.weight
        return replace(params, posterior=NormalWishartParams(gaussian, precision, df))

    def expected_log_density(self, params: BayesianGaussianParams, sums: Moments) -> float:
        """Σ over rows and k of r E_q[log N(v; μₖ, Λₖ⁻¹)], − KL(q ‖ p) of all components."""
        q = params.posterior
        rows = self.gaussian.expected_log_density(q.gaussian, sums) + sums.weight @ q.excess
        return float(rows - q.divergence(self.covariance, params.prior))

    def outward(self, params: BayesianGaussianParams) -> tuple[Array, Array, Array]:
        """(means, covariances Σ, roots of Σ⁻¹) in the user's units, in scikit-learn's shapes."""
        return self.gaussian.outward(params.posterior.gaussian)

    def described(self, params: BayesianGaussianParams) -> Mapping[str, Array]:
        """means, covariances Σ, mean_precision, degrees_of_freedom, in the user's units."""
        q = params.posterior
        return {
            **self.gaussian.described(q.gaussian),
            "mean_precision": q.mean_precision,
            "degrees_of_freedom": q.degrees_of_freedom,
        }

    def prior_of(self, params: BayesianGaussianParams) -> NormalWishart:
        """The prior that the components of a fit had, in the user's units."""
        return params.prior.outward(self.gaussian)

    def flatten(self, params: BayesianGaussianParams) -> Array:
        """log β, log (ν − D + 1), and what the Gaussian makes of m and Σ."""
        q = params.posterior
        least = q.gaussian.means.shape[1] - 1
        logs = LOGARITHMS.flatten(np.stack([q.mean_precision, q.degrees_of_freedom - least]))
        return np.concatenate([logs.ravel(), self.gaussian.flatten(q.gaussian)])

    def unflatten(self, vector: Array, like: BayesianGaussianParams) -> BayesianGaussianParams:
        (k, d), old = like.posterior.gaussian.means.shape, like.posterior.gaussian
        logs, rest = np.split(vector, [2 * k])
        precision, above = LOGARITHMS.unflatten(logs.reshape(2, k))
        q = NormalWishartParams(self.gaussian.unflatten(rest, old), precision, above + d - 1)
        return replace(like, posterior=q)

    def check(self, params: BayesianGaussianParams, k: int) -> None:
        """Raise ValueError unless params have the shapes and signs of k components."""
        params.posterior.check(self.gaussian, k)
        params.prior.check(self.gaussian, 1)

    def diagnose(self, params: BayesianGaussianParams) -> tuple[str, ...]:
        return self.gaussian.diagnose(params.posterior.gaussian)

    def n_parameters(self, params: BayesianGaussianParams) -> int:
        """Those of the Gaussians, about whose values q is."""
        return self.gaussian.n_parameters(params.posterior.gaussian)

    def sample(
        self, params: BayesianGaussianParams, counts: Array, rng: np.random.Generator
    ) -> Array:
        """From Gaussians with the means m and covariances Σ, as scikit-learn does."""
        return self.gaussian.sample(params.posterior.gaussian, counts, rng)
