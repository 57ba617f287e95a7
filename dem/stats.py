"""Expected sufficient statistics are points in a vector space.

Batch EM adds them, incremental EM also subtracts, stepwise EM also scales. Nothing else of the
data reaches the M-step or the bound, so their size never depends on the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Self

import numpy as np


def combine(f: Callable[..., Any], *values: Any) -> Any:
    """`f` over the matching parts of equally built values (tuples, dataclasses, else leaves)."""
    first = values[0]
    if isinstance(first, tuple):
        return tuple(combine(f, *parts) for parts in zip(*values, strict=True))
    if is_dataclass(first) and not isinstance(first, (type, Vector)):
        names = [field.name for field in fields(first)]
        parts = {n: combine(f, *(getattr(v, n) for v in values)) for n in names}
        return replace(first, **parts)
    return f(*values)


def leaves(value: Any) -> Iterator[np.ndarray]:
    """The arrays and numbers inside a value, in order, as arrays."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from leaves(part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from leaves(getattr(value, field.name))
    elif isinstance(value, (np.ndarray, np.generic, int, float)):
        yield np.asarray(value)


class Vector:
    """Base of frozen dataclasses that add and scale field by field.

    A field may be a number, an array, a tuple or another `Vector`. A subclass whose coordinates
    need more care (moments about a centre) overrides `__add__` and `__mul__`; the rest follows.
    """

    def __add__(self, other: Self) -> Self:
        return self._map(lambda a, b: a + b, other)

    def __mul__(self, factor: float) -> Self:
        return self._map(lambda a: a * factor)

    def __rmul__(self, factor: float) -> Self:
        return self * factor

    def __neg__(self) -> Self:
        return self * -1.0

    def __sub__(self, other: Self) -> Self:
        return self + (-other)

    def _map(self, f: Callable[..., Any], *others: Any) -> Self:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        parts = {n: combine(f, getattr(self, n), *(getattr(o, n) for o in others)) for n in names}
        return replace(self, **parts)  # type: ignore[type-var]


@dataclass(frozen=True)
class Stats(Vector):
    """What an E-step leaves of the rows it has seen.

    weight : Σᵢ wᵢ, the number of rows when they are unweighted.
    entropy : Σᵢ wᵢ H(qᵢ), in nats, of the q that made these statistics.
    sums : Σᵢ wᵢ E_qᵢ[T(vᵢ, hᵢ)], in whatever shape the model likes: an array, a tuple, a `Vector`.
    """

    weight: float
    entropy: float
    sums: Any
