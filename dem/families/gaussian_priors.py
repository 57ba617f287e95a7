"""Priors of Gaussian components, for `WithPrior`: all the same, or each its own background's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import multigammaln

from dem.checks import check_number
from dem.families.gaussian import Gaussian, GaussianParams
from dem.families.moments import Moments
from dem.families.normal_wishart import NormalWishart, NormalWishartParams, check_one

Array = np.ndarray


@dataclass(frozen=True)
class NormalInverseWishartPrior:
    """μ ~ N(mean, Σ/mean_precision), Σ ~ InverseWishart(degrees_of_freedom, scale); `Gaussian`.

    With other forms than `Full` it is the same density at covariances of that form, which is that
    prior but for a constant (and once for each component, where they share Σ).

    mean : (D,). scale : in the shape of one component, (D, D), (D,) or a number.
    degrees_of_freedom : above D − 1.
    """

    mean: Any
    mean_precision: float
    degrees_of_freedom: float
    scale: Any
    families: ClassVar[tuple[type, ...]] = (Gaussian,)

    def __post_init__(self) -> None:
        checked = self._distribution
        object.__setattr__(self, "mean", checked.mean)
        object.__setattr__(self, "scale", checked.covariance)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NormalInverseWishartPrior):
            return False
        return self._distribution == other._distribution

    __hash__ = None  # type: ignore[assignment]

    @property
    def _distribution(self) -> NormalWishart:
        """The same of (μ, Σ⁻¹)."""
        df = self.degrees_of_freedom
        return NormalWishart(self.mean, self.mean_precision, df, self.scale)

    def _inward(self, family: Gaussian, params: GaussianParams) -> NormalWishartParams:
        d, df = params.means.shape[1], self.degrees_of_freedom
        if self.mean.shape != (d,):
            raise ValueError(f"The prior's mean has the shape {self.mean.shape}, not {(d,)}.")
        if not df > d - 1:
            raise ValueError(f"degrees_of_freedom must be greater than {d - 1}, got {df}.")
        check_one(family.covariance, self.scale, d)
        return self._distribution.inward(family, params.frame)

    def posterior(self, family: Gaussian, params: GaussianParams, sums: Moments) -> Moments:
        """As of so many rows as have the mode's means and covariances."""
        extra = self.degrees_of_freedom + params.means.shape[1] + 2
        return self._inward(family, params).added(family.covariance, sums, sums.weight + extra)

    def log_density(self, family: Gaussian, params: GaussianParams) -> float:
        prior, form, (k, d) = self._inward(family, params), family.covariance, params.means.shape
        df, volume = self.degrees_of_freedom, params.frame.log_volume
        log_det = form.log_det(params.roots, (k, d)) - volume  # ½ log |Σ⁻¹|
        (prior_log_det,) = form.log_det(prior.gaussian.roots, (1, d)) - volume
        norm = df * (d * np.log(df / 2) / 2 - prior_log_det) - multigammaln(df / 2, d)
        norm += d * np.log(self.mean_precision / (2 * np.pi)) / 2
        scatter = prior.worth(form, k).about(params.means).second
        return float(((df + d + 2) * log_det + norm).sum() - form.trace(params.roots, scatter) / 2)


@dataclass(frozen=True, eq=False)
class BackgroundPrior:
    """So many rows as each component of a background model would have made, unseen; `Gaussian`.

    p(θ) ∝ exp(rows · E[log N(v; μₖ, Σₖ)]), v ~ N(mₖ, Cₖ): of the mean a Gaussian about mₖ, whose
    maximiser is that of relevance MAP adaptation (Reynolds, Quatieri and Dunn 2000). Its
    `log_density` leaves out a constant.

    components : of the background, as they were fitted. rows : the relevance factor, 0 or more.
    """

    components: GaussianParams
    rows: float
    families: ClassVar[tuple[type, ...]] = (Gaussian,)

    def __post_init__(self) -> None:
        check_number("rows", self.rows, float, 0)

    def _worth(self, family: Gaussian, params: GaussianParams) -> Moments:
        means, covariances, _ = family.outward(self.components)
        if means.shape != params.means.shape:
            raise ValueError(f"the background has means {means.shape}, not {params.means.shape}")
        own = family.inward(means, covariances, params.frame)
        form, (k, d) = family.covariance, means.shape
        spreads = [form.outer(form.unwhiten(own.roots, j, np.eye(d)), None) for j in range(k)]
        second = np.sum(spreads, axis=0) if form.pooled else np.stack(spreads)
        n = np.full(k, float(self.rows))
        return Moments(n, np.zeros((k, d)), self.rows * second, own.means, form)

    def posterior(self, family: Gaussian, params: GaussianParams, sums: Moments) -> Moments:
        return sums + self._worth(family, params)

    def log_density(self, family: Gaussian, params: GaussianParams) -> float:
        return family.expected_log_density(params, self._worth(family, params))
