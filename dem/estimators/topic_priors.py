"""Concentrations as the arguments of estimators: numbers, words, objects; and as attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.estimators import inputs
from dem.models.concentrations import Asymmetric, Concentration, Fixed, Symmetric

PRIORS = {"symmetric": Symmetric(), "asymmetric": Asymmetric()}


def concentration_of(name: str, value: Any) -> Concentration:
    """The concentration that an argument stands for; TypeError or ValueError, naming it."""
    if value is None or isinstance(value, (int, float, np.number)):
        try:
            return Fixed(None if value is None else float(value))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from None
    found: Concentration = inputs.resolve(name, value, PRIORS, Concentration)
    return found


def argument_of(concentration: Concentration) -> Any:
    """The argument that stands for a concentration."""
    if isinstance(concentration, Fixed):
        return concentration.value
    return inputs.word_of(concentration, PRIORS)


def plain(values: np.ndarray) -> Any:
    """One number where all are the same."""
    return float(values[0]) if (values == values[0]).all() else values
