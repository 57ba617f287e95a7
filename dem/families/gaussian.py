"""The Gaussian family: K components with covariances of one form."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dem.checks import check_number, check_offers
from dem.contract import STARVED, Sample, Space, Tiles
from dem.families.covariance import Covariance, Improving, Shareable
from dem.families.dense import Full
from dem.families.frame import SMALLEST, Frame
from dem.families.incomplete import IncompleteTiles, completed
from dem.families.lacking import LackingTiles
from dem.families.marginals import Patterns
from dem.families.moments import Moments
from dem.families.prepared import LOG_2PI, GaussianParams, GaussianPrepared
from dem.families.single import moments
from dem.families.space import Scaled, imputed
from dem.families.tiles import GaussianTiles

__all__ = ["LOG_2PI", "Gaussian", "GaussianParams", "GaussianPrepared"]

Array = np.ndarray

# The expanded quadratic x'Λx − 2μ'Λx + μ'Λμ loses the digits by which its terms exceed the
# result. Beyond this ratio (1e-10 of a nat is lost) a component is calculated about its mean.
CANCELLATION = 4e5
# Up to this ratio float32 is enough for data in that precision, which are rounded as much anyway:
# a row's log-density is right to about 1e-4 of a nat, and the errors of many rows average out.
CANCELLATION_SHORT = 2e3
# Variances in the frame, where the data have variance 1: a component that collapses onto one
# point stops here, far below what real clusters have and above what rounding makes of zero.
SMALLEST_VARIANCE = 1e-14
# Variances at distance 1 from the centre of the sums: those above the first keep enough digits
# (1e-9 of a nat is lost), those below the second have none. Then the same for float32.
RESOLVED, LOST = 1e-8, 4e-15
RESOLVED_SHORT, LOST_SHORT = 1 / CANCELLATION_SHORT, 1e-6


@dataclass(frozen=True)
class Gaussian:
    """p(v | k) = N(v; μₖ, Σₖ), an exponential family: log p = η(θ)·T(v).

    covariance : `Full()`, `Tied()`, `Diagonal()`, `Spherical()`, one that shares less or more, as
        `parsimonious("VEI")`, or a `Covariance` of your own.
    reg_covar : added to the variances in each M-step, in the squared units of the data, as
        scikit-learn does. It is not a maximiser: with a value that is not small against the
        variances the bound may fall. With 0, components are kept from collapsing by a floor
        at 1e-14 of the data's variance (with correlations, 4e-16 D² where that is more). Rounding
        moves a variance that stands there by a few percent, and the bound by as much of a nat.
    missing : whether NaN is a missing value (missing at random). What is missing is hidden as the
        component is, and what is expected of it given the rest of the row enters the statistics
        (Ghahramani and Jordan 1994); its entropy does too, so that the bound is exact.
    """

    covariance: Covariance = field(default_factory=Full)
    reg_covar: float = 0.0
    missing: bool = False

    def __post_init__(self) -> None:
        check_offers("covariance", self.covariance, Covariance)
        check_number("reg_covar", self.reg_covar, float, 0)
        if not isinstance(self.missing, (bool, np.bool_)):
            raise TypeError(f"missing must be bool, got {self.missing!r:.60}.")
        if self.missing:
            check_offers("covariance", self.covariance, Shareable)

    @property
    def fixed(self) -> bool:
        """Whether the statistics of a single component are the same under any θ: its moments."""
        return not self.missing

    def frame(self, sample: Sample) -> Space:
        """The units in which this fit calculates, and a start measures distances.

        A scale per column, where the form is closed under that: then the units of the columns
        make no difference to a start, as they make none to the likelihood. A spherical covariance
        has one scale for all of them, and so do its distances.
        """
        frame = self.units(sample)
        return Scaled(frame) if self.missing else frame

    def units(self, sample: Sample) -> Frame:
        """The frame of a fit to data of which this is a sample."""
        rows = imputed(sample) if self.missing else sample.rows
        return Frame.of(rows, sample.weights, uniform=self.covariance.uniform)

    def inward(self, means: Array, covariances: Array, frame: Frame) -> GaussianParams:
        """Parameters from means and covariances in the user's units, in scikit-learn's shapes."""
        inside = self.covariance.inward(np.asarray(covariances, float), frame.scale)
        means = frame.inward(np.asarray(means, float))
        return GaussianParams(means, inside, self.covariance.roots(inside), frame)

    def outward(self, params: GaussianParams) -> tuple[Array, Array, Array]:
        """(means, covariances, precision roots) in the user's units, in scikit-learn's shapes."""
        form, scale = self.covariance, params.frame.scale
        return (
            params.frame.outward(params.means),
            form.outward(params.covariances, scale),
            form.roots_outward(params.roots, scale),
        )

    def described(self, params: GaussianParams) -> dict[str, Array]:
        """means and covariances in the user's units, in scikit-learn's shapes."""
        means, covariances, _ = self.outward(params)
        return {"means": means, "covariances": covariances}

    def start(self, sample: Sample, responsibilities: Array) -> GaussianParams:
        """Moments of the sample under responsibilities (K, m)."""
        frame = self.units(sample)
        shape = len(responsibilities), sample.rows.shape[1]
        blank = GaussianParams(np.zeros(shape), np.empty(0), np.empty(0), frame)
        z = frame.inward(sample.rows).T
        sums = Moments.of(z, responsibilities * sample.weights, self.covariance)
        return self.maximise(blank, sums)

    def prepare(self, params: GaussianParams, offset: Array) -> GaussianPrepared:
        form, (k, d) = self.covariance, params.means.shape
        linear, quadratic = form.natural(params.roots, params.means)
        norm = form.log_det(params.roots, (k, d)) - d * LOG_2PI / 2 - params.frame.log_volume
        log_norm = norm + offset
        constant = log_norm - np.einsum("kd,kd->k", linear, params.means) / 2
        reach = np.sqrt(params.means**2 + form.variances(params.covariances, (k, d)))
        magnitude = form.magnitude(params.roots, reach)
        tight = magnitude > CANCELLATION
        if form.pooled:
            tight[:] = tight.any()  # their scatter is one sum, so they go together
        centre = np.where(tight[:, None], params.means, 0.0)
        return GaussianPrepared(
            params=params,
            eta=np.hstack([constant[:, None], linear, quadratic]),
            tight=tight,
            centre=centre,
            log_norm=log_norm,
            form=form,
            offset=offset,
            short=bool((magnitude <= CANCELLATION_SHORT).all()) and params.frame.short,
            patterns=self._patterns(params, centre, offset),
        )

    def _patterns(self, params: GaussianParams, centre: Array, offset: Array) -> Patterns | None:
        form: Any = self.covariance  # a `Shareable`
        if not self.missing or not form.correlated:
            return None
        matrices = form.outward(params.covariances, np.ones(centre.shape[1]))
        return Patterns(params, matrices, centre, offset)

    def tiles(
        self,
        prepared: GaussianPrepared,
        rows: Array,
        weights: Array | None,
        size: int | None = None,
    ) -> Tiles:
        missing = np.isnan(rows) if self.missing else None
        if missing is None or not missing.any():
            return GaussianTiles(prepared, rows, weights, size)
        if prepared.patterns is None:
            return LackingTiles(prepared, rows, size)
        return IncompleteTiles(prepared, prepared.patterns, rows, missing, size)

    def totals(self, prepared: GaussianPrepared, rows: Array, weights: Array | None) -> Moments:
        """The statistics of all rows (n, D) under weights (n,), where there is one component."""
        return moments(prepared, rows, weights)

    def maximise(self, params: GaussianParams, sums: Moments) -> GaussianParams:
        form = self.covariance
        alive = sums.weight > STARVED * sums.weight.sum()
        weight = np.where(alive, sums.weight, 1.0)
        offsets = sums.first / weight[:, None]
        means = np.where(alive[:, None], sums.centre + offsets, params.means)
        covariances = self._covariances(params, sums.about(means), alive)
        floors = self._floors(params, np.where(alive[:, None], offsets, 0.0), sums.short > 0)
        covariances, _ = form.at_least(covariances, floors)
        if not alive.all():
            covariances = form.keep(alive, covariances, params.covariances)
        return replace(params, means=means, covariances=covariances, roots=form.roots(covariances))

    def _covariances(self, params: GaussianParams, sums: Moments, alive: Array) -> Array:
        """Those that maximise the likelihood of moments about the means, and `reg_covar`."""
        form, d = self.covariance, params.means.shape[1]
        extra = self.reg_covar / params.frame.scale**2
        if not isinstance(form, Improving):
            weight = np.where(alive, sums.weight, 1.0)
            share = sums.weight if form.pooled else weight  # those without rows count for nothing
            return form.widen(form.covariances(share, sums.second, d), extra)
        more = np.outer(sums.weight, form.outer(np.diag(np.sqrt(extra)), None))
        return form.improved(sums.weight, sums.second + more, d, params.covariances)

    def _floors(self, params: GaussianParams, offsets: Array, short: bool) -> Array:
        """The least variances (K, D) to be taken from sums whose means are `offsets` off centre.

        A variance far smaller than that distance squared has been lost in rounding: go as far as
        the digits reach, the next sums are about this mean. But a variance that was smaller
        already may stay so, or the bound would fall, unless it has no digits at all.
        """
        squares = np.square(offsets)
        if self.covariance.pooled:
            squares[:] = squares.max(axis=0)
        floors = squares * (RESOLVED_SHORT if short else RESOLVED)
        if floors.any():
            # Σ ⪰ c · diag(floors) for the old Σ, with c = 1 / excess
            excess = self.covariance.magnitude(params.roots, np.sqrt(floors))
            floors = floors / np.maximum(excess, 1.0)[:, None]
        lost = squares * (LOST_SHORT if short else LOST)
        return np.maximum(np.maximum(floors, lost), SMALLEST_VARIANCE)

    def expected_log_density(self, params: GaussianParams, sums: Moments) -> float:
        form, (k, d) = self.covariance, params.means.shape
        norm = form.log_det(params.roots, (k, d)) - d * LOG_2PI / 2 - params.frame.log_volume
        scatter = sums.about(params.means).second
        return float(sums.weight @ norm) - form.trace(params.roots, scatter) / 2 + sums.entropy

    def flatten(self, params: GaussianParams) -> Array:
        """The means, and log-Cholesky factors of the covariances, in the frame."""
        return np.concatenate(
            [params.means.ravel(), self.covariance.flatten(params.covariances).ravel()]
        )

    def unflatten(self, vector: Array, like: GaussianParams) -> GaussianParams:
        form, shape = self.covariance, like.means.shape
        means, rest = np.split(vector, [like.means.size])
        covariances = form.unflatten(rest, like.covariances.shape)
        covariances, _ = form.at_least(covariances, np.full(shape, SMALLEST_VARIANCE))
        roots = form.roots(covariances)
        return replace(like, means=means.reshape(shape), covariances=covariances, roots=roots)

    def expected(self, params: GaussianParams, rows: Array, q: Array) -> Array:
        """E[v | what is there of v], (n, D), of rows (n, D) whose components have probabilities
        q (n, K)."""
        prepared = self.prepare(params, np.zeros(len(params.means)))
        if prepared.patterns is None:
            return params.frame.outward(q @ params.means)
        return completed(prepared, prepared.patterns, rows, q)

    def check(self, params: GaussianParams, k: int) -> None:
        """Raise ValueError unless params have the shapes and signs of k components."""
        d = params.means.shape[-1]
        _check_shape("means", params.means, (k, d))
        params.frame.check(d)
        outside = np.ones(self.covariance.shape(k, d))
        inside = self.covariance.inward(outside, np.ones(d)).shape
        _check_shape("covariances", params.covariances, inside)
        roots = self.covariance.roots(params.covariances)
        _check_shape("roots", params.roots, roots.shape)
        apart, size = np.abs(params.roots - roots), np.abs(roots)
        if not (apart.max(axis=-1) <= 1e-3 * size.max(axis=-1)).all():
            raise ValueError("the precision roots are not those of the covariances")

    def collapsed(self, params: GaussianParams) -> Array:
        """Which components (K,) stand at the smallest variance allowed in some direction."""
        # Rounding moves a variance at the floor by a few percent, and more with many columns.
        floor = 10 * SMALLEST_VARIANCE
        return self.covariance.collapsed(params.covariances, params.means.shape, floor)

    def diagnose(self, params: GaussianParams) -> tuple[str, ...]:
        """What is wrong with components that have collapsed, and what to do, in words."""
        collapsed = np.flatnonzero(self.collapsed(params)).tolist()
        lost = np.flatnonzero(params.frame.lost).tolist()
        if collapsed and lost:
            return (
                f"the values of columns {lost} are below {SMALLEST:.0e}, and their squares vanish. "
                "Rescale the data.",
            )
        if collapsed:
            return (
                f"variance is at its floor in some direction: components {collapsed}. Use fewer "
                "components, or a larger reg_covar.",
            )
        return ()

    def n_parameters(self, params: GaussianParams) -> int:
        k, d = params.means.shape
        return k * d + self.covariance.n_parameters(k, d)

    def sample(self, params: GaussianParams, counts: Array, rng: np.random.Generator) -> Array:
        form, d = self.covariance, params.means.shape[1]
        parts = []
        for j, n in enumerate(counts):
            noise = form.unwhiten(params.roots, j, rng.standard_normal((n, d)).T).T
            parts.append(params.frame.outward(params.means[j] + noise))
        return np.concatenate(parts)


def _check_shape(name: str, array: Array, expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ValueError(f"{name} has the shape {array.shape}, not {expected}")
