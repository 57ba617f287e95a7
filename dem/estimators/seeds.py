"""Starts of k-means: at the very centres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.checks import check_offers
from dem.contract import Sample
from dem.estimators.inputs import check_array_of
from dem.families.gaussian import GaussianParams
from dem.models.mixture import Mixture, MixtureParams
from dem.starts import Centres, Start, Steps

Array = np.ndarray


@dataclass(frozen=True)
class Seeds(Mixture):
    """A mixture that starts at the very centres it is given, which a `Mixture` blurs a little.

    Weights are equal, and variances one in the frame.
    """

    def start_around(self, sample: Sample, centres: Array) -> MixtureParams:
        return self._at(centres, sample)

    def start_from(self, sample: Sample, responsibilities: Array) -> MixtureParams:
        shares = responsibilities * sample.weights
        return self._at(shares @ sample.rows / shares.sum(axis=1, keepdims=True), sample)

    def _at(self, centres: Array, sample: Sample) -> MixtureParams:
        frame: Any = self.family.frame(sample)  # a Gaussian's `Frame`
        ones = np.ones((self.k, 1))
        components = GaussianParams(frame.inward(centres), ones, ones, frame)
        return MixtureParams(np.full(self.k, 1 / self.k), components)


@dataclass(frozen=True)
class Chosen:
    """Centres (K, D) as a function of (rows, K, random state) chooses them from the sample.

    Raises ValueError where it returns something else.
    """

    choose: Callable[[Array, int, np.random.RandomState], Any]

    def __call__(self, model: Any, sample: Sample, seed: int) -> Steps:
        found = self.choose(sample.rows, model.k, np.random.RandomState(seed))
        shape = (model.k, sample.rows.shape[1])
        centres = check_array_of("init(X, n_clusters, random_state)", np.asarray(found), shape)
        return (yield from Centres(centres)(model, sample, seed))


@dataclass(frozen=True)
class Seeded:
    """Another start, at its very centres."""

    start: Start

    def __post_init__(self) -> None:
        check_offers("start", self.start, Start)

    def __call__(self, model: Any, sample: Sample, seed: int) -> Steps:
        return self.start(Seeds(model.k, model.family), sample, seed)
