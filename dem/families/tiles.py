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

from dem.contract import Posterior
from dem.families.moments import Moments
from dem.kernels.logspace import ONES
from dem.kernels.normal import affine, load, turned
from dem.kernels.sweep import Sums, Task, fill, moderate, place, sweep

if TYPE_CHECKING:
    from dem.families.prepared import GaussianPrepared

Array = np.ndarray
TOGETHER = 16  # tiles whose rows are copied at a time, where they are to be of another type


class GaussianTiles:
    """See `dem.contract.Tiles`. Buffers are made once for a block and used for all its tiles."""

    def __init__(
        self, prepared: GaussianPrepared, rows: Array, weights: Array | None, size: int | None
    ) -> None:
        self._prepared, self._rows, self._weights = prepared, rows, weights
        (k, p), d = prepared.eta.shape, rows.shape[1]
        self.size, self._edges = size or prepared.size, prepared.edges
        self._short = prepared.short and rows.dtype in (np.float32, np.float16)
        self._sums = Sums(np.zeros((p, k)), np.zeros((d, d)), np.zeros(1), np.zeros(1))
        self._tight = np.flatnonzero(prepared.tight).tolist()
        if self._tight:
            self._first = np.zeros((k, d))
            self._second = np.zeros_like(prepared.form.cross(self._first, self._first))

    def sweep(self, posterior: Posterior) -> float | None:
        """By one compiled loop, if no component is tight and the posterior has a rule."""
        rule, n, at = getattr(posterior, "rule", None), len(self._rows), 0
        prepared = self._prepared
        if rule is None or self._tight:
            return None
        while at < n:
            done = self._run(prepared.single, rule, at, n) if self._short else 0
            stop = min(at + self.size, n) if self._short else n
            at += done or self._run(prepared.double, rule, at, stop)
        return float(self._sums.entropy[0])

    def _run(self, task: Task, rule: Any, start: int, stop: int) -> int:
        rows, weights = self._rows[start:stop], self._weights
        if rows.dtype != task.eta.dtype or not rows.flags.c_contiguous:
            rows = np.ascontiguousarray(rows[: TOGETHER * self.size], task.eta.dtype)
        if weights is not None:
            weights = np.ascontiguousarray(weights[start : start + len(rows)], float)
        size = min(self.size, max(len(rows), 1))
        return sweep(task, size, rule, rows, weights, self._sums)

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        prepared, n = self._prepared, len(self._rows)
        size, places = min(self.size, max(n, 1)), {}

        def loaded(rows: Array, dtype: Any) -> Workspace:
            if (dtype, len(rows)) not in places:  # for all tiles but the last, and for the last
                made = Workspace.of(prepared, self._edges, len(rows), dtype)
                places[dtype, len(rows)] = made
            here = places[dtype, len(rows)]
            load(rows, *here.frame, here.x)
            return here

        for start in range(0, n, size):
            self._here = slice(start, min(start + size, n))
            rows, weights = self._rows[self._here], self._weighted()
            at = loaded(rows, np.float32 if self._short else np.float64)
            if self._short and not moderate(at.x, ONES if weights is None else weights):
                at = loaded(rows, np.float64)
            self._at, log_joint = at, at.log_joint
            for eta, a, b in zip(at.etas, self._edges[:-1], self._edges[1:], strict=True):
                np.matmul(eta, self._fill(a, b), out=at.out)
                if a == 0:
                    np.copyto(log_joint, at.out)
                else:
                    np.add(log_joint, at.out, out=log_joint)
            for j in self._tight:
                z = at.x - prepared.centre[j, :, None]
                log_joint[j] = prepared.log_norm[j] + self._quadratic(j, z)
            yield self._here, log_joint, at.out

    def _weighted(self) -> Array | None:
        return None if self._weights is None else self._weights[self._here]

    def add(self, responsibilities: Array) -> None:
        form, x, edges = self._prepared.form, self._at.x, self._edges.tolist()
        turn = turned(responsibilities, edges[1], self._at.scratch)
        self._sums.short[0] += len(turn) * (turn.dtype == np.float32)
        last = place(len(x), *edges[-2:], self._at.features)  # they are still there
        self._sums.total[edges[-2] :] += last @ turn
        for a, b in reversed(list(pairwise(edges[:-1]))):
            self._sums.total[a:b] += self._fill(a, b) @ turn
        for j in self._tight:
            z, r = x - self._prepared.centre[j, :, None], responsibilities[j]
            self._first[j] += z @ r
            self._second[... if form.pooled else j] += form.outer(z, r)
        if form.pooled and not self._tight:
            w = self._weighted()
            self._sums.scatter[...] += (x if w is None else (x * w).astype(x.dtype)) @ x.T

    def constant(self) -> Array | float:
        if not self._prepared.form.pooled or self._tight:
            return 0.0
        return self._quadratic(0, self._at.x)

    def sums(self) -> Moments:
        form, tight, d = self._prepared.form, self._prepared.tight[:, None], self._rows.shape[1]
        # Contiguous, as they are after a journey: sums round alike.
        weight, first, second = map(
            np.ascontiguousarray, np.split(self._sums.total.T, [1, d + 1], axis=1)
        )
        if form.pooled:
            second = self._second if self._tight else form.packed(self._sums.scatter)
        elif self._tight:
            second = np.where(tight, self._second, second)
        return Moments(
            weight=weight[:, 0],
            first=np.where(tight, self._first, first) if self._tight else first,
            second=second,
            centre=self._prepared.centre,
            form=form,
            short=float(self._sums.short[0]),
        )

    def _fill(self, a: int, b: int) -> Array:
        """T(x) of the current tile from feature a to b."""
        at, d = self._at, len(self._at.x)
        fill(int(self._prepared.form.second), d, a, b, at.features)
        return np.asarray(place(d, a, b, at.features))

    def _quadratic(self, j: int, z: Array) -> Array:
        """−½ z'Λz of component j for z (D, n), through the root of Λ: nothing cancels."""
        y = self._prepared.form.whiten(self._prepared.params.roots, j, z)
        return np.einsum("dn,dn->n", y, y) / -2


@dataclass(frozen=True, eq=False)
class Workspace:
    """Where tiles of n rows are worked out, in one precision.

    etas : natural parameters of each panel.
    frame : origin and inverse, as `dem.kernels.normal.load` wants them.
    features : (1, x, a panel of second order), (·, n).
    x : (D, n), a part of them.
    log_joint, out : (K, n).
    scratch : (n, K), the same memory as log_joint.
    """

    etas: list[Array]
    frame: tuple[Array, Array | None]
    features: Array
    x: Array
    log_joint: Array
    out: Array
    scratch: Array

    @classmethod
    def of(cls, prepared: GaussianPrepared, edges: Array, n: int, dtype: Any) -> Workspace:
        """For panels of features with these edges."""
        (k, p), d = prepared.eta.shape, prepared.centre.shape[1]
        frame, width = prepared.params.frame, int(np.diff(edges).max())
        features, log_joint = np.ones((min(d + 1 + width, p), n), dtype), np.empty((k, n), dtype)
        return cls(
            etas=[np.ascontiguousarray(prepared.eta[:, a:b], dtype) for a, b in pairwise(edges)],
            frame=affine(frame.origin, frame.scale, dtype),
            features=features,
            x=features[1 : d + 1],
            log_joint=log_joint,
            out=np.empty_like(log_joint),
            scratch=log_joint.reshape(n, k),
        )
