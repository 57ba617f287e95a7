"""Covariances of few factors, Σₖ = Wₖ Wₖᵀ + Ψₖ: factor analysis and probabilistic PCA.

A row of a component is x = μₖ + Wₖ z + ε with z ~ N(0, I) of q dimensions and ε ~ N(0, Ψₖ). z is
summed out in the E-step, which is that of full covariances; only the M-step knows it. Mixtures
of these are those of Ghahramani and Hinton (1996) and of Tipping and Bishop (1999), with M-steps
that are complete or nearly so, and so take fewer turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dem.checks import check_number
from dem.contract import STARVED
from dem.families.dense import Full
from dem.kernels.factors import best_common_factors, common_factors, principal_axes
from dem.kernels.normal import unpack

Array = np.ndarray
LEAST = 1e-14  # of a variance in the frame, where the data have about 1
SETTLED = 200  # turns of the search that brings a given matrix to this form


@dataclass(frozen=True)
class _Loaded(Full):
    """What both forms have in common. Inside, covariances are W and Ψ side by side, (K, D, q + 1).

    q : number of factors.
    """

    q: int

    def __post_init__(self) -> None:
        check_number("q", self.q, int, 1)

    def split(self, covariances: Array, scale: Array) -> tuple[Array, Array]:
        """(W (K, D, q), diagonals of Ψ (K, D)) in the user's units, from covariances inside."""
        return covariances[..., :-1] * scale[:, None], covariances[..., -1] * scale**2

    def covariances(self, weight: Array, scatter: Array, size: int) -> Array:
        return self.improved(weight, scatter, size, None)

    def improved(self, weight: Array, scatter: Array, size: int, old: Array | None) -> Array:
        """Covariances that maximise the likelihood, or are at least as good as the old ones.

        See `Covariance.covariances`; weights may be 0. Raises ValueError if q is too large.
        """
        if self.q > self._most(size):
            raise ValueError(f"{self}: q is at most {self._most(size)} with {size} columns.")
        alive = np.flatnonzero(weight > STARVED * weight.sum())
        matrices = unpack(scatter[alive] / weight[alive, None], size) + LEAST * np.eye(size)
        known = old is not None and old.size
        found = [
            self._maximised(matrix, old[j, :, -1] if known else None)  # type: ignore[index]
            for j, matrix in zip(alive, matrices, strict=True)
        ]
        every = np.repeat(found[int(weight[alive].argmax())][None], len(weight), axis=0)
        every[alive] = found
        return every

    def widen(self, covariances: Array, extra: Array) -> Array:
        return self._joined(covariances[..., :-1], covariances[..., -1] + extra)

    def at_least(self, covariances: Array, floors: Array) -> tuple[Array, Array]:
        noise = covariances[..., -1]
        raised = np.maximum(noise, self._common(floors))
        return self._joined(covariances[..., :-1], raised), (raised > noise).any(axis=1)

    def collapsed(self, covariances: Array, shape: tuple[int, int], floor: float) -> Array:
        return super().collapsed(self.matrices(covariances), shape, floor)

    def roots(self, covariances: Array) -> Array:
        return super().roots(self.matrices(covariances))

    def variances(self, covariances: Array, shape: tuple[int, int]) -> Array:
        return super().variances(self.matrices(covariances), shape)

    def flatten(self, covariances: Array) -> Array:
        """W, and Ψ as logarithms."""
        return self._joined(covariances[..., :-1], np.log(covariances[..., -1]) / 2)

    def unflatten(self, vector: Array, shape: tuple[int, ...]) -> Array:
        flat = vector.reshape(shape)
        return self._joined(flat[..., :-1], np.exp(2 * self._mean(flat[..., -1])))

    def inward(self, covariances: Array, scale: Array) -> Array:
        """Of this form, and as near to the given ones as may be in the sense of likelihood."""
        inside = super().inward(covariances, scale)
        return np.stack([self._maximised(own, None, SETTLED) for own in inside])

    def outward(self, covariances: Array, scale: Array) -> Array:
        return super().outward(self.matrices(covariances), scale)

    @staticmethod
    def matrices(covariances: Array) -> Array:
        """W Wᵀ + Ψ, (K, D, D)."""
        w = covariances[..., :-1]
        found = w @ w.swapaxes(-1, -2)
        np.einsum("kii->ki", found)[:] += covariances[..., -1]
        return np.asarray(found)

    @staticmethod
    def _joined(w: Array, noise: Array) -> Array:
        return np.concatenate([w, noise[..., None]], axis=-1)

    def _maximised(self, matrix: Array, noise: Array | None, turns: int = 0) -> Array:
        """For a scatter matrix per row, W and Ψ side by side, (D, q + 1)."""
        raise NotImplementedError

    def _most(self, size: int) -> int:
        """The largest q with so many columns."""
        return size

    def _common(self, floors: Array) -> Array:
        """Floors (K, D) of what Ψ has in common."""
        return floors

    def _mean(self, noise: Array) -> Array:
        return noise

    def _free(self, d: int) -> int:
        """Parameters of Ψ."""
        return d

    def n_parameters(self, k: int, d: int) -> int:
        loadings = d * self.q - self.q * (self.q - 1) // 2  # but for rotations
        return min(k * (loadings + self._free(d)), super().n_parameters(k, d))


@dataclass(frozen=True)
class Factors(_Loaded):
    """Σₖ = Wₖ Wₖᵀ + Ψₖ, each Ψₖ diagonal: (mixtures of) factor analysers.

    The M-step is a search in memory for the Ψ that maximises the likelihood, from the present one
    on; see `dem.kernels.factors`. A column's own variance stays above 1e-8 of its variance in the
    component, which matters where the factors account for all of it (a Heywood case).

    q : number of factors.
    turns : of that search, at most.
    """

    turns: int = 50
    uniform = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("turns", self.turns, int, 1)

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"factors {self.q}"

    def _maximised(self, matrix: Array, noise: Array | None, turns: int = 0) -> Array:
        turns = turns or self.turns
        if noise is None:
            return self._joined(*best_common_factors(matrix, self.q, turns))
        return self._joined(*common_factors(matrix, noise, self.q, turns))


@dataclass(frozen=True)
class Principal(_Loaded):
    """Σₖ = Wₖ Wₖᵀ + σₖ² I: (mixtures of) probabilistic principal component analysers.

    The M-step has a closed form (Tipping and Bishop 1999). All columns have one scale, on which
    the axes depend.

    q : number of axes.
    """

    uniform = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"principal {self.q}"

    def _maximised(self, matrix: Array, noise: Array | None, turns: int = 0) -> Array:
        w, left = principal_axes(matrix, self.q)
        return self._joined(w, np.full(len(w), left))

    def _common(self, floors: Array) -> Array:
        return np.asarray(floors.max(axis=1, keepdims=True))

    def _mean(self, noise: Array) -> Array:
        return np.broadcast_to(noise.mean(axis=1, keepdims=True), noise.shape)

    def _free(self, d: int) -> int:
        return 1

    def _most(self, size: int) -> int:
        return size - 1  # something must be left for σ²
