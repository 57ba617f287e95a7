"""Which transitions between hidden states there may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from dem.checks import check_number

Array = np.ndarray


class Topology(Protocol):
    """Where a chain of K states may begin, and which state may follow which.

    ordered : whether it says which state is to be number 0, 1, ..., as `order` finds.
    """

    @property
    def ordered(self) -> bool: ...

    def starts(self, k: int) -> Array:
        """(K,) bool."""
        ...

    def transitions(self, k: int) -> Array:
        """(K, K) bool, from state i to j."""
        ...

    def order(self, starts: Array, transitions: Array) -> Array:
        """The states (K,) in their order, from how often chains begin in and go on to each."""
        ...


@dataclass(frozen=True)
class Ergodic:
    """Any state may follow any other."""

    ordered: ClassVar[bool] = False

    def starts(self, k: int) -> Array:
        return np.ones(k, bool)

    def transitions(self, k: int) -> Array:
        return np.ones((k, k), bool)

    def order(self, starts: Array, transitions: Array) -> Array:
        return np.arange(len(starts))


@dataclass(frozen=True)
class LeftRight:
    """Chains begin in state 0 and go on to later states alone (Bakis 1976), up to `reach` at once.

    The last state, once entered, is for good.
    """

    reach: int = 1
    ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number("reach", self.reach, int, 1)

    def starts(self, k: int) -> Array:
        return np.asarray(np.arange(k) == 0)

    def transitions(self, k: int) -> Array:
        ahead = np.arange(k) - np.arange(k)[:, None]
        return np.asarray((ahead >= 0) & (ahead <= self.reach))

    def order(self, starts: Array, transitions: Array) -> Array:
        """From where most chains begin, time and again to where most go on of what is left.

        Those who come back count against it: rows that are mistaken for those of another state
        look like two transitions, to and fro.
        """
        net, found = transitions - transitions.T, [int(starts.argmax())]
        left = np.arange(len(starts)) != found[0]
        while left.any():
            found.append(int(np.where(left, net[found[-1]], -np.inf).argmax()))
            left[found[-1]] = False
        return np.array(found)


@dataclass(frozen=True)
class Masked:
    """As two tables say. begin : (K,) bool. follow : (K, K) bool, from state i to j.

    Raises ValueError if they are not of one size, or leave a state without one to follow it.
    """

    begin: tuple[bool, ...]
    follow: tuple[tuple[bool, ...], ...]
    ordered: ClassVar[bool] = False

    def __post_init__(self) -> None:
        begin, follow = np.array(self.begin), np.array(self.follow)
        k = len(begin)
        if begin.dtype != bool or follow.dtype != bool or follow.shape != (k, k):
            raise ValueError("a mask has K and K × K truth values, for where to begin and follow")
        if not begin.any() or not follow.any(axis=1).all():
            raise ValueError("a chain must begin somewhere, and some state follow each")
        object.__setattr__(self, "begin", tuple(begin.tolist()))
        object.__setattr__(self, "follow", tuple(map(tuple, follow.tolist())))

    def starts(self, k: int) -> Array:
        self._check(k)
        return np.array(self.begin)

    def transitions(self, k: int) -> Array:
        self._check(k)
        return np.array(self.follow)

    def order(self, starts: Array, transitions: Array) -> Array:
        return np.arange(len(starts))

    def _check(self, k: int) -> None:
        if len(self.begin) != k:
            raise ValueError(f"the mask is for {len(self.begin)} states, there are {k}")
