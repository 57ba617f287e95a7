"""EM for Gaussian mixtures in fifty digits: slow, obvious, and right."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np

Array = np.ndarray
DIGITS = 50
# Arrays of mpmath numbers: +, *, @ and sum work on them as on floats.
exact = np.vectorize(lambda value: mp.mpf(float(value)), otypes=[object])
exp = np.vectorize(lambda v: mp.exp(v) if v > -1000 else mp.mpf(0), otypes=[object])
log = np.vectorize(mp.log, otypes=[object])


def run(
    form: str,
    start: tuple[Array, Array, Array],
    rows: Array,
    turns: int,
    *,
    origin: Array,
    scale: Array,
    hard: bool = False,
) -> tuple[Array, Array, Array, Array]:
    """(weights, means, covariances (K, D, D), bounds per row before each turn) in float64.

    form : "full", "tied", "diag" or "spherical".
    start : weights (K,), means (K, D), covariances (K, D, D) of the rows (rows − origin) / scale.
    The results and the bounds are of these rows too. Everything that goes in is taken as exact.
    Raises ZeroDivisionError where the likelihood has no maximum.
    """
    with mp.workdps(DIGITS):
        x = (exact(rows) - exact(origin)) / exact(scale)
        weights, means, covariances = (exact(part) for part in start)
        bounds = []
        for _ in range(turns):
            log_joint = _log_joint(x, weights, means, covariances)
            q, bound = _posterior(log_joint, hard)
            weights, means, covariances = _maximum(form, x, q)
            bounds.append(bound / len(x))
        return tuple(
            np.asarray(part, dtype=float) for part in (weights, means, covariances, bounds)
        )


def _log_joint(x: Array, weights: Array, means: Array, covariances: Array) -> Array:
    """log p(k, x), (n, K)."""
    columns, d = [], x.shape[1]
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        matrix = mp.matrix(covariance.tolist())
        precision = np.array((matrix**-1).tolist(), dtype=object)
        z = x - mean
        norm = -(d * mp.log(2 * mp.pi) + mp.log(mp.det(matrix))) / 2
        log_weight = mp.log(weight) if weight > 0 else -(mp.mpf(10) ** 400)
        columns.append(log_weight + norm - ((z @ precision) * z).sum(axis=1) / 2)
    return np.stack(columns, axis=1)


def _posterior(log_joint: Array, hard: bool) -> tuple[Array, Any]:
    """q(k | x), (n, K), and the bound under it, summed over the rows."""
    largest = log_joint.max(axis=1)
    if hard:
        best = (log_joint == largest[:, None]).argmax(axis=1)
        return exact(np.eye(log_joint.shape[1])[best]), largest.sum()
    parts = exp(log_joint - largest[:, None])
    total = parts.sum(axis=1)
    return parts / total[:, None], (largest + log(total)).sum()


def _maximum(form: str, x: Array, q: Array) -> tuple[Array, Array, Array]:
    """Weights, means and covariances (K, D, D) that maximise E_q[log p(h, x)]."""
    (n, d), share = x.shape, q.sum(axis=0)
    means = (q.T @ x) / share[:, None]
    scatters = np.stack(
        [((x - m) * r[:, None]).T @ (x - m) for m, r in zip(means, q.T, strict=True)]
    )
    if form == "tied":
        covariances = np.stack([scatters.sum(axis=0) / n] * len(means))
    else:
        covariances = scatters / share[:, None, None]
    if form in ("diag", "spherical"):
        covariances = covariances * exact(np.eye(d))
    if form == "spherical":
        covariances = np.stack([exact(np.eye(d)) * (np.trace(c) / d) for c in covariances])
    return share / n, means, covariances
