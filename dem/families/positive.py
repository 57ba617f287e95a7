"""Positive columns: exponential and gamma."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.special import gammaln, polygamma, psi

from dem.contract import Sample, Space
from dem.families.charts import Charts, Positive
from dem.families.exponential import ExponentialFamily
from dem.families.features import FeatureSums
from dem.families.parameters import at_the_limit
from dem.families.space import Logarithmic, averages

Array = np.ndarray
# Means are at least this share of the column's mean: the maximum under that constraint.
LEAST_MEAN = 1e-10
SHAPES = 1e-3, 1e8  # of gamma densities: a standard deviation of 1e-4 of the mean
TOLERANCE = 4 * np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class ExponentialParams:
    """Means (K, D), and what a column's values are like, (D,)."""

    means: Array
    unit: Array


@dataclass(frozen=True)
class Exponential(ExponentialFamily):
    """p(v | k) = ∏ exp(−v_d / m_kd) / m_kd: columns of values v ≥ 0, NaN for missing.

    A component that gets only zeros would have no maximum: means stay above 1e-10 of the column's.
    """

    charts: ClassVar[Charts] = {"means": Positive()}
    support = "Exponential columns hold values of 0 and above"

    def outside(self, x: Array) -> Array:
        return np.asarray(x < 0)

    def features(self, params: ExponentialParams, x: Array, out: Array) -> None:
        out[:] = x

    def natural(self, params: ExponentialParams) -> tuple[Array, Array]:
        return -1.0 / params.means, np.log(params.means)

    def blank(self, k: int, sample: Sample) -> ExponentialParams:
        unit = unit_of(sample)
        return ExponentialParams(np.tile(unit, (k, 1)), unit)

    def maximise(self, params: ExponentialParams, sums: FeatureSums) -> ExponentialParams:
        new = np.maximum(sums.averages[0], LEAST_MEAN * params.unit)
        return replace(params, means=np.where(sums.alive, new, params.means))

    def averages(self, params: ExponentialParams) -> Array:
        return params.means

    def draw(self, params: ExponentialParams, j: int, n: int, rng: np.random.Generator) -> Array:
        return rng.exponential(params.means[j], (n, params.means.shape[1]))

    def diagnose(self, params: ExponentialParams) -> tuple[str, ...]:
        low = params.means <= 2 * LEAST_MEAN * params.unit
        return at_the_limit("a column's mean is at its floor", low, "only zeros are left to")


@dataclass(frozen=True, eq=False)
class GammaParams:
    """Shapes and means (K, D), and what a column's values are like, (D,)."""

    shapes: Array
    means: Array
    unit: Array


@dataclass(frozen=True)
class Gamma(ExponentialFamily):
    """p(v | k) = ∏ (α/m)^α v^(α − 1) exp(−α v / m) / Γ(α): columns of v > 0, NaN for missing.

    The M-step has the means in closed form and the shapes by Newton's method (Minka 2002), to
    rounding. Shapes α stay between 1e-3 and 1e8, at the maximum of the likelihood under that.
    """

    neutral = 1.0
    order = 2
    charts: ClassVar[Charts] = {"shapes": Positive(*SHAPES), "means": Positive()}
    support = "Gamma columns hold values above 0"

    def outside(self, x: Array) -> Array:
        return np.asarray(x <= 0)

    def features(self, params: GammaParams, x: Array, out: Array) -> None:
        d = len(x)
        np.divide(x, params.unit[:, None], out=out[:d])  # near 1, where logarithms are small
        np.log(out[:d], out=out[d:])

    def natural(self, params: GammaParams) -> tuple[Array, Array]:
        shapes, rates = params.shapes, params.shapes * params.unit / params.means
        log_norm = gammaln(shapes) - shapes * np.log(rates) + np.log(params.unit)
        return np.hstack([-rates, shapes - 1]), log_norm

    def blank(self, k: int, sample: Sample) -> GammaParams:
        unit = unit_of(sample)
        return GammaParams(np.ones((k, len(unit))), np.tile(unit, (k, 1)), unit)

    def maximise(self, params: GammaParams, sums: FeatureSums) -> GammaParams:
        mean, mean_log = sums.averages
        mean = np.where(sums.alive, mean, 1.0)
        shapes = gamma_shape(np.log(mean) - np.where(sums.alive, mean_log, -1.0))
        return replace(
            params,
            shapes=np.where(sums.alive, shapes, params.shapes),
            means=np.where(sums.alive, mean * params.unit, params.means),
        )

    def averages(self, params: GammaParams) -> Array:
        return params.means

    def draw(self, params: GammaParams, j: int, n: int, rng: np.random.Generator) -> Array:
        shapes, means = params.shapes[j], params.means[j]
        drawn = rng.gamma(shapes, means / shapes, (n, len(shapes)))
        return np.maximum(drawn, np.finfo(float).tiny)

    def diagnose(self, params: GammaParams) -> tuple[str, ...]:
        high = params.shapes >= 0.5 * SHAPES[1]
        return at_the_limit(
            "a column's shape is at its limit", high, "hardly any spread is left to"
        )

    def frame(self, sample: Sample) -> Space:
        """Standard deviations of the logarithms."""
        return Logarithmic.of(sample)


def gamma_shape(gap: Array) -> Array:
    """The shape α in `SHAPES` with log α − ψ(α) = gap: log of the mean − mean of the logs, ≥ 0.

    Newton's method on 1/α (Minka 2002), from an approximation good to 1.5 %.
    """
    gap = np.maximum(gap, 0.4 / SHAPES[1])
    shape = (3 - gap + np.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)
    for _ in range(20):
        rest = np.log(shape) - psi(shape) - gap
        slope = 1 / shape - polygamma(1, shape)
        new = 1 / (1 / shape + rest / (shape**2 * slope))
        new = np.clip(np.where(new > 0, new, shape / 2), *SHAPES)
        if (np.abs(new - shape) <= TOLERANCE * shape).all():
            break
        shape = new
    return np.asarray(new)


def unit_of(sample: Sample) -> Array:
    """About the mean of each column (D,), as a power of two: 1 where there is none."""
    means = averages(sample)
    return np.exp2(np.round(np.log2(np.where(means > 0, means, 1.0))))
