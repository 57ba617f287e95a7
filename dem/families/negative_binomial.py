"""Counts that scatter more than a Poisson distribution's: negative binomial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import gammaln, psi

from dem.contract import STARVED, Sample, Space
from dem.families.charts import Charted, Charts, Positive
from dem.families.counts import LEAST, Poisson, log_factorial
from dem.families.features import check_size, check_support
from dem.families.space import Roots
from dem.kernels.normal import tile_shape
from dem.stats import Vector

Array = np.ndarray
SIZES = 1e-3, 1e6  # at the upper end it is a Poisson distribution
TABLE = 256  # counts below it are looked up


@dataclass(frozen=True, eq=False)
class NegativeBinomialParams:
    """Means μ and sizes s, (K, D); variances are μ + μ² / s."""

    means: Array
    sizes: Array


@dataclass(frozen=True, eq=False)
class NegativeBinomialSums(Vector):
    """Statistics of counts x and of their hidden l, for each component.

    weight : Σ r, (K,). observed : Σ r of what is not missing. counts : Σ r x. hidden : Σ r E[l].
    rest : Σ r (H(q(l)) + E[log p(x | l)]), (K,).
    """

    weight: Array
    observed: Array
    counts: Array
    hidden: Array
    rest: Array

    @property
    def alive(self) -> Array:
        return np.asarray(self.observed > STARVED * self.weight.sum())


@dataclass(frozen=True, eq=False)
class NegativeBinomialPrepared:
    """log p and E[l] of the counts below TABLE, then 0 for a missing one: (D, K, TABLE + 1)."""

    params: NegativeBinomialParams
    offset: Array
    log_p: Array
    hidden: Array


@dataclass(frozen=True)
class NegativeBinomial(Charted):
    """p(v | k) = ∏ Γ(v + s) / (Γ(s) v!) (s / (s + μ))^s (μ / (s + μ))^v: counts, NaN for missing.

    It is not an exponential family: Γ(v + s) would need all counts again in each M-step. But v is
    a sum of l logarithmic variables, l Poisson (Quenouille 1949), and given v the mean of l is
    s (ψ(v + s) − ψ(s)) (Zhou and Carin 2015). With l hidden as well as the component, statistics
    are sums once more, and the bound is exact. Sizes come slowly where they are large: much is
    hidden then.

    Means stay above 1e-10 and sizes between 1e-3 and 1e6, at the maximum under that.
    """

    charts: ClassVar[Charts] = {"means": Positive(LEAST), "sizes": Positive(*SIZES)}
    missing: ClassVar[bool] = True
    support: ClassVar[str] = "NegativeBinomial columns hold counts, whole numbers from 0 on"

    def outside(self, x: Array) -> Array:
        return Poisson().outside(x)

    def allowed(self, column: int) -> str:
        """What values there may be in a column, in words."""
        return self.support

    def frame(self, sample: Sample) -> Space:
        """Square roots of the counts; a missing value is at their mean."""
        return Roots.of(sample)

    def start(self, sample: Sample, responsibilities: Array) -> NegativeBinomialParams:
        """Moments of the sample under responsibilities (K, m), of the values that can be."""
        x = sample.rows.T
        there = ~np.isnan(x) & ~self.outside(x)
        r, x = (responsibilities * sample.weights), np.where(there, x, 0.0)
        observed = r @ there.T
        share = np.where(observed > 0, observed, 1.0)
        means = np.maximum((r @ x.T) / share, LEAST)
        excess = (r @ np.square(x).T) / share - means**2 - means
        sizes = np.clip(means**2 / np.maximum(excess, 1e-2 * means**2), *SIZES)
        blank = observed > STARVED * r.sum()
        return NegativeBinomialParams(np.where(blank, means, 1.0), np.where(blank, sizes, 1.0))

    def prepare(self, params: NegativeBinomialParams, offset: Array) -> NegativeBinomialPrepared:
        counts = np.arange(float(TABLE))
        log_p, hidden = zip(
            *(_terms(params, d, counts) for d in range(params.means.shape[1])), strict=True
        )
        nothing = [(0, 0), (0, 0), (0, 1)]
        tables = (np.pad(np.stack(table), nothing) for table in (log_p, hidden))
        return NegativeBinomialPrepared(params, offset, *tables)

    def tiles(
        self,
        prepared: NegativeBinomialPrepared,
        rows: Array,
        weights: Array | None,
        size: int | None = None,
    ) -> NegativeBinomialTiles:
        return NegativeBinomialTiles(self, prepared, rows, size)

    def maximise(
        self, params: NegativeBinomialParams, sums: NegativeBinomialSums
    ) -> NegativeBinomialParams:
        alive = sums.alive
        share = np.where(alive, sums.observed, 1.0)
        means = np.maximum(sums.counts / share, LEAST)
        sizes = size_of(np.where(alive, sums.hidden / share, means), means, params.sizes)
        return NegativeBinomialParams(
            np.where(alive, means, params.means), np.where(alive, sizes, params.sizes)
        )

    def expected_log_density(
        self, params: NegativeBinomialParams, sums: NegativeBinomialSums
    ) -> float:
        return float(
            _linear(params, sums.observed, sums.counts, sums.hidden).sum() + sums.rest.sum()
        )

    def averages(self, params: NegativeBinomialParams) -> Array:
        return params.means

    def diagnose(self, params: NegativeBinomialParams) -> tuple[str, ...]:
        return ()

    def sample(
        self, params: NegativeBinomialParams, counts: Array, rng: np.random.Generator
    ) -> Array:
        means, sizes = (np.repeat(p, counts, axis=0) for p in (params.means, params.sizes))
        return rng.poisson(rng.gamma(sizes, means / sizes)).astype(float)


class NegativeBinomialTiles:
    """See `dem.contract.Tiles`: log-densities and E[l] are looked up, count by count."""

    def __init__(
        self,
        family: NegativeBinomial,
        prepared: NegativeBinomialPrepared,
        rows: Array,
        size: int | None,
    ) -> None:
        self._family, self._prepared, self._rows = family, prepared, rows
        k, d = prepared.params.means.shape
        self.size = size or tile_shape(d, k)[0]
        self._weight, self._rest = np.zeros((2, k))
        self._observed, self._counts, self._hidden = np.zeros((3, k, d))

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        prepared, k = self._prepared, len(self._weight)
        for start in range(0, len(self._rows), self.size):
            here = slice(start, min(start + self.size, len(self._rows)))
            x = np.array(self._rows[here].T, dtype=float)
            check_support(self._family, x, start)
            self._missing = np.isnan(x)
            np.copyto(x, 0.0, where=self._missing)
            self._x, large = x, x >= TABLE
            self._index = np.where(self._missing | large, TABLE, x).astype(np.intp)
            if large.any():
                check_size(x, start)
            self._large = [np.flatnonzero(column) for column in large]
            self._scratch = np.empty((k, x.shape[1]))
            self._log_p = np.zeros((k, x.shape[1]))
            for d, index in enumerate(self._index):
                self._log_p += np.take(
                    prepared.log_p[d], index, axis=1, out=self._scratch, mode="clip"
                )
                if len(at := self._large[d]):
                    self._log_p[:, at] += _terms(prepared.params, d, x[d, at])[0]
            yield here, self._log_p + prepared.offset[:, None], np.empty_like(self._log_p)

    def add(self, responsibilities: Array) -> None:
        prepared, r = self._prepared, responsibilities
        weight, hidden = r.sum(axis=1), np.empty_like(self._hidden)
        for d, index in enumerate(self._index):
            values = np.take(prepared.hidden[d], index, axis=1, out=self._scratch, mode="clip")
            if len(at := self._large[d]):
                values[:, at] = _terms(prepared.params, d, self._x[d, at])[1]
            hidden[:, d] = np.einsum("kn,kn->k", r, values)
        missing = r @ self._missing.T if self._missing.any() else 0.0
        observed, counts = weight[:, None] - missing, r @ self._x.T
        linear = _linear(prepared.params, observed, counts, hidden).sum(axis=1)
        self._weight += weight
        self._observed += observed
        self._counts += counts
        self._hidden += hidden
        self._rest += np.einsum("kn,kn->k", r, self._log_p) - linear

    def constant(self) -> Array | float:
        return 0.0

    def sums(self) -> NegativeBinomialSums:
        parts = (self._weight, self._observed, self._counts, self._hidden, self._rest)
        return NegativeBinomialSums(*(part.copy() for part in parts))


def _terms(params: NegativeBinomialParams, d: int, x: Array) -> tuple[Array, Array]:
    """log p(x) and E[l | x] of counts x (n,) in column d, (K, n) both."""
    mean, size = params.means[:, d, None], params.sizes[:, d, None]
    log_p = gammaln(x + size) - gammaln(size) - log_factorial(x)
    log_p += x * np.log(mean / (size + mean)) - size * np.log1p(mean / size)
    return log_p, size * (psi(x + size) - psi(size))


def _linear(params: NegativeBinomialParams, observed: Array, counts: Array, hidden: Array) -> Array:
    """Σ r E[log p(x, l)], (K, D), without what does not depend on θ."""
    mean, size = params.means, params.sizes
    success = counts * np.log(mean / (size + mean))
    return np.asarray(hidden * np.log(size) + success - observed * size * np.log1p(mean / size))


def size_of(hidden: Array, means: Array, sizes: Array) -> Array:
    """The s in `SIZES` with s log(1 + μ / s) = E[l], by Newton's method on log s.

    Elementwise, from given sizes. E[l] is below μ, but for rounding.
    """
    for _ in range(100):
        rest = hidden - sizes * np.log1p(means / sizes)
        slope = sizes * (np.log1p(means / sizes) - means / (sizes + means))
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.clip(np.nan_to_num(rest / slope), -2.0, 2.0)
        new = np.clip(sizes * np.exp(step), *SIZES)
        if (np.abs(new - sizes) <= 1e-13 * sizes).all():
            break
        sizes = new
    return np.asarray(new)
