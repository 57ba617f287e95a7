"""Levels: which values of a column are categories, and codes for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dem.engine.manifest import cut
from dem.engine.readers.base import Source
from dem.engine.readers.codes import Among, Codes, Levels, plain_levels
from dem.errors import DataError
from dem.fitting import total
from dem.passes import Block

Array = np.ndarray
MOST_LEVELS = 10_000


def columns_of(source: Source) -> Codes:
    """What the columns of a source hold, coded or not."""
    codes: Codes | None = getattr(source, "codes", None)
    return codes or Codes(_kinds(source), (None,) * source.shape[1])


def _kinds(source: Source) -> tuple[str, ...]:
    """The kinds of columns that share a dtype: of numbers it does not tell what they are."""
    return ("bool" if source.dtype.kind == "b" else "float",) * source.shape[1]


def with_levels(
    source: Source, here: Codes, columns: tuple[int, ...], expected: tuple[int | None, ...] | None
) -> Codes:
    """The same with levels for these columns of numbers, which are categories; by one pass.

    expected : how many levels a fit had in each column. Where there are not as many values now,
        its levels were given, and values are codes.
    """
    if not columns:
        return here
    values, levels = total(Distinct(columns), cut(source)).columns, list(here.levels)
    for column, own in zip(columns, values, strict=True):
        name = source.columns[column] if source.columns else column
        if not len(own):
            raise DataError(f"Column {name!r} has no values, and so no levels.")
        wanted = expected[column] if expected else None
        found = tuple(bool(v) for v in own) if here.kinds[column] == "bool" else _whole(own)
        given = wanted is not None and wanted != len(found)
        levels[column] = tuple(range(wanted or 0)) if given else plain_levels(found, name)
    return Codes(here.kinds, tuple(levels))


def coder(levels: Levels, column: int, names: tuple[str, ...] | None) -> Among | None:
    """What codes numbers by these levels; None for those that are codes already."""
    if any(isinstance(level, str) for level in levels):
        name = f" ({names[column]!r})" if names else ""
        raise DataError(
            f"Column {column}{name} holds numbers, but held categories such as {levels[0]!r} in "
            "the fit."
        )
    return None if levels == tuple(range(len(levels))) else Among(levels)


def _whole(values: Array) -> tuple[Any, ...]:
    """Numbers as int where all of them are whole."""
    if (values == np.rint(values)).all():
        return tuple(int(value) for value in values)
    return tuple(float(value) for value in values)


@dataclass(frozen=True, eq=False)
class Values:
    """The distinct values of some columns, each sorted; + unites them."""

    columns: tuple[Array, ...]

    def __add__(self, other: Values) -> Values:
        pairs = zip(self.columns, other.columns, strict=True)
        return Values(tuple(_few(np.union1d(a, b)) for a, b in pairs))


@dataclass(frozen=True)
class Distinct:
    """The distinct values of some columns; a pass over the data."""

    columns: tuple[int, ...]
    missing: ClassVar[bool] = True
    description: ClassVar[str] = "looking for levels"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Values:
        found = []
        for column in self.columns:
            values = np.unique(np.asarray(block.rows[:, column], float))
            found.append(_few(values[~np.isnan(values)]))
        return Values(tuple(found))


def _few(values: Array) -> Array:
    if len(values) > MOST_LEVELS:
        raise DataError(
            f"A column that is to hold categories has more than {MOST_LEVELS} different numbers, "
            f"such as {values[0]:g} and {values[1]:g}: take another family for it."
        )
    return values
