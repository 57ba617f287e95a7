"""Independent normal columns, of which values may be missing, and log-normal ones."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from dem.contract import Sample, Space
from dem.families.charts import Charts, Positive, Real
from dem.families.exponential import ExponentialFamily
from dem.families.features import FeatureSums
from dem.families.frame import Frame
from dem.families.parameters import at_the_limit
from dem.families.space import Logarithmic, Scaled

Array = np.ndarray
LOG_2PI = float(np.log(2 * np.pi))
# In the frame, where the data have variance 1: what sums about the origin can resolve.
LEAST_VARIANCE = 1e-8


@dataclass(frozen=True, eq=False)
class NormalParams:
    """Means and variances (K, D), in units of the frame."""

    means: Array
    variances: Array
    frame: Frame


class _Normal(ExponentialFamily):
    """What normal and log-normal columns have in common; y is the value or its logarithm."""

    charts: ClassVar[Charts] = {"means": Real(), "variances": Positive(LEAST_VARIANCE)}
    order = 2
    neutral = 1.0

    @abstractmethod
    def _scaled(self, sample: Sample) -> Scaled:
        """The frame of y."""

    def natural(self, params: NormalParams) -> tuple[Array, Array]:
        precisions = 1.0 / params.variances
        log_norm = (params.means**2 * precisions + np.log(params.variances) + LOG_2PI) / 2
        log_norm += np.log(params.frame.scale)
        return np.hstack([precisions * params.means, -precisions / 2]), log_norm

    def blank(self, k: int, sample: Sample) -> NormalParams:
        frame = self._scaled(sample).frame
        shape = (k, len(frame.scale))
        return NormalParams(np.zeros(shape), np.ones(shape), frame)

    def maximise(self, params: NormalParams, sums: FeatureSums) -> NormalParams:
        means, squares = sums.averages
        variances = np.maximum(squares - means**2, LEAST_VARIANCE)
        return replace(
            params,
            means=np.where(sums.alive, means, params.means),
            variances=np.where(sums.alive, variances, params.variances),
        )

    def check(self, params: NormalParams, k: int) -> None:
        super().check(params, k)
        params.frame.check(params.means.shape[1])

    def outward(self, params: NormalParams) -> tuple[Array, Array]:
        """(means, variances) of y in the user's units."""
        return params.frame.outward(params.means), params.variances * params.frame.scale**2

    def described(self, params: NormalParams) -> dict[str, Array]:
        """means and variances of y, in the user's units."""
        means, variances = self.outward(params)
        return {"means": means, "variances": variances}

    def diagnose(self, params: NormalParams) -> tuple[str, ...]:
        low = params.variances <= 2 * LEAST_VARIANCE
        return at_the_limit("a variance is at its floor", low, "hardly any spread is left to")

    def _draw(self, params: NormalParams, j: int, n: int, rng: np.random.Generator) -> Array:
        noise = rng.standard_normal((n, params.means.shape[1]))
        return params.frame.outward(params.means[j] + np.sqrt(params.variances[j]) * noise)


@dataclass(frozen=True)
class Normal(_Normal):
    """p(v | k) = ∏ N(v_d; μ_kd, σ²_kd): `Gaussian(Diagonal())` where NaN is a missing value.

    Standard deviations stay above 1e-4 of the column's; for tighter components without missing
    values take the Gaussian.
    """

    support = "Normal columns hold any number"

    def outside(self, x: Array) -> Array:
        return np.zeros((), bool)

    def features(self, params: NormalParams, x: Array, out: Array) -> None:
        d, frame = len(x), params.frame
        np.subtract(x, frame.origin[:, None], out=out[:d])
        out[:d] /= frame.scale[:, None]
        np.square(out[:d], out=out[d:])

    def averages(self, params: NormalParams) -> Array:
        return self.outward(params)[0]

    def draw(self, params: NormalParams, j: int, n: int, rng: np.random.Generator) -> Array:
        return self._draw(params, j, n, rng)

    def _scaled(self, sample: Sample) -> Scaled:
        return Scaled.of(sample)


@dataclass(frozen=True)
class LogNormal(_Normal):
    """p(v | k) = ∏ N(log v_d; μ_kd, σ²_kd) / v_d: columns of values v > 0, NaN for missing.

    Standard deviations of the logarithms stay above 1e-4 of the column's.
    """

    support = "LogNormal columns hold values above 0"

    def outside(self, x: Array) -> Array:
        return np.asarray(x <= 0)

    def features(self, params: NormalParams, x: Array, out: Array) -> None:
        d, frame = len(x), params.frame
        np.log(x, out=out[:d])
        out[:d] -= frame.origin[:, None]
        out[:d] /= frame.scale[:, None]
        np.square(out[:d], out=out[d:])

    def natural(self, params: NormalParams) -> tuple[Array, Array]:
        natural, log_norm = super().natural(params)
        natural[:, : log_norm.shape[1]] -= params.frame.scale  # − log v is −scale · y − origin
        return natural, log_norm + params.frame.origin

    def averages(self, params: NormalParams) -> Array:
        means, variances = self.outward(params)
        return np.exp(means + variances / 2)

    def draw(self, params: NormalParams, j: int, n: int, rng: np.random.Generator) -> Array:
        return np.exp(self._draw(params, j, n, rng))

    def _scaled(self, sample: Sample) -> Scaled:
        return Logarithmic.of(sample).logs

    def frame(self, sample: Sample) -> Space:
        """Standard deviations of the logarithms."""
        return Logarithmic.of(sample)
