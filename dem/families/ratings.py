"""What raters say of items whose true class is hidden (Dawid and Skene 1979)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dem.checks import check_all, check_number
from dem.contract import Sample, Space
from dem.families.categorical import Categorical, CategoricalParams
from dem.families.charts import Charts, Positive
from dem.families.counts import LEAST
from dem.families.exponential import ExponentialFamily
from dem.families.features import FeatureSums
from dem.families.space import OneHot

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class RatingsParams:
    """p(answer | rater, class), (K, raters · levels), one rater after the other."""

    confusion: Array


@dataclass(frozen=True)
class Ratings(ExponentialFamily):
    """p(v | k) = ∏_d c_kr(d)[v_d]: answers 0, 1, ..., levels − 1, NaN where there is none.

    Each rater r has a confusion matrix, and as many columns as they may have rated an item times.
    Answers are independent given the true class k. With a column for each rater it is
    `Categorical`. Probabilities stay above 1e-10.

    levels : how many answers there are.
    raters : the number of each column's rater, from 0.
    """

    levels: int
    raters: tuple[int, ...]
    charts: ClassVar[Charts] = {"confusion": Positive(LEAST)}
    neutral: ClassVar[float] = np.nan  # which counts for nothing, as answers are counted
    support = "Ratings hold codes, whole numbers from 0 to below the number of levels"

    def __post_init__(self) -> None:
        check_number("levels", self.levels, int, 1)
        check_all("raters", self.raters, int)
        if sorted(set(self.raters)) != list(range(self._n_raters)):
            raise ValueError(f"raters must be numbered from 0 without gaps, got {self.raters}.")

    @property
    def _n_raters(self) -> int:
        return max(self.raters, default=-1) + 1

    @property
    def _each(self) -> Categorical:
        """The family of answers, one for each rater."""
        return Categorical(self.levels)

    def allowed(self, column: int) -> str:
        return f"{self.support}, which is {self.levels}"

    def outside(self, x: Array) -> Array:
        return np.asarray((x < 0) | (x >= self.levels) | (np.rint(x) != x))

    def drop(self, observed: Array, features: Array) -> None:
        return

    def features(self, params: RatingsParams, x: Array, out: Array) -> None:
        out.fill(0.0)
        answers, rows = out.reshape(-1, self.levels, x.shape[1]), np.arange(x.shape[1])
        for rater, column in zip(self.raters, x, strict=True):
            there = ~np.isnan(column)
            answers[rater, column[there].astype(np.intp), rows[there]] += 1.0

    def natural(self, params: RatingsParams) -> tuple[Array, Array]:
        return np.log(params.confusion), np.zeros((len(params.confusion), len(self.raters)))

    def _check_width(self, sample: Sample) -> None:
        if sample.rows.shape[1] != len(self.raters):
            raise ValueError(
                f"raters are given for {len(self.raters)} columns, there are {sample.rows.shape[1]}"
            )

    def blank(self, k: int, sample: Sample) -> RatingsParams:
        self._check_width(sample)
        return RatingsParams(np.full((k, self._n_raters * self.levels), 1.0 / self.levels))

    def maximise(self, params: RatingsParams, sums: FeatureSums) -> RatingsParams:
        found = self._each.maximise(CategoricalParams(params.confusion), sums)
        return RatingsParams(found.probabilities)

    def check(self, params: RatingsParams, k: int) -> None:
        super().check(params, k)
        if params.confusion.shape != (k, self._n_raters * self.levels):
            raise ValueError(f"confusion has the shape {params.confusion.shape}")
        self._each.check(CategoricalParams(params.confusion), k)

    def matrices(self, params: RatingsParams) -> Array:
        """p(answer | class) of each rater, (raters, K, levels)."""
        return params.confusion.reshape(-1, self._n_raters, self.levels).swapaxes(0, 1)

    def expected(self, params: RatingsParams, rows: Array, q: Array) -> Array:
        """The most probable answer, a code."""
        likely = np.einsum("nk,rkl->nrl", q, self.matrices(params)).argmax(axis=2)
        return likely[:, list(self.raters)].astype(float)

    def draw(self, params: RatingsParams, j: int, n: int, rng: np.random.Generator) -> Array:
        answers = self.matrices(params)[list(self.raters), j]
        return np.stack([rng.choice(self.levels, n, p=p / p.sum()) for p in answers], 1).astype(
            float
        )

    def unflatten(self, vector: Array, like: RatingsParams) -> RatingsParams:
        found = self._each.unflatten(vector, CategoricalParams(like.confusion))
        return RatingsParams(found.probabilities)

    def n_parameters(self, params: RatingsParams) -> int:
        return len(params.confusion) * self._n_raters * (self.levels - 1)

    def frame(self, sample: Sample) -> Space:
        self._check_width(sample)
        return OneHot((self.levels,) * len(self.raters))
