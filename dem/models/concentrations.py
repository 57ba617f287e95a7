"""The concentration of Dirichlet distributions: given, or learned from what is expected of them.

    f(a) = N (log Γ(Σ a_j) − Σ_j log Γ(a_j)) + Σ_j (a_j − 1) t_j,   t_j = Σᵢ E[log θᵢⱼ]

is what N distributions θᵢ ~ Dir(a) add to the bound. It is concave; Newton's steps (Minka 2000)
are shortened until they do not lower it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import gammaln, polygamma, psi

from dem.checks import check_number

Array = np.ndarray
LEAST, MOST = 1e-6, 1e6
STEPS, HALVINGS = 50, 30
SETTLED = 1e-10  # a relative change of the concentration that is none


class Concentration(Protocol):
    """How the concentration of a Dirichlet distribution is found."""

    def start(self, size: int, k: int) -> Array:
        """The first concentration, (size,), in a model of k topics."""
        ...

    def maximise(self, current: Array, n: float, logs: Array) -> Array:
        """One with which f is at least as large, for n distributions and t (size,)."""
        ...


@dataclass(frozen=True)
class _First:
    """value : for every coordinate at first; None is 1/K, as in scikit-learn."""

    value: float | None = None

    def __post_init__(self) -> None:
        if self.value is not None:
            check_number("value", self.value, float, 0)
            if not LEAST <= self.value <= MOST:
                raise ValueError(f"value must be from {LEAST:g} to {MOST:g}, got {self.value}.")

    def start(self, size: int, k: int) -> Array:
        return np.full(size, 1.0 / k if self.value is None else float(self.value))


@dataclass(frozen=True)
class Fixed(_First):
    """The same for all coordinates, and given. value : None is 1/K, as in scikit-learn."""

    def maximise(self, current: Array, n: float, logs: Array) -> Array:
        return current


@dataclass(frozen=True)
class Symmetric(_First):
    """The same for all coordinates, learned. value : at first; None is 1/K."""

    def maximise(self, current: Array, n: float, logs: Array) -> Array:
        size, mean = len(current), float(logs.mean())

        def step(a: Array) -> Array:
            # In log a, since f is not far from linear in it where a is small.
            s = float(a[0])
            slope = size * (n * (psi(size * s) - psi(s)) + mean)
            bend = size * n * (size * polygamma(1, size * s) - polygamma(1, s))
            bend = s * s * bend + s * slope
            move = -s * slope / bend if bend < 0 else np.sign(slope)
            return a * (np.exp(np.clip(move, -2.0, 2.0)) - 1.0)

        return _ascended(current, n, logs, step)


@dataclass(frozen=True)
class Asymmetric(_First):
    """One for each coordinate, learned. value : of all at first; None is 1/K."""

    def maximise(self, current: Array, n: float, logs: Array) -> Array:
        def step(a: Array) -> Array:
            # The Hessian is diagonal but for a constant: Newton's step takes linear time.
            slope = n * (psi(a.sum()) - psi(a)) + logs
            diagonal, rest = -n * polygamma(1, a), n * polygamma(1, a.sum())
            common = (slope / diagonal).sum() / (1.0 / rest + (1.0 / diagonal).sum())
            return -(slope - common) / diagonal

        return _ascended(current, n, logs, step)


def objective(a: Array, n: float, logs: Array) -> float:
    """f(a), in nats."""
    return float(n * (gammaln(a.sum()) - gammaln(a).sum()) + (a - 1.0) @ logs)


def _ascended(a: Array, n: float, logs: Array, step: Callable[[Array], Array]) -> Array:
    if not n > 0:
        return a
    value = objective(a, n, logs)
    for _ in range(STEPS):
        move = step(a)
        for halving in range(HALVINGS):
            new = np.clip(a + move * 0.5**halving, np.maximum(a / 8, LEAST), MOST)
            if (better := objective(new, n, logs)) >= value:
                break
        else:
            return a
        done = np.abs(new - a).max() <= SETTLED * np.abs(a).max()
        a, value = new, better
        if done:
            break
    return a
