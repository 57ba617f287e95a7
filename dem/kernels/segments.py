"""Blocks of chains cut into segments, which are gone through side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
MOST_SEGMENTS = 1024  # side by side; more are no faster
SHORTEST = 32  # rows of a segment, where a chain has more


@dataclass(frozen=True, eq=False)
class Segments:
    """Runs of rows in which no chain begins but at their first row, the longest first.

    order : (n,) the first rows of all of them, then their second rows, and so on.
    edges : where in `order` these begin, and n.
    rank : (S,) where the segments, in the order of rows, stand here.
    fresh : (S,) whether a chain begins there. linked : whether its chain has other segments.
    """

    order: Array
    edges: list[int]
    rank: Array
    fresh: Array
    linked: Array

    @classmethod
    def of(cls, new: Array) -> Segments:
        """Those of rows (n,), n > 0; new tells where chains begin."""
        n = len(new)
        longest = max(-(-n // MOST_SEGMENTS), SHORTEST)
        begin = np.union1d(np.flatnonzero(new), [0])
        pieces = -(-np.diff(np.append(begin, n)) // longest)
        number = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        start = np.repeat(begin, pieces) + number * longest
        fresh = new[start].astype(bool)
        linked = ~fresh | np.append(~fresh[1:], False)
        length = np.diff(np.append(start, n))
        by_length = np.argsort(-length, kind="stable")
        active = np.searchsorted(-length[by_length], -np.arange(length.max()), side="left")
        start = start[by_length]
        order = np.concatenate([start[:m] + t for t, m in enumerate(active.tolist())])
        edges = [0, *np.cumsum(active).tolist()]
        rank = np.argsort(by_length)
        return cls(order, edges, rank, fresh[by_length], linked[by_length])

    def __len__(self) -> int:
        return len(self.rank)

    @property
    def steps(self) -> Iterator[tuple[int, slice]]:
        """(t, where in `order` the rows at place t of the segments are), t = 0, 1, ..."""
        return enumerate(map(slice, self.edges[:-1], self.edges[1:]))

    @property
    def places(self) -> Array:
        """Where in `order` each row is, (n,)."""
        places = np.empty_like(self.order)
        places[self.order] = np.arange(len(self.order))
        return places

    def only(self, which: Array) -> tuple[Segments, Array]:
        """Those segments (S,) bool, and where in our `order` their rows are."""
        counts = np.diff(self.edges)
        places = [np.flatnonzero(which[:m]) + e for m, e in zip(counts, self.edges, strict=False)]
        edges = np.cumsum([0, *(len(own) for own in places)]).tolist()
        there = np.concatenate(places)
        rank = np.argsort(np.argsort(self.rank)[which])
        own = Segments(self.order[there], edges, rank, self.fresh[which], self.linked[which])
        return own, there
