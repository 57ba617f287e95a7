"""Zeroth, first and second moments of K components: the Gaussian's sufficient statistics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dem.stats import Vector

if TYPE_CHECKING:
    from dem.families.covariance import Covariance


@dataclass(frozen=True, eq=False)
class Moments(Vector):
    """Σ r, Σ r (x − c), Σ r (x − c)(x − c)ᵀ for each component, each about a centre c of its own.

    Moments about any centre hold the same information: moving the centre is a linear map, so
    these are coordinates on one vector space, chosen so that little cancels. Tight components
    take their mean for a centre, the others the origin of the frame.

    weight : (K,).
    first, centre : (K, D).
    second : as the covariance's form packs it (`Covariance.cross`).
    """

    weight: np.ndarray
    first: np.ndarray
    second: np.ndarray
    centre: np.ndarray
    form: Covariance

    def about(self, centre: np.ndarray) -> Moments:
        """The same moments about other centres (K, D)."""
        shift = self.centre - centre
        if not shift.any():
            return self
        moved = self.weight[:, None] * shift
        mixed = 2 * self.form.cross(self.first, shift) + self.form.cross(moved, shift)
        first, second = self.first + moved, self.second + mixed
        return replace(self, first=first, second=second, centre=centre)

    def __add__(self, other: Moments) -> Moments:
        other = other.about(self.centre)
        return replace(
            self,
            weight=self.weight + other.weight,
            first=self.first + other.first,
            second=self.second + other.second,
        )

    def __mul__(self, factor: float) -> Moments:
        return replace(
            self,
            weight=self.weight * factor,
            first=self.first * factor,
            second=self.second * factor,
        )
