"""A fitted estimator as arrays and JSON, and back: its fit, and what scikit-learn adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dem.fitting import Fit
from dem.storable import JSON, Value
from dem.store.values import describe, rebuild

Parts = tuple[Mapping[str, Value], Mapping[str, JSON]]


def parts_of(estimator: Any, arguments: tuple[str, ...]) -> Parts:
    """The fit, to the last bit, the arguments of these names, and the columns' names."""
    arrays: dict[str, np.ndarray] = {}
    names = getattr(estimator, "feature_names_in_", None)
    return arrays, {
        "fit": describe(estimator._fitted, arrays, "fit"),
        "arguments": {name: float(getattr(estimator, name)) for name in arguments},
        "feature_names": None if names is None else [str(name) for name in names],
    }


def fit_of(arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Fit:
    """The fit; ValueError if it is none, or its parameters are not those of its model."""
    fit = rebuild(attributes["fit"], arrays)
    if not isinstance(fit, Fit):
        raise ValueError(f"not a fit but a {type(fit).__name__}")
    fit.model.check(fit.params)
    return fit


def restore(estimator: Any, attributes: Mapping[str, Any]) -> None:
    """Set what `parts_of` kept beside the fit."""
    for name, value in attributes["arguments"].items():
        if name not in estimator.get_params():
            raise ValueError(f"{name!r} is no argument of {type(estimator).__name__}")
        whole = name in ("max_iter", "n_init")
        setattr(estimator, name, int(value) if whole else float(value))
    if attributes["feature_names"] is not None:
        estimator.feature_names_in_ = np.array(attributes["feature_names"], dtype=object)
