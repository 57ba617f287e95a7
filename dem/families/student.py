"""Student-t components: Gaussians whose precision differs from row to row, robust to outliers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import betaln, gammaln, polygamma, psi

from dem.checks import check_number, check_offers
from dem.contract import STARVED, Sample, Space, Tiles
from dem.families.charts import Positive
from dem.families.covariance import Covariance
from dem.families.dense import Full
from dem.families.gaussian import LOG_2PI, Gaussian, GaussianParams, GaussianPrepared
from dem.families.moments import Moments
from dem.stats import Vector

Array = np.ndarray
DEGREES = 0.1, 200.0  # beyond it is a Gaussian, within a thousandth of a nat
FIRST = 10.0


@dataclass(frozen=True, eq=False)
class StudentTParams:
    """Locations and scale matrices, as a Gaussian's means and covariances, and ν (K,)."""

    gaussian: GaussianParams
    df: Array


@dataclass(frozen=True, eq=False)
class StudentTSums(Vector):
    """Statistics of rows and of their hidden precisions u, for each component.

    weight : Σ r. moments : Σ r u, Σ r u x, Σ r u x xᵀ. log_u : Σ r E[log u]. entropy : Σ r H(q(u)).
    """

    weight: Array
    moments: Moments
    log_u: Array
    entropy: Array


@dataclass(frozen=True, eq=False)
class StudentTPrepared:
    """The Gaussian's part, and per component what turns a squared distance into a log-density."""

    gaussian: GaussianPrepared
    df: Array
    log_norm: Array


@dataclass(frozen=True)
class StudentT:
    """p(v | k) = ∫ N(v; μₖ, Σₖ / u) Gamma(u; νₖ/2, νₖ/2) du (Peel and McLachlan 2000).

    u is hidden as well: q(u | v, k) = Gamma((ν + D)/2, (ν + δ)/2), δ the squared Mahalanobis
    distance. Its entropy is part of the statistics, so the bound is exact. The M-step maximises
    in μ and Σ in closed form, and in ν, which they do not share a term with, by Newton's method.

    covariance : form of Σ, `Full()`, `Diagonal()`, `Spherical()`; none that components share.
    df : ν, the same in all components and fixed; None to fit one for each, in [0.1, 200].
    """

    covariance: Covariance = field(default_factory=Full)
    df: float | None = None

    def __post_init__(self) -> None:
        check_offers("covariance", self.covariance, Covariance)
        if self.covariance.pooled:
            raise ValueError(
                f"covariance must not be shared by the components: {self.covariance!r}"
            )
        if self.df is not None:
            check_number("df", self.df, float, 1e-3)

    @property
    def _gaussian(self) -> Gaussian:
        return Gaussian(self.covariance)

    def frame(self, sample: Sample) -> Space:
        """The units in which this fit calculates, and a start measures distances."""
        return self._gaussian.frame(sample)

    def start(self, sample: Sample, responsibilities: Array) -> StudentTParams:
        """The Gaussians' start, with ν = 10 unless it is fixed."""
        gaussian = self._gaussian.start(sample, responsibilities)
        return StudentTParams(gaussian, np.full(len(responsibilities), self.df or FIRST))

    def described(self, params: StudentTParams) -> dict[str, Array]:
        """means (locations), scales (matrices Σ, as a Gaussian's covariances) and df (K,)."""
        means, scales, _ = self._gaussian.outward(params.gaussian)
        return {"means": means, "scales": scales, "df": params.df}

    def prepare(self, params: StudentTParams, offset: Array) -> StudentTPrepared:
        gaussian, d = (
            self._gaussian.prepare(params.gaussian, offset),
            params.gaussian.means.shape[1],
        )
        df = params.df
        # log Γ((ν + D)/2) − log Γ(ν/2), which are both large where ν is
        gammas = gammaln(d / 2) - betaln(df / 2, d / 2)
        log_norm = gaussian.log_norm + d * LOG_2PI / 2 + gammas - d * np.log(df * np.pi) / 2
        return StudentTPrepared(gaussian, df, log_norm)

    def tiles(
        self,
        prepared: StudentTPrepared,
        rows: Array,
        weights: Array | None,
        size: int | None = None,
    ) -> StudentTTiles:
        inner = self._gaussian.tiles(prepared.gaussian, rows, weights, size)
        return StudentTTiles(prepared, inner, rows.shape[1])

    def maximise(self, params: StudentTParams, sums: StudentTSums) -> StudentTParams:
        m, form, old = sums.moments, self.covariance, params.gaussian
        alive = sums.weight > STARVED * sums.weight.sum()
        share = np.where(alive, m.weight, 1.0)[:, None]
        means = np.where(alive[:, None], m.centre + m.first / share, old.means)
        # The scatter about the means is weighted by r u, but divided by Σ r: to the Gaussian these
        # are the moments of that many rows about the same means.
        first = sums.weight[:, None] * (means - m.centre)
        second = m.about(means).second + form.cross(first, means - m.centre)
        plain = replace(m, weight=sums.weight, first=first, second=second)
        gaussian = self._gaussian.maximise(old, plain)
        if self.df is not None:
            return StudentTParams(gaussian, params.df)
        gap = (m.weight - sums.log_u) / np.where(alive, sums.weight, 1.0) - 1.0
        df = 2 * half_df(np.where(alive, gap, 1.0), params.df / 2)
        return StudentTParams(gaussian, np.where(alive, df, params.df))

    def expected_log_density(self, params: StudentTParams, sums: StudentTSums) -> float:
        """Σ r (E_q[log p(v, u | k)] + H(q(u))): at the θ of the E-step it is Σ r log p(v | k)."""
        gaussian, m, half = self._gaussian, sums.moments, params.df / 2
        d = m.first.shape[1]
        # Its log-density is linear in the statistics; |Σ/u| counts for Σ r and not for Σ r u.
        rest = replace(
            m,
            weight=sums.weight - m.weight,
            first=np.zeros_like(m.first),
            second=np.zeros_like(m.second),
            centre=params.gaussian.means,
        )
        normal = gaussian.expected_log_density(params.gaussian, m)
        normal += gaussian.expected_log_density(params.gaussian, rest)
        prior = half * np.log(half) - gammaln(half)
        hidden = prior @ sums.weight + (half - 1 + d / 2) @ sums.log_u - half @ m.weight
        return float(normal + hidden + sums.entropy.sum())

    def check(self, params: StudentTParams, k: int) -> None:
        """Raise ValueError unless params have the shapes and signs of k components."""
        self._gaussian.check(params.gaussian, k)
        if params.df.shape != (k,) or not (params.df > 0).all():
            raise ValueError(f"df must be {k} positive numbers")

    def diagnose(self, params: StudentTParams) -> tuple[str, ...]:
        return self._gaussian.diagnose(params.gaussian)

    def flatten(self, params: StudentTParams) -> Array:
        """The Gaussians' parameters, and log ν where it is to be fitted."""
        rest = [np.log(params.df)] if self.df is None else []
        return np.concatenate([self._gaussian.flatten(params.gaussian), *rest])

    def unflatten(self, vector: Array, like: StudentTParams) -> StudentTParams:
        df = like.df
        if self.df is None:
            vector, logs = np.split(vector, [-len(df)])
            df = Positive(*DEGREES).unflatten(logs)
        return StudentTParams(self._gaussian.unflatten(vector, like.gaussian), df)

    def n_parameters(self, params: StudentTParams) -> int:
        return self._gaussian.n_parameters(params.gaussian) + len(params.df) * (self.df is None)

    def sample(self, params: StudentTParams, counts: Array, rng: np.random.Generator) -> Array:
        rows = self._gaussian.sample(params.gaussian, counts, rng)
        means = np.repeat(params.gaussian.frame.outward(params.gaussian.means), counts, axis=0)
        df = np.repeat(params.df, counts)
        u = rng.gamma(df / 2, 2 / df)
        return np.asarray(means + (rows - means) / np.sqrt(u)[:, None])


class StudentTTiles:
    """The Gaussian's tiles, made into those of Student-t; see `dem.contract.Tiles`."""

    def __init__(self, prepared: StudentTPrepared, inner: Tiles, d: int) -> None:
        self._inner, self.size, df = inner, inner.size, prepared.df
        self._df, self._half = df[:, None], ((df + d) / 2)[:, None]
        # log N = peak − δ/2, and so the Student-t's log-density
        self._peak, self._log_norm = prepared.gaussian.log_norm[:, None], prepared.log_norm[:, None]
        self._weight, self._log_u, self._entropy = np.zeros((3, len(df)))

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        for here, log_joint, out in self._inner:
            excess = self._peak - log_joint
            np.maximum(excess, 0.0, out=excess)
            excess *= 2.0
            excess += self._df
            self._spread = excess  # ν + δ
            self._log_spread = np.log(excess)
            np.subtract(np.log(self._df), self._log_spread, out=log_joint)
            log_joint *= self._half
            log_joint += self._log_norm
            yield here, log_joint, out

    def add(self, responsibilities: Array) -> None:
        total = responsibilities.sum(axis=1)
        logs = np.einsum("kn,kn->k", responsibilities, self._log_spread)
        half = self._half[:, 0]
        # q(u) = Gamma(half, (ν + δ) / 2)
        log_rate = logs - np.log(2.0) * total
        self._weight += total
        self._log_u += psi(half) * total - log_rate
        self._entropy += (half + gammaln(half) + (1 - half) * psi(half)) * total - log_rate
        np.divide(responsibilities, self._spread, out=self._spread)
        self._spread *= 2.0 * self._half
        self._inner.add(self._spread)

    def constant(self) -> Array | float:
        return 0.0

    def sums(self) -> StudentTSums:
        return StudentTSums(
            self._weight.copy(), self._inner.sums(), self._log_u.copy(), self._entropy.copy()
        )


def half_df(gap: Array, half: Array) -> Array:
    """The h in ½ `DEGREES` that maximises h log h − log Γ(h) − h (gap + 1), by Newton's method.

    gap : mean of u − log u, less 1, at least 0. The solution of log h − ψ(h) = gap.
    """
    low, high = DEGREES[0] / 2, DEGREES[1] / 2
    for _ in range(50):
        rest = np.log(half) - psi(half) - gap
        slope = 1 / half - polygamma(1, half)
        new = 1 / (1 / half + rest / (half**2 * slope))
        new = np.clip(np.where(new > 0, new, high), low, high)
        if (np.abs(new - half) <= 1e-15 * half).all():
            break
        half = new
    return np.asarray(new)
