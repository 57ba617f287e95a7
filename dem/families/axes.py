"""Covariances without correlations: diagonal and spherical."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


class _Axes:
    """What diagonal and spherical have in common: variances (K, D) or (K, 1), elementwise."""

    pooled = False

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

    def trace(self, roots: Array, scatter: Array) -> float:
        return float((roots**2 * scatter).sum())

    def scaled(self, values: Array, scale: Array) -> Array:
        return values * scale[: values.shape[1]] ** 2

    def scaled_roots(self, roots: Array, scale: Array) -> Array:
        return roots * scale[: roots.shape[1]]

    def inverse(self, values: Array) -> Array:
        return 1.0 / values


@dataclass(frozen=True)
class Diagonal(_Axes):
    """Each component has a variance per column and no correlations."""

    name = "diag"
    uniform = False

    def features(self, size: int) -> int:
        return size

    def fill(self, x: Array, out: Array) -> None:
        np.multiply(x, x, out=out)

    def cross(self, a: Array, b: Array) -> Array:
        return a * b

    def outer(self, z: Array, r: Array) -> Array:
        return np.square(z) @ r

    def covariances(self, weight: Array, scatter: Array, size: int) -> Array:
        return scatter / weight[:, None]

    def n_parameters(self, k: int, d: int) -> int:
        return k * d

    def public(self, values: Array) -> Array:
        return values

    def private(self, values: Array) -> Array:
        return values


@dataclass(frozen=True)
class Spherical(_Axes):
    """Each component has one variance, the same in all columns (of a frame of uniform scale)."""

    name = "spherical"
    uniform = True

    def features(self, size: int) -> int:
        return 1

    def fill(self, x: Array, out: Array) -> None:
        np.einsum("dn,dn->n", x, x, out=out[0])

    def cross(self, a: Array, b: Array) -> Array:
        return (a * b).sum(axis=1, keepdims=True)

    def outer(self, z: Array, r: Array) -> Array:
        return np.array([np.square(z).sum(axis=0) @ r])

    def covariances(self, weight: Array, scatter: Array, size: int) -> Array:
        return scatter / (size * weight[:, None])

    def n_parameters(self, k: int, d: int) -> int:
        return k

    def public(self, values: Array) -> Array:
        return values[:, 0]

    def private(self, values: Array) -> Array:
        return values[:, None]
