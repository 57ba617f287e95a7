"""Responsibilities from log-joints, in place, on tiles that stay in the cache."""

from __future__ import annotations

import numpy as np

# Responsibilities below exp(FLOOR) cannot change any sum in float64, but as denormals they make
# a matrix product up to five times slower; exp(-500) times any feature stays a normal number.
FLOOR = -500.0
FLOORS = {"d": FLOOR, "f": -70.0}  # by the precision


def floor_of(logs: np.ndarray) -> float:
    """The least logarithm in the precision of `logs` whose exponential is a comfortable number."""
    return FLOORS[logs.dtype.char]


def respond_exactly(log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None) -> float:
    """out = w · softmax over axis 0 of log_joint (K, n); returns Σ w H.

    H = log Σₖ exp(sₖ) − Σₖ rₖ sₖ with s = log_joint, from which their maximum is taken unless
    their exponentials are all comfortable numbers anyway: both terms are small enough that
    nothing cancels however large the log-densities are. In the precision of log_joint, whose
    tiles are small; the sum over rows is in float64.
    """
    floor = floor_of(log_joint)
    least = np.minimum.reduce(log_joint, axis=None, initial=0.0)
    if least < floor or np.maximum.reduce(log_joint, axis=None, initial=0.0) > -floor:
        shift(log_joint)
    np.exp(log_joint, out=out)
    total = np.ones(len(out), out.dtype) @ out
    log_total = np.log(total)
    out *= np.divide(1.0 if weights is None else weights, total, out=total)
    mass = np.add.reduce(log_total, dtype=float) if weights is None else weights @ log_total
    return float(mass - np.vdot(out, log_joint))


def shift(log_joint: np.ndarray) -> np.ndarray:
    """Take from each column of log_joint (K, n) its maximum, (n,), which is returned.

    What is then below the floor is raised to it, as it makes no difference.
    """
    largest = log_joint.max(axis=0)
    log_joint -= largest
    # NumPy takes the maximum with a row twice as fast as with a number
    np.maximum(log_joint, np.full_like(largest, floor_of(log_joint)), out=log_joint)
    return largest


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
    largest = shift(log_joint)
    np.exp(log_joint, out=scratch)
    return largest + np.log(scratch.sum(axis=0))
