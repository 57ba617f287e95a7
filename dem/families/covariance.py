"""The four forms of a Gaussian's covariance: full, tied, diagonal, spherical.

A form knows how second moments are packed, how they maximise the likelihood, and which features
and natural parameters make a log-density one inner product. K components, D columns; everything
is in the frame of the fit. Covariances are (K, D, D), (D, D), (K, D), (K, 1); `roots` are square
roots A of the precisions, Λ = A Aᵀ, in the same shapes.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

Array = np.ndarray


class Covariance(Protocol):
    """What the Gaussian family asks of a form."""

    name: str  # scikit-learn's name of it
    pooled: bool  # one covariance for all components
    uniform: bool  # needs the same scale in all columns

    def features(self, size: int) -> int:
        """How many second-order features there are for `size` columns."""
        ...

    def fill(self, x: Array, out: Array) -> None:
        """Second-order features of a tile: x (D, n) → out (features, n)."""
        ...

    def cross(self, a: Array, b: Array) -> Array:
        """½ Σ (a bᵀ + b aᵀ) as second moments are packed, for a, b (K, D)."""
        ...

    def outer(self, z: Array, r: Array) -> Array:
        """Σₙ r z zᵀ of one component, as second moments are packed: z (D, n), r (n,)."""
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

    def trace(self, roots: Array, scatter: Array) -> float:
        """Σₖ tr(Λₖ Sₖ)."""
        ...

    def n_parameters(self, k: int, d: int) -> int:
        """Free parameters of K covariances of D columns."""
        ...

    def scaled(self, values: Array, scale: Array) -> Array:
        """Covariances times scale² (or, with 1/scale, precisions)."""
        ...

    def scaled_roots(self, roots: Array, scale: Array) -> Array:
        """Roots of the precisions times scale²."""
        ...

    def inverse(self, values: Array) -> Array:
        """Covariances from precisions or the other way round."""
        ...

    def public(self, values: Array) -> Array:
        """In scikit-learn's shape: (K, D, D), (D, D), (K, D), (K,)."""
        ...

    def private(self, values: Array) -> Array:
        """From scikit-learn's shape."""
        ...
