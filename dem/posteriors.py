"""Posteriors: how q(h | v) is chosen given θ, for a hidden variable with K states.

Each works in place on a tile of log-joints, (K, n), and returns the entropy of the q that it
made, so that the bound is honest whatever the rule. Those with a `rule` can also be followed within
compiled loops over many tiles (`dem.kernels.sweep`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dem.checks import check_all, check_number
from dem.kernels.factorised import respond_factorised
from dem.kernels.logspace import Rule, respond_exactly, respond_with_the_best


class Ruled:
    """A posterior with a `rule`, which goes with `respond`: who overrides that has none of it."""

    @property
    def rule(self) -> Rule | None:
        return None

    def __init_subclass__(cls) -> None:
        if "respond" in vars(cls) and "rule" not in vars(cls):
            cls.rule = Ruled.rule  # type: ignore[method-assign]


@dataclass(frozen=True)
class Exact(Ruled):
    """q(h | v) = p(h | v; θ): the bound touches log p(v; θ)."""

    rule = Rule(hard=False, beta=1.0)

    def respond(self, log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None) -> float:
        return respond_exactly(log_joint, out, weights)


@dataclass(frozen=True)
class Hard(Ruled):
    """q puts all its mass on the most probable state (the first of equals): its entropy is zero.

    EM with it maximises the classification likelihood (Celeux and Govaert 1992), and for
    spherical components of one fixed variance it is Lloyd's k-means.
    """

    rule = Rule(hard=True, beta=1.0)

    def respond(self, log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None) -> float:
        return respond_with_the_best(log_joint, out, weights)


@dataclass(frozen=True)
class Annealed(Ruled):
    """q(h | v) ∝ p(h, v; θ)^β for 0 < β ≤ 1: at small β every state is nearly as likely.

    The maximiser of E_q[log p(h, v; θ)] + H(q) / β, the free energy at temperature 1/β (Ueda and
    Nakano 1998). With β rising to 1 the climb follows an optimum that few others are near of.
    """

    beta: float

    def __post_init__(self) -> None:
        check_number("beta", self.beta, float, 0)
        if not 0 < self.beta <= 1:
            raise ValueError(f"beta must be above 0 and at most 1, got {self.beta}.")

    @property
    def rule(self) -> Rule:
        return Rule(hard=False, beta=self.beta)

    def respond(self, log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None) -> float:
        return respond_exactly(log_joint, out, weights, self.beta)


@dataclass(frozen=True)
class MeanField:
    """q(h | v) = ∏_g q_g(h_g), the product nearest to p(h | v; θ) that coordinate ascent finds.

    Where h is several variables, such as the causes of `dem.models.NoisyOr`, its states are all
    their combinations. With a factor for each variable q is fully factorised; factors of several
    variables keep the dependence within them (structured mean field, Saul and Jordan 1996); with a
    single factor q is exact. KL(q ‖ p(h | v)) is what L lacks of log p(v).

    shape : the number of states of each factor; their product is that of h, and the last varies
        fastest.
    max_iter, tol : sweeps over the factors at most, and the change of q that is none.
    """

    shape: tuple[int, ...]
    max_iter: int = 100
    tol: float = 1e-6

    def __post_init__(self) -> None:
        check_all("shape", self.shape, int)
        for states in self.shape:
            check_number("a number of states", states, int, 1)
        check_number("max_iter", self.max_iter, int, 0)
        check_number("tol", self.tol, float, 0)

    def respond(self, log_joint: np.ndarray, out: np.ndarray, weights: np.ndarray | None) -> float:
        return respond_factorised(log_joint, out, weights, self.shape, self.max_iter, self.tol)
