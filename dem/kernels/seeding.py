"""Centres for a start: squared distances, k-means++ and Lloyd's algorithm on a few rows in memory.

Draws go by the inverse of the cumulative weight, so that weight 2 acts as the row twice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
TILE = 4096
SHORT = 5  # iterations of k-means after a move
WORTHWHILE = 1e-4  # of the cost


def squared_distances(rows: Array, centres: Array) -> Array:
    """‖xᵢ − cⱼ‖² for rows (n, D) and centres (C, D), as (n, C), never negative."""
    d2 = rows @ (-2.0 * centres.T)
    d2 += np.einsum("nd,nd->n", rows, rows)[:, None]
    d2 += np.einsum("cd,cd->c", centres, centres)
    return np.maximum(d2, 0.0, out=d2)


def nearest(
    rows: Array, centres: Array, origin: Array | float = 0.0, scale: Array | float = 1.0
) -> tuple[Array, Array]:
    """(index of the nearest centre (n,), squared distance to it (n,)), the first of equals.

    rows (n, D) in any dtype are taken as (rows − origin) / scale, a tile at a time.
    """

    def inward(part: Array) -> Array:
        return np.asarray(np.subtract(part, origin, dtype=np.float64) / scale)

    return nearest_under(inward, rows, centres)


def nearest_under(
    inward: Callable[[Array], Array], rows: Array, centres: Array
) -> tuple[Array, Array]:
    """The same for rows that a function brings to where the centres are, a tile at a time."""
    index, least = np.empty(len(rows), np.intp), np.empty(len(rows))
    for start in range(0, len(rows), TILE):
        here = slice(start, start + TILE)
        d2 = squared_distances(inward(rows[here]), centres)
        index[here] = d2.argmin(axis=1)
        least[here] = d2.min(axis=1)
    return index, least


def draw(mass: Array, rng: np.random.Generator, size: int) -> Array:
    """Indices drawn with probabilities in proportion to mass (n,); evenly where it is all zero."""
    cumulative = np.cumsum(mass)
    if not cumulative[-1] > 0:
        cumulative = np.arange(1.0, len(mass) + 1)
    at = np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")
    return np.minimum(at, len(mass) - 1)


def plus_plus(rows: Array, weights: Array, k: int, rng: np.random.Generator) -> Array:
    """k rows (k, D) spread over the data: greedy k-means++ (Arthur and Vassilvitskii 2007).

    Each centre is the best of 2 + log k rows drawn in proportion to weight · squared distance.
    """
    trials = 2 + int(np.log(k))
    first = draw(weights, rng, 1)
    centres = [rows[first[0]]]
    least = squared_distances(rows, rows[first])[:, 0]
    while len(centres) < k:
        candidates = draw(weights * least, rng, trials)
        left = np.minimum(squared_distances(rows, rows[candidates]), least[:, None])
        best = int((weights @ left).argmin())
        centres.append(rows[candidates[best]])
        least = left[:, best]
    return np.array(centres)


def lloyd(rows: Array, weights: Array, centres: Array, max_iter: int = 100) -> Array:
    """Lloyd's k-means from these centres; a centre without rows stays where it is."""
    before = None
    for _ in range(max_iter):
        index, _ = nearest(rows, centres)
        if before is not None and np.array_equal(index, before):
            break
        before = index
        mass = np.bincount(index, weights, len(centres))
        columns = [np.bincount(index, weights * column, len(centres)) for column in rows.T]
        centres = np.where(
            mass[:, None] > 0, np.stack(columns, 1) / np.maximum(mass, 1e-300)[:, None], centres
        )
    return centres


def relocate(rows: Array, weights: Array, centres: Array, patience: int = 3) -> Array:
    """k-means, with centres moved from where they are hardly missed to where one is lacking.

    k-means++ gives some clusters two centres and others one for two of them, the more of both the
    more there are. The centre whose rows lose least by going to their second nearest is moved, and
    the cluster that costs most is split in two (Fritzke 1997; for mixtures Ueda et al. 2000); where
    that does not pay the next costly cluster is tried, `patience` in all.
    """
    k = len(centres)
    centres, rng = lloyd(rows, weights, centres), np.random.default_rng(k)
    index, costs, second = _two_nearest(rows, centres)
    total, failed = float(weights @ costs), 0
    while failed < min(patience, k - 1):
        spare = int(np.bincount(index, weights * (second - costs), k).argmin())
        within = np.bincount(index, weights * costs, k)
        within[spare] = -1.0
        lacking = int(np.argsort(-within)[failed])
        here = index == lacking
        moved = centres.copy()
        if here.sum() > 1:
            pair = plus_plus(rows[here], weights[here], 2, rng)
            moved[[lacking, spare]] = lloyd(rows[here], weights[here], pair, SHORT)
        moved = lloyd(rows, weights, moved, SHORT)
        found = _two_nearest(rows, moved)
        if float(weights @ found[1]) < total * (1 - WORTHWHILE):
            centres, (index, costs, second), failed = moved, found, 0
            total = float(weights @ costs)
        else:
            failed += 1
    return lloyd(rows, weights, centres)


def _two_nearest(rows: Array, centres: Array) -> tuple[Array, Array, Array]:
    """The nearest centre of each row, and squared distances to it and to the next, (n,) each."""
    d2 = squared_distances(rows, centres)
    index = d2.argmin(axis=1)
    every = np.arange(len(rows))
    least = d2[every, index]
    d2[every, index] = np.inf
    return index, least, d2.min(axis=1)
