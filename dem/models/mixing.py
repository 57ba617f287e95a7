"""What is believed of mixing weights: a Dirichlet distribution, or a broken stick.

    Dirichlet:       π ~ Dir(α₀, ..., α₀)                          q(π) = Dir(α), or a point
    stick-breaking:  πₖ = sₖ ∏ⱼ﹤ₖ (1 − sⱼ),  sₖ ~ Beta(1, α₀)       q(s) = ∏ Beta(aₖ, bₖ)

The second is the Dirichlet process (Blei and Jordan 2006), with no rows in components beyond K.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import gammaln, psi

from dem.checks import check_number

Array = np.ndarray


class Mixing(Protocol):
    """A prior of mixing weights whose posterior, given counts, has the same form.

    A concentration is that of a distribution of the weights of K components.
    """

    def posterior(self, counts: Array) -> Array:
        """The concentration given the number of rows of each component (K,)."""
        ...

    def expected_log(self, concentration: Array) -> Array:
        """E_q[log πₖ], (K,)."""
        ...

    def expected(self, concentration: Array) -> Array:
        """E_q[πₖ], (K,), scaled to sum to one."""
        ...

    def divergence(self, concentration: Array) -> float:
        """KL(q ‖ prior), in nats."""
        ...


@dataclass(frozen=True)
class _Symmetric:
    """A prior with one number. concentration : α₀ > 0; None for 1/K, as in scikit-learn."""

    concentration: float | None = None

    def __post_init__(self) -> None:
        if self.concentration is not None:
            check_number("concentration", self.concentration, float, 0)
            if not self.concentration > 0:
                raise ValueError(f"concentration must be positive, got {self.concentration}.")

    def of(self, k: int) -> float:
        """α₀ for k components."""
        return 1.0 / k if self.concentration is None else float(self.concentration)


@dataclass(frozen=True)
class Dirichlet(_Symmetric):
    """π ~ Dir(α₀, ..., α₀); q(π) = Dir(α) with the concentration α (K,)."""

    def posterior(self, counts: Array) -> Array:
        return self.of(len(counts)) + counts

    def expected_log(self, concentration: Array) -> Array:
        return np.asarray(psi(concentration) - psi(concentration.sum()))

    def expected(self, concentration: Array) -> Array:
        return np.asarray(concentration / concentration.sum())

    def divergence(self, concentration: Array) -> float:
        prior = np.full_like(concentration, self.of(len(concentration)))
        return float(_divergence(concentration, prior))


@dataclass(frozen=True)
class StickBreaking(_Symmetric):
    """πₖ = sₖ ∏ⱼ﹤ₖ (1 − sⱼ), sₖ ~ Beta(1, α₀); q(sₖ) = Beta(aₖ, bₖ), a and b (2, K).

    The smaller α₀, the fewer components the prior expects to have rows.
    """

    def posterior(self, counts: Array) -> Array:
        later = counts[::-1].cumsum()[::-1] - counts
        # Rounding may leave less than nothing.
        return np.stack([1.0 + counts, self.of(len(counts)) + np.maximum(later, 0.0)])

    def expected_log(self, concentration: Array) -> Array:
        taken, left = psi(concentration) - psi(concentration.sum(axis=0))
        return np.asarray(taken + np.concatenate([[0.0], left[:-1].cumsum()]))

    def expected(self, concentration: Array) -> Array:
        taken, left = concentration / concentration.sum(axis=0)
        weights = taken * np.concatenate([[1.0], left[:-1].cumprod()])
        return np.asarray(weights / weights.sum())

    def divergence(self, concentration: Array) -> float:
        k = concentration.shape[1]
        prior = np.stack([np.ones(k), np.full(k, self.of(k))])
        return float(_divergence(concentration, prior).sum())


@dataclass(frozen=True)
class DirichletMode:
    """π ~ Dir(α₀, ..., α₀), and π at the mode of the posterior: a point estimate (MAP).

    What stands for a concentration are the weights, up to a factor; the divergence is −log p(π).

    concentration : α₀ ≥ 1, as the mode would be at the edge otherwise. 1 is maximum likelihood.
    """

    concentration: float = 1.0

    def __post_init__(self) -> None:
        check_number("concentration", self.concentration, float, 1)

    def posterior(self, counts: Array) -> Array:
        return np.asarray(np.maximum(counts + (self.concentration - 1.0), np.finfo(float).tiny))

    def expected_log(self, concentration: Array) -> Array:
        return np.log(np.maximum(self.expected(concentration), np.finfo(float).tiny))

    def expected(self, concentration: Array) -> Array:
        return np.asarray(concentration / concentration.sum())

    def divergence(self, concentration: Array) -> float:
        k, a = len(concentration), self.concentration
        norm = gammaln(k * a) - k * gammaln(a)
        return -float(norm + (a - 1) * self.expected_log(concentration).sum())


def _divergence(a: Array, b: Array) -> Array:
    """KL(Dir(a) ‖ Dir(b)) along the first axis; that of Beta distributions if it has length 2."""
    normaliser = gammaln(a.sum(axis=0)) - gammaln(b.sum(axis=0)) + (gammaln(b) - gammaln(a)).sum(0)
    return np.asarray(normaliser + ((a - b) * (psi(a) - psi(a.sum(axis=0)))).sum(axis=0))
