"""The Gaussian's E-step over rows with missing values, grouped by which values are missing.

For rows of one pattern, log p(x_o | k) is linear in the features of x, so that a pattern costs two
matrix products as complete rows do. What these leave is Σ r (1, x_o)(1, x_o)ᵀ for each pattern.
From that, and not from the rows, come the expected statistics of complete rows (Ghahramani and
Jordan 1994): with C, which takes (1, x_o) to (1, E[x | x_o]),

    Σ r E[(1, x)(1, x)ᵀ | x_o] = C (Σ r (1, x_o)(1, x_o)ᵀ) Cᵀ + (Σ r) Cov[(1, x) | x_o]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dem.families.dense import Full
from dem.families.features import check_size
from dem.families.marginals import Chosen, Patterns
from dem.families.moments import Moments
from dem.kernels.normal import load_tile, pack, pairs, products, unpack
from dem.kernels.patterns import grouped

if TYPE_CHECKING:
    from dem.families.prepared import GaussianPrepared

Array = np.ndarray
# Numbers of a tile's log-densities, 16 MB: the more rows a pattern has, the less it costs a row.
LARGE = 2**21
# Numbers of features that a core's own cache more or less holds.
NEAR = 200_000


class _Part(NamedTuple):
    """Some patterns, and their rows in panels whose features fit the cache.

    Each panel comes with (place of a pattern, first, last) of the rows that have it, counted in
    the panel.
    """

    found: Chosen
    panels: list[tuple[slice, list[tuple[int, int, int]]]]


class IncompleteTiles:
    """See `dem.contract.Tiles`. Tight components go about their mean, as in `GaussianTiles`.

    missing : (n, D) bool, where rows are NaN.
    """

    def __init__(
        self,
        prepared: GaussianPrepared,
        patterns: Patterns,
        rows: Array,
        missing: Array,
        size: int | None,
    ) -> None:
        self._prepared, self._patterns = prepared, patterns
        self._rows, self._missing = rows, missing
        k, d = prepared.centre.shape
        self._every = grouped(missing)
        if size is None:
            few = len(self._every.observed) <= patterns.most
            size = max(LARGE // k, 1) if few else patterns.most
        self.size = size
        self._width = width = (d + 1) * (d + 2) // 2
        self._panel = min(max(NEAR // width, 32), size)
        self._features = np.empty(width * self._panel)
        self._tight = np.flatnonzero(prepared.tight).tolist()
        self._sums, self._entropy = np.zeros((k, d + 1, d + 1)), 0.0

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        frame, (k, d) = self._prepared.params.frame, self._prepared.centre.shape
        size = min(self.size, len(self._rows))
        buffers = [(height, np.empty(height * size)) for height in (d, k, k, k)]
        for start in range(0, len(self._rows), size):
            here = slice(start, min(start + size, len(self._rows)))
            n = here.stop - start
            self._x, self._sorted, log_joint, out = (b[: h * n].reshape(h, n) for h, b in buffers)
            every = n == len(self._rows)
            self._groups = self._every if every else grouped(self._missing[here])
            self._kept: _Part | None = None
            order = self._groups.order
            rows = np.take(self._rows[here], order, axis=0)
            load_tile(rows, frame.origin, frame.scale, self._x)
            np.copyto(self._x, 0.0, where=np.isnan(self._x))
            for part in self._parts():
                self._respond(part)
            back = np.empty_like(order)
            back[order] = np.arange(n)
            np.take(self._sorted, back, axis=1, out=log_joint, mode="clip")
            if not np.isfinite(log_joint[0].sum()):
                check_size(np.nan_to_num(self._rows[here], posinf=np.inf, neginf=-np.inf).T, start)
            yield here, log_joint, out

    def add(self, responsibilities: Array) -> None:
        np.take(responsibilities, self._groups.order, axis=1, out=self._sorted, mode="clip")
        for part in self._parts():
            self._complete(part.found, self._observed(part))

    def constant(self) -> Array | float:
        return 0.0

    def sums(self) -> Moments:
        prepared, sums = self._prepared, self._sums
        form: Any = prepared.form  # a `Shareable`
        found = Moments(
            weight=sums[:, 0, 0].copy(),
            first=sums[:, 0, 1:].copy(),
            second=pack(sums[:, 1:, 1:]),
            centre=prepared.params.means,
            form=Full(),
            entropy=self._entropy,
        ).about(prepared.centre)
        return replace(found, second=form.shared(found.second), form=form)

    def _parts(self) -> Iterator[_Part]:
        """The current tile, not too many of its patterns at a time."""
        n, most = len(self._groups.observed), self._patterns.most
        for first in range(0, n, most):
            part = self._kept or self._part(first, min(first + most, n))
            self._kept = part if n <= most else None
            yield part

    def _part(self, first: int, last: int) -> _Part:
        found = self._patterns.of(self._groups.observed[first:last])
        edges = self._groups.edges[first : last + 1]
        step, panels = self._panel, []
        for start in range(int(edges[0]), int(edges[-1]), step):
            stop = min(start + step, int(edges[-1]))
            i, j = np.searchsorted(edges, [start, stop - 1], side="right") - 1
            ends = (np.clip(edges[i : j + 2], start, stop) - start).tolist()
            pieces = zip(range(i, j + 1), ends[:-1], ends[1:], strict=True)
            panels.append((slice(start, stop), list(pieces)))
        return _Part(found, panels)

    def _fill(self, here: slice) -> Array:
        x, d = self._x[:, here], len(self._x)
        features = self._features[: x.shape[1] * self._width].reshape(self._width, -1)
        features[0] = 1.0
        features[1 : d + 1] = x
        products(x, 0, features[d + 1 :])
        return features

    def _offsets(self, j: int, here: slice) -> Array:
        """x − μ of component j; where there is no x, anything."""
        return self._x[:, here] - self._prepared.params.means[j, :, None]

    def _respond(self, part: _Part) -> None:
        """Log-densities of the part's rows, in the order of their patterns."""
        found, eta = part.found, part.found.eta
        for here, pieces in part.panels:
            features, out = self._fill(here), self._sorted[:, here]
            for i, a, b in pieces:
                np.matmul(eta[i], features[:, a:b], out=out[:, a:b])
        for j in self._tight:
            whitening, log_norm = found.of("whitening", j), found.of("log_norm", j)
            for here, pieces in part.panels:
                z, out = self._offsets(j, here), self._sorted[j, here]
                for i, a, b in pieces:
                    y = whitening[i] @ z[:, a:b]
                    out[a:b] = log_norm[i] - np.einsum("dn,dn->n", y, y) / 2

    def _observed(self, part: _Part) -> Array:
        """Σ r T(x − c) of each pattern and component, (B, K, P)."""
        (k, d), width = self._prepared.centre.shape, self._width
        sums, begun = np.empty((len(part.found), k, width)), -1
        for here, pieces in part.panels:
            features, r = self._fill(here).T, self._sorted[:, here]
            for i, a, b in pieces:
                if i > begun:
                    np.matmul(r[:, a:b], features[a:b], out=sums[i])
                else:
                    sums[i] += r[:, a:b] @ features[a:b]
                begun = i
        sums[:, self._tight, 1:] = 0.0
        for j in self._tight:
            for here, pieces in part.panels:
                z = self._offsets(j, here)
                zr = z * self._sorted[j, here]
                for i, a, b in pieces:
                    sums[i, j, 1 : d + 1] += zr[:, a:b].sum(axis=1)
                    sums[i, j, d + 1 :] += pack(zr[:, a:b] @ z[:, a:b].T)
        return sums

    def _complete(self, found: Chosen, observed: Array) -> None:
        """Add what the sums over observed values say of complete rows, about the means."""
        side = len(self._x) + 1
        square = _square(side - 1).ravel()
        for j, total in enumerate(self._sums):
            weight, completion = observed[:, j, 0], found.of("completion", j)
            gram = np.take(observed[:, j], square, axis=1).reshape(completion.shape)
            half = gram @ completion
            total += completion.reshape(-1, side).T @ half.reshape(-1, side)
            total[1:, 1:] += unpack(weight @ found.of("residual", j), side - 1)
            self._entropy += float(weight @ found.of("entropy", j))


def completed(prepared: GaussianPrepared, patterns: Patterns, rows: Array, q: Array) -> Array:
    """Σₖ q (n, K) E[v | what is there of v, k] for rows v (n, D), in the user's units."""
    params, groups = prepared.params, grouped(np.isnan(rows))
    x = np.nan_to_num(params.frame.inward(rows))
    result = np.zeros_like(x)
    owners = np.split(groups.order, groups.edges[1:-1])
    for first in range(0, len(owners), patterns.most):
        these = slice(first, first + patterns.most)
        found = patterns.of(groups.observed[these])
        for j, (mean, centre) in enumerate(zip(params.means, prepared.centre, strict=True)):
            for completion, own in zip(found.of("completion", j), owners[these], strict=True):
                likely = mean + completion[0, 1:] + (x[own] - centre) @ completion[1:, 1:]
                result[own] += q[own, j, None] * likely
    return params.frame.outward(result)


def _square(d: int) -> Array:
    """Where the entries of (1, x)(1, x)ᵀ are among (1, x, products of x)."""
    places = np.zeros((d + 1, d + 1), int)
    places[0] = places[:, 0] = np.arange(d + 1)
    i, j = pairs(d)
    places[i + 1, j + 1] = places[j + 1, i + 1] = d + 1 + np.arange(len(i))
    return places
