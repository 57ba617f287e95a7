"""What a fit reads: how the blocks form groups, the sample of rows it begins with, what it cost."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from dem.checks import check_number
from dem.contract import Sample
from dem.errors import DataError
from dem.passes import Draw, Pass

SAMPLE_ROWS = 2**16
SAMPLE_BYTES = 32 * 2**20
SAMPLE_BLOCKS = 64
UNIT_BLOCKS, UNIT_ROWS = 3, 10  # a column, where a sample only gives units and a start
SPARSE = 8  # times as many where few rows have weight


@dataclass(frozen=True, eq=False)
class Sweep:
    """A request: run this pass over each of these groups of blocks, and send their totals."""

    work: Pass
    groups: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Phase:
    """A part of a fit ("sample", "start", "turns"): the rows that it read, and its seconds."""

    name: str
    rows: int
    seconds: float

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"a phase has a name, got {self.name!r}.")
        check_number("rows", self.rows, int, 0)
        check_number("seconds", self.seconds, float, 0)


class Reads:
    """The blocks of the data in groups, and an account of what is read of them.

    boundaries : row offsets of the blocks.
    n_groups : of about equal size, each spread over the data, where there are so many blocks.
    before : what was read and spent already.
    """

    def __init__(
        self, boundaries: np.ndarray, n_columns: int, n_groups: int, before: Sequence[Phase] = ()
    ) -> None:
        self.boundaries, self.n_columns = boundaries, n_columns
        n_blocks = len(boundaries) - 1
        self.every = range(n_blocks)
        n_groups = min(n_groups, n_blocks)
        self.groups = [range(g, n_blocks, n_groups) for g in range(n_groups)]
        self._rows = np.diff(boundaries)
        self._spent = {phase.name: phase for phase in before}
        self._now, self._since = "", time.perf_counter()

    def enter(self, phase: str) -> None:
        """From now on it is this phase that rows and seconds are spent on."""
        self._charge(0)
        self._now = phase

    def counted(self, sweep: Sweep) -> Sweep:
        """The same, noted as read."""
        self._charge(sum(int(self._rows[list(group)].sum()) for group in sweep.groups))
        return sweep

    @property
    def phases(self) -> tuple[Phase, ...]:
        """What was spent on each phase up to now."""
        self._charge(0)
        return tuple(self._spent.values())

    @property
    def passes(self) -> float:
        """Full reads of the data; a partial one counts in part."""
        return sum(phase.rows for phase in self._spent.values()) / int(self.boundaries[-1])

    def _charge(self, rows: int) -> None:
        now = time.perf_counter()
        if self._now:
            before = self._spent.get(self._now, Phase(self._now, 0, 0.0))
            seconds = before.seconds + now - self._since
            self._spent[self._now] = Phase(self._now, before.rows + rows, seconds)
        self._since = now


def sample(
    reads: Reads,
    least: int,
    seed: int,
    missing: bool = False,
    sparse: bool = False,
    once: bool = False,
) -> Generator[Sweep, Any, Sample]:
    """Random rows, some 65 000 where there are so many: all of them if they are few.

    They come from up to 64 blocks spread evenly over the data, a share from each, since the rows
    of a whole block need not be like the others. At least so many, if there are.

    missing : whether NaN is a missing value. sparse : whether rows may be sparse; they then stay
        in the order of the data.
    once : whether one read of the data is all that follows, so that little more is to be spent on
        the units to calculate in, and where to begin: rows of 3 blocks, however few there are; of
        more where these do not have ten rows for each column.
    """
    every = np.arange(len(reads.every))
    rows = np.diff(reads.boundaries)
    n = int(rows.sum())
    wanted = max(min(SAMPLE_ROWS, SAMPLE_BYTES // (8 * reads.n_columns)), least)
    few = min(UNIT_ROWS * reads.n_columns, wanted)
    most = max(UNIT_BLOCKS, -(-few * len(every) // n)) if once else SAMPLE_BLOCKS
    if (once or n > wanted) and len(every) > most:
        phase = np.random.default_rng([seed, 0]).random()
        strata = (np.arange(most) + phase) * len(every) / most
        every = np.unique(strata.astype(int))
    held = int(rows[every].sum())
    work = Draw(min(wanted / max(held, 1), 1.0), seed, missing, sparse)
    (drawn,) = yield reads.counted(Sweep(work, [every.tolist()]))
    if len(drawn.weights) < least and len(every) < len(reads.every):  # hardly any weight is there
        every, held = np.arange(len(reads.every)), n
        work = Draw(min(SPARSE * wanted / n, 1.0), seed, missing, sparse)
        (drawn,) = yield reads.counted(Sweep(work, [every.tolist()]))
    if not len(drawn.weights):
        raise DataError("All sample weights are zero: no row of the data counts.")
    complete = held == n and wanted >= held
    make = Sample if issparse(drawn.rows) else Sample.of
    return make(drawn.rows, drawn.weights, complete, share=min(wanted, held) / n)
