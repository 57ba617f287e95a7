"""Parameters of hidden states that the user has given, in the user's units; None for the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from dem.contract import Sample
from dem.families.categorical import CategoricalParams
from dem.families.counts import PoissonParams
from dem.families.mixture_of import MixtureOfParams

Array = np.ndarray


class Emissions(Protocol):
    """What is given of the parameters of states."""

    @property
    def arguments(self) -> dict[str, Array | None]:
        """As arguments of an estimator."""
        ...

    def whole(self, family: Any, sample: Sample) -> Any:
        """The parameters, if they are given whole; else None."""
        ...

    def into(self, family: Any, params: Any) -> Any:
        """Other parameters, with what is given in its place."""
        ...


@dataclass(frozen=True, eq=False)
class GivenGaussians:
    """means (K, D). covariances : in the form's own shape."""

    means: Array | None
    covariances: Array | None

    @property
    def arguments(self) -> dict[str, Array | None]:
        return {"means_init": self.means, "covars_init": self.covariances}

    def whole(self, family: Any, sample: Sample) -> Any:
        if self.means is None or self.covariances is None:
            return None
        return family.inward(self.means, self.covariances, family.units(sample))

    def into(self, family: Any, params: Any) -> Any:
        means, covariances, _ = family.outward(params)
        means = means if self.means is None else self.means
        covariances = covariances if self.covariances is None else self.covariances
        return family.inward(means, covariances, params.frame)


@dataclass(frozen=True, eq=False)
class GivenMixtures:
    """Of mixtures of m Gaussians: weights (K, m), means (K, m, D), covariances.

    covariances : (K, m, ...), or of a form that all share in its own shape.
    """

    weights: Array | None
    means: Array | None
    covariances: Array | None

    @property
    def arguments(self) -> dict[str, Array | None]:
        own = GivenGaussians(self.means, self.covariances).arguments
        return {"weights_init": self.weights, **own}

    def whole(self, family: Any, sample: Sample) -> Any:
        components = self._gaussians(family).whole(family.family, sample)
        if self.weights is None or components is None:
            return None
        return MixtureOfParams(self.weights, components)

    def into(self, family: Any, params: Any) -> Any:
        weights = params.weights if self.weights is None else self.weights
        components = self._gaussians(family).into(family.family, params.components)
        return MixtureOfParams(weights, components)

    def _gaussians(self, family: Any) -> GivenGaussians:
        """The K·m Gaussians."""
        means, covariances = self.means, self.covariances
        if means is not None:
            means = means.reshape(-1, means.shape[-1])
        if covariances is not None and not family.family.covariance.pooled:
            covariances = covariances.reshape(-1, *covariances.shape[2:])
        return GivenGaussians(means, covariances)


@dataclass(frozen=True, eq=False)
class GivenRates:
    """Of Poisson states, (K, D)."""

    rates: Array

    @property
    def arguments(self) -> dict[str, Array | None]:
        return {"lambdas_init": self.rates}

    def whole(self, family: Any, sample: Sample) -> Any:
        return PoissonParams(self.rates)

    def into(self, family: Any, params: Any) -> Any:
        return replace(params, rates=self.rates)


@dataclass(frozen=True, eq=False)
class GivenProbabilities:
    """Of categorical states, (K, Σ levels)."""

    probabilities: Array

    @property
    def arguments(self) -> dict[str, Array | None]:
        return {"emissionprob_init": self.probabilities}

    def whole(self, family: Any, sample: Sample) -> Any:
        return CategoricalParams(self.probabilities)

    def into(self, family: Any, params: Any) -> Any:
        return replace(params, probabilities=self.probabilities)
