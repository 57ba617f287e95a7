"""A fitted Gaussian mixture as arrays and JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dem.families.frame import Frame
from dem.families.gaussian import GaussianParams
from dem.fitting import Fit, Record
from dem.models.mixture import Mixture, MixtureParams
from dem.storable import JSON, Value

Parts = tuple[Mapping[str, Value], Mapping[str, JSON]]
ARGUMENTS = ("tol", "reg_covar", "max_iter")


def parts_of(estimator: Any) -> Parts:
    """What is stored: parameters in the frame of the fit, to the last bit, and its history."""
    params, names = estimator._params, getattr(estimator, "feature_names_in_", None)
    c, history = params.components, estimator.history_
    rows = [(r.turn, r.bound_e, r.bound, r.seconds) for r in history]
    arrays: dict[str, Value] = {
        "weights": params.weights,
        "means": c.means,
        "covariances": c.covariances,
        "roots": c.roots,
        "origin": c.frame.origin,
        "scale": c.frame.scale,
        "history": np.array(rows, dtype=float).reshape(-1, 4),
    }
    attributes: dict[str, JSON] = {
        "covariance_type": estimator._family.covariance.name,
        **{name: float(getattr(estimator, name)) for name in ARGUMENTS},
        "converged": bool(estimator.converged_),
        "n_passes": float(estimator.n_passes_),
        "feature_names": None if names is None else [str(name) for name in names],
    }
    return arrays, attributes


def arguments(arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The estimator's arguments."""
    return {
        "n_components": len(arrays["means"]),
        "covariance_type": attributes["covariance_type"],
        "tol": attributes["tol"],
        "reg_covar": attributes["reg_covar"],
        "max_iter": int(attributes["max_iter"]),
    }


def fit_of(model: Mixture, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Fit:
    """The fit; ValueError if shapes or values do not make a mixture of this model."""
    k, d = arrays["means"].shape
    family: Any = model.family
    dense = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k, 1)}
    matrices = dense[family.covariance.name]
    for name, expected in (
        ("weights", (k,)),
        ("covariances", matrices),
        ("roots", matrices),
        ("origin", (d,)),
        ("scale", (d,)),
        ("history", (len(arrays["history"]), 4)),
    ):
        if arrays[name].shape != expected:
            raise ValueError(f"{name} has the shape {arrays[name].shape}, not {expected}")
    weights, scale = arrays["weights"], arrays["scale"]
    if (weights < 0).any() or abs(weights.sum() - 1) > 1e-6 or (scale <= 0).any():
        raise ValueError("weights must be non-negative and sum to 1, scales must be positive")
    components = GaussianParams(
        arrays["means"], arrays["covariances"], arrays["roots"], Frame(arrays["origin"], scale)
    )
    records = tuple(
        Record(int(turn), float(bound_e), float(bound), float(seconds))
        for turn, bound_e, bound, seconds in arrays["history"]
    )
    return Fit(
        model,
        MixtureParams(weights, components),
        records,
        converged=bool(attributes["converged"]),
        interrupted=False,
        n_passes=float(attributes["n_passes"]),
    )
