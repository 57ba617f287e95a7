"""A `Fit` as arrays and JSON, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dem.records import Fit
from dem.storable import JSON, Value
from dem.store.values import describe, rebuild


def parts_of(fit: Fit) -> tuple[Mapping[str, Value], Mapping[str, JSON]]:
    """Its arrays and the rest; TypeError if its model or parameters are of an unknown class."""
    arrays: dict[str, np.ndarray] = {}
    return arrays, {"fit": describe(fit, arrays, "fit")}


def fit_of(arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Fit:
    """The fit; ValueError if it is none, or its parameters are not those of its model."""
    fit = rebuild(attributes["fit"], arrays)
    if not isinstance(fit, Fit):
        raise ValueError(f"not a fit but a {type(fit).__name__}")
    check = getattr(fit.model, "check", lambda params: None)
    check(fit.params)
    return fit
