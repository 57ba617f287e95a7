"""The E-step of regressions over a block of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from dem.errors import SupportError
from dem.families.features import check_support
from dem.families.minorisers import Minoriser
from dem.kernels.normal import load_tile, tile_shape

if TYPE_CHECKING:
    from dem.families.regression import Regression, RegressionPrepared

Array = np.ndarray


class RegressionTiles:
    """See `dem.contract.Tiles`."""

    def __init__(
        self, family: Regression, prepared: RegressionPrepared, rows: Array, size: int | None
    ) -> None:
        self._family, self._prepared, self._rows = family, prepared, rows
        k, p = prepared.params.coefficients.shape
        self._form = family.response.form(family.intercept)
        height = self._form.size(p)
        self.size = size or tile_shape(height, k)[0]
        self._features = np.empty(height * min(self.size, len(rows)))
        self._weight, self._value = np.zeros((2, k))
        self._gradient, self._curvature = np.zeros((k, p)), np.zeros((k, height))

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        family, params = self._family, self._prepared.params
        frame, scaled = params.frame, family.response.scaled
        for start in range(0, len(self._rows), self.size):
            here = slice(start, min(start + self.size, len(self._rows)))
            self._start, rows = start, self._rows[here]
            if not scaled:
                check_support(family, np.asarray(rows.T, dtype=float), start)
            tile = np.ones((1 + rows.shape[1], len(rows)))
            load_tile(rows, frame.origin, frame.scale, tile[1:])
            self._x = tile[1 - family.intercept : -1]
            eta = params.coefficients @ self._x
            eta += 0.0 * tile.sum(axis=0)  # what is not finite must not vanish in a limit of η
            local = family.response.local(eta, tile[-1])
            self._v, self._slope, self._c = local
            log_joint = self._v / params.variances[:, None]
            log_joint += self._prepared.constant[:, None]
            yield here, log_joint, np.empty_like(log_joint)

    def add(self, responsibilities: Array) -> None:
        r, n = responsibilities, responsibilities.shape[1]
        features = self._features[: self._curvature.shape[1] * n].reshape(-1, n)
        try:
            features = self._form.features(self._x, features)
        except SupportError as error:
            row, column = self._start + error.row, error.column
            raise SupportError(error.what, self._rows[row, column], row, column) from None
        self._weight += r.sum(axis=1)
        self._value += np.einsum("kn,kn->k", r, self._v)
        self._gradient += (r * self._slope) @ self._x.T
        self._curvature[:, : len(features)] += (r * self._c) @ features.T

    def constant(self) -> Array | float:
        return 0.0

    def sums(self) -> Minoriser:
        return Minoriser(
            weight=self._weight.copy(),
            value=self._value.copy(),
            gradient=self._gradient.copy(),
            curvature=self._curvature.copy(),
            centre=self._prepared.params.coefficients,
            form=self._form,
        )
