"""What to choose a model by."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

from dem.errors import DataError


class Criteria(NamedTuple):
    """How well a model fits data, and how many parameters that took.

    log_likelihood : Σᵢ wᵢ log p(vᵢ; θ), in nats.
    n_samples : Σᵢ wᵢ, the number of rows where they have no weights.
    n_parameters : P, the free parameters.
    bic : Bayesian information criterion, −2 log L + P log n: lower is better.
    aic : Akaike information criterion, −2 log L + 2 P: lower is better.
    """

    log_likelihood: float
    n_samples: float
    n_parameters: int
    bic: float
    aic: float

    @classmethod
    def of(cls, log_likelihood: float, n_samples: float, n_parameters: int) -> Self:
        """The criteria that these come to; DataError without rows."""
        if not n_samples > 0:
            raise DataError("All sample weights are zero: no row of the data counts.")
        bic, aic = (p * n_parameters - 2 * log_likelihood for p in (math.log(n_samples), 2.0))
        return cls(log_likelihood, n_samples, n_parameters, bic, aic)
