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

from dem.accelerate import Plain, can_leap
from dem.checks import check_number, check_offers
from dem.contract import Accelerator, Flat, Model, Params, Posterior, Sample, Schedule
from dem.em import EStep, Step, em
from dem.errors import DataError
from dem.passes import Expectation
from dem.posteriors import Exact
from dem.reading import Reads, Sweep, sample
from dem.records import Begin, Fit, Interrupted, Record, Requests, State, Turn
from dem.relay import informed, reaches
from dem.schedules import FullBatch
from dem.starts import Errands, FromModel, Start
from dem.stats import leaves
from dem.stopping import Change, Stop


@dataclass(frozen=True, eq=False)
class Climb:
    """What is to be fitted, and how; see `dem.fit` for the arguments.

    Raises TypeError or ValueError naming the argument that cannot be.
    """

    model: Model
    start: Start = FromModel()
    schedule: Schedule = FullBatch()
    posterior: Posterior = Exact()
    accelerate: Accelerator = Plain()
    stop: Stop = Change()
    max_iter: int = 100
    tol: float = 1e-3
    n_init: int = 1
    seed: int = 0
    max_passes: float | None = None
    max_time: float | None = None

    def __post_init__(self) -> None:
        check_offers("model", self.model, Model)
        check_offers("start", self.start, Start)
        check_offers("schedule", self.schedule, Schedule)
        check_offers("posterior", self.posterior, Posterior)
        check_offers("accelerate", self.accelerate, Accelerator)
        check_offers("stop", self.stop, Stop)
        check_number("max_iter", self.max_iter, int, 0)
        check_number("tol", self.tol, float, 0)
        check_number("n_init", self.n_init, int, 1)
        check_number("seed", self.seed, int, 0)
        for name in ("max_passes", "max_time"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), float, 0)
        if hasattr(self.schedule, "known") and not getattr(self.model, "fixed", False):
            raise TypeError(f"{self.schedule} is for models with fixed statistics: {self.model}.")
        if hasattr(self.schedule, "begin") and not hasattr(self.model, "imagined"):
            raise TypeError(f"{self.schedule} is for models that tell `imagined`: {self.model}.")
        if not isinstance(self.accelerate, Plain):
            check_offers("a model whose fit is to be accelerated", self.model, Flat)
            if not can_leap(self.model):
                raise TypeError(f"{self.model} cannot be accelerated: its family has no flatten.")

    def longer(self, max_iter: int) -> Climb:
        """The same with another limit to its turns."""
        return replace(self, max_iter=max_iter)

    def run(self, boundaries: np.ndarray, n_columns: int, state: State | None = None) -> Requests:
        """The fit to data whose blocks have these row offsets; from a state, or from the start."""
        before = state.phases if state else ()
        reads = Reads(boundaries, n_columns, self.schedule.groups, before)
        best, first, rows = (state.best, state.attempt, None) if state else (None, 0, None)
        interrupted = False
        for attempt in range(first, self.n_init):
            if best is not None and state is None and self._is_over((), reads):
                break
            try:
                if state is None:
                    if rows is None and getattr(self.model, "blind", False):  # needs no rows
                        rows = Sample(np.empty((0, n_columns)), np.empty(0), False, share=0.0)
                    if rows is None:
                        reads.enter("sample")
                        least = 20 * getattr(self.model, "k", 1)
                        missing = getattr(self.model, "missing", False)
                        sparse = getattr(self.model, "sparse", False)
                        once = hasattr(self.schedule, "known")
                        rows = yield from sample(reads, least, self.seed, missing, sparse, once)
                    reads.enter("start")
                    params = yield from self._first(rows, attempt, reads)
                    state = State(attempt, params, self._begun(params), (), best, reads.phases)
                reads.enter("turns")
                size = self._size(state.params, n_columns)
                yield Begin(state, self.n_init, self.max_iter, size)
                fitted = yield from self._turns(state, reads)
            except (Interrupted, KeyboardInterrupt):  # the latter in what runs here, not a sweep
                if best is None:
                    raise
                interrupted = True
                break
            tried = (*best.attempts, fitted.history) if best else (fitted.history,)
            best = fitted if best is None or fitted.lower_bound > best.lower_bound else best
            if self.n_init > 1:
                best = replace(best, attempts=tried)
            interrupted, state = fitted.interrupted, None
            if interrupted:
                break
        assert best is not None  # there is at least one attempt
        diagnose = getattr(self.model, "diagnose", lambda params: ())
        return replace(
            best,
            interrupted=interrupted,
            n_passes=reads.passes,
            phases=reads.phases,
            degenerate=diagnose(best.params),
        )

    def _begun(self, params: Params) -> Any:
        """What the loop remembers before its first turn."""
        begin = getattr(self.schedule, "begin", None)
        return None if begin is None else (begin(self.model, params), None)

    def _size(self, params: Params, n_columns: int) -> int:
        """Bytes of the statistics."""
        empty = np.empty((0, n_columns))
        blank = self.model.e_step(self.model.prepare(params), empty, None, self.posterior)
        return sum(leaf.nbytes for leaf in leaves(blank))

    def _turns(self, state: State, reads: Reads) -> Requests:
        """Turns until the bound stands still, or a limit is reached."""
        history, params, interrupted = list(state.history), state.params, False
        n_groups, began = len(reads.groups), time.perf_counter()
        turns = turn_by_turn(self, state, reads.groups)
        answer = None
        try:
            while not self._is_over(history, reads) and not self._stands_still(history, n_groups):
                step = turns.send(answer)
                if isinstance(step, Sweep):
                    answer = yield reads.counted(step)
                    continue
                answer, now = None, time.perf_counter()
                groups, weight = len(step.groups), step.weight
                record = Record(step.turn, step.bound_e, step.bound, now - began, groups, weight)
                began, params = now, step.params
                history.append(record)
                kept = replace(
                    state, params=params, memory=step.memory, history=tuple(history),
                    phases=reads.phases,
                )  # fmt: skip
                yield Turn(record, kept)
        except (Interrupted, KeyboardInterrupt):
            if not history:
                raise
            interrupted = True
        converged = self._stands_still(history, n_groups)
        return Fit(self.model, params, tuple(history), converged, interrupted, reads.passes)

    def _is_over(self, history: Sequence[Record], reads: Reads) -> bool:
        """Whether a limit is reached: of sweeps over the groups, of passes, or of seconds."""
        if sum(record.groups for record in history) >= self.max_iter * len(reads.groups):
            return True
        if self.max_passes is not None and reads.passes >= self.max_passes:
            return True
        spent = sum(phase.seconds for phase in reads.phases)
        return self.max_time is not None and spent >= self.max_time

    def _stands_still(self, history: Sequence[Record], n_groups: int) -> bool:
        """Whether to stop, by the bounds after each sweep over the groups that are no estimates."""
        bounds, done = [getattr(self.start, "bound", -math.inf)], 0
        for record in history:
            done += record.groups
            honest = record.groups == n_groups or not getattr(self.schedule, "estimates", False)
            if honest and done >= n_groups * len(bounds):
                bounds.append(record.bound_e)
        return self.stop(bounds, self.tol)

    def _first(self, rows: Sample, attempt: int, reads: Reads) -> Generator[Any, Any, Any]:
        """The parameters that the start comes to; it is a generator of requests itself."""
        steps = self.start(self.model, rows, self.seed + attempt)
        answer = None
        try:
            while True:
                work = steps.send(answer)
                if isinstance(work, Errands):
                    answer = yield work
                else:
                    (answer,) = yield reads.counted(Sweep(work, [reads.every]))
        except StopIteration as end:
            return end.value


def turn_by_turn(
    climb: Climb, state: State, groups: Sequence[Sequence[int]]
) -> Generator[Sweep | Step, Any, None]:
    """The loop from a state on over groups of blocks, its E-steps put as sweeps.

    What the schedule knows already is not asked for.
    """
    model, history = climb.model, state.history
    look_up = getattr(climb.schedule, "known", lambda memory: None)
    kept = state.memory[0] if state.memory else None
    floor = history[-1].bound if history else -math.inf
    loop = em(
        model, state.params, climb.schedule, len(groups), climb.accelerate,
        state.memory, len(history), floor,
    )  # fmt: skip
    request, apart = next(loop), not reaches(model)
    while True:
        if isinstance(request, EStep) and (known := look_up(kept)) is not None:
            request = loop.send((known,))
        elif isinstance(request, EStep):
            work = Expectation(model, request.params, climb.posterior, request.tentative)
            if not apart:
                work = yield from informed(work, groups)
                apart = work.told is None
            totals = yield Sweep(work, [groups[g] for g in request.groups])
            whole = len(totals) == len(groups) and not request.tentative
            if whole and not sum(stats.weight for stats in totals):
                raise DataError("All sample weights are zero: no row of the data counts.")
            request = loop.send(totals)
        else:
            kept = request.memory[0]
            yield request
            request = next(loop)
