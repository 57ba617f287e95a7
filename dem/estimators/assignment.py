"""Which columns are of which family: from words and dtypes to a `Product`, and back to columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dem.checks import check_offers
from dem.contract import Family
from dem.engine.readers.codes import Codes
from dem.errors import DataError
from dem.families import (
    Bernoulli,
    Beta,
    Categorical,
    Exponential,
    Full,
    Gamma,
    Gaussian,
    LogNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    Product,
)

CATEGORICAL = "categorical"  # whose levels are to be found
FAMILIES: Mapping[str, Any] = {
    "bernoulli": Bernoulli(),
    "beta": Beta(),
    CATEGORICAL: CATEGORICAL,
    "exponential": Exponential(),
    "gamma": Gamma(),
    "gaussian": Gaussian(Full()),
    "log-normal": LogNormal(),
    "negative-binomial": NegativeBinomial(),
    "normal": Normal(),
    "poisson": Poisson(),
}
# Those whose columns are independent, so that all columns of one make one part.
APART = (Bernoulli, Beta, Exponential, Gamma, LogNormal, NegativeBinomial, Normal, Poisson)
Columns = tuple[int, ...]


def family_of(name: str, value: Any) -> Any:
    """The family that a word stands for, or that an object is; `CATEGORICAL` is itself."""
    if isinstance(value, str):
        if value not in FAMILIES:
            raise ValueError(f"{name} must be one of {sorted(FAMILIES)} or a Family, got {value!r}")
        return FAMILIES[value]
    check_offers(name, value, Family, f"one of {sorted(FAMILIES)} or ")
    return value


def asked_for(families: Any, names: Sequence[str] | None, n: int) -> dict[Columns, Any]:
    """The groups of columns that the user has named, and the family of each.

    families : None, a `Product`, or a mapping from a column, by its name or number, or a tuple of
        them, to a family or its word.

    Raises TypeError or ValueError for others, and for columns that are not there, or twice.
    """
    if families is None:
        return {}
    if isinstance(families, Product):
        if families.n_columns != n:
            raise ValueError(f"families has {families.n_columns} columns, X has {n}")
        return {columns: family for family, columns in families.parts}
    if not isinstance(families, Mapping):
        raise TypeError(f"families must be a mapping or a Product, got {families!r:.60}")
    found: dict[Columns, Any] = {}
    for key, value in families.items():
        group = tuple(_number(one, names, n) for one in (key if isinstance(key, tuple) else (key,)))
        if taken := set(group) & {column for other in found for column in other}:
            raise ValueError(f"families has column {_name(min(taken), names)!r} twice")
        found[group] = family_of(f"the family of {key!r}", value)
    return found


def _number(key: Any, names: Sequence[str] | None, n: int) -> int:
    if isinstance(key, str):
        if names is None or key not in names:
            there = "no names" if names is None else ", ".join(map(repr, names))
            raise ValueError(f"families has the column {key!r}; those of X have: {there}")
        return list(names).index(key)
    if isinstance(key, bool) or not isinstance(key, (int, np.integer)) or not 0 <= key < n:
        raise ValueError(f"families has the column {key!r}; X has columns 0 to {n - 1}")
    return int(key)


def _name(column: int, names: Sequence[str] | None) -> Any:
    return names[column] if names else column


def assigned(
    asked: Mapping[Columns, Any], numbers: Any, codes: Codes, names: Sequence[str] | None
) -> dict[Columns, Any]:
    """The same for all columns: those that nobody has named go by their kind.

    numbers : the family of columns of floating-point numbers.

    Raises ValueError for integers that nobody has named: they may be counts, codes or amounts.
    """
    named = {column for group in asked for column in group}
    rest = [column for column in range(len(codes.kinds)) if column not in named]
    if whole := [_name(j, names) for j in rest if codes.kinds[j] == "int"]:
        raise ValueError(
            f"The columns {whole} hold integers, which may be counts, amounts or categories: say "
            f"which, such as families={{{whole[0]!r}: dem.Poisson()}}, 'normal' or 'categorical'."
        )
    by_kind = {"category": CATEGORICAL, "bool": Bernoulli(), "float": numbers}
    found = dict(asked)
    for kind, family in by_kind.items():
        if group := tuple(j for j in rest if codes.kinds[j] == kind):
            found[group] = family
    return found


def product(groups: Mapping[Columns, Any], codes: Codes, names: Sequence[str] | None) -> Product:
    """The product of these groups; columns of one family that are independent are one part."""
    parts: list[tuple[Any, Columns]] = []
    categorical: list[int] = []
    for columns, family in groups.items():
        for column in columns:
            _check_levels(family, column, codes, names)
        if family == CATEGORICAL:
            categorical.extend(columns)
            continue
        same = [i for i, (other, _) in enumerate(parts) if other == family]
        if same and isinstance(family, APART):
            parts[same[0]] = family, (*parts[same[0]][1], *columns)
        else:
            parts.append((family, columns))
    if categorical:
        columns = tuple(sorted(categorical))
        levels = tuple(len(codes.levels[column] or ()) for column in columns)
        parts.append((Categorical(levels), columns))
    apart = ((f, tuple(sorted(c)) if isinstance(f, APART) else c) for f, c in parts)
    return Product(tuple(sorted(apart, key=lambda part: part[1])))


def check_product(family: Product, codes: Codes, names: Sequence[str] | None) -> None:
    """Raise DataError for categories in columns that are of numbers, or with other levels."""
    for part, columns in family.parts:
        for column in columns:
            _check_levels(part, column, codes, names)
        if isinstance(part, Categorical):
            counts = np.diff(part.edges(len(columns))).tolist()
            for column, count in zip(columns, counts, strict=True):
                levels = codes.levels[column]
                if levels is not None and len(levels) != count:
                    raise DataError(
                        f"Column {_name(column, names)!r} has {len(levels)} levels, where families "
                        f"says {count}."
                    )


def _check_levels(family: Any, column: int, codes: Codes, names: Sequence[str] | None) -> None:
    """Raise DataError for categories in a column of a family that is not of categories."""
    levels = codes.levels[column]
    if levels is None or isinstance(family, Categorical) or family == CATEGORICAL:
        return
    if not isinstance(family, Bernoulli) or len(levels) > 2:
        raise DataError(
            f"Column {_name(column, names)!r} holds {len(levels)} categories, such as "
            f"{levels[0]!r}, and not numbers: it cannot be of {type(family).__name__}."
        )


def described(
    family: Product, params: Any, names: Sequence[Any]
) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """For each column, by its name, its family and parameters in the user's units.

    Families whose columns depend on each other have their names as a tuple, and one entry.
    """
    for (part, columns), theirs in zip(family.parts, params.parts, strict=True):
        able: Any = part
        arrays = able.described(theirs)
        own_names = tuple(names[column] for column in columns)
        if isinstance(part, Categorical):
            split = part.split(arrays["probabilities"], len(columns))
            for name, probabilities in zip(own_names, split, strict=True):
                own = Categorical(probabilities.shape[1])
                yield name, own, {"probabilities": probabilities}
        elif isinstance(part, APART):
            for j, name in enumerate(own_names):
                yield name, part, {key: array[:, j] for key, array in arrays.items()}
        else:
            yield own_names, part, dict(arrays)
