"""Conjugate priors of exponential families, for `WithPrior`.

Numbers may be one for all columns, or one for each. The priors of all components are the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
from scipy.special import betaln, gammaln

from dem.checks import check_number
from dem.families.categorical import Categorical, Multinomial
from dem.families.counts import Bernoulli, Poisson
from dem.families.features import FeatureSums
from dem.families.normal import LogNormal, Normal, NormalParams
from dem.families.positive import Exponential

Array = np.ndarray
Numbers: TypeAlias = float | tuple[float, ...]


class _Numbers:
    """Fields that are positive numbers, or as many as there are columns; or any, if in `free`.

    least : of those that have one.
    """

    least: ClassVar[dict[str, float]] = {}
    free: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            name, value = field.name, getattr(self, field.name)
            many = isinstance(value, (tuple, list, np.ndarray))
            least = -np.inf if name in self.free else self.least.get(name, 0.0)
            for number in value if many else (value,):
                check_number(name, number, float, least)
                if name not in self.free and not number > 0:
                    raise ValueError(f"{name} must be positive, got {number}.")
            plain = tuple(float(number) for number in value) if many else float(value)
            object.__setattr__(self, name, plain)


class _Worth(_Numbers, ABC):
    """A prior that is a row of statistics: log p(θ) = η(θ)·features − observed·A(θ) − log Z."""

    @abstractmethod
    def row(self, family: Any) -> tuple[Any, Any]:
        """(features, observed) that one component's prior is worth, to be broadcast."""

    @abstractmethod
    def log_normaliser(self, family: Any, shape: tuple[int, int]) -> float:
        """log Z, summed over components and features (K, P)."""

    def _worth(self, family: Any, params: Any) -> FeatureSums:
        natural, log_norm = family.natural(params)
        features, observed = self.row(family)
        return FeatureSums(
            weight=np.zeros(len(natural)),
            observed=_over(observed, log_norm.shape),
            features=_over(features, natural.shape),
            base=0.0,
        )

    def posterior(self, family: Any, params: Any, sums: FeatureSums) -> FeatureSums:
        return sums + self._worth(family, params)

    def log_density(self, family: Any, params: Any) -> float:
        worth = self._worth(family, params)
        rows: float = family.expected_log_density(params, worth)
        return rows - self.log_normaliser(family, worth.features.shape)


def _over(numbers: Any, shape: tuple[int, ...]) -> Array:
    """One number for all columns, or one for each, of each component."""
    array = np.asarray(numbers, dtype=float)
    if array.ndim and array.shape != shape[1:]:
        raise ValueError(f"a prior has numbers for {len(array)} columns, there are {shape[1]}")
    return np.broadcast_to(array, shape)


@dataclass(frozen=True)
class BetaPrior(_Worth):
    """p ~ Beta(a, b) for the probabilities of `Bernoulli`: a − 1 ones and b − 1 zeros, unseen.

    a, b : at least 1, as the mode would be at the edge otherwise; 1 and 1 are no prior.
    """

    a: Numbers
    b: Numbers
    families: ClassVar[tuple[type, ...]] = (Bernoulli,)
    least: ClassVar[dict[str, float]] = {"a": 1.0, "b": 1.0}

    def row(self, family: Any) -> tuple[Any, Any]:
        ones, zeros = np.asarray(self.a) - 1, np.asarray(self.b) - 1
        return ones, ones + zeros

    def log_normaliser(self, family: Any, shape: tuple[int, int]) -> float:
        return float(_over(betaln(self.a, self.b), shape).sum())


@dataclass(frozen=True)
class GammaPrior(_Worth):
    """λ ~ Gamma(shape, rate) for the rates of `Poisson`, and 1/mean of `Exponential`.

    shape : at least 1. rate : above 0, in units of 1/λ.
    """

    shape: Numbers
    rate: Numbers
    families: ClassVar[tuple[type, ...]] = (Poisson, Exponential)
    least: ClassVar[dict[str, float]] = {"shape": 1.0}

    def row(self, family: Any) -> tuple[Any, Any]:
        # λ e^−λ of a count; of a positive value v it is λ e^−λv
        events, exposure = np.asarray(self.shape) - 1, np.asarray(self.rate)
        return (events, exposure) if isinstance(family, Poisson) else (exposure, events)

    def log_normaliser(self, family: Any, shape: tuple[int, int]) -> float:
        alpha, rate = np.asarray(self.shape), np.asarray(self.rate)
        return float(_over(gammaln(alpha) - alpha * np.log(rate), shape).sum())


@dataclass(frozen=True)
class DirichletPrior(_Worth):
    """p ~ Dirichlet(α, ..., α) for each column of `Categorical`, or all of `Multinomial`.

    concentration : α, at least 1; or one for each level of each column, in turn. With 1 there is
        no prior; α − 1 is the number of rows that each level has been seen in before.
    """

    concentration: Numbers
    families: ClassVar[tuple[type, ...]] = (Categorical, Multinomial)
    least: ClassVar[dict[str, float]] = {"concentration": 1.0}

    def row(self, family: Any) -> tuple[Any, Any]:
        return np.asarray(self.concentration) - 1, 0.0

    def log_normaliser(self, family: Any, shape: tuple[int, int]) -> float:
        alpha, levels = _over(self.concentration, shape), getattr(family, "levels", shape[1])
        size = shape[1] // levels if isinstance(levels, int) else len(levels)
        parts = family.split(alpha, size) if isinstance(family, Categorical) else [alpha]
        return float(sum((gammaln(p).sum(1) - gammaln(p.sum(1))).sum() for p in parts))


@dataclass(frozen=True)
class NormalInverseGammaPrior(_Numbers):
    """μ ~ N(mean, σ²/mean_precision), σ² ~ InverseGamma(shape, rate): for `Normal`, `LogNormal`.

    mean, rate : in the user's units and their squares; of the logarithms for `LogNormal`.
    """

    mean: Numbers
    mean_precision: Numbers
    shape: Numbers
    rate: Numbers
    families: ClassVar[tuple[type, ...]] = (Normal, LogNormal)
    free: ClassVar[tuple[str, ...]] = ("mean",)

    def posterior(self, family: Any, params: NormalParams, sums: FeatureSums) -> FeatureSums:
        """As of so many rows as have the mode's mean and variance."""
        frame, (first, second) = params.frame, np.split(sums.features, 2, axis=1)
        mean, precision, shape, rate = self._of(params)
        n, centre = sums.observed, frame.inward(mean)
        means = (first + precision * centre) / (n + precision)
        scatter = second - 2 * means * first + n * means**2
        scatter = scatter + precision * (means - centre) ** 2 + 2 * rate / frame.scale**2
        rows = n + 2 * shape + 3
        features = np.hstack([rows * means, scatter + rows * means**2])
        return replace(sums, observed=rows, features=features)

    def log_density(self, family: Any, params: NormalParams) -> float:
        mean, precision, shape, rate = self._of(params)
        means, variances = family.outward(params)
        of_means = np.log(precision / (2 * np.pi * variances)) / 2
        of_means = of_means - precision * (means - mean) ** 2 / (2 * variances)
        of_variances = shape * np.log(rate) - gammaln(shape) - rate / variances
        return float((of_means + of_variances - (shape + 1) * np.log(variances)).sum())

    def _of(self, params: NormalParams) -> tuple[Array, ...]:
        numbers = (self.mean, self.mean_precision, self.shape, self.rate)
        return tuple(_over(each, params.means.shape) for each in numbers)
