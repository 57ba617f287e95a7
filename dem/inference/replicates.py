"""Fits to replicates of the data, many of them on shared reads.

A replicate is what a pass sees in place of a block: the same rows with other weights, or other
rows. It is made as the block is read and held nowhere, so that one read serves all replicates.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy import stats

from dem.accelerate import Plain, QuasiNewton
from dem.climb import Climb
from dem.contract import Array, Params
from dem.engine.drive import Observer, drive
from dem.engine.hosts import choose
from dem.engine.manifest import Manifest
from dem.errors import DataError
from dem.passes import Block, Pass
from dem.reading import SAMPLE_BYTES, SAMPLE_ROWS, Reads, Sweep
from dem.records import Begin, Fit, Record, Requests, State, Turn
from dem.relay import reaches
from dem.shared import Together
from dem.starts import Errands, Start
from dem.stats import leaves
from dem.stopping import Aitken
from dem.units import ROWS, Units, hashed

ONCE = stats.poisson.cdf(np.arange(21), 1.0)  # 1 in float64 thereafter
PURPOSE = 11  # of random numbers, among others from the same seed
ROOM = 2**27  # bytes of statistics, or of samples, of all trials at a time
MOST = 100  # trials


class Replicate(Protocol):
    """How replicates of data come to be.

    parametric : whether from the fit itself, and not from the rows.
    """

    @property
    def parametric(self) -> bool: ...

    def of(self, block: Block, fit: Fit, number: int) -> Block:
        """The block in replicate `number`, from 0."""
        ...


def _seed(seed: int, number: int) -> int:
    """Far from those of other numbers, in 63 bits."""
    state = np.random.SeedSequence([seed, PURPOSE, number]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


@dataclass(frozen=True)
class Resampled:
    """Each row counts Poisson(w) times: the bootstrap for streams (Hanley and MacGibbon 2006).

    For many rows as good as drawing n of n with replacement (Efron 1979), but rows are drawn on
    their own, by a hash of their numbers: no copies, one read, and the same for any blocks. A row
    of weight w, as a pattern of w rows has it, is drawn Poisson(w) times.

    units : what is drawn as a whole, rows or chains.
    """

    seed: int = 0
    units: Units = ROWS
    parametric = False

    def of(self, block: Block, fit: Fit, number: int) -> Block:
        bits = hashed(self.units.of(block), _seed(self.seed, number)) >> np.uint64(11)
        u = (bits.astype(float) + 0.5) * 2.0**-53
        masses = block.masses
        if block.weights is None or (masses == 1).all():
            counts = np.searchsorted(ONCE, u).astype(float)
        else:
            counts = stats.poisson.ppf(u, masses)
        return replace(block, weights=counts)


@dataclass(frozen=True)
class Simulated:
    """As many rows as there are, drawn from the fit: the parametric bootstrap.

    Chains begin where those of the data do. What is missing in a row is missing again. Random
    numbers come from the blocks, so that other blocks give other rows. Rows with weights cannot be
    simulated.
    """

    seed: int = 0
    parametric = True

    def of(self, block: Block, fit: Fit, number: int) -> Block:
        if block.weights is not None and (block.weights != 1).any():
            raise DataError(
                "Rows with weights cannot be simulated: resample them, with Resampled()."
            )
        rng = np.random.default_rng([_seed(self.seed, number), block.index])
        if reaches(fit.model):
            rows = _chains(fit, block, rng)
        else:
            rows = rng.permutation(fit.model.sample(fit.params, len(block.rows), rng)[0])
        if getattr(fit.model, "missing", False) and block.rows.dtype.kind == "f":
            rows = np.where(np.isnan(block.rows), np.nan, rows)
        return replace(block, rows=rows, weights=None)


def _chains(fit: Fit, block: Block, rng: np.random.Generator) -> Array:
    if block.start and len(block.rows) and block.rows[0, -1] != 1:
        raise DataError(
            f"A sequence goes on from the block before row {block.start}, and can only be "
            "simulated within a block: take larger blocks, of whole sequences, or resample "
            "sequences, with Resampled()."
        )
    found: Array = fit.model.resembling(fit.params, block.rows, rng)
    return found


@dataclass(frozen=True, eq=False)
class Replicated:
    """A pass over a replicate of the data."""

    work: Pass
    replicate: Replicate
    fit: Fit
    number: int

    @property
    def missing(self) -> bool:
        return getattr(self.work, "missing", False)

    def prepare(self) -> Any:
        return self.work.prepare()

    def __call__(self, prepared: Any, block: Block) -> Any:
        return self.work(prepared, self.replicate.of(block, self.fit, self.number))


@dataclass(frozen=True, eq=False)
class Trial:
    """A climb on a replicate of the data, or on the data themselves if `number` is None.

    params : where its turns begin; None to begin with the climb's own start.
    """

    climb: Climb
    number: int | None
    params: Params | None = None

    def run(self, boundaries: Array, n_columns: int) -> Requests:
        state = None if self.params is None else _at(self.params)
        return self.climb.run(boundaries, n_columns, state)


def _at(params: Params) -> State:
    """A climb that is about to begin its turns here."""
    return State(0, params, None, (), None, ())


@dataclass(frozen=True, eq=False)
class Refits:
    """What trials came to, in their order, and how many reads of the data that took."""

    fits: tuple[Fit, ...]
    n_passes: float
    interrupted: bool = False
    converged: bool = True


class _Runner:
    """A climb among others: what it asks for, and what it came to."""

    def __init__(self, trial: Trial, requests: Requests) -> None:
        self.trial, self._requests = trial, requests
        self.size, self.bound = 0, -np.inf
        self.fit: Fit | None = None
        self.request: Any = None  # a Sweep or Errands
        self.advance(None)

    def advance(self, answer: Any) -> None:
        """Go on with what it has asked for, until it asks for more or ends."""
        try:
            while True:
                request = self._requests.send(answer)
                answer = None
                if isinstance(request, Begin):
                    self.size = request.stats_bytes
                elif isinstance(request, Turn):
                    self.bound = request.record.bound_e
                else:
                    self.request = request
                    return
        except StopIteration as end:
            self.fit, self.request = end.value, None


@dataclass(frozen=True, eq=False)
class Replicates:
    """Trials side by side: each read of the data is a turn for all of them.

    origin : the fit that rows are simulated from.
    """

    trials: tuple[Trial, ...]
    replicate: Replicate
    origin: Fit

    def run(self, boundaries: Array, n_columns: int) -> Generator[Any, Any, Refits]:
        """The requests over data whose blocks have these row offsets."""
        reads = Reads(boundaries, n_columns, 1)
        reads.enter("replicates")
        runners = [_Runner(trial, trial.run(boundaries, n_columns)) for trial in self.trials]
        turn, began, begun = 0, time.perf_counter(), False
        while active := [runner for runner in runners if runner.request]:
            if errands := [r for r in active if isinstance(r.request, Errands)]:
                yield from _carried_out(errands)
                continue
            if not begun and all(runner.size or runner.fit for runner in runners):
                most = max(trial.climb.max_iter for trial in self.trials)
                size, begun = sum(runner.size for runner in runners), True
                yield Begin(_at(self.origin.params), 1, most, size)
            yield from self._read(active, reads)
            if begun:
                turn, now = turn + 1, time.perf_counter()
                bound = float(np.mean([runner.bound for runner in runners]))
                yield Turn(Record(turn, bound, bound, now - began), None)
                began = now
        return Refits(tuple(r.fit for r in runners if r.fit is not None), reads.passes)

    def _read(self, active: Sequence[_Runner], reads: Reads) -> Generator[Sweep, Any, None]:
        """One read for all who want the same blocks as the first."""
        groups = active[0].request.groups
        here = [runner for runner in active if runner.request.groups == groups]
        works = tuple(self._work(runner) for runner in here)
        totals = yield reads.counted(Sweep(Together(works), groups))
        for place, runner in enumerate(here):
            runner.advance(tuple(total.parts[place] for total in totals))

    def _work(self, runner: _Runner) -> Pass:
        work: Pass = runner.request.work
        number = runner.trial.number
        return work if number is None else Replicated(work, self.replicate, self.origin, number)


def _carried_out(runners: Sequence[_Runner]) -> Generator[Errands, Any, None]:
    """The errands of all of them, side by side."""
    wanted = [runner.request.tasks for runner in runners]
    tasks = tuple(task for some in wanted for task in some)
    results = iter((yield Errands(tasks, runners[0].request.description)))
    for runner, some in zip(runners, wanted, strict=True):
        runner.advance(tuple(next(results) for _ in some))


def refit(
    trials: Sequence[Trial],
    replicate: Replicate,
    origin: Fit,
    manifest: Manifest,
    observer: Observer,
    threads: int | None,
) -> Refits:
    """What the trials come to, as many at a time as there is room for."""
    held = 2 * sum(leaf.nbytes for leaf in leaves(origin.params))
    if any(trial.params is None for trial in trials):  # these hold samples of their own
        row = 8 * manifest.n_columns
        held += 2 * min(SAMPLE_ROWS * row, SAMPLE_BYTES, manifest.n_rows * row)
    size = int(np.clip(ROOM // held, 1, MOST))
    fits: list[Fit] = []
    passes = 0.0
    with choose(manifest, observer.on_blocks, threads) as engine:
        for first in range(0, len(trials), size):
            some = Replicates(tuple(trials[first : first + size]), replicate, origin)
            requests: Any = some.run(manifest.boundaries, manifest.n_columns)
            found: Any = drive(requests, engine, observer)
            fits += found.fits
            passes += found.n_passes
    return Refits(tuple(fits), passes)


def thorough(model: Any, start: Start, **how: Any) -> Climb:
    """A climb that ends where less than `tol` nats a row are left to gain."""
    accelerate = QuasiNewton() if hasattr(model, "flatten") else Plain()
    return Climb(model, start, accelerate=accelerate, stop=Aitken(), **how)
