"""Mixtures whose mixing weights depend on covariates: mixtures of experts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logsumexp

from dem.checks import check_all, check_offers
from dem.contract import Family, Posterior, Sample
from dem.errors import SupportError
from dem.families.frame import Frame
from dem.families.minorisers import Corners, Minoriser
from dem.kernels.logspace import log_sum_exp
from dem.kernels.normal import load_tile, tile_shape
from dem.models.mixture import Mixture, MixtureParams
from dem.posteriors import Exact
from dem.stats import Stats, Vector

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class ConcomitantParams:
    """The gate's coefficients γ (K, 1 + D), in its frame, and the family's parameters.

    weights : (K,), the share of the rows that each component had in the last M-step.
    """

    coefficients: Array
    frame: Frame
    weights: Array
    components: Any


@dataclass(frozen=True, eq=False)
class ConcomitantSums(Vector):
    """What lies below the gate's log-likelihood, and the statistics of the components."""

    gate: Minoriser
    components: Any

    @property
    def weight(self) -> Array:
        return np.asarray(self.components.weight)


@dataclass(frozen=True)
class Concomitant:
    """p(y | x) = Σₖ πₖ(x) p(y | x, k), πₖ(x) = exp(γₖᵀ(1, x)) / Σⱼ exp(γⱼᵀ(1, x)).

    Mixtures of experts (Jacobs, Jordan, Nowlan and Hinton 1991; Jordan and Jacobs 1994), whose x
    are concomitant variables where the components do not depend on them (Dayton and Macready
    1988). The gate is a multinomial logit with q for a response, which the M-step raises: as
    −log z ≥ 1 − log z₀ − z / z₀ it is above a sum of Poisson regressions with the means πₖ (Baker
    1994), and these are above functions that add up, see `dem.families.minorisers`. Its
    curvature is as good as the likelihood's own where π does not depend much on x; that of
    Böhning (1992) is the same for all π, and far too large for small ones.

    Adding the same to all γₖ changes nothing: `described` has those of the first at 0.

    mixture : K and the family of the components, which must say nothing of how x is distributed.
    columns : of the data, where x is.
    """

    mixture: Mixture
    columns: tuple[int, ...]

    def __post_init__(self) -> None:
        check_all("mixture", (self.mixture,), Mixture)
        check_offers("family", self.family, Family)
        columns = tuple(int(column) for column in self.columns)
        if not columns or len(set(columns)) < len(columns) or min(columns) < 0:
            raise ValueError(f"columns must be some numbers of columns, once each, got {columns}")
        object.__setattr__(self, "columns", columns)

    @property
    def k(self) -> int:
        return self.mixture.k

    @property
    def family(self) -> Any:
        return self.mixture.family

    def start(self, sample: Sample, rng: np.random.Generator) -> ConcomitantParams:
        """The mixture's own start, with the same weights for all x; so with the others."""
        return self._of(self.mixture.start(sample, rng), sample)

    def start_around(self, sample: Sample, centres: Array) -> ConcomitantParams:
        return self._of(self.mixture.start_around(sample, centres), sample)

    def start_from(self, sample: Sample, responsibilities: Array) -> ConcomitantParams:
        return self._of(self.mixture.start_from(sample, responsibilities), sample)

    def _of(self, params: MixtureParams, sample: Sample) -> ConcomitantParams:
        frame = Frame.of(np.nan_to_num(sample.rows[:, self.columns]), sample.weights)
        coefficients = np.zeros((self.k, 1 + len(self.columns)))
        coefficients[:, 0] = np.log(np.maximum(params.weights, np.finfo(float).tiny))
        return ConcomitantParams(coefficients, frame, params.weights, params.components)

    def prepare(self, params: ConcomitantParams) -> Any:
        return params, self.family.prepare(params.components, np.zeros(self.k))

    def e_step(
        self, prepared: Any, rows: Array, weights: Array | None, posterior: Posterior
    ) -> Stats:
        gate, entropy = _Gate(self, prepared, rows, weights), 0.0
        for here, log_joint, responsibilities in gate:
            w = None if weights is None else weights[here]
            entropy += posterior.respond(log_joint, responsibilities, w)
            gate.add(responsibilities, w)
        weight = float(len(rows) if weights is None else weights.sum())
        return Stats(weight, entropy, gate.sums(weight))

    def m_step(self, params: ConcomitantParams, stats: Stats) -> ConcomitantParams:
        sums = stats.sums
        return replace(
            params,
            coefficients=sums.gate.about(params.coefficients).climbed(),
            weights=sums.weight / sums.weight.sum(),
            components=self.family.maximise(params.components, sums.components),
        )

    def expected_log_joint(self, params: ConcomitantParams, stats: Stats) -> float:
        mixing = float(stats.sums.gate.at(params.coefficients).sum())
        components = stats.sums.components
        return mixing + self.family.expected_log_density(params.components, components)

    def log_prob(self, prepared: Any, rows: Array) -> Array:
        gate, result = _Gate(self, prepared, rows, None), np.empty(len(rows))
        for here, log_joint, scratch in gate:
            result[here] = log_sum_exp(log_joint, scratch) + gate.tiles.constant()
        return result

    def posterior(self, prepared: Any, rows: Array) -> Array:
        """q(k | v) = p(k | v; θ) for each row, (n, K)."""
        result = np.empty((self.k, len(rows)))
        for here, log_joint, responsibilities in _Gate(self, prepared, rows, None):
            Exact().respond(log_joint, responsibilities, None)
            result[:, here] = responsibilities
        return result.T

    def mixing(self, params: ConcomitantParams, covariates: Array) -> Array:
        """πₖ(x) (n, K) for x (n, D), the columns of the gate alone."""
        return np.exp(_log_mixing(params, covariates)[1]).T

    def described(self, params: ConcomitantParams) -> dict[str, Array]:
        """coef (K, D) and intercept (K,) of the gate, in the user's units; those of the first 0."""
        own = params.coefficients - params.coefficients[0]
        slopes = own[:, 1:] / params.frame.scale
        return {"coef": slopes, "intercept": own[:, 0] - slopes @ params.frame.origin}

    def flatten(self, params: ConcomitantParams) -> Array:
        """γ in the frame, and what the family makes of its parameters."""
        return np.concatenate([params.coefficients.ravel(), self.family.flatten(params.components)])

    def unflatten(self, vector: Array, like: ConcomitantParams) -> ConcomitantParams:
        own, rest = np.split(vector, [like.coefficients.size])
        components = self.family.unflatten(rest, like.components)
        coefficients = own.reshape(like.coefficients.shape)
        return replace(like, coefficients=coefficients, components=components)

    def check(self, params: ConcomitantParams) -> None:
        """Raise ValueError unless params have the shapes and signs that this mixture's have."""
        self.mixture.check(MixtureParams(params.weights, params.components))
        params.frame.check(len(self.columns))
        shape = self.k, 1 + len(self.columns)
        if params.coefficients.shape != shape or not np.isfinite(params.coefficients).all():
            raise ValueError(f"coefficients must be {shape} finite numbers")

    def diagnose(self, params: ConcomitantParams) -> tuple[str, ...]:
        return self.mixture.diagnose(MixtureParams(params.weights, params.components))

    def n_parameters(self, params: ConcomitantParams) -> int:
        gate = (self.k - 1) * (1 + len(self.columns))
        return gate + self.family.n_parameters(params.components)

    def sample(
        self, params: ConcomitantParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """n rows (n, D) and the components they came from (n,), in the order of components.

        Rows of each are kept with the probability that the gate gives them.
        """
        rows: list[Array] = []
        labels: list[Array] = []
        while sum(len(part) for part in rows) < n:
            drawn = self.family.sample(params.components, np.full(self.k, n), rng)
            label = np.repeat(np.arange(self.k), n)
            mixing = self.mixing(params, drawn[:, self.columns])
            kept = np.flatnonzero(rng.random(len(label)) < mixing[np.arange(len(label)), label])
            kept = rng.permutation(kept)
            rows.append(drawn[kept])
            labels.append(label[kept])
        every, which = np.concatenate(rows)[:n], np.concatenate(labels)[:n]
        order = np.argsort(which, kind="stable")
        return every[order], which[order]


def _log_mixing(params: ConcomitantParams, rows: Array) -> tuple[Array, Array]:
    """(1, x) (1 + D, n) in the frame, and log πₖ(x) (K, n), for x (n, D)."""
    x = np.ones((1 + rows.shape[1], len(rows)))
    load_tile(rows, params.frame.origin, params.frame.scale, x[1:])
    eta = params.coefficients @ x
    eta -= logsumexp(eta, axis=0)
    return x, eta


class _Gate:
    """The components' tiles under mixing weights of each row; see `dem.contract.Tiles`."""

    form = Corners()

    def __init__(
        self, model: Concomitant, prepared: Any, rows: Array, weights: Array | None
    ) -> None:
        self._params, components = prepared
        k, p = self._params.coefficients.shape
        self._columns, height = list(model.columns), self.form.size(p)
        own = model.family.tiles(components, rows[:0], None).size
        size = min(own, tile_shape(height, k)[0])
        self.tiles = model.family.tiles(components, rows, weights, size)
        self._rows, self._features = rows, np.empty(height * min(size, len(rows)))
        self._value, self._gradient = np.zeros(k), np.zeros((k, p))
        self._curvature = np.zeros((k, height))

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        for here, log_joint, out in self.tiles:
            rows = self._rows[here][:, self._columns]
            self._start, (self._x, self._log) = here.start, _log_mixing(self._params, rows)
            log_joint += self._log
            yield here, log_joint, out

    def add(self, r: Array, weights: Array | None) -> None:
        self.tiles.add(r)
        features = self._features[: self._curvature.shape[1] * r.shape[1]].reshape(-1, r.shape[1])
        try:
            features = self.form.features(self._x, features)
        except SupportError as error:
            row, column = self._start + error.row, self._columns[error.column]
            raise SupportError(error.what, self._rows[row, column], row, column) from None
        mass = np.exp(self._log)
        mass *= 1.0 if weights is None else weights
        self._value += np.einsum("kn,kn->k", r, self._log)
        self._gradient += (r - mass) @ self._x.T
        self._curvature[:, : len(features)] += mass @ features.T

    def sums(self, weight: float) -> ConcomitantSums:
        every = np.full(len(self._value), weight)
        parts = every, self._value, self._gradient, self._curvature
        gate = Minoriser(*parts, self._params.coefficients, self.form)
        return ConcomitantSums(gate, self.tiles.sums())
