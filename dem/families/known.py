"""What is known of h: columns that say which components a row may have come from.

Partial labels are data like others: a column with p(y | k) = 1 where y = k, and missing where
nobody knows. Beside the family of the other columns, in a `Product`, they restrict q to what they
allow, and the bound is that of log p(v, y).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dem.checks import check_number
from dem.contract import Sample
from dem.errors import SupportError
from dem.stats import Vector

Array = np.ndarray
TILE_ROWS = 4096


@dataclass(frozen=True)
class KnownParams:
    """There are none."""


@dataclass(frozen=True, eq=False)
class KnownSums(Vector):
    """weight : Σ r for each component, (K,)."""

    weight: Array


@dataclass(frozen=True)
class Nowhere:
    """A space in which all rows are at the same point; `columns` of them."""

    columns: int

    def inward(self, points: Array) -> Array:
        return np.empty((len(points), 0))

    def outward(self, points: Array) -> Array:
        return np.full((len(points), self.columns), np.nan)


class _Evidence:
    """A family without parameters: log p is 0 for the components that a row may be of, else −∞."""

    missing: ClassVar[bool] = True

    def allowed(self, rows: Array, k: int) -> Array:
        """Which components rows (n, columns) may be of, (K, n) bool; none: no sense."""
        raise NotImplementedError

    def support(self, k: int) -> str:
        """What values there may be, in words."""
        raise NotImplementedError

    @property
    def _columns(self) -> int:
        raise NotImplementedError

    def labels(self, rows: Array, k: int) -> Array:
        """The one component that each row may have come from, (n,); −1 where there are several."""
        allowed = self.allowed(np.asarray(rows, dtype=float), k)
        return np.where(allowed.sum(axis=0) == 1, allowed.argmax(axis=0), -1)

    def frame(self, sample: Sample) -> Nowhere:
        return Nowhere(self._columns)

    def start(self, sample: Sample, responsibilities: Array) -> KnownParams:
        return KnownParams()

    def prepare(self, params: KnownParams, offset: Array) -> Array:
        return offset

    def tiles(
        self, prepared: Array, rows: Array, weights: Array | None, size: int | None = None
    ) -> EvidenceTiles:
        return EvidenceTiles(self, prepared, rows, size or TILE_ROWS)

    def maximise(self, params: KnownParams, sums: KnownSums) -> KnownParams:
        return params

    def expected_log_density(self, params: KnownParams, sums: KnownSums) -> float:
        return 0.0

    def check(self, params: KnownParams, k: int) -> None:
        """Raise ValueError unless params are those of such a family."""
        if not isinstance(params, KnownParams):
            raise ValueError("labels have no parameters")

    def diagnose(self, params: KnownParams) -> tuple[str, ...]:
        return ()

    def described(self, params: KnownParams) -> dict[str, Array]:
        return {}

    def flatten(self, params: KnownParams) -> Array:
        return np.empty(0)

    def unflatten(self, vector: Array, like: KnownParams) -> KnownParams:
        return like

    def n_parameters(self, params: KnownParams) -> int:
        return 0


@dataclass(frozen=True)
class Label(_Evidence):
    """One column with the component that each row came from, 0 to K − 1; −1 or NaN for unknown.

    Semi-supervised mixtures (McLachlan and Peel 2000, section 2.19): where y is known,
    q(h) = 1[h = y].
    """

    @property
    def _columns(self) -> int:
        return 1

    def allowed(self, rows: Array, k: int) -> Array:
        labels = rows[:, 0]
        return np.asarray((labels == np.arange(k)[:, None]) | np.isnan(labels) | (labels == -1))

    def support(self, k: int) -> str:
        return f"Labels are whole numbers from 0 to {k - 1}, and -1 or NaN where unknown"

    def expected(self, params: KnownParams, rows: Array, q: Array) -> Array:
        """The most probable component of each row, (n, 1)."""
        return q.argmax(axis=1)[:, None].astype(float)

    def sample(self, params: KnownParams, counts: Array, rng: np.random.Generator) -> Array:
        return np.repeat(np.arange(len(counts)), counts)[:, None].astype(float)


@dataclass(frozen=True)
class Candidates(_Evidence):
    """A column for each component: not 0 where the row may have come from it; NaN for unknown.

    k : number of components.
    """

    k: int

    def __post_init__(self) -> None:
        check_number("k", self.k, int, 1)

    @property
    def _columns(self) -> int:
        return self.k

    def allowed(self, rows: Array, k: int) -> Array:
        return (rows != 0).T  # which NaN is, too

    def support(self, k: int) -> str:
        return "A row must be allowed in some component"

    def check(self, params: KnownParams, k: int) -> None:
        super().check(params, k)
        if k != self.k:
            raise ValueError(f"there are columns for {self.k} components, not {k}")

    def expected(self, params: KnownParams, rows: Array, q: Array) -> Array:
        """All are possible, (n, K)."""
        return np.ones((len(q), self.k))

    def sample(self, params: KnownParams, counts: Array, rng: np.random.Generator) -> Array:
        return np.repeat(np.eye(self.k), counts, axis=0)


EVIDENCE = (Label, Candidates)


class EvidenceTiles:
    """See `dem.contract.Tiles`."""

    def __init__(self, family: _Evidence, offset: Array, rows: Array, size: int) -> None:
        self._family, self._offset, self._rows, self.size = family, offset, rows, size
        self._weight = np.zeros(len(offset))

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        k = len(self._offset)
        for start in range(0, len(self._rows), self.size):
            here = slice(start, min(start + self.size, len(self._rows)))
            rows = np.asarray(self._rows[here], dtype=float)
            allowed = self._family.allowed(rows, k)
            for row in np.flatnonzero(~allowed.any(axis=0))[:1].tolist():
                raise SupportError(self._family.support(k), float(rows[row, 0]), start + row, 0)
            log_joint = np.where(allowed, self._offset[:, None], -np.inf)
            yield here, log_joint, np.empty_like(log_joint)

    def add(self, responsibilities: Array) -> None:
        self._weight += responsibilities.sum(axis=1)

    def constant(self) -> Any:
        return 0.0

    def sums(self) -> KnownSums:
        return KnownSums(self._weight)
