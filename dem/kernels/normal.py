"""The Gaussian's inner loops on feature-major tiles: x is (D, n), one row of memory a column.

With T(x) = (1, x, products of x) a Gaussian log-density is one inner product η·T(x), so that the
densities of K components are one matrix product (K × P)(P × n), and their statistics another.
"""

from __future__ import annotations

import numpy as np

# OpenBLAS multiplies small matrices (M · N · K up to this) without packing them first, which for
# few components is up to twice as fast.
UNPACKED = 1_000_000


def tile_rows(n_features: int, n_components: int) -> int:
    """Rows of a tile: features, logits and responsibilities together fill some 3 MB of cache.

    Products stay below UNPACKED if that leaves enough rows for the calls not to matter. An odd
    multiple of 32, because rows of memory that are a power of two apart fall onto the same cache
    lines. A function of the shapes alone, never of the machine: the sums' order depends on it.
    """
    rows = 400_000 // (n_features + 2 * n_components)
    unpacked = UNPACKED // (n_features * n_components)
    if unpacked >= 400:
        rows = min(rows, unpacked)
    return (min(max(rows // 32, 11), 255) - 1 | 1) * 32


def weigh(responsibilities: np.ndarray, features: np.ndarray) -> np.ndarray:
    """R Tᵀ (K, P) for R (K, n) and T (P, n): the statistics of a tile.

    Below UNPACKED a product whose second factor lies transposed is the slow one, so R is turned
    first; where T has few rows, turning R would cost more than it gains.
    """
    if len(features) < 64 or responsibilities.size * len(features) > UNPACKED:
        return responsibilities @ features.T
    return (features @ np.ascontiguousarray(responsibilities.T)).T


def load_tile(rows: np.ndarray, origin: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    """out (D, n) = ((rows − origin) / scale)ᵀ for rows (n, D) of any real dtype.

    The difference is taken in float64: in the data's own precision it would lose what float32
    data at a large offset have left.
    """
    np.subtract(rows.T, origin[:, None], out=out, dtype=np.float64)
    if (scale != 1.0).any():
        out *= (1.0 / scale)[:, None]


def products(x: np.ndarray, out: np.ndarray) -> None:
    """out (D(D+1)/2, n) = xᵢ xⱼ for i ≤ j, in the order of the upper triangle's rows."""
    at = 0
    for i in range(len(x)):
        np.multiply(x[i], x[i:], out=out[at : at + len(x) - i])
        at += len(x) - i


def pack(matrices: np.ndarray) -> np.ndarray:
    """Upper triangles of (..., D, D), row after row, as (..., D(D+1)/2)."""
    i, j = np.triu_indices(matrices.shape[-1])
    return matrices[..., i, j]


def unpack(packed: np.ndarray, size: int) -> np.ndarray:
    """The symmetric matrices (..., D, D) with these upper triangles."""
    i, j = np.triu_indices(size)
    out = np.empty((*packed.shape[:-1], size, size))
    out[..., i, j] = packed
    out[..., j, i] = packed
    return out
