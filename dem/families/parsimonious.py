"""Covariances that share their volume, shape or orientation, and no more than that.

    Σₖ = λₖ Dₖ Aₖ Dₖᵀ,   Aₖ diagonal with |A| = 1, Dₖ orthogonal

(Banfield and Raftery 1993; Celeux and Govaert 1995). A name has a letter each for volume λ, shape A
and orientation D: E if it is equal in all components, V if it varies, I if it is the identity.
The E-step is that of spherical, diagonal or full covariances; what differs is the M-step, and how
many parameters are free. A component without rows gets the covariance of the largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.contract import STARVED
from dem.families.axes import Diagonal, Spherical
from dem.families.covariance import Covariance
from dem.families.dense import Full, Tied
from dem.kernels.normal import pack, unpack
from dem.kernels.volumes import about_axes, proportional, variances

Array = np.ndarray
LEAST = 1e-14  # of a variance in the frame, where the data have about 1


class _Sharing:
    """What these forms have in common, before that with a form of the same E-step."""

    def improved(self, weight: Array, scatter: Array, size: int, old: Array | None) -> Array:
        """Covariances that maximise the likelihood; if there are several maxima, one that is at
        least as good as the old covariances. See `Covariance.covariances`; weights may be 0."""
        alive = weight > STARVED * weight.sum()
        previous = old[alive] if old is not None and old.size else None
        found = self._maximised(weight[alive], scatter[alive], size, previous)
        every = np.repeat(found[[np.argmax(weight[alive])]], len(weight), axis=0)
        every[alive] = found
        return every

    def covariances(self, weight: Array, scatter: Array, size: int) -> Array:
        return self.improved(weight, scatter, size, None)

    @property
    def everything(self) -> bool:
        """Whether components have the whole covariance in common."""
        raise NotImplementedError

    def at_least(self, covariances: Array, floors: Array) -> tuple[Array, Array]:
        # Where a covariance stands at its own floor, it no longer shares a shape or a volume.
        if self.everything:
            floors = np.broadcast_to(floors.max(axis=0), floors.shape)
        base: Any = super()
        found: tuple[Array, Array] = base.at_least(covariances, floors)
        return found

    def keep(self, alive: Array, new: Array, old: Array) -> Array:
        return new

    def unflatten(self, vector: Array, shape: tuple[int, ...]) -> Array:
        """The maximisers for rows with the covariances of the vector, which need share nothing."""
        base: Any = super()
        covariances = base.unflatten(vector, shape)
        one, scatter = np.ones(shape[0]), self._scatter(covariances)
        return self._maximised(one, scatter, shape[-1], covariances)

    def _maximised(self, weight: Array, scatter: Array, size: int, old: Array | None) -> Array:
        raise NotImplementedError

    def _scatter(self, covariances: Array) -> Array:
        """That of one row with these covariances, as second moments are packed."""
        return covariances


@dataclass(frozen=True)
class TiedSpherical(_Sharing, Spherical):
    """One variance, the same in all columns and components (EII)."""

    name = "EII"
    everything = True

    def _maximised(self, weight: Array, scatter: Array, size: int, old: Array | None) -> Array:
        return np.full(scatter.shape, scatter.sum() / (size * weight.sum()))

    def unflatten(self, vector: Array, shape: tuple[int, ...]) -> Array:
        return np.full(shape, np.exp(2 * vector.mean()))

    def n_parameters(self, k: int, d: int) -> int:
        return 1


@dataclass(frozen=True)
class Aligned(_Sharing, Diagonal):
    """Variances λₖ Aₖ of the columns, without correlations.

    one_volume, one_shape : whether all components have the same λ, and A. With neither it is
        `Diagonal()` by another name.
    """

    one_volume: bool = True
    one_shape: bool = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return _letters(self.one_volume, self.one_shape) + "I"

    @property
    def everything(self) -> bool:
        return self.one_volume and self.one_shape

    def _maximised(self, weight: Array, scatter: Array, size: int, old: Array | None) -> Array:
        above = np.maximum(scatter, LEAST * weight[:, None])
        return variances(weight, above, self.one_volume, self.one_shape)

    def n_parameters(self, k: int, d: int) -> int:
        return (1 if self.one_volume else k) + (1 if self.one_shape else k) * (d - 1)


@dataclass(frozen=True)
class Oriented(_Sharing, Full):
    """Covariances λₖ Dₖ Aₖ Dₖᵀ with correlations.

    one_volume, one_shape, one_orientation : whether all components have the same λ, A and D. With
        none it is `Full()`, with all `Tied()`, by another name.
    """

    one_volume: bool = False
    one_shape: bool = False
    one_orientation: bool = False

    @property
    def name(self) -> str:  # type: ignore[override]
        return _letters(self.one_volume, self.one_shape, self.one_orientation)

    @property
    def everything(self) -> bool:
        return self.one_volume and self.one_shape and self.one_orientation

    @property
    def uniform(self) -> bool:  # type: ignore[override]
        """Other scales of the columns leave a common shape only together with orientation."""
        return self.one_shape != self.one_orientation

    def _maximised(self, weight: Array, scatter: Array, size: int, old: Array | None) -> Array:
        least = LEAST * weight[:, None]
        w = unpack(scatter, size) + least[:, None] * np.eye(size)
        if not self.one_orientation:
            values, vectors = np.linalg.eigh(w)
            spread = variances(weight, np.maximum(values, least), self.one_volume, self.one_shape)
            found = (vectors * spread[:, None]) @ vectors.swapaxes(1, 2)
        elif self.one_shape and self.one_volume:
            found = np.repeat((w.sum(axis=0) / weight.sum())[None], len(w), axis=0)
        elif self.one_shape:
            found = proportional(weight, w)
        else:
            known = [] if old is None else [_common_axes(old)]
            begin = known or [_common_axes(w), *np.linalg.eigh(w)[1]]
            found = about_axes(weight, w, begin, self.one_volume)
        return np.asarray(found + found.swapaxes(1, 2)) / 2

    def _scatter(self, covariances: Array) -> Array:
        return pack(covariances)

    def n_parameters(self, k: int, d: int) -> int:
        volumes, shapes, axes = (
            1 if one else k for one in (self.one_volume, self.one_shape, self.one_orientation)
        )
        return volumes + shapes * (d - 1) + axes * d * (d - 1) // 2


def _letters(*ones: bool) -> str:
    return "".join("E" if one else "V" for one in ones)


def _common_axes(covariances: Array) -> Array:
    """Axes that covariances (K, D, D) have in common, if they do."""
    sizes = np.einsum("kii->k", covariances)
    # Different weights, as axes on which shapes differ might have one variance on the average.
    share = np.sqrt(np.arange(1, len(sizes) + 1)) / sizes
    return np.linalg.eigh(np.einsum("k,kij->ij", share, covariances))[1]


FORMS: dict[str, Covariance] = {
    "EII": TiedSpherical(),
    "VII": Spherical(),
    "EEI": Aligned(),
    "VEI": Aligned(one_volume=False),
    "EVI": Aligned(one_shape=False),
    "VVI": Diagonal(),
    "EEE": Tied(),
    "VEE": Oriented(one_shape=True, one_orientation=True),
    "EVE": Oriented(one_volume=True, one_orientation=True),
    "VVE": Oriented(one_orientation=True),
    "EEV": Oriented(one_volume=True, one_shape=True),
    "VEV": Oriented(one_shape=True),
    "EVV": Oriented(one_volume=True),
    "VVV": Full(),
}


def parsimonious(name: str) -> Covariance:
    """The form that mclust gives this name of three letters, such as "VEI".

    Raises ValueError if there is none.
    """
    if name not in FORMS:
        raise ValueError(f"name must be one of {', '.join(FORMS)}, got {name!r:.60}.")
    return FORMS[name]
