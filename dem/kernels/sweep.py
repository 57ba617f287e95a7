"""The E-step of a Gaussian mixture over many rows in one call, tile by tile, without Python's lock.

Threads that call NumPy for each step of each tile hand the lock to and fro, and mostly wait for it.
Tiles are feature-major, as everywhere: x is (D, n). Products of matrices are those of BLAS.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from dem.kernels.compiled import compiled
from dem.kernels.logspace import FLOORS, ONES, Rule, choose, label, soften
from dem.kernels.normal import products

Array = np.ndarray
FARTHEST = 32.0  # from the origin, in the frame: squares of rows beyond want all the digits
LEAST, MOST = 1e-6, 1e6  # weights that times exp(-70) are still numbers in float32
WIDE = 512  # bytes of a row
TURNED = 1200  # the size of a product (M · N) up to which its second factor may lie transposed


class Second(IntEnum):
    """The second-order features of a row x (D,) of the frame."""

    PRODUCTS = 0  # xᵢ xⱼ, D(D+1)/2 of them, in the order of `dem.kernels.normal.pairs`
    SQUARES = 1  # xᵢ²
    LENGTH = 2  # Σᵢ xᵢ²
    NOTHING = 3  # as their sums do not depend on q

    def count(self, size: int) -> int:
        """How many there are for `size` columns."""
        return (size * (size + 1) // 2, size, 1, 0)[self]


PRODUCTS, SQUARES, LENGTH, NOTHING = (int(kind) for kind in Second)


class Task(NamedTuple):
    """What is the same for all rows of a sweep, in one precision.

    origin, inverse : (D,), x = (row − origin) · inverse.
    eta : (K · P,), natural parameters of T(x) = (1, x, second order), one panel after another,
        each (K, width).
    edges : (panels + 1,), where panels begin and end among the features; 1 and x are in the first.
    second : a `Second`.
    """

    origin: Array
    inverse: Array
    eta: Array
    edges: Array
    second: int


class Sums(NamedTuple):
    """What sweeps add to, in float64.

    total : (P, K), Σ T rᵀ. scatter : (D, D), Σ w x xᵀ, where there are no second-order features.
    entropy : (1,), Σ w H. short : (1,), how many rows went through products in float32.
    """

    total: Array
    scatter: Array
    entropy: Array
    short: Array


def sweep(task: Task, size: int, rule: Rule, rows: Array, weights: Array | None, sums: Sums) -> int:
    """One E-step over rows (N, D), float32 or float64; returns how many of them were done.

    In tiles of `size` rows, and the precision of the task: in float32 it stops before a tile that
    wants more digits.
    weights : (N,) float64, or None for ones.
    """
    kind = task.eta.dtype
    soft = kind.type(rule.beta), kind.type(FLOORS[kind.char])
    w = ONES if weights is None else weights
    return int(_sweep(*task, size, rule.hard, *soft, rows, w, *sums))


@compiled
def load(rows, origin, inverse, x):  # type: ignore[no-untyped-def]
    """x (D, n) = ((rows − origin) · inverse)ᵀ for rows (n, D)."""
    n, d = rows.shape
    whole = n - n % 8  # eight rows at a time, in full: a loop over them takes half as long again
    # Wide ones are copied first: columns of memory that is not near are slow to read.
    apart = d * rows.itemsize >= WIDE
    copy = np.empty((8 if apart else 0, d), rows.dtype)
    for a in range(0, whole, 8):
        block = rows[a : a + 8]
        if apart:
            for i in range(8):
                for j in range(d):
                    copy[i, j] = block[i, j]
            block = copy
        for j in range(d):
            o, s = origin[j], inverse[j]
            x[j, a] = (block[0, j] - o) * s
            x[j, a + 1] = (block[1, j] - o) * s
            x[j, a + 2] = (block[2, j] - o) * s
            x[j, a + 3] = (block[3, j] - o) * s
            x[j, a + 4] = (block[4, j] - o) * s
            x[j, a + 5] = (block[5, j] - o) * s
            x[j, a + 6] = (block[6, j] - o) * s
            x[j, a + 7] = (block[7, j] - o) * s
    for j in range(d):
        for i in range(whole, n):
            x[j, i] = (rows[i, j] - origin[j]) * inverse[j]


@compiled
def place(d, a, b, features):  # type: ignore[no-untyped-def]
    """Where features a to b of T(x) are among `features`: 1, x (D, n), a panel of second order."""
    return features[:b] if a == 0 else features[d + 1 : d + 1 + b - a]


@compiled
def fill(second, d, a, b, features):  # type: ignore[no-untyped-def]
    """Make those of second order among them, from the x that is there."""
    x = features[1 : d + 1]
    first = max(a, d + 1)
    out = features[d + 1 : d + 1 + b - first]
    if second == PRODUCTS:
        products(x, first - d - 1, out)
    elif second == SQUARES:
        for q in range(len(out)):
            own, one = out[q], x[first - d - 1 + q]
            for t in range(len(own)):
                own[t] = one[t] * one[t]
    elif second == LENGTH:
        own = out[0]
        own[:] = 0.0
        for one in x:
            for t in range(len(own)):
                own[t] += one[t] * one[t]


@compiled
def moderate(x, weights):  # type: ignore[no-untyped-def]
    """Whether float32 is enough for rows x (D, n) of the frame and weights (n,) or (0,)."""
    d, n = x.shape
    far = np.zeros(n, x.dtype)
    for j in range(d):
        own = x[j]
        for i in range(n):
            size = abs(own[i])
            far[i] = size if size > far[i] else far[i]
    for i in range(n):
        if far[i] > FARTHEST:
            return False
    for i in range(len(weights)):
        if weights[i] != 0.0 and not LEAST <= weights[i] <= MOST:
            return False
    return True


@compiled
def _respond(hard, beta, floor, log_joint, weights, out, turned):  # type: ignore[no-untyped-def]
    """Responsibilities in out (K, n), or in turned (n, K) unless that is (0, 0); Σ w H."""
    if not hard:
        return soften(log_joint, weights, beta, floor, out, turned)
    choose(log_joint, weights, out)
    for i in range(len(turned)):
        for j in range(len(out)):
            turned[i, j] = out[j, i]
    return 0.0


@compiled
def _gather(rows, weights, origin, inverse, second, lengths, index, part, total):  # type: ignore[no-untyped-def]
    """Σ w T of the rows (n, D) of each component, by their index (n,), into total (P, K).

    No product of matrices is needed where few features are. part : (K, P), scratch.
    """
    (n, d), k = rows.shape, len(part)
    one = part.dtype.type(1.0)
    part[:] = 0.0
    for i in range(n):
        own = index[i]  # part[index[i]] would be an array, which takes longer to make than to add
        w = part.dtype.type(weights[i]) if len(weights) else one
        part[own, 0] += w
        for j in range(d):
            part[own, 1 + j] += w * ((rows[i, j] - origin[j]) * inverse[j])
        if second == SQUARES:
            for j in range(d):
                x = (rows[i, j] - origin[j]) * inverse[j]
                part[own, 1 + d + j] += w * (x * x)
        elif second == LENGTH:
            part[own, 1 + d] += w * lengths[i]
    for q in range(len(total)):
        for j in range(k):
            total[q, j] += part[j, q]


@compiled
def _add(matrix, total):  # type: ignore[no-untyped-def]
    for i in range(len(matrix)):
        for j in range(matrix.shape[1]):
            total[i, j] += matrix[i, j]


@compiled
def _sweep(  # type: ignore[no-untyped-def]
    origin, inverse, eta, edges, second, size,
    hard, beta, floor, rows, weights,
    total, scatter, entropy, short,
):  # fmt: skip
    (n_rows, d), (p, k), panels = rows.shape, total.shape, len(edges) - 1
    height = d + 1
    for panel in range(panels):
        height = max(height, d + 1 + edges[panel + 1] - max(edges[panel], d + 1))
    # A transposed second factor is slow unless the product is small; turning it is, for few rows.
    turning = p >= 32 and k * p > TURNED
    kind = eta.dtype
    memory = np.empty(height * size, kind), np.empty(k * size, kind), np.empty(k * size, kind)
    more, part = np.empty(k * size if turning else 0, kind), np.empty(k * max(height, p), kind)
    by_label, index = hard and second != PRODUCTS, np.empty(size, np.int64)
    heavy, square = np.empty(d * size, kind), np.empty((d, d), kind)
    for start in range(0, n_rows, size):
        n = min(size, n_rows - start)
        w = weights[start : start + n]
        features = memory[0][: height * n].reshape(height, n)
        log_joint, out = memory[1][: k * n].reshape(k, n), memory[2][: k * n].reshape(k, n)
        turned = more[: k * n if turning else 0].reshape(n if turning else 0, k)
        x = features[1 : d + 1]
        load(rows[start : start + n], origin, inverse, x)
        if eta.itemsize < 8 and not moderate(x, w):
            return start
        for i in range(n):
            features[0, i] = 1.0
        for panel in range(panels):
            a, b = edges[panel], edges[panel + 1]
            fill(second, d, a, b, features)
            own, here = eta[k * a : k * b].reshape(k, b - a), place(d, a, b, features)
            if panel == 0:
                np.dot(own, here, log_joint)
            else:
                np.dot(own, here, out)
                _add(out, log_joint)
        if by_label:
            label(log_joint, index)
            own, lengths = part[: k * p].reshape(k, p), features[height - 1]
            _gather(rows[start : start + n], w, origin, inverse, second, lengths, index, own, total)
        else:
            entropy[0] += _respond(hard, beta, floor, log_joint, w, out, turned)
        for panel in range(-1 if by_label else panels - 1, -1, -1):
            a, b = edges[panel], edges[panel + 1]
            if panel < panels - 1:  # the last are still there
                fill(second, d, a, b, features)
            here, own = place(d, a, b, features), part[: (b - a) * k].reshape(b - a, k)
            if turning:
                np.dot(here, turned, own)
            else:
                np.dot(here, out.T, own)
            _add(own, total[a:b])
        if second == NOTHING:
            y = heavy[: d * n].reshape(d, n)
            for j in range(d):
                for i in range(n):
                    y[j, i] = x[j, i] * w[i] if len(w) else x[j, i]
            np.dot(y, x.T, square)
            _add(square, scatter)
        if eta.itemsize < 8:
            short[0] += n
    return n_rows
