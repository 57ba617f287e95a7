"""What a regression predicts: a number, a count, or how many of some trials; and its link.

Each says how log p(y | η) looks around an η: its value v, slope e and curvature c, of which a
`Form` makes a function of the coefficients that is nowhere above and touches it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from scipy.special import betaln, expit, xlogy

from dem.checks import check_number
from dem.families.counts import log_factorial
from dem.families.gaussian import LOG_2PI, SMALLEST_VARIANCE
from dem.families.minorisers import Corners, Form, Minoriser, Pairs

Array = np.ndarray
STEEPEST = 300.0  # η of a log link: exp(300) times the least responsibility, exp(−500), is nothing
LOST = 1e-13  # of the residuals' mean square: a variance below it is lost in rounding
FLAT = 1e-3


class Response(Protocol):
    """log p(y | η) = v(η) / σ² + a(σ²), where v is of y in the frame.

    scaled : whether y may be shifted and scaled.
    dispersed : whether there is a σ²; else it is 1, and a is 0.
    """

    scaled: ClassVar[bool]
    dispersed: ClassVar[bool]

    def form(self, intercept: bool) -> Form:
        """What kind of function is below v."""
        ...

    def outside(self, y: Array) -> Array:
        """(n,) bool: which values have no density. NaN may come out either way."""
        ...

    @property
    def support(self) -> str:
        """What values there may be, in words."""
        ...

    def local(self, eta: Array, y: Array) -> tuple[Array, Array, Array | float]:
        """v, its slope and its curvature, at η (K, n) for y (n,)."""
        ...

    def log_norm(self, variances: Array) -> Array:
        """a(σ²), (K,)."""
        ...

    def variances(self, sums: Minoriser, coefficients: Array, before: Array) -> Array:
        """σ² (K,) that maximise the sums at these coefficients."""
        ...

    def mean(self, eta: Array) -> Array:
        """E[y | η]."""
        ...

    def draw(self, eta: Array, variances: Array, rng: np.random.Generator) -> Array:
        """y (n,) given η (n,) and σ² (n,)."""
        ...


class _Undispersed:
    """A response whose mean tells all: σ² is 1."""

    scaled: ClassVar[bool] = False
    dispersed: ClassVar[bool] = False

    def log_norm(self, variances: Array) -> Array:
        return np.zeros_like(variances)

    def variances(self, sums: Minoriser, coefficients: Array, before: Array) -> Array:
        return before


@dataclass(frozen=True)
class NormalResponse:
    """y ~ N(η, σ²), with a σ² for each component.

    v = −(y − η)²/2 is quadratic: the M-step is weighted least squares (DeSarbo and Cron 1988).
    """

    scaled: ClassVar[bool] = True
    dispersed: ClassVar[bool] = True
    support: ClassVar[str] = "A response is any number"

    def form(self, intercept: bool) -> Form:
        return Pairs()

    def outside(self, y: Array) -> Array:
        return np.zeros(y.shape, bool)

    def local(self, eta: Array, y: Array) -> tuple[Array, Array, Array | float]:
        residual = y - eta
        return np.square(residual) / -2, residual, 1.0

    def log_norm(self, variances: Array) -> Array:
        return np.asarray((np.log(variances) + LOG_2PI) / -2)

    def variances(self, sums: Minoriser, coefficients: Array, before: Array) -> Array:
        share = np.where(sums.weight > 0, sums.weight, 1.0)
        # Residuals are about the last coefficients: what these leave of them may cancel. But a
        # variance that was smaller already may stay so, or the bound would fall.
        floors = np.minimum(-2 * sums.value / share * LOST, before)
        floors = np.maximum(floors, SMALLEST_VARIANCE)
        return np.asarray(np.maximum(-2 * sums.at(coefficients) / share, floors))

    def mean(self, eta: Array) -> Array:
        return eta

    def draw(self, eta: Array, variances: Array, rng: np.random.Generator) -> Array:
        return rng.normal(eta, np.sqrt(variances))


@dataclass(frozen=True)
class PoissonResponse(_Undispersed):
    """y ~ Poisson(exp(η)), counts; η counts as 300 at most.

    v = y η − exp(η) − log y! has the functions of `Corners` below it.
    """

    support: ClassVar[str] = "A response is a count, a whole number from 0 on"

    def form(self, intercept: bool) -> Form:
        return Corners(intercept)

    def outside(self, y: Array) -> Array:
        return np.asarray((y < 0) | (y != np.floor(y)) | np.isinf(y))

    def local(self, eta: Array, y: Array) -> tuple[Array, Array, Array | float]:
        eta = np.minimum(eta, STEEPEST)
        means = np.exp(eta)
        residual = y - means
        # Around η = log y, so that little cancels where counts are large.
        value = y * (eta - np.log(np.maximum(y, 1.0))) + residual
        value += xlogy(y, y) - y - log_factorial(y)
        return value, residual, means

    def mean(self, eta: Array) -> Array:
        return np.exp(np.minimum(eta, STEEPEST))

    def draw(self, eta: Array, variances: Array, rng: np.random.Generator) -> Array:
        return rng.poisson(self.mean(eta)).astype(float)


@dataclass(frozen=True)
class BinomialResponse(_Undispersed):
    """y ~ Binomial(N, 1 / (1 + exp(−η))): logistic regression, of N trials for each row.

    v = y η − N log(1 + exp η) + log C(N, y). The quadratic below it is that of Jaakkola and Jordan
    (2000), of curvature N tanh(η/2) / 2η, which is the mean of a hidden Pólya-Gamma variable
    (Polson, Scott and Windle 2013): EM once more. Where the covariates tell y for sure, the
    coefficients grow without end, ever more slowly, until the bound stands still.

    trials : N.
    """

    trials: int = 1

    def __post_init__(self) -> None:
        check_number("trials", self.trials, int, 1)

    @property
    def support(self) -> str:
        return f"A response is a whole number from 0 to {self.trials}"

    def form(self, intercept: bool) -> Form:
        return Pairs()

    def outside(self, y: Array) -> Array:
        return np.asarray((y < 0) | (y > self.trials) | (y != np.floor(y)))

    def local(self, eta: Array, y: Array) -> tuple[Array, Array, Array | float]:
        n, p = self.trials, expit(eta)
        value = y * eta - n * np.logaddexp(0.0, eta)
        if n > 1:
            value -= betaln(y + 1, n - y + 1) + np.log(n + 1)
        flat = np.abs(eta) < FLAT
        curvature = (p - 0.5) / np.where(flat, 1.0, eta)
        np.copyto(curvature, 0.25 - np.square(eta) / 48, where=flat)
        return value, y - n * p, n * curvature

    def mean(self, eta: Array) -> Array:
        return np.asarray(self.trials * expit(eta))

    def draw(self, eta: Array, variances: Array, rng: np.random.Generator) -> Array:
        return rng.binomial(self.trials, expit(eta)).astype(float)
