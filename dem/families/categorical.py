"""Unordered categories: one code per column, or counts of categories per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dem.checks import check_number
from dem.contract import STARVED, Sample, Space, Tiles
from dem.families.charts import Charts, Positive
from dem.families.counts import LEAST, log_factorial
from dem.families.exponential import ExponentialFamily
from dem.families.features import FeatureSums, Linear
from dem.families.one_hot import OneHotTiles, one_hot
from dem.families.parameters import floored
from dem.families.space import Hellinger, OneHot

Array = np.ndarray
DENSE = 48  # levels of all columns: where there are more, sparse products are faster


@dataclass(frozen=True, eq=False)
class CategoricalParams:
    """Probabilities (K, Σ levels): those of the first column's levels, of the second's, ..."""

    probabilities: Array


@dataclass(frozen=True)
class Categorical(ExponentialFamily):
    """p(v | k) = ∏_d p_kd[v_d]: columns of codes 0, 1, ..., levels − 1, NaN for missing.

    Mixtures of these are latent class analysis (Lazarsfeld and Henry 1968; Linzer and Lewis 2011).
    Probabilities stay above 1e-10, at the maximum of the likelihood under that.

    levels : of each column, or one number for all. They are not taken from the data, of which a
        start sees a sample only; a code that is not below raises an error that names its place.
    """

    levels: int | tuple[int, ...]
    charts: ClassVar[Charts] = {"probabilities": Positive(LEAST)}
    support = "Categorical columns hold codes, whole numbers from 0 to below the number of levels"

    def __post_init__(self) -> None:
        given = self.levels
        many = isinstance(given, (tuple, list, np.ndarray))
        for number in given if many else (given,):  # type: ignore[union-attr]
            check_number("levels", number, int, 1)
        levels = tuple(int(number) for number in given) if many else int(given)  # type: ignore
        object.__setattr__(self, "levels", levels)

    def allowed(self, column: int) -> str:
        levels = self.levels if isinstance(self.levels, int) else self.levels[column]
        return f"{self.support}, which is {levels} here"

    def edges(self, d: int) -> Array:
        """Where the levels of each of D columns begin, (D + 1,); the last is Σ levels."""
        if isinstance(self.levels, int):
            return np.arange(d + 1) * self.levels
        if len(self.levels) != d:
            raise ValueError(f"levels are given for {len(self.levels)} columns, there are {d}")
        return np.cumsum([0, *self.levels])

    def split(self, probabilities: Array, d: int) -> list[Array]:
        """Probabilities (..., Σ levels) column by column."""
        return np.split(probabilities, self.edges(d)[1:-1], axis=-1)

    def drop(self, observed: Array, features: Array) -> None:
        features *= np.repeat(observed, np.diff(self.edges(len(observed))), axis=0)

    def outside(self, x: Array) -> Array:
        levels = np.diff(self.edges(len(x)))[:, None]
        return np.asarray((x < 0) | (x >= levels) | (np.rint(x) != x))

    def features(self, params: CategoricalParams, x: Array, out: Array) -> None:
        # A missing value has no level, and so drops out by itself: nothing need be looked for.
        n = x.shape[1]
        places = x * n + (self.edges(len(x))[:-1, None] * n + np.arange(n))
        if np.isnan(places.sum()):
            places = places[~np.isnan(places)]
        flat = out.reshape(-1)  # a view: tiles lie together in memory
        flat.fill(0.0)
        flat[places.astype(np.intp).ravel()] = 1.0

    def tiles(
        self, prepared: Linear, rows: Array, weights: Array | None, size: int | None = None
    ) -> Tiles:
        edges = self.edges(rows.shape[1])
        if edges[-1] <= DENSE:
            return super().tiles(prepared, rows, weights, size)
        return OneHotTiles(self, prepared, rows, size, edges)

    def _sums(self, params: CategoricalParams, x: Array, r: Array) -> FeatureSums:
        features = (one_hot(x.T, self.edges(len(x))).T @ np.ascontiguousarray(r.T)).T
        return FeatureSums(r.sum(axis=1), r @ ~np.isnan(x.T), features, 0.0)

    def natural(self, params: CategoricalParams) -> tuple[Array, Array]:
        k, d = len(params.probabilities), self._width(params)
        return np.log(params.probabilities), np.zeros((k, d))

    def _width(self, params: CategoricalParams) -> int:
        """D."""
        total = params.probabilities.shape[1]
        return total // self.levels if isinstance(self.levels, int) else len(self.levels)

    def blank(self, k: int, sample: Sample) -> CategoricalParams:
        levels = np.diff(self.edges(sample.rows.shape[1]))
        return CategoricalParams(np.tile(np.repeat(1.0 / levels, levels), (k, 1)))

    def maximise(self, params: CategoricalParams, sums: FeatureSums) -> CategoricalParams:
        d, least = self._width(params), STARVED * sums.weight.sum()
        new = []
        for counts, old in zip(
            self.split(sums.features, d), self.split(params.probabilities, d), strict=True
        ):
            alive = counts.sum(axis=1, keepdims=True) > least
            new.append(np.where(alive, floored(np.where(alive, counts, 1.0), LEAST), old))
        return CategoricalParams(np.hstack(new))

    def check(self, params: CategoricalParams, k: int) -> None:
        super().check(params, k)
        sums = [part.sum(axis=1) for part in self.split(params.probabilities, self._width(params))]
        if not np.allclose(sums, 1.0):
            raise ValueError("probabilities of the levels of a column must sum to 1")

    def expected(self, params: CategoricalParams, rows: Array, q: Array) -> Array:
        """The mode, a code."""
        parts = self.split(q @ params.probabilities, self._width(params))
        return np.stack([part.argmax(axis=1) for part in parts], axis=1).astype(float)

    def draw(self, params: CategoricalParams, j: int, n: int, rng: np.random.Generator) -> Array:
        parts = self.split(params.probabilities[j], self._width(params))
        return np.stack([rng.choice(len(p), n, p=p / p.sum()) for p in parts], axis=1).astype(float)

    def unflatten(self, vector: Array, like: CategoricalParams) -> CategoricalParams:
        free = super().unflatten(vector, like).probabilities
        parts = [floored(part, LEAST) for part in self.split(free, self._width(like))]
        return CategoricalParams(np.hstack(parts))

    def n_parameters(self, params: CategoricalParams) -> int:
        k, total = params.probabilities.shape
        return k * (total - self._width(params))

    def frame(self, sample: Sample) -> Space:
        """Squared distances count the columns that differ, twice; centres go to the modes."""
        return OneHot(tuple(np.diff(self.edges(sample.rows.shape[1])).tolist()))


@dataclass(frozen=True, eq=False)
class MultinomialParams:
    """Probabilities of the categories, (K, D)."""

    probabilities: Array


@dataclass(frozen=True)
class Multinomial(ExponentialFamily):
    """p(v | k) = (Σ v)! ∏ p_kd^v_d / v_d!: counts of D categories, given how many there are.

    Mixtures of these cluster documents by their words (Nigam et al. 2000). Probabilities stay
    above 1e-10, at the maximum of the likelihood under that.
    """

    missing = False
    joint = True
    charts: ClassVar[Charts] = {"probabilities": Positive(LEAST)}
    support = "Multinomial columns hold counts, whole numbers from 0 on"

    def outside(self, x: Array) -> Array:
        return np.asarray((x < 0) | (np.rint(x) != x))

    def features(self, params: MultinomialParams, x: Array, out: Array) -> None:
        out[:] = x

    def natural(self, params: MultinomialParams) -> tuple[Array, Array]:
        return np.log(params.probabilities), np.zeros((len(params.probabilities), 1))

    def base(self, params: MultinomialParams, x: Array) -> Array:
        return np.asarray(log_factorial(x.sum(axis=0)) - log_factorial(x).sum(axis=0))

    def blank(self, k: int, sample: Sample) -> MultinomialParams:
        d = sample.rows.shape[1]
        return MultinomialParams(np.full((k, d), 1.0 / d))

    def maximise(self, params: MultinomialParams, sums: FeatureSums) -> MultinomialParams:
        alive = sums.features.sum(axis=1, keepdims=True) > STARVED * sums.features.sum()
        new = floored(np.where(alive, sums.features, 1.0), LEAST)
        return MultinomialParams(np.where(alive, new, params.probabilities))

    def check(self, params: MultinomialParams, k: int) -> None:
        super().check(params, k)
        if not np.allclose(params.probabilities.sum(axis=1), 1.0):
            raise ValueError("probabilities of each component must sum to 1")

    def draw(self, params: MultinomialParams, j: int, n: int, rng: np.random.Generator) -> Array:
        """Of D trials each: the model does not say how many there are."""
        p = params.probabilities[j]
        return rng.multinomial(len(p), p / p.sum(), n).astype(float)

    def unflatten(self, vector: Array, like: MultinomialParams) -> MultinomialParams:
        return MultinomialParams(floored(super().unflatten(vector, like).probabilities, LEAST))

    def n_parameters(self, params: MultinomialParams) -> int:
        k, d = params.probabilities.shape
        return k * (d - 1)

    def frame(self, sample: Sample) -> Space:
        return Hellinger()
