"""From the information matrix of coordinates to standard errors of whatever depends on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.contract import Params
from dem.inference.scores import STEP

Array = np.ndarray
SINGULAR = 1e-10  # of the information in units of its diagonal: below, the rows say nothing
TOUCHED = 1e-5


@dataclass(frozen=True, eq=False)
class Charted:
    """The coordinates of `flatten` around θ, in units of `scales`, (P,).

    free : which of them can be varied; the others are fixed, or θ is at the edge of what they may
        be, and counts as fixed there.
    edge : the latter.
    described : ∂φ/∂ coordinates of the parameters φ(θ) as users know them, (m, P).
    """

    model: Any
    params: Params
    scales: Array
    free: Array
    edge: Array
    described: Array

    @classmethod
    def of(
        cls, model: Any, params: Params, scales: Array, describe: Callable[[Params], Array]
    ) -> Charted:
        nothing = np.zeros(len(scales), bool)
        blank = cls(model, params, scales, ~nothing, nothing, np.empty(0))
        here = model.flatten(model.unflatten(model.flatten(params), params))
        lengths, columns = np.empty((len(scales), 2)), []
        for j, step in enumerate(STEP * scales):
            ahead, behind = blank._beside(j)
            for i, there in enumerate((ahead, behind)):
                lengths[j, i] = np.linalg.norm(model.flatten(there) - here) / step
            columns.append((describe(ahead) - describe(behind)) / (2 * STEP))
        low, high = lengths.min(axis=1), lengths.max(axis=1)
        still = high < 1e-6
        edge = ~still & (low < 0.5 * high)
        free = ~still & ~edge
        return replace(blank, free=free, edge=edge, described=np.stack(columns, axis=1) * free)

    def jacobian(self, function: Callable[[Params], Any]) -> Array:
        """∂ function(θ)/∂ coordinates, (m, P), by central differences; 0 along those not free."""
        columns = np.zeros((np.size(function(self.params)), len(self.scales)))
        for j in np.flatnonzero(self.free).tolist():
            ahead, behind = (np.ravel(function(point)) for point in self._beside(j))
            columns[:, j] = (ahead - behind) / (2 * STEP)
        return columns

    def _beside(self, j: int) -> tuple[Params, Params]:
        """θ a step ahead and behind along a coordinate."""
        flat, step = self.model.flatten(self.params), np.zeros(len(self.scales))
        step[j] = STEP * self.scales[j]
        ahead, behind = (self.model.unflatten(flat + s * step, self.params) for s in (1, -1))
        return ahead, behind


@dataclass(frozen=True, eq=False)
class Covariance:
    """The inverse of the information, where it has one.

    Along the eigenvectors whose eigenvalue is 0 the rows tell nothing. Some of these directions
    change no parameter, as adding to all log-weights does; then they change no error either.

    values, vectors : of the information in units of its diagonal. units : (P,), these.
    """

    values: Array
    vectors: Array
    units: Array

    @classmethod
    def of(cls, information: Array) -> Covariance:
        """From Σ w s sᵀ (P, P)."""
        units = np.sqrt(np.diagonal(information))
        units = np.where(units > 0, units, 1.0)
        values, vectors = np.linalg.eigh(information / units / units[:, None])
        return cls(values, vectors, units)

    @property
    def known(self) -> Array:
        """(P,) which eigenvectors the rows say something of."""
        return np.asarray(self.values > SINGULAR * self.values.max(initial=0.0))

    @property
    def rank(self) -> int:
        return int(self.known.sum())

    @property
    def root(self) -> Array:
        """R (P, rank) with R Rᵀ = the covariance of the coordinates, as far as they are known."""
        inner = self.vectors[:, self.known] / np.sqrt(self.values[self.known])
        return np.asarray(inner / self.units[:, None])

    def errors(self, jacobian: Array) -> Array:
        """(m,), standard errors by the delta method from ∂φ/∂ coordinates (m, P).

        Infinite where φ changes along what the rows say nothing of, NaN where it does not change.
        """
        known = np.linalg.norm(jacobian @ self.root, axis=1)
        own = jacobian / self.units
        size = np.linalg.norm(own, axis=1)
        lost = np.linalg.norm(own @ self.vectors[:, ~self.known], axis=1) > TOUCHED * size
        return np.where(size > 0, np.where(lost, np.inf, known), np.nan)
