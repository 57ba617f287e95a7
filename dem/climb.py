"""A whole fit as a generator: sample, start, climb by turns, know when to stop.

Like the loop in `dem.em` it does no I/O: it yields what it wants computed, a `Sweep`, and is sent
the totals; it tells of each turn, a `Turn`; it returns a `Fit`. So the same fit can be driven by
this process, by a cluster's client, or inside a scheduler, and taken up again from a `State`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.checks import check_number, check_offers
from dem.contract import Model, Params, Posterior, Sample, Schedule
from dem.em import EStep, Step, em
from dem.errors import DataError
from dem.passes import Draw, Expectation, Pass
from dem.posteriors import Exact
from dem.schedules import FullBatch
from dem.starts import FromModel, Start
from dem.stats import leaves

SAMPLE_ROWS = 2**16
SAMPLE_BYTES = 32 * 2**20
SAMPLE_BLOCKS = 64


class Interrupted(Exception):
    """Thrown into a fit to end it: it returns what it has, or raises this if that is nothing."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """A request: run this pass over each of these groups of blocks, and send their totals."""

    work: Pass
    groups: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Begin:
    """An announcement: attempt so-and-so of so many begins here, with statistics of this size."""

    state: State
    attempts: int
    max_iter: int
    stats_bytes: int


@dataclass(frozen=True)
class Record:
    """One turn as the history keeps it: bounds in nats per row, seconds of wall time."""

    turn: int
    bound_e: float
    bound: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Fit:
    """What a fit has come to.

    params : the parameters after the last M-step.
    history : a `Record` for each turn.
    converged : whether the bound stood still before the turns ran out.
    interrupted : whether it was ended from outside.
    n_passes : full reads of the data, start and sample included (a partial read counts in part).
    degenerate : what is wrong with components that collapsed or starved, in words.
    """

    model: Any  # a Model
    params: Params
    history: tuple[Record, ...]
    converged: bool
    interrupted: bool
    n_passes: float
    degenerate: tuple[str, ...] = ()

    @property
    def lower_bound(self) -> float:
        """The bound after the last E half-step, per row; −∞ before the first."""
        return self.history[-1].bound_e if self.history else -math.inf


@dataclass(frozen=True, eq=False)
class State:
    """Where a fit stands after a turn: all that it takes to go on to the same bits.

    attempt : which of the starts this is, from 0.
    params, memory : θ, and what the schedule remembers.
    history : of this attempt.
    best : the best of the attempts before, or None.
    passes : reads of the data so far.
    """

    attempt: int
    params: Params
    memory: Any
    history: tuple[Record, ...]
    best: Fit | None
    passes: float


@dataclass(frozen=True, eq=False)
class Turn:
    """An announcement: a turn is done."""

    record: Record
    state: State


Requests = Generator[Sweep | Begin | Turn, Any, Fit]


@dataclass(frozen=True, eq=False)
class Climb:
    """What is to be fitted, and how; see `dem.fit` for the arguments.

    Raises TypeError or ValueError naming the argument that cannot be.
    """

    model: Model
    start: Start = FromModel()
    schedule: Schedule = FullBatch()
    posterior: Posterior = Exact()
    max_iter: int = 100
    tol: float = 1e-3
    n_init: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_offers("model", self.model, Model)
        check_offers("start", self.start, Start)
        check_offers("schedule", self.schedule, Schedule)
        check_offers("posterior", self.posterior, Posterior)
        check_number("max_iter", self.max_iter, int, 0)
        check_number("tol", self.tol, float, 0)
        check_number("n_init", self.n_init, int, 1)
        check_number("seed", self.seed, int, 0)

    def run(self, boundaries: np.ndarray, n_columns: int, state: State | None = None) -> Requests:
        """The fit to data whose blocks have these row offsets; from a state, or from the start."""
        passes = _Counted(boundaries, n_columns, state.passes if state else 0.0)
        best, first, sample = (state.best, state.attempt, None) if state else (None, 0, None)
        interrupted = False
        for attempt in range(first, self.n_init):
            try:
                if state is None:
                    if sample is None:
                        sample = yield from self._sample(passes)
                    params = yield from self._first(sample, attempt, passes)
                    state = State(attempt, params, None, (), best, passes.total)
                size = self._size(state.params, n_columns)
                yield Begin(state, self.n_init, self.max_iter, size)
                fitted = yield from self._turns(state, passes)
            except (Interrupted, KeyboardInterrupt):  # the latter in what runs here, not a sweep
                if best is None:
                    raise
                interrupted = True
                break
            best = fitted if best is None or fitted.lower_bound > best.lower_bound else best
            interrupted, state = fitted.interrupted, None
            if interrupted:
                break
        assert best is not None  # there is at least one attempt
        diagnose = getattr(self.model, "diagnose", lambda params: ())
        return replace(
            best,
            interrupted=interrupted,
            n_passes=passes.total,
            degenerate=diagnose(best.params),
        )

    def _size(self, params: Params, n_columns: int) -> int:
        """Bytes of the statistics."""
        empty = np.empty((0, n_columns))
        blank = self.model.e_step(self.model.prepare(params), empty, None, self.posterior)
        return sum(leaf.nbytes for leaf in leaves(blank))

    def _turns(self, state: State, passes: _Counted) -> Requests:
        """Turns until the bound per row changes by less than tol, or there have been max_iter."""
        history, params, memory = list(state.history), state.params, state.memory
        interrupted = False
        began = time.perf_counter()
        turns = turn_by_turn(
            self.model, params, self.schedule, self.posterior, passes.groups, memory, len(history)
        )
        answer = None
        try:
            while len(history) < self.max_iter and not self._stands_still(history):
                step = turns.send(answer)
                if isinstance(step, Sweep):
                    answer = yield passes.counted(step)
                    continue
                answer, now = None, time.perf_counter()
                record = Record(step.turn, step.bound_e, step.bound, now - began)
                began, params, memory = now, step.params, step.memory
                history.append(record)
                kept = replace(
                    state, params=params, memory=memory, history=tuple(history),
                    passes=passes.total,
                )  # fmt: skip
                yield Turn(record, kept)
        except (Interrupted, KeyboardInterrupt):
            if not history:
                raise
            interrupted = True
        converged = self._stands_still(history)
        return Fit(self.model, params, tuple(history), converged, interrupted, passes.total)

    def _stands_still(self, history: Sequence[Record]) -> bool:
        """Whether the bound per row has changed by less than tol in the last turn."""
        bounds = [getattr(self.start, "bound", -math.inf), *(turn.bound_e for turn in history)]
        return len(bounds) > 1 and abs(bounds[-1] - bounds[-2]) < self.tol

    def _first(self, sample: Sample, attempt: int, passes: _Counted) -> Generator[Sweep, Any, Any]:
        """The parameters that the start comes to; it is a generator of passes itself."""
        steps = self.start(self.model, sample, self.seed + attempt)
        answer = None
        try:
            while True:
                work = steps.send(answer)
                (answer,) = yield passes.counted(Sweep(work, [passes.every]))
        except StopIteration as end:
            return end.value

    def _sample(self, passes: _Counted) -> Generator[Sweep, Any, Sample]:
        """Random rows, some 65 000 where there are so many: all of them if they are few.

        They come from up to 64 blocks spread evenly over the data, a share from each.
        """
        rows, every = np.diff(passes.boundaries), np.arange(len(passes.boundaries) - 1)
        n = int(rows.sum())
        least = 20 * getattr(self.model, "k", 1)
        wanted = max(min(SAMPLE_ROWS, SAMPLE_BYTES // (8 * passes.n_columns)), least)
        if n > wanted and len(every) > SAMPLE_BLOCKS:
            phase = np.random.default_rng([self.seed, 0]).random()
            strata = (np.arange(SAMPLE_BLOCKS) + phase) * len(every) / SAMPLE_BLOCKS
            every = np.unique(strata.astype(int))
        held = int(rows[every].sum())
        work = Draw(min(wanted / max(held, 1), 1.0), self.seed)
        (drawn,) = yield passes.counted(Sweep(work, [every.tolist()]))
        if not len(drawn.rows):
            raise DataError("All sample weights are zero: no row of the data counts.")
        return Sample.of(drawn.rows, drawn.weights, complete=held == n and wanted >= held)


def turn_by_turn(
    model: Model,
    params: Params,
    schedule: Schedule,
    posterior: Posterior,
    groups: Sequence[Sequence[int]],
    memory: Any = None,
    turns_before: int = 0,
) -> Generator[Sweep | Step, Any, None]:
    """The loop over groups of blocks, its E-steps put as sweeps."""
    loop = em(model, params, schedule, len(groups), memory, turns_before)
    request = next(loop)
    while True:
        if isinstance(request, EStep):
            work = Expectation(model, request.params, posterior)
            totals = yield Sweep(work, [groups[g] for g in request.groups])
            request = loop.send(totals)
        else:
            yield request
            request = next(loop)


class _Counted:
    """The blocks of the data, and how often they have been read in full."""

    def __init__(self, boundaries: np.ndarray, n_columns: int, total: float) -> None:
        self.boundaries, self.n_columns, self.total = boundaries, n_columns, total
        self.every = range(len(boundaries) - 1)
        self.groups: list[Sequence[int]] = [self.every]

    def counted(self, sweep: Sweep) -> Sweep:
        rows = np.diff(self.boundaries)
        read = sum(int(rows[list(group)].sum()) for group in sweep.groups)
        self.total += read / int(self.boundaries[-1])
        return sweep
