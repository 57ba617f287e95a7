"""Directions: von Mises-Fisher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dem.contract import Sample, Space
from dem.families.charts import Charts, Real
from dem.families.exponential import ExponentialFamily
from dem.families.features import FeatureSums
from dem.families.parameters import at_the_limit
from dem.families.space import Scaled
from dem.kernels.bessel import concentration, log_bessel

Array = np.ndarray
LENGTH = 1e-6  # by how much a row may be off length 1
CONCENTRATIONS = 1e-8, 1e8


@dataclass(frozen=True, eq=False)
class VonMisesFisherParams:
    """Mean directions (K, D), of length 1, and concentrations κ (K,)."""

    means: Array
    concentrations: Array


@dataclass(frozen=True)
class VonMisesFisher(ExponentialFamily):
    """p(v | k) = C_D(κₖ) exp(κₖ μₖ·v) on the unit sphere, C_D(κ) = κ^ν / ((2π)^(D/2) I_ν(κ)).

    ν = D/2 − 1; rows of length 1, D at least 2 (Banerjee et al. 2005). The concentrations are
    found by Newton's method, to rounding, and stay between 1e-8 and 1e8.
    """

    charts: ClassVar[Charts] = {"means": Real()}
    missing = False
    joint = True
    support = "Rows must be of length 1, divide them by their length"

    def outside(self, x: Array) -> Array:
        # Of a row that is not of length 1 the largest value is shown.
        off = np.abs(np.einsum("dn,dn->n", x, x) - 1.0) > 2 * LENGTH
        return np.asarray(off & (np.abs(x) >= np.abs(x).max(axis=0)))

    def features(self, params: VonMisesFisherParams, x: Array, out: Array) -> None:
        out[:] = x

    def natural(self, params: VonMisesFisherParams) -> tuple[Array, Array]:
        kappa, d = params.concentrations, params.means.shape[1]
        order = d / 2 - 1
        log_norm = log_bessel(order, kappa) - order * np.log(kappa) + d / 2 * np.log(2 * np.pi)
        return kappa[:, None] * params.means, log_norm[:, None]

    def blank(self, k: int, sample: Sample) -> VonMisesFisherParams:
        d = sample.rows.shape[1]
        if d < 2:
            raise ValueError(f"VonMisesFisher needs at least 2 columns, there are {d}")
        return VonMisesFisherParams(np.full((k, d), d**-0.5), np.ones(k))

    def maximise(self, params: VonMisesFisherParams, sums: FeatureSums) -> VonMisesFisherParams:
        alive = sums.alive[:, 0]
        mean = sums.features / np.where(alive, sums.weight, 1.0)[:, None]
        length = np.linalg.norm(mean, axis=1)
        directed = alive & (length > 0)
        means = mean / np.where(directed, length, 1.0)[:, None]
        d = mean.shape[1]
        kappa = concentration(d, np.where(alive, length, 0.0), CONCENTRATIONS)
        return VonMisesFisherParams(
            np.where(directed[:, None], means, params.means),
            np.where(alive, kappa, params.concentrations),
        )

    def check(self, params: VonMisesFisherParams, k: int) -> None:
        super().check(params, k)
        if params.concentrations.shape != (k,) or not (params.concentrations > 0).all():
            raise ValueError(f"concentrations must be {k} positive numbers")
        if not np.allclose(np.linalg.norm(params.means, axis=1), 1.0):
            raise ValueError("means must be of length 1")

    def draw(self, params: VonMisesFisherParams, j: int, n: int, rng: np.random.Generator) -> Array:
        """Wood's rejection method (1994) for the cosine, a uniform direction for the rest."""
        mean, kappa = params.means[j], params.concentrations[j]
        d = len(mean)
        b = (d - 1) / (2 * kappa + np.sqrt(4 * kappa**2 + (d - 1) ** 2))
        x0 = (1 - b) / (1 + b)
        c = kappa * x0 + (d - 1) * np.log1p(-(x0**2))
        cosines = np.empty(0)
        while len(cosines) < n:
            z = rng.beta((d - 1) / 2, (d - 1) / 2, n)
            w = (1 - (1 + b) * z) / (1 - (1 - b) * z)
            fine = kappa * w + (d - 1) * np.log1p(-x0 * w) - c >= np.log(rng.random(n))
            cosines = np.concatenate([cosines, w[fine]])
        w = cosines[:n, None]
        tangent = rng.standard_normal((n, d))
        tangent -= (tangent @ mean)[:, None] * mean
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        drawn = w * mean + np.sqrt(np.maximum(1 - w**2, 0.0)) * tangent
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))

    def described(self, params: VonMisesFisherParams) -> dict[str, Array]:
        """means (K, D), of length 1, and concentrations (K,)."""
        return {"means": params.means, "concentrations": params.concentrations}

    def flatten(self, params: VonMisesFisherParams) -> Array:
        """κ μ, which are the natural parameters."""
        return np.asarray((params.concentrations[:, None] * params.means).ravel())

    def unflatten(self, vector: Array, like: VonMisesFisherParams) -> VonMisesFisherParams:
        natural = vector.reshape(like.means.shape)
        kappa = np.clip(np.linalg.norm(natural, axis=1), *CONCENTRATIONS)
        means = natural / kappa[:, None]
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        return VonMisesFisherParams(means, kappa)

    def n_parameters(self, params: VonMisesFisherParams) -> int:
        return params.means.size

    def diagnose(self, params: VonMisesFisherParams) -> tuple[str, ...]:
        high = params.concentrations >= 0.5 * CONCENTRATIONS[1]
        return at_the_limit(
            "the concentration is at its limit", high, "only one direction is left to"
        )

    def frame(self, sample: Sample) -> Space:
        """Distances between the ends of unit vectors."""
        return Scaled.unit(sample)
