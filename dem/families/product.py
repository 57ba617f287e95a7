"""Groups of columns, each of a family of its own, independent given the component."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.checks import check_offers
from dem.contract import Family, Sample, Space, Tiles
from dem.errors import SupportError
from dem.families.space import Beside
from dem.stats import Vector

Array = np.ndarray
Columns = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ProductParams:
    """The parameters of each part, in order."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class ProductSums(Vector):
    """The statistics of each part, in order; they have `weight` (K,) in common."""

    parts: tuple[Any, ...]

    @property
    def weight(self) -> Array:
        return np.asarray(self.parts[0].weight)


@dataclass(frozen=True)
class Product:
    """p(v | k) = ∏ of parts p(v[columns] | k): mixed data, latent class and profile analysis.

        Product(((Bernoulli(), range(5)), (Gaussian(), (5, 7)), (Poisson(), (6,))))

    parts : pairs of a family and its columns, which are all columns of the data, each once.
    """

    parts: tuple[tuple[Family, Columns], ...]

    def __post_init__(self) -> None:
        parts = tuple((family, tuple(int(c) for c in columns)) for family, columns in self.parts)
        for family, columns in parts:
            check_offers("family", family, Family)
            if not columns:
                raise ValueError(f"parts must have columns each, there are none for {family!r}")
        every = sorted(column for _, columns in parts for column in columns)
        if not every or every != list(range(len(every))):
            raise ValueError(f"parts must have the columns 0, 1, 2, ... once each, got {every}")
        object.__setattr__(self, "parts", parts)

    @property
    def n_columns(self) -> int:
        return sum(len(columns) for _, columns in self.parts)

    @property
    def missing(self) -> bool:
        """Whether NaN is a missing value to some part."""
        return any(takes_missing(family) for family, _ in self.parts)

    def _samples(self, sample: Sample) -> Iterator[tuple[Family, Sample]]:
        if sample.rows.shape[1] != self.n_columns:
            raise ValueError(f"parts have {self.n_columns} columns, X has {sample.rows.shape[1]}")
        for family, columns in self.parts:
            rows = sample.rows[:, columns]
            if not takes_missing(family):
                rows = np.nan_to_num(rows)  # the first E-step finds what may not be missing
            yield family, replace(sample, rows=rows)

    def frame(self, sample: Sample) -> Space:
        """Side by side, the spaces of the parts."""
        spaces = tuple(family.frame(part) for family, part in self._samples(sample))
        return Beside(spaces, tuple(columns for _, columns in self.parts))

    def start(self, sample: Sample, responsibilities: Array) -> ProductParams:
        parts = (family.start(part, responsibilities) for family, part in self._samples(sample))
        return ProductParams(tuple(parts))

    def prepare(self, params: ProductParams, offset: Array) -> tuple[Any, ...]:
        first, *others = zip(self.parts, params.parts, strict=True)
        nothing = np.zeros_like(offset)
        return (
            first[0][0].prepare(first[1], offset),
            *(family.prepare(part, nothing) for (family, _), part in others),
        )

    def tiles(
        self, prepared: tuple[Any, ...], rows: Array, weights: Array | None, size: int | None = None
    ) -> ProductTiles:
        return ProductTiles(self, prepared, rows, weights, size)

    def maximise(self, params: ProductParams, sums: ProductSums) -> ProductParams:
        every = zip(self.parts, params.parts, sums.parts, strict=True)
        return ProductParams(tuple(family.maximise(p, s) for (family, _), p, s in every))

    def expected_log_density(self, params: ProductParams, sums: ProductSums) -> float:
        every = zip(self.parts, params.parts, sums.parts, strict=True)
        return sum(family.expected_log_density(p, s) for (family, _), p, s in every)

    def check(self, params: ProductParams, k: int) -> None:
        """Raise ValueError unless params have the shapes and signs of k components."""
        if len(params.parts) != len(self.parts):
            raise ValueError(
                f"there are parameters of {len(params.parts)} parts, not {len(self.parts)}"
            )
        for (family, _), part in zip(self.parts, params.parts, strict=True):
            family.check(part, k)

    def diagnose(self, params: ProductParams) -> tuple[str, ...]:
        return tuple(
            f"in columns {list(columns)}, {text}"
            for (family, columns), part in zip(self.parts, params.parts, strict=True)
            for text in family.diagnose(part)
        )

    def flatten(self, params: ProductParams) -> Array:
        """The parts' parameters, one after the other."""
        every = zip(self.parts, params.parts, strict=True)
        flat: list[Any] = [(family, part) for (family, _), part in every]
        return np.concatenate([family.flatten(part) for family, part in flat])

    def unflatten(self, vector: Array, like: ProductParams) -> ProductParams:
        parts = []
        for (family, _), part in zip(self.parts, like.parts, strict=True):
            flat: Any = family  # a `Flat`
            own, vector = np.split(vector, [len(flat.flatten(part))])
            parts.append(flat.unflatten(own, part))
        return ProductParams(tuple(parts))

    def n_parameters(self, params: ProductParams) -> int:
        every = zip(self.parts, params.parts, strict=True)
        return sum(family.n_parameters(part) for (family, _), part in every)

    def expected(self, params: ProductParams, given: Array, q: Array) -> Array:
        """What to put for missing values, (n, D); see `Charted.expected`. NaN where none may be."""
        rows = np.full(given.shape, np.nan)
        for (family, columns), part in zip(self.parts, params.parts, strict=True):
            if takes_missing(family):
                able: Any = family
                rows[:, columns] = able.expected(part, given[:, columns], q)
        return rows

    def sample(self, params: ProductParams, counts: Array, rng: np.random.Generator) -> Array:
        rows = np.empty((int(np.sum(counts)), self.n_columns))
        for (family, columns), part in zip(self.parts, params.parts, strict=True):
            rows[:, columns] = family.sample(part, counts, rng)
        return rows


class ProductTiles:
    """The parts' tiles side by side, all of one size; see `dem.contract.Tiles`."""

    def __init__(
        self,
        product: Product,
        prepared: tuple[Any, ...],
        rows: Array,
        weights: Array | None,
        size: int | None,
    ) -> None:
        every = [
            (family, part, _columns_of(rows, columns))
            for (family, columns), part in zip(product.parts, prepared, strict=True)
        ]
        if size is None:
            size = min(family.tiles(part, own[:0], None).size for family, part, own in every)
        self.size, self._product, self._rows = size, product, rows
        self._parts = [family.tiles(part, own, weights, size) for family, part, own in every]

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        pairs = zip(self._parts, self._product.parts, strict=True)
        every = [self._checked(part, *own) for part, own in pairs]
        for tiles in zip(*every, strict=True):
            here, log_joint, out = tiles[0]
            for _, other, _ in tiles[1:]:
                log_joint += other
            yield here, log_joint, out

    def _checked(
        self, tiles: Tiles, family: Family, columns: Columns
    ) -> Iterator[tuple[slice, Array, Array]]:
        """A part's tiles. Errors name columns of the whole row, and not what may be missing."""
        try:
            for here, log_joint, out in tiles:
                if not takes_missing(family) and np.isnan(log_joint[0].sum()):
                    for row, column in np.argwhere(np.isnan(self._rows[here][:, columns])):
                        what = f"{type(family).__name__} columns may not have missing values"
                        raise SupportError(what, np.nan, here.start + int(row), int(column))
                yield here, log_joint, out
        except SupportError as error:
            column = columns[error.column]
            raise SupportError(error.what, error.value, error.row, column) from None

    def add(self, responsibilities: Array) -> None:
        for part in self._parts:
            part.add(responsibilities)

    def constant(self) -> Array | float:
        return sum((part.constant() for part in self._parts), 0.0)

    def sums(self) -> ProductSums:
        return ProductSums(tuple(part.sums() for part in self._parts))


def takes_missing(family: Family) -> bool:
    """Whether NaN is a missing value to a family."""
    return getattr(family, "missing", False)


def _columns_of(rows: Array, columns: Columns) -> Array:
    """rows[:, columns], without a copy where they are neighbours."""
    first, last = columns[0], columns[-1]
    neighbours = columns == tuple(range(first, last + 1))
    return rows[:, first : last + 1] if neighbours else rows[:, columns]
