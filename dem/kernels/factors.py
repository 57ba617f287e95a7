"""Covariances W Wᵀ + Ψ, W of a few columns, that maximise a Gaussian likelihood given a scatter.

With S the scatter about the mean of n rows over n, that is to minimise log |Σ| + tr(S Σ⁻¹).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.special import gammaln

Array = np.ndarray
# Of a column's variance, the least that is its own: S Ψ⁻¹ keeps half its digits.
LEAST = 1e-8
BARE, RAISED = 1e-6, 1e-2  # of it, from which a search may still go anywhere
CLOSE = 1e-10  # a gradient that is none
RIDGE, FAR = 1e-6, 2.0
TINY = 1e-15
# Of the largest variance: what none at all can come to where a covariance is held above its floor.
SINGULAR = 1e-12
ROTATIONS = {"varimax": 1.0, "quartimax": 0.0}
TURNS, SETTLED = 100, 1e-6  # of a rotation


def largest(matrix: Array, q: int) -> tuple[Array, Array]:
    """The q largest eigenvalues of a symmetric matrix (D, D), and eigenvectors (D, q) for them.

    In falling order; the entry of an eigenvector that is largest in size is positive.
    """
    d = len(matrix)
    values, vectors = eigh(matrix, subset_by_index=(d - q, d - 1))
    return values[::-1], upright(vectors)[:, ::-1]


def upright(vectors: Array) -> Array:
    """Columns with the sign that makes their entry of largest size positive."""
    peaks = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    return np.asarray(vectors * np.where(peaks < 0, -1.0, 1.0))


class Profile(NamedTuple):
    """What a Ψ comes to with the W that is best for it, by the eigenvalues of Ψ^−½ S Ψ^−½.

    cost : log |Σ| + tr(S Σ⁻¹).
    w : (D, q), Ψ^½ U (Λ − 1)^½ with the q largest eigenvalues, if above 1 (Lawley 1940).
    gradient, curvature : (D,) and (D, D), of the cost by log Ψ (Jöreskog 1967).
    """

    cost: float
    w: Array
    gradient: Array
    curvature: Array

    @classmethod
    def of(cls, scatter: Array, noise: Array, q: int) -> Profile:
        root = np.sqrt(noise)
        values, vectors = eigh(scatter / root / root[:, None])
        values, vectors = values[::-1], upright(vectors)[:, ::-1]
        n = int((values[:q] > 1.0).sum())
        common, left = values[:n], values[n:]
        u, v = vectors[:, :n], vectors[:, n:]
        w = np.zeros((len(noise), q))
        w[:, :n] = root[:, None] * u * np.sqrt(common - 1.0)
        cost = np.log(noise).sum() + np.log(common).sum() + n + left.sum()
        curvature = (v * left @ v.T) * (v @ v.T)
        for value, axis in zip(common, u.T, strict=True):
            share = (1.0 - left) * (value + left) / np.maximum(value - left, CLOSE * value)
            curvature += np.outer(axis, axis) * (v * share @ v.T)
        return cls(float(cost), w, np.square(v) @ (1.0 - left), curvature)

    def direction(self, free: Array) -> Array:
        """Newton's step (D,) for those log Ψ that are free to move, downhill in any case."""
        values, vectors = eigh(self.curvature[np.ix_(free, free)])
        steep = np.maximum(np.abs(values), RIDGE * np.abs(values).max(initial=1.0))
        step = np.zeros(len(free))
        step[free] = -(vectors / steep) @ (vectors.T @ self.gradient[free])
        return step * min(1.0, FAR / np.abs(step).max(initial=FAR))


def common_factors(scatter: Array, noise: Array, q: int, turns: int) -> tuple[Array, Array]:
    """(W (D, q), Ψ (D,)) with diagonal Ψ, no worse than any with the Ψ to begin with.

    Where that is next to nothing the likelihood hardly depends on log Ψ, and there is no way back:
    the search begins a little above.
    """
    least = LEAST * np.diag(scatter)
    raised = np.maximum(noise, RAISED * np.diag(scatter))
    new, there = _search(scatter, raised, q, turns, least)
    if (raised > noise).any() and there.cost > Profile.of(scatter, noise, q).cost:
        new, there = _search(scatter, noise, q, turns, np.minimum(least, noise))
    return there.w, new


def best_common_factors(scatter: Array, q: int, turns: int) -> tuple[Array, Array]:
    """The better of two searches: there may be several maxima.

    One begins where columns have nothing in common, one where each has its own what the others do
    not explain, (1 − q / 2D) / diag(S⁻¹) (Jöreskog 1967).
    """
    variances, d = np.diag(scatter), len(scatter)
    units = np.sqrt(variances)
    ridge = np.diag(np.full(d, LEAST))  # columns may depend on each other
    precisions = np.diag(np.linalg.inv(scatter / units / units[:, None] + ridge))
    unexplained = variances * np.clip((1 - q / (2 * d)) / precisions, BARE, 1.0)
    found = [
        _search(scatter, begin, q, turns, LEAST * variances) for begin in (variances, unexplained)
    ]
    noise, best = min(found, key=lambda pair: pair[1].cost)
    return best.w, noise


def _search(
    scatter: Array, noise: Array, q: int, turns: int, least: Array
) -> tuple[Array, Profile]:
    """Ψ (D,) at a maximum of the likelihood, above the least, and what it comes to.

    Newton's method on log Ψ, the best W for each being known (Jöreskog 1967). Where that fails, Ψ
    is what EM's M-step would take for this W, diag(S − W Wᵀ), which never does harm.
    """
    here = Profile.of(scatter, noise, q)
    for _ in range(turns):
        free = (noise > least) | (here.gradient < 0)
        if np.abs(here.gradient[free]).max(initial=0.0) <= CLOSE:
            break
        step = here.direction(free)
        other = np.diag(scatter) - np.square(here.w).sum(axis=1)
        for trial in (*(noise * np.exp(step / 4**i) for i in range(3)), other):
            new = np.maximum(trial, least)
            there = Profile.of(scatter, new, q)
            if there.cost < here.cost:
                break
        else:  # only rounding is left
            break
        noise, here = new, there
    return noise, here


def principal_axes(scatter: Array, q: int) -> tuple[Array, float]:
    """(W (D, q), σ²) with Ψ = σ² I, at the maximum (Tipping and Bishop 1999).

    σ² is the mean of the eigenvalues that are left out, and W = U (Λ − σ²)^½.
    """
    d = len(scatter)
    values, vectors = largest(scatter, q)
    left = max(float(np.trace(scatter) - values.sum()), 0.0) / (d - q)
    left = max(left, LEAST * np.finfo(float).eps)
    return vectors * np.sqrt(np.maximum(values - left, 0.0)), left


def dimension(spectrum: Array, n: float) -> int:
    """How many of the principal axes of n rows are more than noise (Minka 2000).

    spectrum : the variances along all axes (D,), in falling order.
    By Laplace's approximation of the evidence, for 1 to D − 1 axes.
    """
    return max(range(1, len(spectrum)), key=lambda k: _evidence(spectrum, k, n), default=1)


def _evidence(spectrum: Array, k: int, n: float) -> float:
    """log p(rows | k axes), but for what does not depend on k."""
    d = len(spectrum)
    if spectrum[k - 1] <= SINGULAR * spectrum[0]:
        return -np.inf
    left = max(float(spectrum[k:].mean()), TINY)
    freedom = d - np.arange(k)
    of_axes = (gammaln(freedom / 2) - freedom * np.log(np.pi) / 2).sum() - k * np.log(2)
    fit = -(np.log(spectrum[:k]).sum() + (d - k) * np.log(left)) * n / 2
    m = d * k - k * (k + 1) / 2
    reduced = np.append(spectrum[:k], np.full(d - k, left))
    i, j = np.nonzero(np.tri(d, k=-1).T[:k])
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (spectrum[i] - spectrum[j]) * (1 / reduced[j] - 1 / reduced[i])
        curvature = (np.log(apart) + np.log(n)).sum()
    total = of_axes + fit + (m + k) * np.log(2 * np.pi) / 2 - (curvature + k * np.log(n)) / 2
    return float(total) if np.isfinite(total) else -np.inf


def rotated(loadings: Array, gamma: float) -> Array:
    """W (D, q) turned to make entries large or small (Kaiser 1958).

    gamma : 1 for varimax, 0 for quartimax.
    """
    d, q = loadings.shape
    turn, reached = np.eye(q), 0.0
    for _ in range(TURNS):
        w = loadings @ turn
        spread = np.square(w).sum(axis=0) * (gamma / d)
        left, sizes, right = np.linalg.svd(loadings.T @ (w**3 - w * spread))
        turn, before, reached = left @ right, reached, float(sizes.sum())
        if before and reached < before * (1 + SETTLED):
            break
    return np.asarray(loadings @ turn)
