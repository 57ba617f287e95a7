"""What an estimator adds to its fit when it is saved, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dem.storable import JSON, Value
from dem.store import fits

Parts = tuple[Mapping[str, Value], Mapping[str, JSON]]


def parts_of(estimator: Any, arguments: tuple[str, ...]) -> Parts:
    """The fit, to the last bit, the arguments of these names, and the columns' names.

    A random_state goes with them if it is a number, as others cannot be saved.
    """
    names = getattr(estimator, "feature_names_in_", None)
    arrays, attributes = fits.parts_of(estimator._fitted)
    if isinstance(getattr(estimator, "random_state", None), (int, np.integer)):
        arguments = (*arguments, "random_state")
    return arrays, {
        **attributes,
        "arguments": {name: _plain(getattr(estimator, name)) for name in arguments},
        "feature_names": None if names is None else [str(name) for name in names],
    }


def restore(estimator: Any, attributes: Mapping[str, Any]) -> None:
    """Set what `parts_of` kept beside the fit."""
    for name, value in attributes["arguments"].items():
        if name not in estimator.get_params():
            raise ValueError(f"{name!r} is no argument of {type(estimator).__name__}")
        setattr(estimator, name, _plain(value))
    if attributes["feature_names"] is not None:
        estimator.feature_names_in_ = np.array(attributes["feature_names"], dtype=object)


def _plain(value: Any) -> float | str:
    """A number, whole if it is, or a word such as "auto"."""
    if isinstance(value, (str, int)):
        return value
    return int(value) if isinstance(value, np.integer) else float(value)
