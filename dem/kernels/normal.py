"""The Gaussian's inner loops on feature-major tiles: x is (D, n), one row of memory a column.

With T(x) = (1, x, products of x) a Gaussian log-density is one inner product η·T(x), so that the
densities of K components are one matrix product (K × P)(P × n), and their statistics another.
Both go panel by panel, over some features at a time, so that features never leave the cache.
"""

from __future__ import annotations

import numpy as np

# OpenBLAS multiplies small matrices (M · N · K up to this) without packing them first, which is
# faster by a quarter, and for few components by half.
UNPACKED = 1_000_000
# The same for a second factor that lies transposed: the size of the result (M · N).
TRANSPOSED = 1200
# Numbers of a panel of features that a core's own cache more or less holds, and those of a whole
# tile in the cache that cores share.
NEAR, FAR = 200_000, 400_000


def tile_shape(n_features: int, n_components: int) -> tuple[int, int]:
    """(rows of a tile, features of a panel), for products that are unpacked and from near.

    One panel has all the features if that leaves enough rows for the calls not to matter. With
    many components, products take so much longer than all else that packing is as good.

    Rows are an odd multiple of 32, because rows of memory that are a power of two apart fall onto
    the same cache lines. A function of the shapes alone, never of the machine: the sums' order
    depends on it.
    """
    volume = min(NEAR, UNPACKED // n_components)
    if volume >= 400 * n_features:
        width = n_features
    elif volume >= 400 * 64:
        width = 64
    else:
        volume, width = FAR, n_features
    rows = min(volume // width, FAR // (width + 2 * n_components))
    rows = (min(max(rows // 32, 11), 255) - 1 | 1) * 32
    return rows, min(width, volume // rows)


def turned(responsibilities: np.ndarray, n_features: int, out: np.ndarray) -> np.ndarray:
    """Rᵀ (n, K) for R (K, n), as the second factor of T Rᵀ, the statistics of a tile.

    Products whose second factor lies transposed are slow unless their result is small, so R is
    copied to `out`; where T has few rows, that would cost more than it gains.
    """
    if n_features < 32 or len(responsibilities) * n_features <= TRANSPOSED:
        return responsibilities.T
    np.copyto(out, responsibilities.T)
    return out


def load_tile(rows: np.ndarray, origin: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    """out (D, n) = ((rows − origin) / scale)ᵀ for rows (n, D) of any real dtype.

    The difference is taken in float64: in the data's own precision it would lose what float32
    data at a large offset have left.
    """
    np.subtract(rows.T, origin[:, None], out=out, dtype=np.float64)
    if (scale != 1.0).any():
        out *= (1.0 / scale)[:, None]


def pairs(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (i, j) of the D(D+1)/2 products xᵢ xⱼ: j = i, then i + 1, ... (mod D).

    So the products of one distance are those of two blocks of rows, one call for many of them,
    and after half the distances all pairs have been.
    """
    distance, i = np.divmod(np.arange(size * (size + 1) // 2), size)
    return i, (i + distance) % size


def products(x: np.ndarray, start: int, out: np.ndarray) -> None:
    """out (m, n) = xᵢ xⱼ for m `pairs` from the one at `start`; x is (D, n)."""
    size, done = len(x), 0
    while done < len(out):
        distance, i = divmod(start + done, size)
        j = (i + distance) % size
        m = min(size - max(i, j), len(out) - done)
        np.multiply(x[i : i + m], x[j : j + m], out[done : done + m])
        done += m


def pack(matrices: np.ndarray) -> np.ndarray:
    """Symmetric matrices (..., D, D) as (..., D(D+1)/2), in the order of `pairs`."""
    i, j = pairs(matrices.shape[-1])
    return matrices[..., i, j]


def unpack(packed: np.ndarray, size: int) -> np.ndarray:
    """The symmetric matrices (..., D, D) with these packed entries."""
    i, j = pairs(size)
    out = np.empty((*packed.shape[:-1], size, size))
    out[..., i, j] = packed
    out[..., j, i] = packed
    return out
