"""What the blocks of chains tell each other, so that where chains are cut makes no difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dem.errors import DataError
from dem.kernels.scan import decided, joined
from dem.kernels.semirings import MaxProduct, Semiring

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Messages:
    """Of m blocks, by their numbers; + puts them one after the other.

    index : (m,) the numbers.
    through : (m, K, K), p(rows up to where the first chain begins, state after | state before).
    left : (m, K), of a block where a chain begins, p(state after it | its rows of its last chain).
    begins, fresh : (m,) bool, whether a chain begins in it, and with its first row.
    weights : (m, 2), of its first and its last row.

    In the numbers of a semiring, and up to a factor each.
    """

    index: Array
    through: Array
    left: Array
    begins: Array
    fresh: Array
    weights: Array

    @classmethod
    def none(cls, k: int) -> Messages:
        """Of no blocks."""
        none = np.zeros(0, bool)
        index = np.zeros(0, np.int64)
        return cls(index, np.zeros((0, k, k)), np.zeros((0, k)), none, none, np.zeros((0, 2)))

    def __add__(self, other: Messages) -> Messages:
        pairs = ((getattr(part, name) for part in (self, other)) for name in self.__annotations__)
        return Messages(*(np.concatenate(list(pair)) for pair in pairs))

    @property
    def apart(self) -> bool:
        """Whether every block begins with a chain: none need be told anything."""
        return bool(self.fresh.all())

    def check_weights(self) -> None:
        """Raise `DataError` where the weight changes between blocks within a chain."""
        order = np.argsort(self.index)
        first, last = self.weights[order].T
        changes = (first[1:] != last[:-1]) & ~self.fresh[order][1:]
        if changes.any():
            block = int(np.argmax(changes)) + 1
            raise DataError(
                f"The weight changes within a sequence, from {last[block - 1]:g} to "
                f"{first[block]:g}, at the first row of block {block}: weights are of sequences."
            )

    def told(self, ring: Semiring) -> Told:
        """What comes into each of the blocks 0, 1, ... from both sides, by the associative scan."""
        order = np.argsort(self.index)
        n, k = self.left.shape
        free = ring.free(1)[:, 0]
        # Each block is two maps: the rows before its first chain, and those of its last.
        pieces = np.empty((n, 2, k, k))
        pieces[:, 0] = self.through[order]
        pieces[:, 1] = np.where(
            self.begins[order, None, None], self.left[order, None, :], ring.identity(1)[:, :, 0]
        )
        every = pieces.reshape(2 * n, k, k)
        before, after = joined(ring, every, free, free)
        if isinstance(ring, MaxProduct):
            before, after = decided(ring, every, before, free, free)
        return Told(before[::2], after[1::2])


@dataclass(frozen=True, eq=False)
class Told:
    """What comes into each block from the rows before it and after it, (blocks, K) each.

    The first row of all begins a chain, whatever its last column says: None comes before it.
    """

    before: Array
    after: Array

    def __getitem__(self, block: int) -> tuple[Array | None, Array]:
        return self.before[block] if block else None, self.after[block]
