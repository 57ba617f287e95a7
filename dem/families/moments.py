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
    entropy : Σ r H(q(missing values | what is there)), in nats; 0 if nothing is missing.
    short : how many of the rows were multiplied in float32, which keeps fewer digits.
    """

    weight: np.ndarray
    first: np.ndarray
    second: np.ndarray
    centre: np.ndarray
    form: Covariance
    entropy: float = 0.0
    short: float = 0.0

    @classmethod
    def of(cls, z: np.ndarray, r: np.ndarray, form: Covariance) -> Moments:
        """Those of rows z (D, m) with responsibilities r (K, m), about their means.

        Where there are NaN, as if columns were not correlated: a missing value is expected at the
        mean of its column, with the variance of its column, over what there is of the component.
        """
        weight, missing = r.sum(axis=1, keepdims=True), np.isnan(z)
        gaps = missing.any()
        there = np.where(missing, 0.0, z) if gaps else z
        mass = r @ ~missing.T if gaps else weight
        means = (r @ there.T) / np.where(mass > 0, mass, 1.0)
        seconds = []
        for j, own in enumerate(r):
            y = np.where(missing, 0.0, z - means[j, :, None]) if gaps else z - means[j, :, None]
            second = form.outer(y, own)
            if gaps:
                known = mass[j] > 0
                variances = np.where(known, np.square(y) @ own, 1.0) / np.where(known, mass[j], 1.0)
                lacking = np.maximum(weight[j] - mass[j], 0.0)
                second = second + form.outer(np.diag(np.sqrt(lacking * variances)), None)
            seconds.append(second)
        return cls(
            weight=weight[:, 0],
            first=np.zeros_like(means),
            second=np.sum(seconds, axis=0) if form.pooled else np.stack(seconds),
            centre=means,
            form=form,
        )

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
            entropy=self.entropy + other.entropy,
            short=self.short + other.short,
        )

    def __mul__(self, factor: float) -> Moments:
        return replace(
            self,
            weight=self.weight * factor,
            first=self.first * factor,
            second=self.second * factor,
            entropy=self.entropy * factor,
            short=self.short * factor,
        )
