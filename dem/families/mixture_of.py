"""Components that are mixtures themselves: p(v | k) = Σⱼ wₖⱼ p(v | k, j)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.checks import check_number, check_offers
from dem.contract import Family, Sample, Space, Tiles
from dem.kernels.logspace import FLOOR
from dem.kernels.seeding import lloyd, nearest, plus_plus
from dem.stats import Vector

Array = np.ndarray
TINY = np.finfo(float).tiny  # a weight of zero must not make -inf: 0 · log 0 is 0 in the bound


@dataclass(frozen=True, eq=False)
class MixtureOfParams:
    """wₖⱼ (K, m), whose rows sum to one, and the family's parameters of K·m components in order."""

    weights: Array
    components: Any


@dataclass(frozen=True, eq=False)
class MixtureOfSums(Vector):
    """The family's, of K·m components; entropy (K,): Σ r H(q(j | v, k))."""

    components: Any
    entropy: Array

    @property
    def weight(self) -> Array:
        return np.asarray(self.components.weight.reshape(len(self.entropy), -1).sum(axis=1))


@dataclass(frozen=True)
class MixtureOf:
    """p(v | k) = Σⱼ wₖⱼ p(v | k, j), each component a mixture of m of another family.

    j is hidden as well: q(j | v, k) ∝ wₖⱼ p(v | k, j), whose entropy is part of the statistics, so
    the bound is exact. With it an `HMM` has mixtures as emissions (Juang 1985), and a `Mixture`
    classes that are not of one bump (Hastie and Tibshirani 1996).

    m : components of each mixture.
    family : theirs, such as `Gaussian()`.
    """

    m: int
    family: Family

    def __post_init__(self) -> None:
        check_number("m", self.m, int, 1)
        check_offers("family", self.family, Family)

    @property
    def missing(self) -> bool:
        """Whether NaN is a missing value to the family."""
        return getattr(self.family, "missing", False)

    def frame(self, sample: Sample) -> Space:
        return self.family.frame(sample)

    def start(self, sample: Sample, responsibilities: Array) -> MixtureOfParams:
        """The rows of each component parted by k-means, in the space of the family's starts."""
        points, rng = self.frame(sample).inward(sample.rows), np.random.default_rng(self.m)
        parts = np.empty((len(responsibilities), self.m, len(points)))
        for part, own in zip(parts, responsibilities, strict=True):
            mass = own * sample.weights
            centres = lloyd(points, mass, plus_plus(points, mass, self.m, rng))
            hard = nearest(points, centres)[0] == np.arange(self.m)[:, None]
            part[...] = own * (hard + 1.0 / len(points))  # so that none is empty
        parts /= 1.0 + self.m / len(points)
        weights = parts @ sample.weights
        components = self.family.start(sample, parts.reshape(-1, len(points)))
        return MixtureOfParams(_shares(weights, np.full_like(weights, 1 / self.m)), components)

    def prepare(self, params: MixtureOfParams, offset: Array) -> Any:
        inside = np.log(np.maximum(params.weights, TINY)) + offset[:, None]
        return self.family.prepare(params.components, inside.ravel())

    def tiles(
        self, prepared: Any, rows: Array, weights: Array | None, size: int | None = None
    ) -> MixtureOfTiles:
        return MixtureOfTiles(self.m, self.family.tiles(prepared, rows, weights, size))

    def maximise(self, params: MixtureOfParams, sums: MixtureOfSums) -> MixtureOfParams:
        weights = sums.components.weight.reshape(-1, self.m)
        components = self.family.maximise(params.components, sums.components)
        return MixtureOfParams(_shares(weights, params.weights), components)

    def expected_log_density(self, params: MixtureOfParams, sums: MixtureOfSums) -> float:
        """Σ r (E_q[log p(v, j | k)] + H(q(j))): at the θ of the E-step it is Σ r log p(v | k)."""
        inside = self.family.expected_log_density(params.components, sums.components)
        logs = np.log(np.maximum(params.weights, TINY)).ravel()
        return float(inside + sums.components.weight @ logs + sums.entropy.sum())

    def expected(self, params: MixtureOfParams, rows: Array, q: Array) -> Array:
        """E[v | what is there of v], (n, D), of rows (n, D) whose components have probabilities
        q (n, K)."""
        tiles = self.tiles(self.prepare(params, np.zeros(len(params.weights))), rows, None)
        inside = np.repeat(q, self.m, axis=1)
        for here, _, _ in tiles:
            inside[here] *= tiles.q.reshape(inside.shape[1], -1).T
        family: Any = self.family
        return np.asarray(family.expected(params.components, rows, inside))

    def check(self, params: MixtureOfParams, k: int) -> None:
        """Raise ValueError unless params have the shapes and signs of k components."""
        weights = params.weights
        if weights.shape != (k, self.m) or not (weights >= 0).all():
            raise ValueError(f"weights of mixtures must be {(k, self.m)} and non-negative")
        if not (abs(weights.sum(axis=1) - 1) <= 1e-6).all():
            raise ValueError("weights of mixtures must sum to 1")
        self.family.check(params.components, k * self.m)

    def diagnose(self, params: MixtureOfParams) -> tuple[str, ...]:
        """As of the family, whose components are those of one mixture after the other."""
        return self.family.diagnose(params.components)

    def described(self, params: MixtureOfParams) -> dict[str, Array]:
        """weights (K, m), and what the family makes of its parameters, (K·m, ...)."""
        family: Any = self.family
        return {"weights": params.weights, **family.described(params.components)}

    def flatten(self, params: MixtureOfParams) -> Array:
        """log wₖⱼ, centred, and the family's parameters."""
        logits = np.log(np.maximum(params.weights, TINY))
        logits -= logits.mean(axis=1, keepdims=True)
        family: Any = self.family
        return np.concatenate([logits.ravel(), family.flatten(params.components)])

    def unflatten(self, vector: Array, like: MixtureOfParams) -> MixtureOfParams:
        logits, rest = np.split(vector, [like.weights.size])
        logits = logits.reshape(like.weights.shape)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        family: Any = self.family
        components = family.unflatten(rest, like.components)
        return MixtureOfParams(weights / weights.sum(axis=1, keepdims=True), components)

    def n_parameters(self, params: MixtureOfParams) -> int:
        k = len(params.weights)
        return k * (self.m - 1) + self.family.n_parameters(params.components)

    def sample(self, params: MixtureOfParams, counts: Array, rng: np.random.Generator) -> Array:
        each = [rng.multinomial(n, w) for n, w in zip(counts, params.weights, strict=True)]
        return self.family.sample(params.components, np.concatenate(each), rng)


class MixtureOfTiles:
    """The family's tiles, m components summed to one; see `dem.contract.Tiles`.

    q : q(j | v, k) of the present tile, (K, m, n).
    """

    q: Array

    def __init__(self, m: int, inner: Tiles) -> None:
        self._m, self._inner, self.size = m, inner, inner.size
        self._entropy: Array | float = 0.0

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        for here, logs, _ in self._inner:
            logs = logs.reshape(-1, self._m, logs.shape[1])
            largest = logs.max(axis=1)
            self._logs = np.maximum(logs - largest[:, None], FLOOR)
            self.q = np.exp(self._logs)
            total = self.q.sum(axis=1)
            self.q /= total[:, None]
            self._log_total = np.log(total)
            yield here, largest + self._log_total, np.empty_like(largest)

    def add(self, responsibilities: Array) -> None:
        # H = log Σⱼ exp(sⱼ) − Σⱼ qⱼ sⱼ with s = logs − max, as in `dem.kernels.logspace`
        entropy = self._log_total - np.einsum("kjn,kjn->kn", self.q, self._logs)
        self._entropy += np.einsum("kn,kn->k", responsibilities, entropy)
        inside = self.q * responsibilities[:, None]
        self._inner.add(inside.reshape(-1, inside.shape[2]))

    def constant(self) -> Array | float:
        return self._inner.constant()

    def sums(self) -> MixtureOfSums:
        inside = self._inner.sums()
        return MixtureOfSums(inside, np.zeros(len(inside.weight) // self._m) + self._entropy)


def _shares(weights: Array, otherwise: Array) -> Array:
    """Rows of weights (K, m) as shares; those of no weight are as they were."""
    total = weights.sum(axis=1, keepdims=True)
    return np.where(total > 0, weights / np.where(total > 0, total, 1.0), otherwise)
