"""What is held out, or drawn, together: rows, or all the rows of a chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dem.passes import Block

Array = np.ndarray
SALT = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Units:
    """Which rows stay together: each row is a unit, or each chain.

    entering : (blocks,) int64, of chains: the row with which the one began that goes on into each
        block. None where rows are units.
    """

    entering: Array | None = None

    def of(self, block: Block) -> Array:
        """The number of the first row of each row's unit, (n,) int64."""
        rows = np.arange(block.start, block.start + block.rows.shape[0])
        if self.entering is None:
            return rows
        begins = np.where(block.rows[:, -1] == 1, rows, self.entering[block.index])
        return np.maximum.accumulate(begins)


ROWS = Units()


def hashed(numbers: Array, seed: int) -> Array:
    """A random uint64 for the number of each unit, (n,), that depends on it and the seed."""
    x = numbers.astype(np.uint64)
    with np.errstate(over="ignore"):
        x = (x + np.uint64(seed) + np.uint64(1)) * SALT
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)  # splitmix64 (Steele et al. 2014)
        return np.asarray(x ^ (x >> np.uint64(31)))


def chosen(numbers: Array, share: float, seed: int) -> Array:
    """Which units (n,) bool are of a random share of all."""
    return np.asarray(hashed(numbers, seed) < np.uint64(int(share * 2**64)))


@dataclass(frozen=True, eq=False)
class Begun:
    """Of m blocks; + puts them one after the other.

    index : (m,) their numbers. last : (m,) the row with which their last chain begins, or -1.
    counts : (m, 2), the chains that begin there, and those of them that are chosen.
    """

    index: Array
    last: Array
    counts: Array

    def __add__(self, other: Begun) -> Begun:
        pairs = ((getattr(part, name) for part in (self, other)) for name in self.__annotations__)
        return Begun(*(np.concatenate(list(pair)) for pair in pairs))

    @property
    def units(self) -> Units:
        """The chains."""
        last = np.maximum.accumulate(self.last[np.argsort(self.index)])
        return Units(np.concatenate([[0], last[:-1]]))

    @property
    def count(self) -> Array:
        """(chains, chosen ones of them)."""
        return np.asarray(self.counts.sum(axis=0))


@dataclass(frozen=True)
class Beginnings:
    """Where chains begin, which the last column says, and how many are of a random share."""

    share: float = 0.0
    seed: int = 0
    missing: ClassVar[bool] = True
    description: ClassVar[str] = "counting sequences"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Begun:
        new = np.asarray(block.rows[:, -1] == 1)
        if not block.start:
            new[:1] = True  # whatever it says
        begins = np.flatnonzero(new) + block.start
        ours = chosen(begins, self.share, self.seed).sum() if self.share else 0
        last = begins[-1] if len(begins) else -1
        return Begun(
            np.array([block.index]), np.array([last]), np.array([[len(begins), int(ours)]])
        )
