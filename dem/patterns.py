"""Rows that are repeated: each pattern once, with the weight of all rows that have it.

Statistics depend on the rows through their patterns alone, so a fit to patterns and their weights
is the same fit, to rounding, and costs as much as there are patterns (Linzer and Lewis 2011 and
Linacre et al. 2022 do so for latent classes and record linkage).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dem.passes import Block

Array = np.ndarray
TABLE = 2**22  # of patterns that could be, so many are looked up in a table; else keys are sorted
RADIX = 2**62
WIDE = 2**20  # a range of whole numbers beyond which the values of a column are sorted


@dataclass(frozen=True, eq=False)
class Tally:
    """Different rows in lexicographic order, and their weights; + unites them.

    rows : (m, D) float64, 0 for what is missing. missing : (m, D) bool. weights : (m,).
    most : where there are more patterns, none are kept, and `many` is true.
    """

    rows: Array
    missing: Array
    weights: Array
    most: int
    many: bool = False

    @classmethod
    def of(cls, rows: Array, missing: Array, weights: Array, most: int) -> Tally:
        """Of rows (n, D) with anything for what is missing. Those of weight 0 do not count."""
        if not weights.all():
            there = weights != 0
            rows, missing, weights = rows[there], missing[there], weights[there]
        index, m = _numbered(rows, missing)
        if m > most:
            nothing = np.empty((0, rows.shape[1]))
            return cls(nothing, nothing.astype(bool), np.empty(0), most, many=True)
        first = np.empty(m, np.intp)
        first[index[::-1]] = np.arange(len(index))[::-1]  # of equal places the last is kept
        values = np.where(missing[first], 0.0, np.asarray(rows[first], float))
        return cls(values, missing[first], np.bincount(index, weights, m), most)

    def __add__(self, other: Tally) -> Tally:
        if self.many or other.many:
            return self if self.many else other
        return Tally.of(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.missing, other.missing]),
            np.concatenate([self.weights, other.weights]),
            self.most,
        )

    @property
    def patterns(self) -> Array:
        """The rows, with NaN for what is missing."""
        return np.where(self.missing, np.nan, self.rows) if self.missing.any() else self.rows


@dataclass(frozen=True)
class Patterns:
    """A pass over the data: which different rows there are, and their weights.

    most : patterns at most, beyond which the pass comes to nothing.
    """

    most: int
    missing: ClassVar[bool] = True
    description: ClassVar[str] = "counting patterns"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Tally:
        return Tally.of(block.rows, np.isnan(block.rows), block.masses, self.most)


def _numbered(rows: Array, missing: Array) -> tuple[Array, int]:
    """The number of each row's pattern (n,), in lexicographic order, and how many there are."""
    keys, size = np.zeros(len(rows), np.int64), 1
    for column, absent in zip(rows.T, missing.T, strict=True):
        codes, n_codes = _coded(column, absent)
        if size * n_codes > RADIX:
            keys, size = _dense(keys, size)
        keys *= n_codes
        keys += codes
        size *= n_codes
    return _dense(keys, size)


def _coded(values: Array, missing: Array) -> tuple[Array, int]:
    """Values (n,) as whole numbers in the same order, 0 for missing; and a number above them."""
    if missing.any():
        values = np.where(missing, values[np.argmin(missing)], values)
        if missing.all():
            return np.zeros(len(values), np.int64), 1
    low, high = (values.min(), values.max()) if len(values) else (0, 0)
    if float(high) - float(low) < WIDE:
        whole = values.astype(np.int64)
        if values.dtype.kind != "f" or (whole == values).all():
            whole -= int(low) - 1
            np.copyto(whole, 0, where=missing)
            return whole, int(high) - int(low) + 2
    different, codes = np.unique(values, return_inverse=True)
    return np.where(missing, 0, codes + 1), len(different) + 1


def _dense(keys: Array, size: int) -> tuple[Array, int]:
    """Keys below size as the numbers 0, 1, ... in their order, and how many these are."""
    if size > TABLE:
        different, index = np.unique(keys, return_inverse=True)
        return index, len(different)
    place = np.cumsum(np.bincount(keys, minlength=size) > 0)
    return place[keys] - 1, int(place[-1])
