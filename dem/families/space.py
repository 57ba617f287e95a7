"""Where starts measure distances: rows go in, points come out again as rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dem.contract import Sample, Space
from dem.families.frame import Frame

Array = np.ndarray
MOST_INDICATORS = 128


@dataclass(frozen=True, eq=False)
class Scaled:
    """A frame in which missing values are at the origin, which is about the mean."""

    frame: Frame

    @classmethod
    def of(cls, sample: Sample) -> Scaled:
        """Standard deviations of the columns of a sample, over what is finite in them."""
        return cls(Frame.of(imputed(sample), sample.weights))

    @classmethod
    def unit(cls, sample: Sample) -> Scaled:
        """The columns in their own units, about the mean."""
        means = averages(sample)
        return cls(Frame(means, np.ones_like(means)))

    def inward(self, points: Array) -> Array:
        points = self.frame.inward(points)
        return np.where(np.isnan(points), 0.0, points)

    def outward(self, points: Array) -> Array:
        return self.frame.outward(points)


@dataclass(frozen=True, eq=False)
class Logarithmic:
    """A space in which the logarithms of values above 0 are; others count as missing."""

    logs: Scaled

    @classmethod
    def of(cls, sample: Sample) -> Logarithmic:
        """Standard deviations of the logarithms."""
        return cls(Scaled.of(replace(sample, rows=log(sample.rows))))

    def inward(self, points: Array) -> Array:
        return self.logs.inward(log(points))

    def outward(self, points: Array) -> Array:
        return np.exp(self.logs.outward(points))


@dataclass(frozen=True)
class Roots:
    """Square roots of counts, twice: a Poisson variable has about variance 1 there (Bartlett 1936).

    So a column counts as much as it tells. Missing values are at the mean.
    """

    roots: Scaled

    @classmethod
    def of(cls, sample: Sample) -> Roots:
        """The space of a sample."""
        return cls(Scaled.unit(replace(sample, rows=_twice_root(sample.rows))))

    def inward(self, points: Array) -> Array:
        return self.roots.inward(_twice_root(points))

    def outward(self, points: Array) -> Array:
        return np.square(np.maximum(self.roots.outward(points), 0.0) / 2)


@dataclass(frozen=True)
class Thresholded:
    """1 above a threshold, else 0; missing values are at the mean, and centres go to the modes."""

    indicators: Scaled
    threshold: float

    @classmethod
    def of(cls, sample: Sample, threshold: float) -> Thresholded:
        """The space of a sample."""
        above = replace(sample, rows=_above(sample.rows, threshold))
        return cls(Scaled.unit(above), threshold)

    def inward(self, points: Array) -> Array:
        return self.indicators.inward(_above(points, self.threshold))

    def outward(self, points: Array) -> Array:
        step = 1.0 + abs(self.threshold)  # large enough to be above, whatever the threshold
        return self.threshold + np.where(self.indicators.outward(points) > 0.5, step, -step)


def _above(rows: Array, threshold: float) -> Array:
    return np.heaviside(np.asarray(rows, float) - threshold, 0.0)


def _twice_root(rows: Array) -> Array:
    """2 √v where v ≥ 0, else NaN."""
    return 2 * np.sqrt(np.where(rows >= 0, rows, np.nan))


def log(rows: Array) -> Array:
    """log v where v > 0, else NaN."""
    return np.log(np.where(rows > 0, rows, np.nan))


def averages(sample: Sample) -> Array:
    """The mean of each column, (D,), over what is finite in it; 0 if nothing is."""
    there, weights = np.isfinite(sample.rows), sample.weights[:, None]
    mass = (weights * there).sum(axis=0)
    totals = (np.where(there, sample.rows, 0.0) * weights).sum(axis=0)
    return np.asarray(totals / np.where(mass > 0, mass, 1.0))


def imputed(sample: Sample) -> Array:
    """The rows with the columns' means for what is not finite."""
    return np.where(np.isfinite(sample.rows), sample.rows, averages(sample))


@dataclass(frozen=True)
class OneHot:
    """Codes of categories as indicators of their levels; a missing value is none of them.

    So k-means on such rows is k-modes by another name (Huang 1998). A column of more than 128
    levels has random directions instead, which are nearly as far from each other, in fewer numbers.
    """

    levels: tuple[int, ...]

    def inward(self, points: Array) -> Array:
        columns = zip(np.asarray(points, float).T, self.levels, strict=True)
        return np.hstack([_rows_of(_directions(n), column) for column, n in columns])

    def outward(self, points: Array) -> Array:
        tables = [_directions(n) for n in self.levels]
        parts = np.split(points, np.cumsum([table.shape[1] for table in tables])[:-1], axis=1)
        codes = [(part @ table.T).argmax(axis=1) for part, table in zip(parts, tables, strict=True)]
        return np.stack(codes, axis=1).astype(float)


def _directions(n: int) -> Array:
    """Where levels 0, ..., n − 1 are, (n, at most 128): vectors of length 1."""
    if n <= MOST_INDICATORS:
        return np.eye(n)
    found = np.random.default_rng(n).normal(size=(n, MOST_INDICATORS))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def _rows_of(table: Array, column: Array) -> Array:
    """The rows of a table for codes (n,); 0 for what is no code."""
    known = (column >= 0) & (column < len(table)) & (np.rint(column) == column)
    return np.where(known[:, None], table[np.where(known, column, 0).astype(np.intp)], 0.0)


@dataclass(frozen=True)
class Hellinger:
    """Square roots of the shares of a row's total, between which distances are Hellinger's."""

    def inward(self, points: Array) -> Array:
        shares = np.maximum(np.nan_to_num(points, posinf=0.0, neginf=0.0), 0.0)
        total = shares.sum(axis=1, keepdims=True)
        return np.asarray(np.sqrt(shares / np.where(total > 0, total, 1.0)))

    def outward(self, points: Array) -> Array:
        return np.square(points)


@dataclass(frozen=True)
class Beside:
    """Spaces of groups of columns, one beside the other."""

    spaces: tuple[Space, ...]
    columns: tuple[tuple[int, ...], ...]

    def _sizes(self) -> list[int]:
        blank = (space.inward(np.zeros((1, len(own)))) for space, own in self._pairs())
        return [points.shape[1] for points in blank]

    def _pairs(self) -> Iterator[tuple[Space, tuple[int, ...]]]:
        return zip(self.spaces, self.columns, strict=True)

    def inward(self, points: Array) -> Array:
        return np.hstack([space.inward(points[:, list(own)]) for space, own in self._pairs()])

    def outward(self, points: Array) -> Array:
        rows = np.empty((len(points), sum(map(len, self.columns))))
        parts = np.split(points, np.cumsum(self._sizes())[:-1], axis=1)
        for (space, own), part in zip(self._pairs(), parts, strict=True):
            rows[:, own] = space.outward(part)
        return rows
