"""Responsibilities from log-joints, in place, on tiles that stay in the cache."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dem.kernels.compiled import compiled, exp

# Responsibilities below exp(FLOOR) cannot change any sum in float64, but as denormals they make
# a matrix product up to five times slower; exp(-500) times any feature stays a normal number.
FLOOR = -500.0
FLOORS = {"d": FLOOR, "f": -70.0}  # by the precision
STRIP = 128  # columns that are gone over again and again while they are in the nearest cache
TOGETHER = 32  # totals up to K whose product is a number, for any K
ONES, NOWHERE = np.empty(0), {kind: np.empty((0, 0), kind) for kind in "df"}


class Rule(NamedTuple):
    """How q is chosen: the best state only, or in proportion to the joint to the power β."""

    hard: bool
    beta: float


def floor_of(logs: np.ndarray) -> float:
    """The least logarithm in the precision of `logs` whose exponential is a comfortable number."""
    return FLOORS[logs.dtype.char]


def respond_exactly(
    log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None, beta: float = 1.0
) -> float:
    """out = w · softmax over axis 0 of β log_joint, (K, n); returns Σ w H.

    H = log Σₖ exp(sₖ) − Σₖ rₖ sₖ with s = β log_joint, from which their maximum is taken: both
    terms are small enough that nothing cancels however large the log-densities are. In the
    precision of log_joint, whose tiles are small; the sum over rows is in float64.
    """
    w, turned = ONES if weights is None else weights, NOWHERE[log_joint.dtype.char]
    floor, beta = log_joint.dtype.type(floor_of(log_joint)), log_joint.dtype.type(beta)
    return float(soften(log_joint, w, beta, floor, out, turned))


def respond_with_the_best(
    log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None
) -> float:
    """out = w at the largest of each column of log_joint (K, n), else 0; returns 0.0, Σ w H."""
    choose(log_joint, ONES if weights is None else weights, out)
    return 0.0


@compiled
def soften(log_joint, weights, beta, floor, out, turned):  # type: ignore[no-untyped-def]
    """See `respond_exactly`. weights : (n,), or (0,) for ones. beta, floor : of log_joint's dtype.

    turned : (n, K) to receive the responsibilities in place of `out`, or (0, 0).
    """
    k, columns = log_joint.shape
    zero, one = log_joint.dtype.type(0), log_joint.dtype.type(1)
    scratch = np.empty((3, STRIP), log_joint.dtype)
    top, total, mean = scratch[0], scratch[1], scratch[2]
    entropy = 0.0
    for start in range(0, columns, STRIP):
        stop = min(start + STRIP, columns)
        n = stop - start
        for j in range(k):
            logs = log_joint[j, start:stop]
            if beta != one:
                for i in range(n):
                    logs[i] *= beta
            if j == 0:
                for i in range(n):
                    top[i] = logs[i]
                    total[i] = zero
                    mean[i] = zero
            for i in range(n):
                top[i] = logs[i] if logs[i] > top[i] else top[i]
        for j in range(k):
            logs, own = log_joint[j, start:stop], out[j, start:stop]
            for i in range(n):
                value = logs[i] - top[i]
                value = floor if value < floor else value  # NaN stays
                share = exp(value)
                own[i] = share
                total[i] += share
                mean[i] += share * value
        for i in range(n):
            mean[i] /= total[i]
        if len(weights):
            for i in range(n):
                w = weights[start + i]
                entropy += w * (math.log(np.float64(total[i])) - mean[i])
                total[i] = w / total[i]
        else:
            product = 1.0  # one logarithm for some of the totals, which are between 1 and K
            for i in range(n):
                product *= np.float64(total[i])
                if i % TOGETHER == TOGETHER - 1:
                    entropy += math.log(product)
                    product = 1.0
            entropy += math.log(product)
            for i in range(n):
                entropy -= mean[i]
            for i in range(n):
                total[i] = one / total[i]
        if len(turned):
            for i in range(n):
                for j in range(k):
                    turned[start + i, j] = out[j, start + i] * total[i]
        else:
            for j in range(k):
                own = out[j, start:stop]
                for i in range(n):
                    own[i] *= total[i]
    return entropy


@compiled
def choose(log_joint, weights, out):  # type: ignore[no-untyped-def]
    """See `respond_with_the_best`."""
    k, n = log_joint.shape
    index = np.empty(n, np.int64)
    label(log_joint, index)
    for j in range(k):
        own = out[j]
        for i in range(n):
            own[i] = 1.0 if index[i] == j else 0.0
    # A NaN must not vanish here: it is found in the sums afterwards.
    if len(weights):
        for j in range(k):
            for i in range(n):
                out[j, i] *= weights[i]


@compiled
def label(log_joint, index):  # type: ignore[no-untyped-def]
    """index (n,) = where each column of log_joint (K, n) is largest, of equals the first."""
    k, n = log_joint.shape
    best = np.empty(STRIP, log_joint.dtype)
    for start in range(0, n, STRIP):
        stop = min(start + STRIP, n)
        own = index[start:stop]
        for i in range(stop - start):
            best[i] = log_joint[0, start + i]
            own[i] = 0
        for j in range(1, k):
            logs = log_joint[j, start:stop]
            for i in range(stop - start):
                own[i] = j if logs[i] > best[i] else own[i]
                best[i] = logs[i] if logs[i] > best[i] else best[i]


def shift(log_joint: np.ndarray) -> np.ndarray:
    """Take from each column of log_joint (K, n) its maximum, (n,), which is returned.

    What is then below the floor is raised to it, as it makes no difference.
    """
    largest = log_joint.max(axis=0)
    log_joint -= largest
    # NumPy takes the maximum with a row twice as fast as with a number
    np.maximum(log_joint, np.full_like(largest, floor_of(log_joint)), out=log_joint)
    return largest


def log_sum_exp(log_joint: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    """log Σₖ exp(log_joint) over axis 0, (n,); shifts log_joint by its maximum."""
    largest = shift(log_joint)
    np.exp(log_joint, out=scratch)
    return largest + np.log(scratch.sum(axis=0))
