"""Checks of values where they are made: which argument is wrong, what it is, what is allowed."""

from __future__ import annotations

import inspect
import math
from types import UnionType

import numpy as np


def check_number(name: str, value: object, kind: type, least: float) -> None:
    """Raise TypeError or ValueError unless value is a finite number of this kind, ≥ `least`.

    kind : int or float; NumPy's numbers are numbers, an int is a float, and a bool is neither.
    """
    kinds = (int, np.integer) if kind is int else (int, float, np.integer, np.floating)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise TypeError(f"{name} must be {kind.__name__}, got {type(value).__name__}.")
    if not value >= least:
        raise ValueError(f"{name} must be >= {least}, got {value}.")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}.")


def check_all(name: str, values: object, kind: type | UnionType) -> None:
    """Raise TypeError unless values are a tuple of objects of this kind."""
    if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in values):
        kinds = getattr(kind, "__name__", kind)
        raise TypeError(f"{name} must be a tuple of {kinds}, got {_shown(values)}.")


def check_offers(name: str, value: object, protocol: type, instead: str = "") -> None:
    """Raise TypeError unless value is an object that has the members of a protocol.

    instead : what else would have been allowed, for the message.
    """
    allowed = f"{instead}a {protocol.__name__} (see {protocol.__module__})"
    if isinstance(value, type):
        raise TypeError(
            f"{name} must be {allowed}, got the class {value.__name__} and not an object of it, "
            f"{value.__name__}(...)."
        )
    missing = [member for member in _members(protocol) if not hasattr(value, member)]
    if missing:
        raise TypeError(
            f"{name} must be {allowed}, got {_shown(value)}, which has no {', '.join(missing)}."
        )


def _members(protocol: type) -> list[str]:
    """The names that a protocol asks for, in its order."""
    names = [*inspect.get_annotations(protocol), *vars(protocol)]
    return [name for name in names if name == "__call__" or not name.startswith("_")]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"
