"""Which classes can be saved, and under which names.

A saved model names its class by a short word, never by an import path: what is loaded is chosen
here, by code, and nothing in a file can ask for more.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, Self, TypeAlias, TypeVar

import numpy as np

from dem.errors import DataError

JSON: TypeAlias = (
    "bool | int | float | str | list[JSON] | tuple[JSON, ...] | Mapping[str, JSON] | None"
)
Value: TypeAlias = "np.ndarray | tuple[Value, ...] | Mapping[str, Value]"


class Storable(Protocol):
    """What a class offers to be saved and loaded."""

    def to_store(self) -> tuple[Mapping[str, Value], Mapping[str, JSON]]:
        """Numeric arrays, nested in mappings and tuples, and everything else as JSON."""
        ...

    @classmethod
    def from_store(cls, arrays: Mapping[str, Value], attributes: Mapping[str, JSON]) -> Self:
        """The object that gave these; ValueError, TypeError or KeyError if they make no sense."""
        ...


@dataclass(frozen=True)
class StorableType:
    """A class, the name it is saved under, and which of its arrays may hold NaN or infinity."""

    name: str
    cls: type[Storable]
    nonfinite: tuple[str, ...]


# Where the classes of this package are defined: importing the module registers them.
_BUILT_IN: Mapping[str, str] = {
    "BayesianGaussianMixture": "dem.estimators",
    "BernoulliMixture": "dem.estimators",
    "CategoricalHMM": "dem.estimators",
    "CategoricalMixture": "dem.estimators",
    "DawidSkene": "dem.estimators",
    "FactorAnalysis": "dem.estimators",
    "FellegiSunter": "dem.estimators",
    "GMMHMM": "dem.estimators",
    "GaussianHMM": "dem.estimators",
    "GaussianMixture": "dem.estimators",
    "KMeans": "dem.estimators",
    "LatentDirichletAllocation": "dem.estimators",
    "MixedMixture": "dem.estimators",
    "MixtureOfRegressions": "dem.estimators",
    "PCA": "dem.estimators",
    "PoissonHMM": "dem.estimators",
    "PoissonMixture": "dem.estimators",
    "StudentTMixture": "dem.estimators",
}
_registered: dict[str, StorableType] = {}

S = TypeVar("S", bound=Storable)


def storable(name: str, *, nonfinite: Collection[str] = ()) -> Callable[[type[S]], type[S]]:
    """Let `dem.save` and `dem.load` handle the decorated class, under a short name.

    Parameters
    ----------
    name
        What a saved object says it is, such as "GaussianMixture"; unique.
    nonfinite
        Paths of arrays, such as "history/bound", or of groups of arrays, such as "history", that
        may hold NaN or infinity. Anywhere else they are refused.

    Raises
    ------
    ValueError
        If another class has the name.
    """

    def register(cls: type[S]) -> type[S]:
        taken = _registered.get(name)
        if taken is not None and _address(taken.cls) != _address(cls):
            raise ValueError(
                f"the name {name!r} belongs to {taken.cls.__qualname__}: give "
                f"{cls.__qualname__} another one"
            )
        _registered[name] = StorableType(name, cls, tuple(nonfinite))
        return cls

    return register


def type_of(obj: object) -> StorableType:
    """The registered type of an object; TypeError if its class is not registered.

    A subclass is not its parent: it would come back as something else.
    """
    for known in _registered.values():
        if known.cls is type(obj):
            return known
    raise TypeError(
        f"{type(obj).__qualname__} cannot be saved: decorate the class with "
        "dem.storable.storable(name) and give it to_store and from_store"
    )


def type_named(name: str) -> StorableType:
    """The registered type of that name; DataError if there is none."""
    if name not in _registered and name in _BUILT_IN:
        import_module(_BUILT_IN[name])
    if name not in _registered:
        known = ", ".join(sorted({*_registered, *_BUILT_IN}))
        raise DataError(
            f"it says it is a {name!r}, which is none of the types known here ({known}): import "
            "the module that defines it, or use the version of dem that saved it"
        )
    return _registered[name]


def _address(cls: type) -> tuple[str, str]:
    # The same address for a class that a reload or a notebook cell defines again.
    return cls.__module__, cls.__qualname__
