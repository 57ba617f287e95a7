"""Where a Gaussian mixture begins, from its arguments; and its arguments, from a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.checks import check_offers
from dem.contract import Sample
from dem.estimators import inputs, recipe
from dem.fitting import Fit
from dem.models.mixture import Mixture, MixtureParams
from dem.starts import Centres, Given, Start, Steps
from dem.warm import WarmStart

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class PartlyGiven:
    """Another start, with the weights, means or precisions that the user has given."""

    start: Start
    weights: Array | None
    means: Array | None
    precisions: Array | None

    def __post_init__(self) -> None:
        check_offers("start", self.start, Start)

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        family: Any = model.family
        if self.weights is not None and self.means is not None and self.precisions is not None:
            covariances = family.covariance.inverse(self.precisions)
            components = family.inward(self.means, covariances, family.units(sample))
            return MixtureParams(self.weights, components)
        start = self.start if self.means is None else Centres(self.means)
        params: MixtureParams = yield from start(model, sample, seed)
        means, covariances, _ = family.outward(params.components)
        if self.means is not None:
            means = self.means
        if self.precisions is not None:
            covariances = family.covariance.inverse(self.precisions)
        weights = params.weights if self.weights is None else self.weights
        return MixtureParams(weights, family.inward(means, covariances, params.components.frame))


def start_of(estimator: Any, model: Mixture, n_columns: int) -> Start:
    """The start that a Gaussian mixture's arguments describe, after checking what is given."""
    start = recipe.start_of(estimator)
    family: Any = model.family
    k, form = model.k, family.covariance
    shape = form.shape(k, n_columns)
    weights = inputs.check_array_of("weights_init", estimator.weights_init, (k,))
    means = inputs.check_array_of("means_init", estimator.means_init, (k, n_columns))
    precisions = inputs.check_array_of("precisions_init", estimator.precisions_init, shape)
    if weights is None and means is None and precisions is None:
        return start
    if isinstance(start, WarmStart):
        start = start.start
    if weights is not None and ((weights < 0).any() or abs(weights.sum() - 1) > 1e-6):
        raise ValueError("weights_init must be non-negative and sum to 1.")
    if precisions is not None:
        form.check("precisions_init", precisions)
    return PartlyGiven(start, weights, means, precisions)


def arguments_of_start(start: Start, warm: bool) -> dict[str, Any]:
    """The arguments that describe a start, where a warm one would have been the usual."""
    if not isinstance(start, PartlyGiven):
        return {"init_params": recipe.word_of(start, warm)}
    return {
        **arguments_of_start(start.start, warm=False),
        "weights_init": start.weights,
        "means_init": start.means,
        "precisions_init": start.precisions,
    }


def last_of(fitted: Fit, model: Mixture, n_columns: int) -> Given:
    """The parameters of the last fit; ValueError if they do not suit this model and data."""
    ours: Any = model.family
    asked = (model.k, n_columns, ours.covariance)
    there = (*fitted.params.components.means.shape, fitted.model.family.covariance)
    if asked != there:
        raise ValueError(
            "warm_start cannot go on from the last fit: it had {} components, {} features and "
            "covariance_type {}, now there are {}, {} and {}. Use warm_start=False.".format(
                *there, *asked
            )
        )
    return Given(fitted.params, fitted.lower_bound)
