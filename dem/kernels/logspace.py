"""Responsibilities from log-joints, in place, on tiles that stay in the cache."""

from __future__ import annotations

import numpy as np

# Responsibilities below exp(FLOOR) cannot change any sum in float64, but as denormals they make
# a matrix product up to five times slower; exp(-500) times any feature stays a normal number.
FLOOR = -500.0


def respond_exactly(log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None) -> float:
    """out = w · softmax over axis 0 of log_joint (K, n); returns Σ w H.

    H = log Σₖ exp(sₖ) − Σₖ rₖ sₖ with s = log_joint − max: both terms are at most log K or so,
    so that nothing cancels however large the log-densities are.
    """
    largest = log_joint.max(axis=0)
    log_joint -= largest
    largest.fill(FLOOR)  # NumPy takes the maximum with a row twice as fast as with a number
    np.maximum(log_joint, largest, out=log_joint)
    np.exp(log_joint, out=out)
    total = out.sum(axis=0)
    log_total = np.log(total)
    w = np.ones_like(total) if weights is None else weights
    out *= w / total
    return float(np.dot(w, log_total) - np.vdot(out, log_joint))


def respond_with_the_best(
    log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None
) -> float:
    """out = w at the largest of each column of log_joint (K, n), else 0; returns 0.0, Σ w H."""
    best = log_joint.argmax(axis=0)
    out.fill(0.0)
    columns = np.arange(log_joint.shape[1])
    # A NaN must not vanish here: it is found in the sums afterwards and traced to its row.
    out[best, columns] = 1.0 if weights is None else weights
    return 0.0


def log_sum_exp(log_joint: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    """log Σₖ exp(log_joint) over axis 0, (n,); shifts log_joint by its maximum."""
    largest = log_joint.max(axis=0)
    log_joint -= largest
    np.maximum(log_joint, FLOOR, out=log_joint)
    np.exp(log_joint, out=scratch)
    return largest + np.log(scratch.sum(axis=0))
