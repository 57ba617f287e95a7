"""The arithmetic of chains: what "and then" and "or" are, of probabilities or of their logarithms.

With bₜ the densities of row t under each state and A the transitions, the algorithms on chains are
products of the matrices A diag(bₜ) (Rabiner 1989). `SumProduct` has numbers, scaled as it goes
along; `LogSumProduct` their logarithms, which takes longer and cannot underflow, whatever states
the chain may not enter; `MaxProduct` logarithms and the largest in the place of the sum (Viterbi).

Vectors are (K, m), and maps (K, K, m), from state i to j: m of them side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from dem.kernels import log_sums
from dem.kernels.logspace import FLOOR

Array = np.ndarray
NEVER = -1e200  # in the place of log 0: differences of these are numbers
# Where all transitions are at least this, states differ by so little in what they say of later
# rows that what underflows is nothing.
ERGODIC = 1e-50


class Semiring(Protocol):
    """Chains of one set of transitions, in one kind of numbers."""

    @property
    def start(self) -> Array:
        """(K,)."""
        ...

    @property
    def transitions(self) -> Array:
        """(K, K), from state i to j."""
        ...

    def densities(self, log_density: Array) -> tuple[Array, Array, Array]:
        """(in these numbers, their logarithms, what was taken from each row's) for (K, n)."""
        ...

    def identity(self, m: int) -> Array:
        """(K, K, m)."""
        ...

    def free(self, m: int) -> Array:
        """(K, m): as of no rows at all."""
        ...

    def advance(self, now: Array, density: Array, out: Array) -> None:
        """out_j = ⊕ᵢ nowᵢ A_ij density_j, for vectors or, from each state, maps."""
        ...

    def enter(self, density: Array) -> Array:
        """start_j density_j."""
        ...

    def normalise(self, now: Array) -> Array:
        """Scale vectors, or maps as a whole, in place; by what, (m,)."""
        ...

    def times(self, first: Array, second: Array) -> Array:
        """Maps one after the other, (m, K, K), up to a factor."""
        ...

    def forth(self, vector: Array, maps: Array) -> Array:
        """(m, K) through (m, K, K), up to a factor."""
        ...

    def back(self, maps: Array, vector: Array) -> Array:
        """(m, K, K) on (m, K), up to a factor."""
        ...


class Summing(Semiring, Protocol):
    """One in which states have probabilities."""

    def behind(self, density: Array, future: Array, scale: Array) -> Array:
        """density · future / scale, (K, m)."""
        ...

    def retreat(self, behind: Array, out: Array) -> None:
        """outᵢ = ⊕_j A_ij behind_j."""
        ...

    def pairs(self, before: Array, behind: Array, weights: Array | None) -> Array:
        """Σ w p(state i, then j), (K, K), of (K, m) on both sides."""
        ...

    def states(self, filtered: Array, future: Array) -> Array:
        """p(state), (K, m)."""
        ...

    def logs(self, scale: Array) -> Array:
        """log of what `normalise` has returned."""
        ...


@dataclass(frozen=True, eq=False)
class SumProduct:
    """Probabilities, of chains that may go from any state to any other.

    start : (K,). transitions : (K, K), rows sum to one.
    """

    start: Array
    transitions: Array

    def densities(self, log_density: Array) -> tuple[Array, Array, Array]:
        largest = log_density.max(axis=0)
        logs = log_density - largest
        np.maximum(logs, FLOOR, out=logs)
        return np.exp(logs), logs, largest

    def identity(self, m: int) -> Array:
        k = len(self.start)
        return np.repeat(np.eye(k)[:, :, None], m, axis=2)

    def free(self, m: int) -> Array:
        return np.ones((len(self.start), m))

    def advance(self, now: Array, density: Array, out: Array) -> None:
        np.matmul(self.transitions.T, now, out=out)
        out *= density

    def enter(self, density: Array) -> Array:
        return self.start[:, None] * density

    def normalise(self, now: Array) -> Array:
        scale = now.sum(axis=tuple(range(now.ndim - 1)))
        now /= scale
        return np.asarray(scale)

    def times(self, first: Array, second: Array) -> Array:
        product = first @ second
        return np.asarray(product / product.sum(axis=(1, 2), keepdims=True))

    def forth(self, vector: Array, maps: Array) -> Array:
        product = (vector[:, None] @ maps)[:, 0]
        return np.asarray(product / product.sum(axis=1, keepdims=True))

    def back(self, maps: Array, vector: Array) -> Array:
        product = (maps @ vector[..., None])[..., 0]
        return np.asarray(product / product.sum(axis=1, keepdims=True))

    def behind(self, density: Array, future: Array, scale: Array) -> Array:
        behind = density * future
        behind /= scale
        return behind

    def retreat(self, behind: Array, out: Array) -> None:
        np.matmul(self.transitions, behind, out=out)

    def pairs(self, before: Array, behind: Array, weights: Array | None) -> Array:
        behind = behind if weights is None else behind * weights
        return np.asarray(self.transitions * (before @ behind.T))

    def states(self, filtered: Array, future: Array) -> Array:
        # As responsibilities are: denormals would slow what follows down
        return np.maximum(filtered * future, np.exp(FLOOR))

    def logs(self, scale: Array) -> Array:
        return np.log(scale)


@dataclass(frozen=True, eq=False)
class _Logs:
    """Logarithms of probabilities. start : (K,). transitions : (K, K); `NEVER` for log 0."""

    start: Array
    transitions: Array

    def reduced(self, logs: Array, axis: int) -> Array:
        """The logarithm of ⊕ along an axis."""
        raise NotImplementedError

    def densities(self, log_density: Array) -> tuple[Array, Array, Array]:
        largest = log_density.max(axis=0)
        logs = log_density - largest
        np.maximum(logs, NEVER, out=logs)
        return logs, logs, largest

    def identity(self, m: int) -> Array:
        k = len(self.start)
        return np.repeat(np.where(np.eye(k) > 0, 0.0, NEVER)[:, :, None], m, axis=2)

    def free(self, m: int) -> Array:
        return np.zeros((len(self.start), m))

    def advance(self, now: Array, density: Array, out: Array) -> None:
        for j in range(len(self.start)):
            through = now + self.transitions[:, j, None]
            out[..., j, :] = self.reduced(through, -2) + density[j]

    def enter(self, density: Array) -> Array:
        return self.start[:, None] + density

    def normalise(self, now: Array) -> Array:
        scale = self.reduced(now, 0) if now.ndim == 2 else now.max(axis=(0, 1))
        now -= scale
        np.maximum(now, NEVER, out=now)
        return np.asarray(scale)

    def times(self, first: Array, second: Array) -> Array:
        product = np.stack(
            [self.reduced(first + second[:, None, :, j], 2) for j in range(len(self.start))], axis=2
        )
        return np.maximum(product - product.max(axis=(1, 2), keepdims=True), NEVER)

    def forth(self, vector: Array, maps: Array) -> Array:
        product = self.reduced(vector[:, :, None] + maps, 1)
        return np.maximum(product - self.reduced(product, 1)[:, None], NEVER)

    def back(self, maps: Array, vector: Array) -> Array:
        product = self.reduced(maps + vector[:, None, :], 2)
        return np.maximum(product - self.reduced(product, 1)[:, None], NEVER)


@dataclass(frozen=True, eq=False)
class LogSumProduct(_Logs):
    """The logarithms of what `SumProduct` has, of any chain."""

    @cached_property
    def _probabilities(self) -> Array:
        return np.exp(self.transitions)

    def reduced(self, logs: Array, axis: int) -> Array:
        largest = logs.max(axis=axis, keepdims=True)
        total = np.exp(logs - largest).sum(axis=axis)
        return np.asarray(np.log(total) + largest.squeeze(axis))

    def advance(self, now: Array, density: Array, out: Array) -> None:
        k, own = len(self.start), (self.transitions, self._probabilities)
        if now.ndim == 3:  # from each state, side by side
            beside = now.swapaxes(0, 1).reshape(k, -1)
            through = self._products(beside, *own).reshape(k, k, -1).swapaxes(0, 1)
        else:
            through = self._products(now, *own)
        np.add(through, density, out=out)

    def normalise(self, now: Array) -> Array:
        if now.ndim == 3:
            return super().normalise(now)
        scale = np.empty(now.shape[1])
        log_sums.totals(np.ascontiguousarray(now), scale)
        now -= scale
        np.maximum(now, NEVER, out=now)
        return scale

    def _products(self, now: Array, logs: Array, probabilities: Array) -> Array:
        out = np.empty(now.shape)
        log_sums.products(np.ascontiguousarray(now), logs, probabilities, out)
        return out

    def behind(self, density: Array, future: Array, scale: Array) -> Array:
        return np.maximum(density + future - scale, NEVER)

    def retreat(self, behind: Array, out: Array) -> None:
        backward = (np.ascontiguousarray(a.T) for a in (self.transitions, self._probabilities))
        np.maximum(self._products(behind, *backward), NEVER, out=out)

    def pairs(self, before: Array, behind: Array, weights: Array | None) -> Array:
        w = np.ones(before.shape[1]) if weights is None else np.ascontiguousarray(weights)
        earlier, later, found = (
            np.empty(shape) for shape in (before.shape, before.shape, self.transitions.shape)
        )
        log_sums.factors(
            np.ascontiguousarray(before), np.ascontiguousarray(behind), self.transitions, w,
            earlier, later, found,
        )  # fmt: skip
        return np.asarray(found + self._probabilities * (earlier @ later.T))

    def states(self, filtered: Array, future: Array) -> Array:
        return np.exp(np.maximum(filtered + future, FLOOR))

    def logs(self, scale: Array) -> Array:
        return scale


@dataclass(frozen=True, eq=False)
class MaxProduct(_Logs):
    """The logarithms of the most probable of all ways."""

    def reduced(self, logs: Array, axis: int) -> Array:
        return np.asarray(logs.max(axis=axis))


def logarithms(probabilities: Array) -> Array:
    """Their logarithms, `NEVER` for that of 0."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(probabilities), NEVER)


def summing(start: Array, transitions: Array) -> Summing:
    """The quicker of the two that give probabilities, of those that can be used."""
    if min(start.min(), transitions.min()) >= ERGODIC:
        return SumProduct(start, transitions)
    return LogSumProduct(logarithms(start), logarithms(transitions))
