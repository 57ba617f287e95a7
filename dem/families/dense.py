"""Covariances with correlations: full and tied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dtrtri

from dem.kernels.normal import pack, unpack
from dem.kernels.sweep import Second

Array = np.ndarray


def _root(covariance: Array) -> Array:
    """Upper triangular A with A Aᵀ = Σ⁻¹, by the Cholesky factor of Σ."""
    inverse, _ = dtrtri(np.linalg.cholesky(covariance), lower=1)
    return inverse.T


def _rounding(size: int, largest: Array | float) -> Array | float:
    """What rounding does to the eigenvalues of Σ (D, D), given the largest.

    In the frame that is D at most, except for rows unlike those of the sample: D makes a floor
    that is the same in every turn, as it must be for the bound not to fall.
    """
    return np.finfo(float).eps * size * np.maximum(largest, 2 * size)


def _clip(covariance: Array, floors: Array) -> tuple[Array, bool]:
    """Σ raised to Σ ⪰ diag(floors), floors (D,): the likelihood's maximum under that.

    In units in which the floors are one, eigenvalues below one are raised to it. No floor is
    below the rounding of the largest eigenvalue: there would be no Cholesky factor.
    """
    rounding = _rounding(len(floors), np.einsum("ii->i", covariance).max())
    units = np.sqrt(np.maximum(floors, rounding))
    scaled = covariance / units / units[:, None]
    try:
        if np.square(_root(scaled)).sum() <= 1.0:  # tr Λ ≥ 1 / λ_min
            return covariance, False
    except np.linalg.LinAlgError:
        ...  # not positive definite to rounding; the eigenvalues tell by how much
    values, vectors = np.linalg.eigh(scaled)
    if values[0] >= 1.0:
        return covariance, False
    clipped = (vectors * np.maximum(values, 1.0)) @ vectors.T
    return (clipped + clipped.T) / 2 * units * units[:, None], True


class _Dense:
    """What full and tied have in common: matrices (..., D, D), second moments packed."""

    uniform = False
    correlated = True

    def packed(self, matrices: Array) -> Array:
        return pack(matrices)

    def outer(self, z: Array, r: Array | None) -> Array:
        return pack((z if r is None else z * r) @ z.T)

    def widen(self, covariances: Array, extra: Array) -> Array:
        return covariances + np.diag(extra)

    def collapsed(self, covariances: Array, shape: tuple[int, int], floor: float) -> Array:
        values = np.linalg.eigvalsh(covariances)
        least = np.maximum(floor, 10 * _rounding(shape[1], values[..., -1]))
        return np.broadcast_to(values[..., 0] <= least, shape[:1])

    def precisions(self, roots: Array) -> Array:
        return roots @ roots.swapaxes(-1, -2)

    def flatten(self, covariances: Array) -> Array:
        lower = np.linalg.cholesky(covariances)
        i, j = np.tril_indices(lower.shape[-1])
        flat = lower[..., i, j]
        flat[..., i == j] = np.log(flat[..., i == j])
        return flat

    def unflatten(self, vector: Array, shape: tuple[int, ...]) -> Array:
        i, j = np.tril_indices(shape[-1])
        flat = vector.reshape(*shape[:-2], -1).copy()
        flat[..., i == j] = np.exp(flat[..., i == j])
        lower = np.zeros(shape)
        lower[..., i, j] = flat
        return lower @ lower.swapaxes(-1, -2)

    def inverse(self, values: Array) -> Array:
        return np.linalg.inv(values)

    def check(self, name: str, values: Array) -> None:
        symmetric = np.allclose(values, values.swapaxes(-1, -2))
        if not symmetric or not (np.linalg.eigvalsh(values) > 0).all():
            raise ValueError(f"{name} should be symmetric and positive definite.")

    def inward(self, covariances: Array, scale: Array) -> Array:
        return covariances / scale[:, None] / scale

    def outward(self, covariances: Array, scale: Array) -> Array:
        return covariances * scale[:, None] * scale

    def roots_outward(self, roots: Array, scale: Array) -> Array:
        return roots / scale[:, None]


@dataclass(frozen=True)
class Full(_Dense):
    """Each component has its own covariance, any positive definite matrix."""

    name = "full"
    pooled = False
    second = Second.PRODUCTS

    def cross(self, a: Array, b: Array) -> Array:
        outer = a[:, :, None] * b[:, None, :]
        return pack(outer + outer.transpose(0, 2, 1)) / 2

    def shared(self, second: Array) -> Array:
        return second

    def covariances(self, weight: Array, scatter: Array, size: int) -> Array:
        return unpack(scatter / weight[:, None], size)

    def at_least(self, covariances: Array, floors: Array) -> tuple[Array, Array]:
        pairs = [_clip(c, f) for c, f in zip(covariances, floors, strict=True)]
        return np.stack([c for c, _ in pairs]), np.array([clipped for _, clipped in pairs])

    def keep(self, alive: Array, new: Array, old: Array) -> Array:
        return np.where(alive[:, None, None], new, old)

    def roots(self, covariances: Array) -> Array:
        return np.stack([_root(c) for c in covariances])

    def natural(self, roots: Array, means: Array) -> tuple[Array, Array]:
        precisions = self.precisions(roots)
        linear = np.einsum("kij,kj->ki", precisions, means)
        np.einsum("kii->ki", precisions)[:] /= 2  # xᵢxⱼ stands for xⱼxᵢ too, xᵢ² for itself
        return linear, -pack(precisions)

    def log_det(self, roots: Array, shape: tuple[int, int]) -> Array:
        return np.log(np.abs(np.einsum("kii->ki", roots))).sum(axis=1)

    def magnitude(self, roots: Array, m: Array) -> Array:
        return np.einsum("ki,kij,kj->k", m, np.abs(self.precisions(roots)), m)

    def variances(self, covariances: Array, shape: tuple[int, int]) -> Array:
        return np.einsum("kii->ki", covariances)

    def whiten(self, roots: Array, k: int, z: Array) -> Array:
        return roots[k].T @ z

    def unwhiten(self, roots: Array, k: int, y: Array) -> Array:
        return np.linalg.solve(roots[k].T, y)

    def trace(self, roots: Array, scatter: Array) -> float:
        return float(np.einsum("kij,kij->", unpack(scatter, roots.shape[1]) @ roots, roots))

    def n_parameters(self, k: int, d: int) -> int:
        return k * d * (d + 1) // 2

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return k, d, d


@dataclass(frozen=True)
class Tied(_Dense):
    """One covariance, any positive definite matrix, shared by all components.

    The quadratic term is the same for all of them, so it drops out of the responsibilities, and
    the scatter is pooled: what is left for each component is linear in x.
    """

    name = "tied"
    pooled = True
    second = Second.NOTHING

    def cross(self, a: Array, b: Array) -> Array:
        outer = a.T @ b
        return pack(outer + outer.T) / 2

    def shared(self, second: Array) -> Array:
        return np.asarray(second.sum(axis=0))

    def covariances(self, weight: Array, scatter: Array, size: int) -> Array:
        return unpack(scatter / weight.sum(), size)

    def at_least(self, covariances: Array, floors: Array) -> tuple[Array, Array]:
        value, clipped = _clip(covariances, floors.max(axis=0))
        return value, np.full(len(floors), clipped)

    def keep(self, alive: Array, new: Array, old: Array) -> Array:
        return new

    def roots(self, covariances: Array) -> Array:
        return _root(covariances)

    def natural(self, roots: Array, means: Array) -> tuple[Array, Array]:
        return means @ self.precisions(roots), np.empty((len(means), 0))

    def log_det(self, roots: Array, shape: tuple[int, int]) -> Array:
        return np.full(shape[0], np.log(np.abs(np.diag(roots))).sum())

    def magnitude(self, roots: Array, m: Array) -> Array:
        return np.einsum("ki,ij,kj->k", m, np.abs(self.precisions(roots)), m)

    def variances(self, covariances: Array, shape: tuple[int, int]) -> Array:
        return np.broadcast_to(np.diag(covariances), shape)

    def whiten(self, roots: Array, k: int, z: Array) -> Array:
        return roots.T @ z

    def unwhiten(self, roots: Array, k: int, y: Array) -> Array:
        return np.linalg.solve(roots.T, y)

    def trace(self, roots: Array, scatter: Array) -> float:
        return float(np.einsum("ij,ij->", unpack(scatter, len(roots)) @ roots, roots))

    def n_parameters(self, k: int, d: int) -> int:
        return d * (d + 1) // 2

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return d, d
