"""Covariances without correlations: diagonal and spherical."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dem.kernels.sweep import Second

Array = np.ndarray


class _Axes:
    """What diagonal and spherical have in common: variances (K, D) or (K, 1), elementwise."""

    pooled = False
    correlated = False

    def widen(self, covariances: Array, extra: Array) -> Array:
        return covariances + extra[: covariances.shape[1]]

    def at_least(self, covariances: Array, floors: Array) -> tuple[Array, Array]:
        if covariances.shape[1] == 1:
            floors = floors.max(axis=1, keepdims=True)
        raised = np.maximum(covariances, floors)
        return raised, (raised > covariances).any(axis=1)

    def collapsed(self, covariances: Array, shape: tuple[int, int], floor: float) -> Array:
        return np.asarray(covariances.min(axis=1) <= floor)

    def keep(self, alive: Array, new: Array, old: Array) -> Array:
        return np.where(alive[:, None], new, old)

    def roots(self, covariances: Array) -> Array:
        return 1.0 / np.sqrt(covariances)

    def precisions(self, roots: Array) -> Array:
        return roots**2

    def natural(self, roots: Array, means: Array) -> tuple[Array, Array]:
        return roots**2 * means, -(roots**2) / 2

    def log_det(self, roots: Array, shape: tuple[int, int]) -> Array:
        return np.log(np.broadcast_to(roots, shape)).sum(axis=1)

    def magnitude(self, roots: Array, m: Array) -> Array:
        return np.square(roots * m).sum(axis=1)

    def variances(self, covariances: Array, shape: tuple[int, int]) -> Array:
        return np.broadcast_to(covariances, shape)

    def whiten(self, roots: Array, k: int, z: Array) -> Array:
        return roots[k][:, None] * z

    def unwhiten(self, roots: Array, k: int, y: Array) -> Array:
        return y / roots[k][:, None]

    def trace(self, roots: Array, scatter: Array) -> float:
        return float((roots**2 * scatter).sum())

    def flatten(self, covariances: Array) -> Array:
        return np.log(covariances) / 2

    def unflatten(self, vector: Array, shape: tuple[int, ...]) -> Array:
        return np.exp(2 * vector.reshape(shape))

    def inverse(self, values: Array) -> Array:
        return 1.0 / values

    def check(self, name: str, values: Array) -> None:
        if not (values > 0).all():
            raise ValueError(f"{name} should be positive.")


@dataclass(frozen=True)
class Diagonal(_Axes):
    """Each component has a variance per column and no correlations."""

    name = "diag"
    uniform = False
    second = Second.SQUARES

    def packed(self, matrices: Array) -> Array:
        return np.einsum("...ii->...i", matrices)

    def cross(self, a: Array, b: Array) -> Array:
        return a * b

    def outer(self, z: Array, r: Array | None) -> Array:
        squares = np.square(z)
        return squares.sum(axis=1) if r is None else squares @ r

    def shared(self, second: Array) -> Array:
        return second

    def covariances(self, weight: Array, scatter: Array, size: int) -> Array:
        return scatter / weight[:, None]

    def n_parameters(self, k: int, d: int) -> int:
        return k * d

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return k, d

    def inward(self, covariances: Array, scale: Array) -> Array:
        return covariances / scale**2

    def outward(self, covariances: Array, scale: Array) -> Array:
        return covariances * scale**2

    def roots_outward(self, roots: Array, scale: Array) -> Array:
        return roots / scale


@dataclass(frozen=True)
class Spherical(_Axes):
    """Each component has one variance, the same in all columns (of a frame of uniform scale)."""

    name = "spherical"
    uniform = True
    second = Second.LENGTH

    def packed(self, matrices: Array) -> Array:
        return np.einsum("...ii->...", matrices)[..., None]

    def cross(self, a: Array, b: Array) -> Array:
        return (a * b).sum(axis=1, keepdims=True)

    def outer(self, z: Array, r: Array | None) -> Array:
        squares = np.square(z).sum(axis=0)
        return np.array([squares.sum() if r is None else squares @ r])

    def shared(self, second: Array) -> Array:
        return np.asarray(second.sum(axis=1, keepdims=True))

    def covariances(self, weight: Array, scatter: Array, size: int) -> Array:
        return scatter / (size * weight[:, None])

    def n_parameters(self, k: int, d: int) -> int:
        return k

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (k,)

    def inward(self, covariances: Array, scale: Array) -> Array:
        return covariances[:, None] / scale[0] ** 2

    def outward(self, covariances: Array, scale: Array) -> Array:
        return covariances[:, 0] * scale[0] ** 2

    def roots_outward(self, roots: Array, scale: Array) -> Array:
        return roots[:, 0] / scale[0]
