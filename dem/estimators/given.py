"""A start of which the user has given parts: weights, means or precisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.contract import Sample
from dem.estimators import inputs
from dem.models.mixture import Mixture, MixtureParams
from dem.starts import Centres, Start, Steps

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class PartlyGiven:
    """Another start, with the weights, means or precisions that the user has given."""

    start: Start
    weights: Array | None
    means: Array | None
    precisions: Array | None

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        start = self.start if self.means is None else Centres(self.means)
        params: MixtureParams = yield from start(model, sample, seed)
        family: Any = model.family
        means, covariances, _ = family.public(params.components)
        if self.means is not None:
            means = self.means
        if self.precisions is not None:
            form = family.covariance
            covariances = form.public(form.inverse(form.private(self.precisions)))
        weights = params.weights if self.weights is None else self.weights
        return MixtureParams(weights, family.params(means, covariances, params.components.frame))


def start_of(estimator: Any, model: Mixture, n_columns: int) -> Start:
    """The start that a Gaussian mixture's arguments describe, after checking what is given."""
    start = inputs.resolve("init_params", estimator.init_params, inputs.STARTS)
    family: Any = model.family
    k, form = model.k, family.covariance.name
    shapes = {
        "full": (k, n_columns, n_columns),
        "tied": (n_columns, n_columns),
        "diag": (k, n_columns),
        "spherical": (k,),
    }
    weights = inputs.check_array_of("weights_init", estimator.weights_init, (k,))
    means = inputs.check_array_of("means_init", estimator.means_init, (k, n_columns))
    precisions = inputs.check_array_of("precisions_init", estimator.precisions_init, shapes[form])
    if weights is None and means is None and precisions is None:
        return start
    if weights is not None and ((weights < 0).any() or abs(weights.sum() - 1) > 1e-6):
        raise ValueError("weights_init must be non-negative and sum to 1.")
    if precisions is not None:
        inputs.check_positive("precisions_init", precisions, form in ("full", "tied"))
    return PartlyGiven(start, weights, means, precisions)
