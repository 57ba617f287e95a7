"""`dem fit --resume`: whether a checkpoint is that of the fit which is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dem.checkpoint import Saved
from dem.cli.recipe import NAMES, option_of
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
    from dem.estimators.known import bare

    for name in options:
        argument = NAMES[model].get(name, name)
        kept, asked = before.get(argument), getattr(estimator, argument, None)
        if name == "families":
            kept, asked = _families(kept, asked, saved.place)
        if name == "levels":  # a checkpoint has the numbers of levels of all columns
            family = bare(saved.climb.model, type(estimator).family_type).family
            kept = asked if set(family.levels) == {asked} else kept
        if name == "raters" and asked is not None:  # a checkpoint numbers them
            asked = tuple(list(dict.fromkeys(asked)).index(rater) for rater in asked)
        if argument in estimator.face and kept is None:  # the fit does not depend on it
            continue
        if name not in FREE and (isinstance(kept, np.ndarray) or kept != asked):
            option = option_of(name)
            raise DataError(
                f"The checkpoint holds another fit: {option} was {kept} and is {asked}. "
                "Leave the option out to go on with that fit, or begin this one at another place."
            )


def _families(kept: Any, asked: Any, place: str | None) -> tuple[dict[Any, str], dict[Any, str]]:
    """The families of those columns that are asked for, as they are kept and asked for."""
    from dem.engine.manifest import open_source
    from dem.engine.readers.codes import Codes
    from dem.estimators.assignment import asked_for

    names = open_source(place, Codes()).columns
    before = {column: family for family, columns in kept.parts for column in columns}
    found = asked_for(asked, names, kept.n_columns)
    now = {column: family for columns, family in found.items() for column in columns}
    return {c: _word(before[c]) for c in now}, {c: _word(family) for c, family in now.items()}


def _word(family: Any) -> str:
    return family if isinstance(family, str) else type(family).__name__.lower()
