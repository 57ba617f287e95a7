"""Posteriors: how q(h | v) is chosen given θ, for a hidden variable with K states.

Each works in place on a tile of log-joints, (K, n), and returns the entropy of the q that it
made, so that the bound is honest whatever the rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dem.kernels.logspace import respond_exactly, respond_with_the_best


@dataclass(frozen=True)
class Exact:
    """q(h | v) = p(h | v; θ): the bound touches log p(v; θ)."""

    def respond(self, log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None) -> float:
        return respond_exactly(log_joint, out, weights)


@dataclass(frozen=True)
class Hard:
    """q puts all its mass on the most probable state (the first of equals): its entropy is zero.

    EM with it maximises the classification likelihood (Celeux and Govaert 1992), and for
    spherical components of one fixed variance it is Lloyd's k-means.
    """

    def respond(self, log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None) -> float:
        return respond_with_the_best(log_joint, out, weights)
