"""The E-step of Gaussians without correlations over rows with missing values.

A missing value drops its factor: with o (D, n) saying what is there, and 0 for what is not,

    log p(x_o | k) = Σ_d o_d (log-density at the mean)_kd + μ_kd/σ²_kd · x_d − x_d² / 2σ²_kd ...

is linear in (1, o, x, x²), and so are the statistics. What is expected of the missing values,
μ and μ² + σ², enters at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from dem.families.axes import Diagonal
from dem.families.features import check_size
from dem.families.moments import Moments
from dem.families.prepared import LOG_2PI, GaussianPrepared
from dem.kernels.normal import load_tile, tile_shape, turned

Array = np.ndarray


class LackingTiles:
    """See `dem.contract.Tiles`. Tight components go about their mean, as in `GaussianTiles`."""

    def __init__(self, prepared: GaussianPrepared, rows: Array, size: int | None) -> None:
        params, form = prepared.params, prepared.form
        k, d = params.means.shape
        self._prepared, self._rows = prepared, rows
        self._variances = form.variances(params.covariances, (k, d))
        # Of each factor, at the mean; less what the square adds there.
        self._peaks = -(np.log(self._variances) + LOG_2PI) / 2 - np.log(params.frame.scale)
        precisions = 1.0 / self._variances
        linear = precisions * params.means
        constant = self._peaks - linear * params.means / 2
        self._eta = np.hstack([prepared.offset[:, None], constant, linear, -precisions / 2])
        self._total = np.zeros((1 + 3 * d, k))
        self.size = size or tile_shape(1 + 3 * d, k)[0]
        self._tight = np.flatnonzero(prepared.tight).tolist()

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        params, (k, d) = self._prepared.params, self._prepared.centre.shape
        size = min(self.size, max(len(self._rows), 1))
        buffers = [(height, np.empty(height * size)) for height in (1 + 3 * d, k, k)]
        for start in range(0, len(self._rows), size):
            here = slice(start, min(start + size, len(self._rows)))
            n = here.stop - start
            self._features, log_joint, out = (b[: h * n].reshape(h, n) for h, b in buffers)
            self._scratch = log_joint.reshape(n, k)
            self._features[0] = 1.0
            self._there, self._x, squares = self._features[1:].reshape(3, d, n)
            load_tile(self._rows[here], params.frame.origin, params.frame.scale, self._x)
            missing = np.isnan(self._x)
            np.logical_not(missing, out=self._there)
            np.copyto(self._x, 0.0, where=missing)
            np.square(self._x, out=squares)
            np.matmul(self._eta, self._features, out=log_joint)
            for j in self._tight:
                z = self._offsets(j) / np.sqrt(self._variances[j])[:, None]
                log_joint[j] = self._prepared.offset[j] + self._peaks[j] @ self._there
                log_joint[j] -= np.einsum("dn,dn->n", z, z) / 2
            if not np.isfinite(log_joint[0].sum()):
                check_size(np.nan_to_num(self._rows[here], posinf=np.inf, neginf=-np.inf).T, start)
            yield here, log_joint, out

    def add(self, responsibilities: Array) -> None:
        d = len(self._x)
        turn = turned(responsibilities, len(self._features), self._scratch)
        added = self._features @ turn
        for j in self._tight:
            z = self._offsets(j)
            added[1 + d : 1 + 2 * d, j] = z @ responsibilities[j]
            added[1 + 2 * d :, j] = np.square(z) @ responsibilities[j]
        self._total += added

    def constant(self) -> Array | float:
        return 0.0

    def sums(self) -> Moments:
        prepared, variances = self._prepared, self._variances
        form: Any = prepared.form  # a `Shareable`
        total = self._total.T
        weight, (there, first, second) = total[:, 0], np.split(total[:, 1:], 3, axis=1)
        # What is there, about the means; what is not, is there in expectation.
        shift = prepared.centre - prepared.params.means
        second = second + 2 * shift * first + there * shift**2
        first = first + there * shift
        lacking = np.maximum(weight[:, None] - there, 0.0)
        found = Moments(
            weight=weight.copy(),
            first=first,
            second=second + lacking * variances,
            centre=prepared.params.means,
            form=Diagonal(),
            entropy=float(np.vdot(lacking, 0.5 - self._peaks)),
        ).about(prepared.centre)
        return replace(found, second=form.shared(found.second), form=form)

    def _offsets(self, j: int) -> Array:
        """x − μ of component j, 0 where there is no x."""
        return self._there * (self._x - self._prepared.params.means[j, :, None])
