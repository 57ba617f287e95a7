"""Forms of a Gaussian's covariance; full, tied, diagonal and spherical are there, or your own.

A form knows how second moments are packed, how they maximise the likelihood, and which features
and natural parameters make a log-density one inner product. K components, D columns; everything
is in the frame of the fit. Covariances are (K, D, D), (D, D), (K, D), (K, 1); `roots` are square
roots A of the precisions, Λ = A Aᵀ, in the same shapes. Outside, in the user's units, they have
scikit-learn's shapes: those of a spherical form are (K,).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from dem.kernels.sweep import Second

Array = np.ndarray


class Covariance(Protocol):
    """What the Gaussian family asks of a form."""

    pooled: bool  # one covariance for all components
    second: Second  # which second-order features a log-density has

    @property
    def uniform(self) -> bool:
        """Whether it needs the same scale in all columns."""
        ...

    def cross(self, a: Array, b: Array) -> Array:
        """½ Σ (a bᵀ + b aᵀ) as second moments are packed, for a, b (K, D)."""
        ...

    def packed(self, matrices: Array) -> Array:
        """Second moments as they are packed, from matrices (..., D, D)."""
        ...

    def outer(self, z: Array, r: Array | None) -> Array:
        """Σₙ r z zᵀ as one component's second moments are packed: z (D, n), r (n,) or None for 1.

        Where `pooled`, one component's are all that there are.
        """
        ...

    def covariances(self, weight: Array, scatter: Array, size: int) -> Array:
        """The maximisers: scatter about the means over weight (K,), for `size` columns."""
        ...

    def widen(self, covariances: Array, extra: Array) -> Array:
        """covariances + diag(extra), extra (D,)."""
        ...

    def at_least(self, covariances: Array, floors: Array) -> tuple[Array, Array]:
        """The maximisers under Σ ⪰ diag(floors), floors (K, D); and which components changed.

        What components or columns share is under the largest of their floors.
        """
        ...

    def collapsed(self, covariances: Array, shape: tuple[int, int], floor: float) -> Array:
        """Which components (K,) have, in some direction, no variance above `floor` or rounding."""
        ...

    def keep(self, alive: Array, new: Array, old: Array) -> Array:
        """New where alive (K,), else old."""
        ...

    def roots(self, covariances: Array) -> Array:
        """A with A Aᵀ = Σ⁻¹: upper triangular, or elementwise."""
        ...

    def natural(self, roots: Array, means: Array) -> tuple[Array, Array]:
        """(Λμ (K, D), coefficients of the second-order features (K, features))."""
        ...

    def log_det(self, roots: Array, shape: tuple[int, int]) -> Array:
        """½ log |Λ| of each component, (K,)."""
        ...

    def magnitude(self, roots: Array, m: Array) -> Array:
        """m |Λ| mᵀ (K,) for m (K, D): the size of the terms that cancel in a log-density."""
        ...

    def variances(self, covariances: Array, shape: tuple[int, int]) -> Array:
        """The diagonals, (K, D)."""
        ...

    def whiten(self, roots: Array, k: int, z: Array) -> Array:
        """Aₖᵀ z for z (D, n)."""
        ...

    def unwhiten(self, roots: Array, k: int, y: Array) -> Array:
        """Aₖ⁻ᵀ y for y (D, n): standard normal y come to have the covariance."""
        ...

    def flatten(self, covariances: Array) -> Array:
        """Without constraints: Cholesky factors, the diagonal as logarithms."""
        ...

    def unflatten(self, vector: Array, shape: tuple[int, ...]) -> Array:
        """Covariances of this shape, in the frame, from what `flatten` makes of them."""
        ...

    def precisions(self, roots: Array) -> Array:
        """Λ = A Aᵀ; of roots in the user's shapes and units too."""
        ...

    def trace(self, roots: Array, scatter: Array) -> float:
        """Σₖ tr(Λₖ Sₖ)."""
        ...

    def n_parameters(self, k: int, d: int) -> int:
        """Free parameters of K covariances of D columns."""
        ...

    def inverse(self, values: Array) -> Array:
        """Covariances from precisions or the other way round, in the user's shapes."""
        ...

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        """What the user sees as the shape of K covariances of D columns."""
        ...

    def check(self, name: str, values: Array) -> None:
        """Raise ValueError unless values, in the user's shape, can be covariances or precisions."""
        ...

    def inward(self, covariances: Array, scale: Array) -> Array:
        """From the user's shape and units to a frame's, of this scale per column (D,)."""
        ...

    def outward(self, covariances: Array, scale: Array) -> Array:
        """From a frame to the user's shape and units."""
        ...

    def roots_outward(self, roots: Array, scale: Array) -> Array:
        """Roots of the precisions, from a frame to the user's shape and units."""
        ...


class Shareable(Protocol):
    """What the Gaussian family asks of a form besides, for rows that lack values."""

    correlated: bool  # whether covariances have entries off the diagonal

    def shared(self, second: Array) -> Array:
        """Second moments as the form packs them, from each component's: packed matrices
        (K, D(D+1)/2) where `correlated`, else the diagonals (K, D)."""
        ...


@runtime_checkable
class Improving(Protocol):
    """What a form offers instead of `covariances`, if components share a part of theirs."""

    def improved(self, weight: Array, scatter: Array, size: int, old: Array | None) -> Array:
        """The maximisers, or covariances at least as good as the old; `weight` may be 0 for some.

        old : those so far, or None or empty if there are none.
        """
        ...
