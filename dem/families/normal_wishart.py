"""Normal-Wishart distributions of the parameters of Gaussians: a prior, and what it is worth.

    p(μ, Λ) = N(μ; m, (βΛ)⁻¹) W(Λ; W, ν)

It is conjugate: as a prior it is worth β rows at m, and ν whose scatter is W⁻¹, so that it is a
point in the space of the statistics, and the posterior is that of their sum (Bishop 2006, 10.2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import multigammaln, psi

from dem.checks import check_number
from dem.contract import Sample
from dem.families.covariance import Covariance
from dem.families.frame import Frame
from dem.families.gaussian import RESOLVED, Gaussian, GaussianParams
from dem.families.moments import Moments

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class NormalWishart:
    """A prior, in the user's units, with scikit-learn's names; what is None comes from the data.

    mean : m₀ (D,); the mean of the rows (of the sample, if they are many).
    mean_precision : β₀ > 0, how many rows the mean is worth; 1.
    degrees_of_freedom : ν₀ > D − 1; D.
    covariance : W₀⁻¹ in the shape of one component, (D, D), (D,) or a number; the covariance of the
        rows (of the sample), with n − 1, and at least 1e-8 of their variance in all directions.
    """

    mean: Any = None
    mean_precision: float | None = None
    degrees_of_freedom: float | None = None
    covariance: Any = None

    def __post_init__(self) -> None:
        for name in ("mean_precision", "degrees_of_freedom"):
            if (value := getattr(self, name)) is not None:
                check_number(name, value, float, 0)
                if not value > 0:
                    raise ValueError(f"{name} must be positive, got {value}.")
        for name in ("mean", "covariance"):
            if (value := getattr(self, name)) is not None:
                array = np.asarray(value, dtype=float)
                if not np.isfinite(array).all():
                    raise ValueError(f"{name} of the prior contains NaN or infinity.")
                object.__setattr__(self, name, array)

    def __eq__(self, other: object) -> bool:
        names = ("mean", "mean_precision", "degrees_of_freedom", "covariance")
        return isinstance(other, NormalWishart) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in names
        )

    __hash__ = None  # type: ignore[assignment]

    def informed(self, gaussian: Gaussian, sample: Sample) -> NormalWishart:
        """The same with nothing left to the data, for components of this family.

        Raises ValueError if it does not suit the number of columns.
        """
        form, frame, d = gaussian.covariance, gaussian.units(sample), sample.rows.shape[1]
        df = float(d) if self.degrees_of_freedom is None else self.degrees_of_freedom
        if not df > d - 1:
            raise ValueError(f"degrees_of_freedom must be greater than {d - 1}, got {df}.")
        z, w = frame.inward(sample.rows).T, sample.weights
        centre = (z @ w) / w.sum()
        mean = frame.outward(centre) if self.mean is None else self.mean
        if mean.shape != (d,):
            raise ValueError(f"The prior's mean has the shape {mean.shape}, not {(d,)}.")
        covariance = self.covariance
        if covariance is None:
            covariance = _spread(form, frame, z - centre[:, None], w)
        check_one(form, covariance, d)
        precision = 1.0 if self.mean_precision is None else self.mean_precision
        return NormalWishart(mean, precision, df, covariance)

    def inward(self, gaussian: Gaussian, frame: Frame) -> NormalWishartParams:
        """Its parameters in a frame; nothing may be left to the data."""
        d, df = len(self.mean), float(self.degrees_of_freedom or 0)
        normalised = (self.covariance / df).reshape(gaussian.covariance.shape(1, d))
        inside = gaussian.inward(self.mean[None], normalised, frame)
        return NormalWishartParams(inside, np.array([self.mean_precision]), np.array([df]))


def shape_of_one(form: Covariance, d: int) -> tuple[int, ...]:
    """What the user sees as the shape of one component's covariance."""
    return form.shape(1, d)[0 if form.pooled else 1 :]


def check_one(form: Covariance, covariance: Array, d: int) -> None:
    """Raise ValueError unless a prior's covariance can be that of one component."""
    there, shape = covariance.shape, shape_of_one(form, d)
    if there != shape:
        raise ValueError(f"The prior's covariance has the shape {there}, not {shape}.")
    form.check("The prior's covariance", covariance.reshape(form.shape(1, d)))


def _spread(form: Covariance, frame: Frame, z: Array, w: Array) -> Array:
    """The covariance of rows z (D, n) in the frame, about 0, as the user sees that of one."""
    d, second = len(z), form.outer(z, w)
    # n − 1, but for weights whose sum does not tell how many rows there are.
    n = np.array([max(w.sum() - 1, w.sum() / 2)])
    inside = form.covariances(n, second if form.pooled else second[None], d)
    inside, _ = form.at_least(inside, np.full((1, d), RESOLVED))
    return form.outward(inside, frame.scale).reshape(shape_of_one(form, d))


@dataclass(frozen=True, eq=False)
class NormalWishartParams:
    """K normal-Wishart distributions: the m and Σ = (νW)⁻¹ of `gaussian`, β (K,), ν (K,)."""

    gaussian: GaussianParams
    mean_precision: Array
    degrees_of_freedom: Array

    def check(self, gaussian: Gaussian, k: int) -> None:
        """Raise ValueError unless it has the shapes and signs of k components."""
        gaussian.check(self.gaussian, k)
        least = self.gaussian.means.shape[1] - 1
        if self.mean_precision.shape != (k,) or not (self.mean_precision > 0).all():
            raise ValueError(f"mean_precision must be {k} positive numbers")
        if self.degrees_of_freedom.shape != (k,) or not (self.degrees_of_freedom > least).all():
            raise ValueError(f"degrees_of_freedom must be {k} numbers above {least}")

    def outward(self, gaussian: Gaussian) -> NormalWishart:
        """The first of them, in the user's units."""
        means, normalised, _ = gaussian.outward(self.gaussian)
        first = normalised if gaussian.covariance.pooled else normalised[0]
        precision, df = float(self.mean_precision[0]), float(self.degrees_of_freedom[0])
        return NormalWishart(means[0], precision, df, first * df)

    def worth(self, form: Covariance, k: int) -> Moments:
        """What one, as a prior, adds to the statistics of k: β rows at m, W⁻¹ about it."""
        d = self.gaussian.means.shape[1]
        # D rows without weight whose scatter is Σ
        spread = form.unwhiten(self.gaussian.roots, 0, np.eye(d))
        second = self.degrees_of_freedom * form.outer(spread, None)
        return Moments(
            weight=np.tile(self.mean_precision, k),
            first=np.zeros((k, d)),
            second=k * second if form.pooled else np.tile(second, (k, 1)),
            centre=np.tile(self.gaussian.means, (k, 1)),
            form=form,
        )

    def added(self, form: Covariance, sums: Moments, weight: Array) -> Moments:
        """Statistics of so many rows (K,) as have the mean, and the scatter about it, of the
        posterior, which those of rows and one of these as a prior make."""
        total = sums + self.worth(form, len(sums.weight))
        means = total.centre + total.first / total.weight[:, None]
        nothing = np.zeros_like(means)
        return replace(total.about(means), weight=weight, first=nothing).about(total.centre)

    @property
    def excess(self) -> Array:
        """E[log N(v; μₖ, Λₖ⁻¹)] − log N(v; mₖ, Σₖ), (K,), below 0: the same for all v."""
        n, d = self.degrees_of_freedom, self.gaussian.means.shape[1]
        of_precisions = _multivariate_psi(n / 2, d) + d * np.log(2 / n)
        return np.asarray(of_precisions - d / self.mean_precision) / 2

    def divergence(self, form: Covariance, prior: NormalWishartParams) -> float:
        """Σₖ KL(qₖ ‖ p) of these from one that is the prior of all, in nats."""
        (k, d), n, m = self.gaussian.means.shape, self.degrees_of_freedom, prior.degrees_of_freedom
        # The quadratic terms of means and precisions are those of the rows that p is worth.
        scatter = prior.worth(form, k).about(self.gaussian.means).second
        ratio = prior.mean_precision / self.mean_precision
        of_means = d * (ratio - 1 - np.log(ratio)) / 2
        log_w = 2 * form.log_det(self.gaussian.roots, (k, d)) - d * np.log(n)
        prior_log_w = 2 * form.log_det(prior.gaussian.roots, (1, d)) - d * np.log(m)
        of_precisions = (
            m / 2 * (prior_log_w - log_w)
            - n * d / 2
            + multigammaln(m / 2, d)
            - multigammaln(n / 2, d)
            + (n - m) / 2 * _multivariate_psi(n / 2, d)
        )
        return float(
            (of_means + of_precisions).sum() + form.trace(self.gaussian.roots, scatter) / 2
        )


def _multivariate_psi(a: Array, d: int) -> Array:
    """The derivative of log Γ_D: Σᵢ ψ(a − i/2), i = 0, ..., D − 1."""
    return np.asarray(psi(a[:, None] - np.arange(d) / 2).sum(axis=1))
