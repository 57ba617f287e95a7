"""`dem fit --resume`: whether a checkpoint is that of the fit which is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dem.checkpoint import Saved
from dem.cli.recipe import NAMES
from dem.errors import DataError

FREE = ("checkpoint", "max_iter")  # how long to go on may be said anew


def refuse_another(saved: Saved, model: str, estimator: Any, options: Iterable[str]) -> None:
    """Raise DataError naming the difference if an option describes another fit than this.

    estimator : of the command line; options : those of its arguments that were on it.
    """
    try:
        before = type(estimator).arguments_of(saved)
    except ValueError as error:
        raise DataError(f"The checkpoint holds a fit of another kind: {error}.") from None
    for name in options:
        argument = NAMES[model].get(name, name)
        kept, asked = before.get(argument), getattr(estimator, argument, None)
        if name not in FREE and (isinstance(kept, np.ndarray) or kept != asked):
            option = "-k" if name == "k" else f"--{name.replace('_', '-')}"
            raise DataError(
                f"The checkpoint holds another fit: {option} was {kept} and is {asked}. "
                "Leave the option out to go on with that fit, or begin this one at another place."
            )
