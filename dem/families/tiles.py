"""The Gaussian's E-step over a block of rows, one cache-sized tile after another.

Per tile: features T(x), log-densities η T (one matrix product), and, once the posterior has made
responsibilities R of them, the statistics R Tᵀ (another). Where T(x) is too long for the cache it
is made panel by panel, twice: that costs less than fetching it from memory. Components whose terms
would cancel go about their own mean instead, through their Cholesky factor.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from dem.families.moments import Moments
from dem.kernels.normal import load_tile, tile_shape, turned

if TYPE_CHECKING:
    from dem.families.prepared import GaussianPrepared

Array = np.ndarray


class GaussianTiles:
    """See `dem.contract.Tiles`. Buffers are made once for a block and used for all its tiles."""

    def __init__(
        self, prepared: GaussianPrepared, rows: Array, weights: Array | None, size: int | None
    ) -> None:
        self._prepared, self._rows, self._weights = prepared, rows, weights
        (k, p), d = prepared.eta.shape, rows.shape[1]
        self._total = np.zeros((p, k))
        natural, self._width = tile_shape(p, k)
        self.size = size or natural
        first = min(max(self._width, d + 1), p)  # the panel with 1 and x
        self._panels = [slice(*ends) for ends in pairwise([0, *range(first, p, self._width), p])]
        self._capacity = min(d + 1 + self._width, p)
        self._tight = np.flatnonzero(prepared.tight).tolist()
        self._tight_first = np.zeros((k, d))
        self._second = np.zeros_like(prepared.form.cross(self._tight_first, self._tight_first))

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        prepared, frame = self._prepared, self._prepared.params.frame
        k, d = prepared.centre.shape
        size = min(self.size, max(len(self._rows), 1))
        buffers = [(height, np.empty(height * size)) for height in (self._capacity, k, k)]
        for start in range(0, len(self._rows), size):
            self._here = slice(start, min(start + size, len(self._rows)))
            n = self._here.stop - start
            self._buffer, log_joint, out = (b[: h * n].reshape(h, n) for h, b in buffers)
            self._x, self._scratch = self._buffer[1 : d + 1], log_joint.reshape(n, k)
            self._buffer[0] = 1.0
            load_tile(self._rows[self._here], frame.origin, frame.scale, self._x)
            first, *others = self._panels
            np.matmul(prepared.eta[:, first], self._fill(first), out=log_joint)
            for panel in others:
                np.matmul(prepared.eta[:, panel], self._fill(panel), out=out)
                np.add(log_joint, out, out=log_joint)
            for j in self._tight:
                z = self._x - prepared.centre[j, :, None]
                log_joint[j] = prepared.log_norm[j] + self._quadratic(j, z)
            yield self._here, log_joint, out

    def add(self, responsibilities: Array) -> None:
        form, x = self._prepared.form, self._x
        turn = turned(responsibilities, self._width, self._scratch)
        *others, last = self._panels
        self._total[last] += self._features @ turn  # they are still there
        for panel in reversed(others):
            self._total[panel] += self._fill(panel) @ turn
        for j in self._tight:
            z, r = x - self._prepared.centre[j, :, None], responsibilities[j]
            self._tight_first[j] += z @ r
            self._second[... if form.pooled else j] += form.outer(z, r)
        if form.pooled and not len(self._tight):
            w = None if self._weights is None else self._weights[self._here]
            self._second += form.outer(x, w)

    def constant(self) -> Array | float:
        if not self._prepared.form.pooled or len(self._tight):
            return 0.0
        return self._quadratic(0, self._x)

    def sums(self) -> Moments:
        tight, d = self._prepared.tight[:, None], self._rows.shape[1]
        weight, first, second = np.split(self._total.T.copy(), [1, d + 1], axis=1)
        return Moments(
            weight=weight[:, 0].copy(),  # contiguous, as it is after a journey: sums round alike
            first=np.where(tight, self._tight_first, first),
            second=self._second
            if self._prepared.form.pooled
            else np.where(tight, self._second, second),
            centre=self._prepared.centre,
            form=self._prepared.form,
        )

    def _fill(self, panel: slice) -> Array:
        """T(x) of the current tile, the features in `panel`; 1 and x always keep their place."""
        d = len(self._x)
        done = max(panel.start, d + 1)
        second = self._buffer[d + 1 : d + 1 + panel.stop - done]
        if len(second):
            self._prepared.form.fill(self._x, done - d - 1, second)
        self._features = self._buffer[: panel.stop] if panel.start == 0 else second
        return self._features

    def _quadratic(self, j: int, z: Array) -> Array:
        """−½ z'Λz of component j for z (D, n), through the root of Λ: nothing cancels."""
        y = self._prepared.form.whiten(self._prepared.params.roots, j, z)
        return np.einsum("dn,dn->n", y, y) / -2
