"""The Gaussian's E-step over a block of rows, one cache-sized tile after another.

Per tile: features T(x), log-densities η T (one matrix product), and, once the posterior has made
responsibilities R of them, the statistics R Tᵀ (another). Where T(x) is too long for the cache it
is made panel by panel, twice: that costs less than fetching it from memory. Components whose terms
would cancel go about their own mean instead, through their Cholesky factor.

All this is in float64, or in float32 for data of that precision where it is enough; the sums over
tiles are in float64 always.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dem.families.moments import Moments
from dem.kernels.normal import affine, load, tile_shape, turned

if TYPE_CHECKING:
    from dem.families.prepared import GaussianPrepared

Array = np.ndarray


FARTHEST = 32.0  # from the origin, in the frame: squares of rows beyond want all the digits
WEIGHTS = 1e-6, 1e6  # times responsibilities of exp(-70) these are still numbers in float32


class GaussianTiles:
    """See `dem.contract.Tiles`. Buffers are made once for a block and used for all its tiles."""

    def __init__(
        self, prepared: GaussianPrepared, rows: Array, weights: Array | None, size: int | None
    ) -> None:
        self._prepared, self._rows, self._weights = prepared, rows, weights
        (k, p), d = prepared.eta.shape, rows.shape[1]
        self._total, self._short = np.zeros((p, k)), 0
        natural, self._width = tile_shape(p, k)
        self.size = size or natural
        first = min(max(self._width, d + 1), p)  # the panel with 1 and x
        self._panels = [slice(*ends) for ends in pairwise([0, *range(first, p, self._width), p])]
        self._tight = np.flatnonzero(prepared.tight).tolist()
        self._tight_first = np.zeros((k, d))
        self._second = np.zeros_like(prepared.form.cross(self._tight_first, self._tight_first))

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        prepared, size = self._prepared, min(self.size, max(len(self._rows), 1))
        short = prepared.short and self._rows.dtype in (np.float32, np.float16)
        places: dict[tuple[Any, int], Workspace] = {}

        def loaded(rows: Array, dtype: Any) -> Workspace:
            place = places.get((dtype, len(rows)))
            if place is None:  # for all tiles but the last, and for the last
                place = Workspace.of(prepared, self._panels, self._width, len(rows), dtype)
                places[dtype, len(rows)] = place
            place.load(rows)
            return place

        for start in range(0, len(self._rows), size):
            self._here = slice(start, min(start + size, len(self._rows)))
            rows = self._rows[self._here]
            at = loaded(rows, np.float32 if short else np.float64)
            if short and not is_moderate(at.x, self._weighted()):
                at = loaded(rows, np.float64)
            self._at, log_joint = at, at.log_joint
            for eta, panel in zip(at.etas, self._panels, strict=True):
                if panel.start == 0:
                    np.matmul(eta, self._fill(panel), out=log_joint)
                else:
                    np.matmul(eta, self._fill(panel), out=at.out)
                    np.add(log_joint, at.out, out=log_joint)
            for j in self._tight:
                z = at.x - prepared.centre[j, :, None]
                log_joint[j] = prepared.log_norm[j] + self._quadratic(j, z)
            yield self._here, log_joint, at.out

    def _weighted(self) -> Array | None:
        return None if self._weights is None else self._weights[self._here]

    def add(self, responsibilities: Array) -> None:
        form, x = self._prepared.form, self._at.x
        turn = turned(responsibilities, self._width, self._at.scratch)
        self._short += len(turn) * (turn.dtype == np.float32)
        *others, last = self._panels
        self._total[last] += self._features @ turn  # they are still there
        for panel in reversed(others):
            self._total[panel] += self._fill(panel) @ turn
        for j in self._tight:
            z, r = x - self._prepared.centre[j, :, None], responsibilities[j]
            self._tight_first[j] += z @ r
            self._second[... if form.pooled else j] += form.outer(z, r)
        if form.pooled and not len(self._tight):
            self._second += form.outer(x, self._weighted())

    def constant(self) -> Array | float:
        if not self._prepared.form.pooled or len(self._tight):
            return 0.0
        return self._quadratic(0, self._at.x)

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
            short=float(self._short),
        )

    def _fill(self, panel: slice) -> Array:
        """T(x) of the current tile, the features in `panel`; 1 and x always keep their place."""
        at, d = self._at, len(self._at.x)
        done = max(panel.start, d + 1)
        second = at.features[d + 1 : d + 1 + panel.stop - done]
        if len(second):
            self._prepared.form.fill(at.base, done - d - 1, second)
        self._features = at.features[: panel.stop] if panel.start == 0 else second
        return self._features

    def _quadratic(self, j: int, z: Array) -> Array:
        """−½ z'Λz of component j for z (D, n), through the root of Λ: nothing cancels."""
        y = self._prepared.form.whiten(self._prepared.params.roots, j, z)
        return np.einsum("dn,dn->n", y, y) / -2


@dataclass(frozen=True, eq=False)
class Workspace:
    """Where tiles of n rows are worked out, in one precision.

    etas : natural parameters of each panel.
    origin, inverse : as `dem.kernels.normal.load` wants them.
    features : (1, x, a panel of second order), (·, n).
    x : (D, n), a part of them.
    base : x as `Covariance.fill` wants it.
    log_joint, out : (K, n).
    scratch : (n, K), the same memory as log_joint.
    """

    etas: list[Array]
    origin: Array
    inverse: Array | None
    features: Array
    x: Array
    base: Array
    log_joint: Array
    out: Array
    scratch: Array

    @classmethod
    def of(
        cls, prepared: GaussianPrepared, panels: list[slice], width: int, n: int, dtype: Any
    ) -> Workspace:
        """For panels of features of at most this width."""
        (k, p), d = prepared.eta.shape, prepared.centre.shape[1]
        frame, repeated = prepared.params.frame, prepared.form.repeated(d)
        features, log_joint = np.ones((min(d + 1 + width, p), n), dtype), np.empty((k, n), dtype)
        x = features[1 : d + 1]
        return cls(
            [np.ascontiguousarray(prepared.eta[:, panel], dtype) for panel in panels],
            *affine(frame.origin, frame.scale, dtype),
            features=features,
            x=x,
            base=np.empty((d + repeated, n), dtype) if repeated else x,
            log_joint=log_joint,
            out=np.empty_like(log_joint),
            scratch=log_joint.reshape(n, k),
        )

    def load(self, rows: Array) -> None:
        """Bring rows (n, D) here."""
        load(rows, self.origin, self.inverse, self.x)
        if self.base is not self.x:
            d = len(self.x)
            self.base[:d], self.base[d:] = self.x, self.x[: len(self.base) - d]


def is_moderate(x: Array, weights: Array | None) -> bool:
    """Whether float32 is enough for rows x (D, n) of the frame, and weights (n,)."""
    if not (x.min(initial=0.0) >= -FARTHEST and x.max(initial=0.0) <= FARTHEST):  # nor for NaN
        return False
    if weights is None:
        return True
    least, most = WEIGHTS
    return bool(((weights == 0.0) | (weights >= least) & (weights <= most)).all())
