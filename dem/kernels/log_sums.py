"""Sums of products in logarithms, for chains that may not go from every state to every other.

log Σᵢ exp(xᵢ + log A_ij) takes K² exponentials. Σᵢ exp(xᵢ − max x) A_ij takes K, and loses only
what is e^-700 of the largest: a sum that is so small that this might matter is made the long way.
"""

from __future__ import annotations

import numpy as np

from dem.kernels.compiled import compiled, exp, log

Array = np.ndarray
LOWEST = -700.0  # whose exponential is a normal number
NONE = -1e199  # of what cannot be
LEAST = 1e-200  # a sum above this is exact to rounding
HIGHEST = 300.0  # of two logarithms together, whose exponentials are multiplied one by one


@compiled
def products(now: Array, logs: Array, probabilities: Array, out: Array) -> None:
    """out_jc = log Σᵢ exp(now_ic + logs_ij), (K, m), of the probabilities (K, K) and their logs."""
    k, m = now.shape
    largest = now[0].copy()
    for i in range(1, k):
        for c in range(m):
            largest[c] = max(largest[c], now[i, c])
    shares = np.empty((k, m))
    for i in range(k):
        for c in range(m):
            x = now[i, c] - largest[c]
            shares[i, c] = exp(LOWEST if x < LOWEST else x)
    total = np.empty(m)
    for j in range(k):
        total[:] = 0.0
        for i in range(k):
            if probabilities[i, j] > 0:
                for c in range(m):
                    total[c] += shares[i, c] * probabilities[i, j]
        for c in range(m):
            out[j, c] = log(total[c]) + largest[c]
        for c in range(m):
            if not total[c] > LEAST:
                top = now[0, c] + logs[0, j]
                for i in range(1, k):
                    top = max(top, now[i, c] + logs[i, j])
                out[j, c] = top
                if not top < NONE:
                    own = 0.0
                    for i in range(k):
                        x = now[i, c] + logs[i, j] - top
                        if not x < LOWEST:
                            own += exp(x)
                    out[j, c] += np.log(own)


@compiled
def totals(now: Array, out: Array) -> None:
    """out_c = log Σᵢ exp(now_ic) of (K, m)."""
    k, m = now.shape
    largest = now[0].copy()
    for i in range(1, k):
        for c in range(m):
            largest[c] = max(largest[c], now[i, c])
    out[:] = 0.0
    for i in range(k):
        for c in range(m):
            x = now[i, c] - largest[c]
            out[c] += exp(LOWEST if x < LOWEST else x)
    for c in range(m):
        out[c] = log(out[c]) + largest[c]


@compiled
def factors(
    before: Array, behind: Array, logs: Array, weights: Array, earlier: Array, later: Array,
    found: Array,
) -> None:  # fmt: skip
    """Such that Σ_c w_c exp(before_ic + logs_ij + behind_jc) = found_ij + A_ij (earlier laterᵀ)_ij.

    before, behind, earlier, later : (K, m). What would leave the range of numbers is in `found`.
    """
    k, m = before.shape
    first, second = before[0].copy(), behind[0].copy()
    for i in range(1, k):
        for c in range(m):
            first[c] = max(first[c], before[i, c])
            second[c] = max(second[c], behind[i, c])
    scale = np.empty(m)
    for c in range(m):
        scale[c] = weights[c] * exp(min(max(first[c] + second[c], LOWEST), HIGHEST))
    for i in range(k):
        for c in range(m):
            x, y = before[i, c] - first[c], behind[i, c] - second[c]
            earlier[i, c] = scale[c] * exp(LOWEST if x < LOWEST else x)
            later[i, c] = exp(LOWEST if y < LOWEST else y)
    found[:] = 0.0
    for c in range(m):
        if first[c] + second[c] > HIGHEST:
            earlier[:, c] = 0.0
            for i in range(k):
                for j in range(k):
                    x = before[i, c] + logs[i, j] + behind[j, c]
                    if not x < LOWEST:
                        found[i, j] += weights[c] * exp(x)
