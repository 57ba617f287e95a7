"""Which values parameters may have, and coordinates for them that know no bounds."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from scipy.special import expit, logit

Array = np.ndarray
Params = Any  # a frozen dataclass of arrays
SMALLEST, LARGEST = 1e-280, 1e280


class Chart(Protocol):
    """Values of an array of parameters, elementwise, as any real numbers."""

    def check(self, name: str, values: Array) -> None:
        """Raise ValueError unless parameters may have these values, which are finite."""
        ...

    def flatten(self, values: Array) -> Array: ...
    def unflatten(self, numbers: Array) -> Array: ...


Charts: TypeAlias = Mapping[str, Chart]


@dataclass(frozen=True)
class Real:
    """Any number."""

    def check(self, name: str, values: Array) -> None:
        return

    def flatten(self, values: Array) -> Array:
        return values

    def unflatten(self, numbers: Array) -> Array:
        return numbers


@dataclass(frozen=True)
class Positive:
    """Numbers above 0, by their logarithms; kept between two bounds when they come back."""

    least: float = SMALLEST
    most: float = LARGEST

    def check(self, name: str, values: Array) -> None:
        if not (values > 0).all():
            raise ValueError(f"{name} must be positive")

    def flatten(self, values: Array) -> Array:
        return np.log(values)

    def unflatten(self, numbers: Array) -> Array:
        bounds = np.log([self.least, self.most])
        return np.clip(np.exp(np.clip(numbers, *bounds)), self.least, self.most)


@dataclass(frozen=True)
class Probability:
    """Numbers between 0 and 1, by their log-odds; kept this far from both when they come back."""

    least: float

    def check(self, name: str, values: Array) -> None:
        if not ((values > 0) & (values < 1)).all():
            raise ValueError(f"{name} must be between 0 and 1")

    def flatten(self, values: Array) -> Array:
        return np.asarray(logit(values))

    def unflatten(self, numbers: Array) -> Array:
        return np.clip(expit(numbers), self.least, 1 - self.least)


class Charted(ABC):
    """What families have in common whose parameters are arrays (K, ...), each with a chart.

    charts : by the names of the fields of θ that are to be fitted.
    """

    charts: ClassVar[Charts]

    def check(self, params: Params, k: int) -> None:
        """Raise ValueError unless params have the shapes and signs of k components."""
        arrays = {name: getattr(params, name) for name in self.charts}
        shape = (k, *next(iter(arrays.values())).shape[1:])
        for name, array in arrays.items():
            if array.shape != shape:
                raise ValueError(f"{name} has the shape {array.shape}, not {shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite")
            self.charts[name].check(name, array)

    def described(self, params: Params) -> dict[str, Array]:
        """The parameters in the user's units, by their names; (K, D) mostly."""
        return {name: getattr(params, name) for name in self.charts}

    def averages(self, params: Params) -> Array:
        """E[v | k] of each column, (K, D)."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its means are")

    def expected(self, params: Params, rows: Array, q: Array) -> Array:
        """What to put for missing values, (n, D), where component k has the probability q (n, K).

        The mean; families of categories give the mode.
        """
        return np.asarray(q @ self.averages(params))

    def n_parameters(self, params: Params) -> int:
        """The number of free parameters of all components."""
        return sum(getattr(params, name).size for name in self.charts)

    def flatten(self, params: Params) -> Array:
        """The parameters by their charts, one after the other."""
        parts = [chart.flatten(getattr(params, name)) for name, chart in self.charts.items()]
        return np.concatenate([part.ravel() for part in parts])

    def unflatten(self, vector: Array, like: Params) -> Params:
        parts = np.split(vector, len(self.charts))
        return replace(
            like,
            **{
                name: chart.unflatten(part.reshape(getattr(like, name).shape))
                for (name, chart), part in zip(self.charts.items(), parts, strict=True)
            },
        )
