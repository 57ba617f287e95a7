"""Labels for a mixture's estimator: a last column while it is fitted, gone afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dem.climb import Climb
from dem.engine.manifest import find
from dem.engine.readers.base import Source
from dem.engine.readers.beside import BesideSource
from dem.families.known import KnownParams, Label
from dem.families.product import Product, ProductParams
from dem.labelled import FromLabels
from dem.records import Fit
from dem.starts import Given


def beside(source: Source, labels: Any) -> BesideSource:
    """The columns of X, and the labels as one more."""
    return BesideSource(source, find(labels), "labels")


def with_labels(climb: Climb, n_columns: int, asked: bool) -> Climb:
    """The fit of a mixture to n_columns of data and a column of labels.

    asked : whether the user has asked for a start. Raises ValueError then, as components that have
        labels cannot be numbered otherwise; a start which does that has an attribute `numbered`.
    """
    model: Any = climb.model
    start: Any = climb.start
    if isinstance(start, Given):
        start = Given(_beside_nothing(start.params), start.bound)
    elif asked:
        raise ValueError(
            "With labels a fit begins at the labelled rows: leave init_params at 'auto', and give "
            "no other part of the start."
        )
    elif not getattr(start, "numbered", False):
        start = FromLabels()
    return replace(climb, model=_beside_label(model, n_columns), start=start)


def labelled(fitted: Fit, n_columns: int) -> Fit:
    """The fit of the same parameters to n_columns of data and a column of labels."""
    model, params = _beside_label(fitted.model, n_columns), _beside_nothing(fitted.params)
    return replace(fitted, model=model, params=params)


def _beside_label(model: Any, n_columns: int) -> Any:
    parts = ((model.family, tuple(range(n_columns))), (Label(), (n_columns,)))
    return replace(model, family=Product(parts))


def _beside_nothing(params: Any) -> Any:
    return replace(params, components=ProductParams((params.components, KnownParams())))


def is_labelled(model: Any, family_type: type) -> bool:
    """Whether it is what `with_labels` has made of a mixture of such a family."""
    match getattr(model, "family", None):
        case Product(parts=((own, _), (Label(), _))):
            return isinstance(own, family_type)
    return False


def bare(model: Any, family_type: type) -> Any:
    """The mixture of a labelled one; any other as it is."""
    known = is_labelled(model, family_type)
    return replace(model, family=model.family.parts[0][0]) if known else model


def without_labels(fitted: Fit, family_type: type) -> Fit:
    """The fit of the mixture itself, for rows of which nothing is known."""
    if not is_labelled(fitted.model, family_type):
        return fitted
    params = fitted.params
    own = replace(params, components=params.components.parts[0])
    return replace(fitted, model=bare(fitted.model, family_type), params=own)
