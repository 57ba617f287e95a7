"""A fit from data to parameters: open, sample, start, climb until it is enough.

Here the pieces meet: the data's manifest, an engine, a start, the loop of `dem.em`, and a rule
for when to stop. Estimators and the command line call `fit`; so may you, with any `Model`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dem.contract import Model, Params, Posterior, Sample, Schedule
from dem.em import EStep, Step, em
from dem.engine.hosts import Engine, check_memory, choose
from dem.engine.manifest import Manifest, open_data
from dem.errors import DataError
from dem.passes import Draw, Expectation, Pass
from dem.posteriors import Exact
from dem.report.progress import Observer, Silent
from dem.schedules import FullBatch
from dem.starts import FromModel, Start
from dem.stats import leaves

SAMPLE_ROWS = 2**16
SAMPLE_BYTES = 32 * 2**20
SAMPLE_BLOCKS = 64


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
    interrupted : whether Ctrl-C ended it.
    n_passes : full reads of the data, start and sample included (a partial read counts in part).
    degenerate : what is wrong with components that collapsed or starved, in words.
    """

    model: Model
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


@dataclass
class Run:
    """An engine at work on one model, which counts what it reads."""

    engine: Engine
    model: Model
    posterior: Posterior
    passes: float = field(default=0.0)

    @property
    def manifest(self) -> Manifest:
        return self.engine.manifest

    def total(self, work: Pass, blocks: Sequence[int] | None = None) -> Any:
        """One pass over all the blocks, or over these."""
        every = range(self.manifest.n_blocks)
        return self._sweep(work, [every if blocks is None else blocks])[0]

    def _sweep(self, work: Pass, groups: Sequence[Sequence[int]]) -> tuple[Any, ...]:
        rows = np.diff(self.manifest.boundaries)
        self.passes += sum(int(rows[list(g)].sum()) for g in groups) / self.manifest.n_rows
        return self.engine.sweep(work, groups)

    def sample(self, seed: int, least: int) -> Sample:
        """At least `least` random rows where there are so many: all of them if they are few.

        They come from up to 64 blocks spread evenly over the data, a share from each.
        """
        manifest = self.manifest
        n, every = manifest.n_rows, np.arange(manifest.n_blocks)
        wanted = max(min(SAMPLE_ROWS, SAMPLE_BYTES // (8 * manifest.n_columns)), least)
        if n > wanted and len(every) > SAMPLE_BLOCKS:
            phase = np.random.default_rng([seed, 0]).random()
            strata = (np.arange(SAMPLE_BLOCKS) + phase) * len(every) / SAMPLE_BLOCKS
            every = np.unique(strata.astype(int))
        held = int(np.diff(manifest.boundaries)[every].sum())
        drawn = self.total(Draw(min(wanted / max(held, 1), 1.0), seed), every.tolist())
        if not len(drawn.rows):
            raise DataError("All sample weights are zero: no row of the data counts.")
        complete = held == n and wanted >= held
        return Sample.of(drawn.rows, drawn.weights, complete)

    def first(self, start: Start, sample: Sample, seed: int) -> Params:
        """The parameters that a start comes to; it is run like the loop."""
        steps = start(self.model, sample, seed)
        try:
            request = next(steps)
            while True:
                request = steps.send(self.total(request))
        except StopIteration as end:
            return end.value

    def climb(self, params: Params, schedule: Schedule) -> Iterator[Step]:
        """Drive the loop: compute what it asks for, hand on what it tells."""
        groups = [range(self.manifest.n_blocks)]
        loop: Generator[EStep | Step, Any, None] = em(self.model, params, schedule, len(groups))
        request = next(loop)
        while True:
            if isinstance(request, EStep):
                work = Expectation(self.model, request.params, self.posterior)
                request = loop.send(self._sweep(work, [groups[g] for g in request.groups]))
            else:
                yield request
                request = next(loop)


def total(work: Pass, data: Any) -> Any:
    """The total of one pass over data or a `Manifest`, on the active client's cluster or here."""
    manifest = data if isinstance(data, Manifest) else open_data(data)
    with choose(manifest) as engine:
        return engine.sweep(work, [range(manifest.n_blocks)])[0]


def fit(
    model: Model,
    data: Any,
    *,
    weights: Any = None,
    start: Start = FromModel(),
    schedule: Schedule = FullBatch(),
    posterior: Posterior = Exact(),
    max_iter: int = 100,
    tol: float = 1e-3,
    n_init: int = 1,
    seed: int = 0,
    threads: int | None = None,
    observer: Observer = Silent(),
) -> Fit:
    """Fit a model by EM: to data in memory, on disk or on a cluster.

    model : any `dem.contract.Model`.
    data, weights : see `dem.open_data`; a `Manifest` is taken as it is.
    start : where the climb begins, see `dem.starts`.
    schedule, posterior : see `dem.schedules`, `dem.posteriors`.
    max_iter : turns at most. 0 returns the start.
    tol : stop when the bound per row changes by less than this in a turn.
    n_init : starts, of which the fit with the highest bound is kept.
    seed : all that is random comes from it; the same data, seed and blocks give the same bits.
    threads : of the embedded engine. With an active `distributed.Client` its cluster does the
        work instead.
    observer : told of progress, see `dem.report.progress`.

    Raises `DataError` (a ValueError) for data that cannot be used, naming the place; MemoryError,
    before the start, for a plan that cannot fit. Ctrl-C ends the fit and keeps what it has, once
    there has been a turn.
    """
    manifest = data if isinstance(data, Manifest) else open_data(data, weights=weights)
    with choose(manifest, observer.on_blocks, threads) as engine:
        run = Run(engine, model, posterior)
        sample = run.sample(seed, least=20 * getattr(model, "k", 1))
        best: Fit | None = None
        for attempt in range(max(n_init, 1)):
            params = run.first(start, sample, seed + attempt)
            empty = np.empty((0, manifest.n_columns))
            blank = model.e_step(model.prepare(params), empty, None, posterior)
            check_memory(engine, sum(leaf.nbytes for leaf in leaves(blank)))
            observer.on_start(f"EM {attempt + 1}/{n_init}" if n_init > 1 else "EM", max_iter)
            fitted = _climb(run, params, schedule, max_iter, tol, observer)
            if best is None or fitted.lower_bound > best.lower_bound:
                best = fitted
            if fitted.interrupted:
                break
    assert best is not None  # n_init is at least 1
    diagnose = getattr(model, "diagnose", lambda params: ())
    return replace(best, n_passes=run.passes, degenerate=diagnose(best.params))


def _climb(
    run: Run, params: Params, schedule: Schedule, max_iter: int, tol: float, observer: Observer
) -> Fit:
    """Turns until the bound per row changes by less than tol, or there have been max_iter."""
    history: list[Record] = []
    converged = interrupted = False
    began, last = time.perf_counter(), -math.inf
    steps = run.climb(params, schedule)
    try:
        while len(history) < max_iter and not converged:
            step = next(steps)
            params, now = step.params, time.perf_counter()
            history.append(Record(step.turn, step.bound_e, step.bound, now - began))
            began = now
            observer.on_step(history[-1])
            converged = abs(step.bound_e - last) < tol
            last = step.bound_e
    except KeyboardInterrupt:
        if not history:
            raise
        interrupted = True
    observer.on_end("converged" if converged else "interrupted" if interrupted else "stopped")
    return Fit(run.model, params, tuple(history), converged, interrupted, run.passes)
