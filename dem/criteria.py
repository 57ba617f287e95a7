"""What to choose a model by."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from dem.errors import DataError

WORDS = ("bic", "aic", "icl", "held_out", "bound")
POINT = (
    "its parameters are points, so that its bound is the likelihood, which only rises with more of "
    "them"
)


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


def unsuited(model: Any, criterion: str) -> str:
    """Why a model is not to be chosen by a criterion; "" if it may be.

    A model has its reasons in `unsuited`, by criterion. By the bound one may be chosen that has a
    posterior of its parameters, of whose number it then takes account: its `bound_charges`.
    """
    if criterion == "bound":
        return "" if getattr(model, "bound_charges", False) else POINT
    return str(getattr(model, "unsuited", {}).get(criterion, ""))


def usual(models: Iterable[Any]) -> str:
    """The first of BIC, the bound and held-out rows by which all the models may be chosen."""
    every = list(models)
    words = (w for w in ("bic", "bound") if not any(unsuited(model, w) for model in every))
    return next(words, "held_out")
