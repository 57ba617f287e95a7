"""The E-step of codes with many levels: features as a sparse matrix, with a 1 for each column.

The products of `dem.families.features` take time for all the levels, these for the codes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from dem.families.features import FeatureSums, Linear, Supported, check_support

Array = np.ndarray
VOLUME = 2**16  # numbers of a tile, which are 512 kB


class Coded(Supported, Protocol):
    """A family of codes."""

    def edges(self, d: int) -> Array:
        """Where the levels of each of D columns begin, (D + 1,)."""
        ...


def one_hot(x: Array, edges: Array) -> csr_array:
    """Codes x (n, D) as indicators of their levels, (n, Σ levels); NaN is none of them."""
    n, d = x.shape
    places = x + edges[:-1]
    there = ~np.isnan(places)
    ends = np.arange(0, n * d + 1, d) if there.all() else np.append(0, there.sum(axis=1).cumsum())
    indices = places[there].astype(np.int32)
    return csr_array((np.ones(len(indices)), indices, ends), shape=(n, int(edges[-1])))


class OneHotTiles:
    """See `dem.contract.Tiles`."""

    def __init__(
        self, family: Coded, prepared: Linear, rows: Array, size: int | None, edges: Array
    ) -> None:
        self._family, self._rows, self._edges = family, rows, edges
        self._offset = prepared.complete[:, 0]
        self._natural = np.ascontiguousarray(prepared.complete[:, 1:].T)
        k, d = len(self._offset), rows.shape[1]
        self.size = size or max(VOLUME // (k + d), 64)
        self._weight, self._observed = np.zeros(k), np.zeros((k, d))
        self._features = np.zeros_like(self._natural)

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        for start in range(0, len(self._rows), self.size):
            here = slice(start, min(start + self.size, len(self._rows)))
            self._x = np.array(self._rows[here], dtype=float)
            check_support(self._family, self._x.T, start)
            self._tile = one_hot(self._x, self._edges)
            log_joint = (self._tile @ self._natural + self._offset).T.copy()
            yield here, log_joint, np.empty_like(log_joint)

    def add(self, responsibilities: Array) -> None:
        self._features += self._tile.T @ np.ascontiguousarray(responsibilities.T)
        self._weight += responsibilities.sum(axis=1)
        self._observed += responsibilities @ ~np.isnan(self._x)

    def constant(self) -> Array | float:
        return 0.0

    def sums(self) -> FeatureSums:
        return FeatureSums(self._weight.copy(), self._observed.copy(), self._features.T.copy(), 0.0)
