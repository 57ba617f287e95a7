"""The Gaussian's inner loops on feature-major tiles: x is (D, n), one row of memory a column.

With T(x) = (1, x, products of x) a Gaussian log-density is one inner product η·T(x), so that the
densities of K components are one matrix product (K × P)(P × n), and their statistics another.
Both go panel by panel, over some features at a time, so that features never leave the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.kernels.compiled import compiled

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


def affine(
    origin: np.ndarray, scale: np.ndarray, dtype: Any = np.float64
) -> tuple[np.ndarray, np.ndarray | None]:
    """Columns (D, 1) of origin (D,) and 1 / scale (D,) for `load` into a tile of this dtype.

    The origin stays in float64 unless it is exact in the other: the difference would lose what
    data at a large offset have left. None for a scale of ones; powers of two round nothing.
    """
    rounded = origin.astype(dtype)
    exact = rounded if (rounded == origin).all() else origin
    inverse = (1.0 / scale).astype(dtype)[:, None] if (scale != 1.0).any() else None
    return exact[:, None], inverse


def load(rows: np.ndarray, origin: np.ndarray, inverse: np.ndarray | None, out: np.ndarray) -> None:
    """out (D, n) = ((rows − origin) / scale)ᵀ for rows (n, D) of any real dtype; see `affine`."""
    np.subtract(rows.T, origin, out=out, dtype=origin.dtype, casting="same_kind")
    if inverse is not None:
        np.multiply(out, inverse, out=out)


def load_tile(rows: np.ndarray, origin: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    """out (D, n) = ((rows − origin) / scale)ᵀ for rows (n, D), origin (D,) and scale (D,)."""
    load(rows, *affine(origin, scale, out.dtype), out)


def pairs(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (i, j) of the D(D+1)/2 products xᵢ xⱼ: j = i, then i + 1, ... (mod D).

    After half the distances all pairs have been.
    """
    distance, i = np.divmod(np.arange(size * (size + 1) // 2), size)
    return i, (i + distance) % size


@compiled
def products(x, start, out):  # type: ignore[no-untyped-def]
    """out (m, n) = xᵢ xⱼ for x (D, n) and m `pairs` from the one at `start`."""
    d = len(x)
    distance, i = start // d, start % d
    for q in range(len(out)):
        j = i + distance
        one, other, own = x[i], x[j if j < d else j - d], out[q]
        for t in range(len(own)):
            own[t] = one[t] * other[t]
        i += 1
        if i == d:
            i = 0
            distance += 1


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
