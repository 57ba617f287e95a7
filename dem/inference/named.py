"""The parameters of a fit as users know them: in their units, with names for each number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from dem.contract import Params
from dem.families.categorical import Categorical
from dem.families.known import EVIDENCE
from dem.families.noise import WithNoise
from dem.families.product import Product
from dem.families.with_prior import WithPrior

Array = np.ndarray
Place = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Named:
    """One array of parameters.

    by_component : whether the first axis is that of the components.
    places : of each number of a component, what it is of: a column, two of them, a level.
    relative : whether they are differences from the first component, whose are 0.
    between : whether the second axis is that of the components too.
    """

    name: str
    values: Array
    by_component: bool
    places: tuple[Place, ...]
    relative: bool = False
    between: bool = False

    def entries(self) -> Iterator[tuple[int, int | None, Place]]:
        """Index into the raveled values, component or None, and place; of symmetric ones once."""
        size, once = max(len(self.places), 1), not self.square
        for i in range(self.values.size):
            row, column = divmod(i % size, self.values.shape[-1]) if self.places[0] else (0, 0)
            if once or row >= column:
                yield i, i // size if self.by_component else None, self.places[i % size]

    @property
    def square(self) -> bool:
        """Whether it holds symmetric matrices."""
        if self.values.ndim - self.by_component != 2:
            return False
        turned = self.values.swapaxes(-1, -2)
        return turned.shape == self.values.shape and np.allclose(turned, self.values, atol=0.0)


def named(model: Any, params: Params, columns: Sequence[Any]) -> tuple[Named, ...]:
    """The parameters of a fit, in the user's units.

    Mixing weights, or what the model itself describes, or has beside its components, and what
    its family describes of these. Of a model without either, the fields of its parameters, in
    their units.
    """
    family = getattr(model, "family", None)
    if family is None and not hasattr(model, "described"):
        return tuple(_fields(params, ""))
    if family is None:
        described = model.described(params).items()
        return tuple(_array(name, values, True, columns) for name, values in described)
    if hasattr(model, "described"):  # of the mixing weights, by names that a family may have too
        described = model.described(params).items()
        gate = (_array(f"concomitant_{name}", values, True, columns) for name, values in described)
        found = [replace(part, relative=True) for part in gate]
    elif hasattr(params, "weights"):
        found = [_array("weights", params.weights, True, columns)]
    else:
        found = [_between(part) for part in _fields(replace(params, components=()), "")]
    return (*found, *_of_family(family, params.components, columns, ""))


def _between(part: Named) -> Named:
    """What a model has for each component (K,), and for each of the others (K, K), by numbers."""
    others = tuple((None, j) for j in range(part.values.shape[-1]))
    between = part.values.ndim > 1
    return Named(part.name, part.values, True, others if between else ((),), between=between)


def _fields(value: Any, name: str) -> Iterator[Named]:
    """The arrays inside of some parameters, by the way to them."""
    if is_dataclass(value):
        for field in fields(value):
            yield from _fields(getattr(value, field.name), f"{name}.{field.name}".lstrip("."))
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            yield from _fields(part, f"{name}[{i}]")
    else:
        yield _array(name, value, False, ())


def _of_family(family: Any, params: Params, columns: Sequence[Any], suffix: str) -> Iterator[Named]:
    if isinstance(family, WithPrior):
        family = family.family
    if isinstance(family, WithNoise):
        yield from _of_family(family.family, params.components, columns, suffix)
        return
    if isinstance(family, Product):
        every = zip(family.parts, params.parts, strict=True)
        parts = [(*part, inner) for part, inner in every if not isinstance(part[0], EVIDENCE)]
        for part, own, inner in parts:
            names = [columns[j] for j in own]
            here = f"[{', '.join(map(str, names))}]" if len(parts) > 1 else suffix
            yield from _of_family(part, inner, names, here)
        return
    pooled = getattr(getattr(family, "covariance", None), "pooled", False)
    for name, values in family.described(params).items():
        shared = pooled and name in ("covariances", "scales")
        array = _array(name + suffix, values, not shared, columns)
        if isinstance(family, Categorical):
            edges = family.edges(len(columns))
            sizes = np.diff(edges).tolist()
            pairs = zip(columns, sizes, strict=True)
            places = tuple((column, level) for column, n in pairs for level in range(n))
            array = Named(array.name, array.values, True, places)
        yield array


def _array(name: str, values: Any, by_component: bool, columns: Sequence[Any]) -> Named:
    values = np.asarray(values, float)
    shape = values.shape[1:] if by_component else values.shape
    axes = [columns if size == len(columns) else range(size) for size in shape]
    places = tuple(tuple(axis[i] for axis, i in zip(axes, index, strict=True))
                   for index in np.ndindex(*shape))  # fmt: skip
    return Named(name, values, by_component, places)


def flat(parts: Sequence[Named]) -> Array:
    """All of them as one vector."""
    return np.concatenate([part.values.ravel() for part in parts])
