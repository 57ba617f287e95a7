"""The E-step of log-densities that are linear in features of a row: two matrix products a tile.

log p(v | k) = ηₖ·T(v) − Σᵤ o_u A_ku + h(v), where o_u says whether unit u of the row was observed.
Units are the columns of families whose columns are independent, so that a missing value drops its
factor, or else the whole row. A tile without missing values has the features (1, T), of which the 1
takes all of the A; only the others have (o, 1, T).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dem.contract import STARVED
from dem.errors import SupportError
from dem.kernels.normal import tile_shape, turned
from dem.stats import Vector

if TYPE_CHECKING:
    from dem.families.exponential import ExponentialFamily, Params

Array = np.ndarray
LARGEST = 1e150


@dataclass(frozen=True, eq=False)
class FeatureSums(Vector):
    """Σ r, Σ r o, Σ r T for each component, and Σ w h, over rows.

    weight : (K,). observed : (K, U). features : (K, P). base : in nats.
    """

    weight: Array
    observed: Array
    features: Array
    base: float

    @property
    def alive(self) -> Array:
        """(K, U): where there are rows enough for parameters."""
        return np.asarray(self.observed > STARVED * self.weight.sum())

    @property
    def averages(self) -> Array:
        """(P / U, K, U): each feature's mean over the rows where its unit was observed."""
        k, units = self.observed.shape
        features = self.features.reshape(k, -1, units).transpose(1, 0, 2)
        return features / np.where(self.alive, self.observed, 1.0)


@dataclass(frozen=True, eq=False)
class Linear:
    """A family's log-densities under given parameters, as one matrix.

    coefficients : (K, U + 1 + P), of the features (o, 1, T).
    complete : (K, 1 + P), of (1, T).
    """

    params: Params
    coefficients: Array
    complete: Array

    @classmethod
    def of(cls, params: Params, natural: Array, log_norm: Array, offset: Array) -> Linear:
        """From η (K, P), A (K, U) and what is to be added to the log-densities, (K,)."""
        constant = (offset - log_norm.sum(axis=1))[:, None]
        coefficients = np.hstack([-log_norm, offset[:, None], natural])
        return cls(params, coefficients, np.hstack([constant, natural]))


class FeatureTiles:
    """See `dem.contract.Tiles`. Buffers are made once for a block and used for all its tiles."""

    def __init__(
        self,
        family: ExponentialFamily,
        prepared: Linear,
        rows: Array,
        weights: Array | None,
        size: int | None,
    ) -> None:
        self._family, self._prepared, self._rows, self._weights = family, prepared, rows, weights
        (k, height), width = prepared.coefficients.shape, prepared.complete.shape[1]
        self._units, self._width = height - width, width
        self.size = size or tile_shape(width, k)[0]
        self._complete, self._partial = np.zeros((width, k)), np.zeros((height, k))
        self._base_sum = 0.0

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        family, params, units = self._family, self._prepared.params, self._units
        k, height = self._prepared.coefficients.shape
        size = min(self.size, max(len(self._rows), 1))
        buffers = [(h, np.empty(h * size)) for h in (self._rows.shape[1], height, k, k)]
        incomplete = False
        for start in range(0, len(self._rows), size):
            self._here = slice(start, min(start + size, len(self._rows)))
            n = self._here.stop - start
            x, tile, log_joint, out = (b[: h * n].reshape(h, n) for h, b in buffers)
            self._scratch = log_joint.reshape(n, k)
            np.copyto(x, self._rows[self._here].T)
            # After a tile with missing values there are likely to be some here too; else look for
            # them in the log-densities of one component, into which any NaN of a row gets.
            missing = fill_in(family, x) if incomplete else None
            check_support(family, x, start)
            if missing is None:
                tile[units], self._features = 1.0, tile[units:]
                family.features(params, x, self._features[1:])
                np.matmul(self._prepared.complete, self._features, out=log_joint)
                if family.missing and not np.isfinite(log_joint[0].sum()):
                    missing = fill_in(family, x)
                    check_size(x, start)
            incomplete = missing is not None
            if missing is not None:
                self._features = tile
                fill_tile(family, params, x, missing, tile)
                np.matmul(self._prepared.coefficients, tile, out=log_joint)
                if not np.isfinite(log_joint[0].sum()):
                    check_size(x, start)
            self._base = total_base(family, params, x, missing)
            yield self._here, log_joint, out

    def add(self, responsibilities: Array) -> None:
        total = self._complete if len(self._features) == self._width else self._partial
        total += self._features @ turned(responsibilities, self._width, self._scratch)
        w = 1.0 if self._weights is None else self._weights[self._here]
        self._base_sum += float(np.sum(w * self._base))

    def constant(self) -> Array | float:
        return self._base

    def sums(self) -> FeatureSums:
        units, complete, partial = self._units, self._complete.T, self._partial.T
        return FeatureSums(
            weight=complete[:, 0] + partial[:, units],
            observed=complete[:, :1] + partial[:, :units],
            features=complete[:, 1:] + partial[:, units + 1 :],
            base=self._base_sum,
        )


class Supported(Protocol):
    """A family that knows which values have a density."""

    def outside(self, x: Array) -> Array: ...
    def allowed(self, column: int) -> str: ...


def check_support(family: Supported, x: Array, start: int) -> None:
    """Raise `SupportError` for a value of x (D, n), rows from `start` on, that cannot be."""
    outside = family.outside(x)
    if not outside.any():
        return
    bad = np.argwhere((outside & ~np.isnan(x)).T)
    if len(bad):
        row, column = bad[0].tolist()
        raise SupportError(family.allowed(column), float(x[column, row]), start + row, column)


def check_size(x: Array, start: int) -> None:
    """Raise `SupportError` for an infinite or huge value of x (D, n), which has no NaN."""
    column, row = (int(i) for i in np.unravel_index(np.argmax(np.abs(x)), x.shape))
    if abs(x[column, row]) > LARGEST:
        what = "Values must be finite, and their squares must not overflow"
        raise SupportError(what, float(x[column, row]), start + row, column)


def fill_in(family: ExponentialFamily, x: Array) -> Array | None:
    """Put a neutral value where x (D, n) is NaN; where that was, or None if nowhere."""
    missing = np.isnan(x)
    if not missing.any():
        return None
    np.copyto(x, family.neutral, where=missing)
    return missing


def fill_tile(
    family: ExponentialFamily, params: Params, x: Array, missing: Array | None, tile: Array
) -> None:
    """tile (U + 1 + P, n) = (o, 1, T) for x (D, n), in which what was missing is filled in."""
    units = family.units(len(x))
    features = tile[units + 1 :]
    family.features(params, x, features)
    tile[: units + 1] = 1.0
    if missing is not None:
        absent = missing if units == len(x) else missing.any(axis=0, keepdims=True)
        observed = tile[:units]
        np.logical_not(absent, out=observed)
        family.drop(observed, features)


def total_base(
    family: ExponentialFamily, params: Params, x: Array, missing: Array | None
) -> Array | float:
    """h of each row, (n,), over what was observed of it; 0 for families without."""
    base = family.base(params, x)
    if not isinstance(base, np.ndarray):
        return 0.0
    if missing is not None:
        base = np.where(missing, 0.0, base)
    return base if family.joint else np.asarray(base.sum(axis=0))
