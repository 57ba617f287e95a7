"""Binary columns and counts: Bernoulli and Poisson."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import gammaln

from dem.contract import Sample, Space
from dem.families.charts import Charts, Positive, Probability
from dem.families.exponential import ExponentialFamily
from dem.families.features import FeatureSums
from dem.families.space import Roots, Scaled, Thresholded

Array = np.ndarray
# Probabilities and rates are at least this, so that no row has probability zero: the maximum under
# that constraint. It takes at most 1e-10 of a nat from the likelihood of a row.
LEAST = 1e-10
LOG_FACTORIALS = gammaln(np.arange(4096.0) + 1)  # looking one up is ten times faster


@dataclass(frozen=True, eq=False)
class BernoulliParams:
    """Probabilities of 1, (K, D)."""

    probabilities: Array


@dataclass(frozen=True)
class Bernoulli(ExponentialFamily):
    """p(v | k) = ∏ p_kd^v_d (1 − p_kd)^(1 − v_d): columns of 0 and 1, NaN for missing.

    Mixtures of these are latent class analysis with binary items (Lazarsfeld and Henry 1968).
    Probabilities stay between 1e-10 and 1 − 1e-10, at the maximum of the likelihood under that.

    threshold : columns hold any numbers, which count as 1 above it; None if they are 0 and 1.
    """

    threshold: float | None = None
    charts: ClassVar[Charts] = {"probabilities": Probability(LEAST)}
    support = "Bernoulli columns hold 0 and 1"

    def outside(self, x: Array) -> Array:
        return np.asarray(x * x != x) if self.threshold is None else np.zeros((), bool)

    def features(self, params: BernoulliParams, x: Array, out: Array) -> None:
        if self.threshold is None:
            out[:] = x
        else:
            np.heaviside(np.subtract(x, self.threshold, out=out), 0.0, out=out)
            out += 0.0 * x  # NaN for infinity, which is no number above or below

    def natural(self, params: BernoulliParams) -> tuple[Array, Array]:
        log_q = np.log1p(-params.probabilities)
        return np.log(params.probabilities) - log_q, -log_q

    def blank(self, k: int, sample: Sample) -> BernoulliParams:
        return BernoulliParams(np.full((k, sample.rows.shape[1]), 0.5))

    def maximise(self, params: BernoulliParams, sums: FeatureSums) -> BernoulliParams:
        new = np.clip(sums.averages[0], LEAST, 1 - LEAST)
        return BernoulliParams(np.where(sums.alive, new, params.probabilities))

    def expected(self, params: BernoulliParams, rows: Array, q: Array) -> Array:
        """The mode, 0 or 1."""
        return (q @ params.probabilities > 0.5).astype(float)

    def draw(self, params: BernoulliParams, j: int, n: int, rng: np.random.Generator) -> Array:
        p = params.probabilities[j]
        return (rng.random((n, len(p))) < p).astype(float)

    def frame(self, sample: Sample) -> Space:
        """Squared distances count the columns that differ, whatever their frequencies."""
        if self.threshold is None:
            return Scaled.unit(sample)
        return Thresholded.of(sample, self.threshold)


@dataclass(frozen=True, eq=False)
class PoissonParams:
    """Rates, (K, D)."""

    rates: Array


@dataclass(frozen=True)
class Poisson(ExponentialFamily):
    """p(v | k) = ∏ λ_kd^v_d e^(−λ_kd) / v_d!: columns of counts 0, 1, 2, ..., NaN for missing.

    Rates stay above 1e-10, at the maximum of the likelihood under that.
    """

    charts: ClassVar[Charts] = {"rates": Positive(LEAST)}
    support = "Poisson columns hold counts, whole numbers from 0 on"

    def outside(self, x: Array) -> Array:
        return np.asarray((x < 0) | (np.rint(x) != x))

    def features(self, params: PoissonParams, x: Array, out: Array) -> None:
        out[:] = x

    def natural(self, params: PoissonParams) -> tuple[Array, Array]:
        return np.log(params.rates), params.rates

    def base(self, params: PoissonParams, x: Array) -> Array:
        return -log_factorial(x)

    def blank(self, k: int, sample: Sample) -> PoissonParams:
        return PoissonParams(np.ones((k, sample.rows.shape[1])))

    def maximise(self, params: PoissonParams, sums: FeatureSums) -> PoissonParams:
        new = np.maximum(sums.averages[0], LEAST)
        return PoissonParams(np.where(sums.alive, new, params.rates))

    def averages(self, params: PoissonParams) -> Array:
        return params.rates

    def frame(self, sample: Sample) -> Space:
        """Square roots, whose variances are alike; a missing value is at their mean."""
        return Roots.of(sample)

    def draw(self, params: PoissonParams, j: int, n: int, rng: np.random.Generator) -> Array:
        rates = params.rates[j]
        return rng.poisson(rates, (n, len(rates))).astype(float)


def log_factorial(x: Array) -> Array:
    """log x! for counts x ≥ 0 as float64."""
    index = x.astype(np.intp)
    if index.size and index.min() >= 0 and index.max() < len(LOG_FACTORIALS):
        return LOG_FACTORIALS.take(index)
    return np.asarray(gammaln(x + 1))
