"""A component for what belongs to none of the others: rows spread evenly over a volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.checks import check_number, check_offers
from dem.contract import Family, Sample, Space, Tiles
from dem.stats import Vector

Array = np.ndarray
AROUND = 100  # rows of each component: where noise is drawn


@dataclass(frozen=True, eq=False)
class NoiseParams:
    """The parameters of the other components, and log V, which is not fitted."""

    components: Any
    log_volume: float


@dataclass(frozen=True, eq=False)
class NoiseSums(Vector):
    """Of the other components; Σ r of the noise, and Σ r of it times what they leave out."""

    components: Any
    noise: Array
    left_out: float

    @property
    def weight(self) -> Array:
        """(K,), that of the noise last."""
        return np.append(self.components.weight, self.noise)


@dataclass(frozen=True)
class WithNoise:
    """Components of a family, and one more, the last, with p(v | K) = 1 / V.

    It takes up rows that are far from the others, which then do not widen them (Banfield and
    Raftery 1993; Fraley and Raftery 2002). The density is the same everywhere, also outside of the
    volume, so that it is the noise of Coretto and Hennig (2016). A tied covariance is refused:
    its scatter is that of all rows.

    family : of the others, with columns of numbers.
    volume : V, in the units of the data; by default that of the box around a sample of the rows.
    """

    family: Family
    volume: float | None = None

    def __post_init__(self) -> None:
        check_offers("family", self.family, Family)
        if self.volume is not None:
            check_number("volume", self.volume, float, np.finfo(float).tiny)
        form = getattr(self.family, "covariance", None)
        if getattr(form, "pooled", False):
            raise ValueError("family must not have a tied covariance beside noise.")

    @property
    def missing(self) -> bool:
        return False

    def frame(self, sample: Sample) -> Space:
        return self.family.frame(sample)

    def start(self, sample: Sample, responsibilities: Array) -> NoiseParams:
        """From responsibilities (K, m), of which the last are those of the noise."""
        if len(responsibilities) < 2:
            raise ValueError(
                "WithNoise needs 2 components or more, of which the last is the noise, but was to "
                "start with 1. For columns of several kinds take Mixture(k, Product(...)) with it."
            )
        return self.beside(self.family.start(sample, responsibilities[:-1]), sample)

    def beside(self, components: Any, sample: Sample) -> NoiseParams:
        """Parameters of the other components, and the volume around a sample."""
        if self.volume is not None:
            return NoiseParams(components, float(np.log(self.volume)))
        widths = np.ptp(sample.rows, axis=0)
        return NoiseParams(components, float(np.log(widths[widths > 0]).sum()))

    def prepare(self, params: NoiseParams, offset: Array) -> tuple[Any, float]:
        return (
            self.family.prepare(params.components, offset[:-1]),
            float(offset[-1]) - params.log_volume,
        )

    def tiles(
        self,
        prepared: tuple[Any, float],
        rows: Array,
        weights: Array | None,
        size: int | None = None,
    ) -> NoiseTiles:
        components, log_noise = prepared
        return NoiseTiles(self.family.tiles(components, rows, weights, size), log_noise)

    def maximise(self, params: NoiseParams, sums: NoiseSums) -> NoiseParams:
        components = self.family.maximise(params.components, sums.components)
        return replace(params, components=components)

    def expected_log_density(self, params: NoiseParams, sums: NoiseSums) -> float:
        others = self.family.expected_log_density(params.components, sums.components)
        return others - params.log_volume * float(sums.noise) - sums.left_out

    def check(self, params: NoiseParams, k: int) -> None:
        """Raise ValueError unless params have the shapes and signs of k components."""
        self.family.check(params.components, k - 1)
        if not np.isfinite(params.log_volume):
            raise ValueError("the volume must be positive and finite")

    def diagnose(self, params: NoiseParams) -> tuple[str, ...]:
        return self.family.diagnose(params.components)

    def described(self, params: NoiseParams) -> dict[str, Array]:
        """What the family makes of its parameters, without the noise."""
        family: Any = self.family
        return family.described(params.components)

    def flatten(self, params: NoiseParams) -> Array:
        family: Any = self.family
        return np.asarray(family.flatten(params.components))

    def unflatten(self, vector: Array, like: NoiseParams) -> NoiseParams:
        family: Any = self.family
        return replace(like, components=family.unflatten(vector, like.components))

    def n_parameters(self, params: NoiseParams) -> int:
        return self.family.n_parameters(params.components)

    def sample(self, params: NoiseParams, counts: Array, rng: np.random.Generator) -> Array:
        """Rows of the components; those of the noise in a box around these, of volume V."""
        rows = self.family.sample(params.components, counts[:-1], rng)
        around = self.family.sample(params.components, np.full(len(counts) - 1, AROUND), rng)
        low, width = around.min(axis=0), np.maximum(np.ptp(around, axis=0), 1e-300)
        stretch = np.exp((params.log_volume - np.log(width).sum()) / len(width))
        place = rng.random((counts[-1], len(width))) - 0.5
        return np.concatenate([rows, low + width / 2 + place * width * stretch])


class NoiseTiles:
    """The tiles of the other components, with a row more; see `dem.contract.Tiles`."""

    def __init__(self, components: Tiles, log_noise: float) -> None:
        self._components, self._log_noise, self.size = components, log_noise, components.size
        self._noise, self._left_out = 0.0, 0.0

    def __iter__(self) -> Iterator[tuple[slice, Array, Array]]:
        for here, log_joint, _ in self._components:
            k, n = log_joint.shape
            every = np.empty((k + 1, n))
            every[:k] = log_joint
            every[k] = self._log_noise - self._components.constant()
            yield here, every, np.empty_like(every)

    def add(self, responsibilities: Array) -> None:
        self._components.add(responsibilities[:-1])
        noise = responsibilities[-1]
        self._noise += float(noise.sum())
        self._left_out += float(np.sum(noise * self._components.constant()))

    def constant(self) -> Array | float:
        return self._components.constant()

    def sums(self) -> NoiseSums:
        return NoiseSums(self._components.sums(), np.asarray(self._noise), self._left_out)
