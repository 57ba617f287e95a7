"""Covariances Σₖ = λₖ Dₖ Aₖ Dₖᵀ, |A| = 1, of one volume λ, shape A or orientation D.

What maximises a Gaussian likelihood given scatters Wₖ about the means of nₖ rows minimises

    Σₖ nₖ log |Σₖ| + tr(Wₖ Σₖ⁻¹)

(Celeux and Govaert 1995, Pattern Recognition 28), in closed form or by turns, each of which lowers
it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
TURNS, SWEEPS, CLOSE = 1000, 100, 1e-14


def variances(weight: Array, scatter: Array, one_volume: bool, one_shape: bool) -> Array:
    """λₖ Aₖ (K, D) for known axes, from nₖ (K,) and scatters along the axes (K, D), above 0."""
    n, share = weight.sum(), weight[:, None]
    if one_volume and one_shape:
        return np.broadcast_to(scatter.sum(axis=0) / n, scatter.shape)
    if one_volume:
        volumes = np.exp(np.log(scatter).mean(axis=1, keepdims=True))
        return scatter / volumes * (volumes.sum() / n)
    if not one_shape:
        return scatter / share
    common = (scatter / scatter.mean(axis=1, keepdims=True)).sum(axis=0) / n
    for _ in range(TURNS):
        volumes = (scatter / common).mean(axis=1, keepdims=True) / share
        new = (scatter / volumes).sum(axis=0) / n
        new /= np.exp(np.log(new).mean())
        done = (np.abs(new - common) <= CLOSE * new).all()
        common = new
        if done:
            break
    return (scatter / common).mean(axis=1, keepdims=True) / share * common


def proportional(weight: Array, scatter: Array) -> Array:
    """λₖ C (K, D, D) with one C for all, from nₖ (K,) and scatters (K, D, D), positive definite."""
    n, (_, d, _) = weight.sum(), scatter.shape
    volumes = np.einsum("kii->k", scatter) / (d * weight)
    for _ in range(TURNS):
        common = np.einsum("k,kij->ij", 1 / volumes, scatter) / n
        new = np.einsum("kij,ji->k", scatter, np.linalg.inv(common)) / (d * weight)
        new *= np.exp((weight @ np.log(volumes / new)) / n)  # only their ratios matter
        done = (np.abs(new - volumes) <= CLOSE * new).all()
        volumes = new
        if done:
            break
    common = np.einsum("k,kij->ij", 1 / volumes, scatter) / n
    return volumes[:, None, None] * common


def turned(axes: Array, scatter: Array, spread: Array) -> Array:
    """Axes D (D, D) turned, two at a time, to lower Σₖ tr(Wₖ D Vₖ⁻¹ Dᵀ) as far as each pair can.

    scatter : W (K, D, D). spread : the diagonals of V, (K, D). In the plane of two axes that is a
    quadratic form of one of them, whose smallest eigenvector it is to be (Flury and Gautschi 1986).
    """
    precision, axes = 1.0 / spread, axes.copy()
    for i in range(len(axes)):
        for j in range(i):
            plane = axes[:, [i, j]]
            excess = np.einsum("k,kij->ij", precision[:, i] - precision[:, j], scatter)
            _, vectors = np.linalg.eigh(plane.T @ excess @ plane)
            axes[:, [i, j]] = plane @ vectors
    return axes


def about_axes(weight: Array, scatter: Array, begin: Sequence[Array], one_volume: bool) -> Array:
    """λₖ D Aₖ Dᵀ (K, D, D) with one D for all, by turns from the best of some D to begin with.

    There may be several minima. With axes of before to begin with, the result is at least as good.
    """

    def profile(axes: Array) -> tuple[float, Array]:
        along = np.einsum("ji,kjl,li->ki", axes, scatter, axes, optimize=True)
        spread = variances(weight, along, one_volume, one_shape=False)
        return float(weight @ np.log(spread).sum(axis=1)), spread

    height, axes = np.inf, min(begin, key=lambda axes: profile(axes)[0])
    for _ in range(SWEEPS):
        before, (height, spread) = height, profile(axes)
        if before - height <= CLOSE * weight.sum():
            break
        axes = turned(axes, scatter, spread)
    return np.asarray((axes * spread[:, None]) @ axes.T)
