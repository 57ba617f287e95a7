"""Data whose rows repeat, as their patterns in memory."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.engine.hosts import choose
from dem.engine.manifest import Manifest, open_data
from dem.errors import DataError
from dem.patterns import Patterns, Tally
from dem.reading import Phase
from dem.records import Fit

LEAST_ROWS = 20_000  # fewer are fitted as fast as they are
REPEATED = 4  # rows a pattern, or it does not pay
MOST = 2**20
TRIED_BLOCKS = 8


@dataclass(frozen=True, eq=False)
class Compressed:
    """Patterns with their weights as data in memory, and what it took to find them.

    manifest : of the patterns. n_rows : of the data. phase : the rows read and the seconds.
    """

    manifest: Manifest
    n_rows: int
    phase: Phase

    def accounted(self, fitted: Fit) -> Fit:
        """A fit to the patterns, with passes counted in rows of the data."""
        phases = (self.phase, *fitted.phases)
        return replace(fitted, phases=phases, n_passes=sum(p.rows for p in phases) / self.n_rows)


def compress(data: Any, *, weights: Any = None, most: int = MOST) -> Manifest:
    """The different rows of the data in memory, each with the weight of all that are like it.

    A fit to them is the same to rounding, and costs as much as there are patterns. NaN is a value
    like others. It takes a read of the data.

    data, weights : as for `dem.fit`, which takes what is returned.

    Raises `DataError` if there are more than `most` patterns: fit to the data as they are then.
    """
    manifest = data if isinstance(data, Manifest) else open_data(data, weights=weights)
    found = _tally(manifest, range(manifest.n_blocks), most)
    if found.many:
        raise DataError(f"There are more than {most} different rows: too many to compress.")
    return _as_data(found, manifest)


def if_it_pays(manifest: Manifest) -> Compressed | None:
    """The patterns, if rows are repeated four times on average; None where they are not.

    A few blocks of larger data are tried first.
    """
    if manifest.n_rows < LEAST_ROWS:
        return None
    began, read = time.perf_counter(), 0
    every = range(manifest.n_blocks)
    steps = [every] if manifest.n_blocks <= 2 * TRIED_BLOCKS else [_spread(every), every]
    for blocks in steps:
        rows = int(np.diff(manifest.boundaries)[blocks].sum())
        read += rows
        found = _tally(manifest, blocks, min(rows // REPEATED, MOST))
        if found.many:
            return None
    seconds = time.perf_counter() - began
    phase = Phase("patterns", read, seconds)
    return Compressed(_as_data(found, manifest), manifest.n_rows, phase)


def _spread(blocks: range) -> list[int]:
    """A few of the blocks, from all over the data."""
    return [int(b) for b in np.linspace(blocks[0], blocks[-1], TRIED_BLOCKS)]


def _tally(manifest: Manifest, blocks: Any, most: int) -> Tally:
    with choose(manifest) as engine:
        found: Tally = engine.sweep(Patterns(most), [blocks])[0]
    return found


def _as_data(found: Tally, manifest: Manifest) -> Manifest:
    patterns = open_data(found.patterns, weights=found.weights)
    return replace(patterns, columns=manifest.columns, place=manifest.place)
