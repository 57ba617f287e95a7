"""A fit from data to parameters: the data's manifest, an engine, and the climb that it drives.

Estimators and the command line call `fit`; so may you, with any `Model`.
"""

from __future__ import annotations

import warnings
from typing import Any

from dem import checkpoint as checkpoints
from dem import jobs
from dem.accelerate import Plain
from dem.checkpoint import SECONDS, Keeper, Saved
from dem.climb import Climb
from dem.contract import Accelerator, Model, Posterior, Schedule
from dem.engine.drive import drive
from dem.engine.hosts import active_client, choose
from dem.engine.manifest import Manifest, open_data
from dem.engine.run import Unhosted
from dem.passes import Pass
from dem.posteriors import Exact
from dem.records import Ascent, Fit, Record, State
from dem.report.progress import Observer, Silent
from dem.schedules import FullBatch
from dem.starts import FromModel, Start
from dem.stopping import Change, Stop
from dem.store.place import URI

__all__ = ["Fit", "Record", "carry_out", "fit", "go_on", "resume", "total"]


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
    accelerate: Accelerator = Plain(),
    stop: Stop = Change(),
    max_iter: int = 100,
    tol: float = 1e-3,
    n_init: int = 1,
    seed: int = 0,
    max_passes: float | None = None,
    max_time: float | None = None,
    threads: int | None = None,
    observer: Observer = Silent(),
    checkpoint: URI | None = None,
    checkpoint_seconds: float = SECONDS,
) -> Fit:
    """Fit a model by EM: to data in memory, on disk or on a cluster.

    model : any `dem.contract.Model`.
    data, weights : see `dem.open_data`; a `Manifest` is taken as it is. Infinity is refused, in
        rows of weight 0 too, and so is NaN, unless it is a missing value to the model.
    start : where the climb begins, see `dem.starts`.
    schedule, posterior, accelerate, stop : see `dem.schedules`, `dem.posteriors`,
        `dem.accelerate`, `dem.stopping`.
    max_iter : sweeps over all groups of blocks at most; with full batches that is turns. 0 returns
        the start.
    tol : what `stop` is to take for standing still, in nats per row.
    max_passes, max_time : full reads of the data and seconds, start included, after which no
        other turn begins: the fit returns what it has. With a limit to the seconds the result
        depends on how fast the machine is.
    n_init : starts, of which the fit with the highest bound is kept.
    seed : all that is random comes from it; the same data, seed and blocks give the same bits.
    threads : of the embedded engine. With an active `distributed.Client` the workers of its
        cluster do the work instead, and the fit lives on the scheduler: if this process dies,
        `dem.attach` finds it there. A scheduler that cannot host it (which lacks dem, or allows no
        plugins) leaves the loop to this process, with a warning.
    observer : told of progress, see `dem.report.progress`.
    checkpoint : path or URL where the fit is kept at most every `checkpoint_seconds` seconds and
        when it ends, for `resume` to go on from. Nothing may be there yet. The place belongs to
        this fit from now on: once another has resumed from it, this one ends with a RuntimeError
        rather than write over it.

    Raises `DataError` (a ValueError) for data that cannot be used, naming the place; MemoryError,
    before the start, for a plan that cannot fit. Ctrl-C ends the fit and keeps what it has, once
    there has been a turn.
    """
    sparse = getattr(model, "sparse", False)
    known = isinstance(data, Manifest)
    manifest = data if known else open_data(data, weights=weights, sparse=sparse)
    climb = Climb(
        model, start, schedule, posterior, accelerate, stop,
        max_iter, tol, n_init, seed, max_passes, max_time,
    )  # fmt: skip
    keeper = checkpoints.keeper(checkpoint, climb, manifest, checkpoint_seconds)
    return carry_out(climb, manifest, observer, keeper=keeper, threads=threads)


def resume(
    checkpoint: URI,
    data: Any = None,
    *,
    weights: Any = None,
    max_iter: int | None = None,
    threads: int | None = None,
    observer: Observer = Silent(),
    checkpoint_seconds: float = SECONDS,
) -> Fit:
    """Go on with a fit from its last checkpoint, to the same bits as if it had not been cut off.

    checkpoint : where `fit` kept it; it is kept there further, and no more by whoever did.
    data, weights : those of the fit. Data that were given as a path are found again by it.
    max_iter : turns at most, all counted; as before by default.

    Raises FileNotFoundError if there is no checkpoint, `DataError` if none can be read or if the
    data are others, naming the difference. A damaged checkpoint is passed over for the one before
    it, with a warning. Data on disk count as the same if place, shape, dtype and blocks are.
    """
    saved = checkpoints.load(checkpoint)
    if data is None and saved.place is None:
        raise ValueError("The data of this fit were not given by a path: pass them as `data`.")
    place = data if data is not None else saved.place
    model = saved.climb.model
    every = model if isinstance(model, tuple) else (model,)
    sparse = any(getattr(one, "sparse", False) for one in every)
    manifest = (
        place if isinstance(place, Manifest) else open_data(place, weights=weights, sparse=sparse)
    )
    if max_iter is not None:
        saved = saved.longer(max_iter)
    return go_on(saved, manifest, observer, threads, checkpoint_seconds)


def go_on(
    saved: Saved,
    manifest: Manifest,
    observer: Observer = Silent(),
    threads: int | None = None,
    checkpoint_seconds: float = SECONDS,
) -> Fit:
    """What the fit of a checkpoint comes to, which is kept there further; the rest of `resume`.

    If that very fit is still at work on the scheduler of the active client, it is joined.
    """
    saved.check(manifest)
    client = active_client()
    if client is not None and (joined := jobs.join(client, saved, observer)) is not None:
        return joined
    keeper = Keeper(saved.uri, saved.climb, manifest, checkpoint_seconds, take_over=True)
    return carry_out(saved.climb, manifest, observer, saved.state, keeper, threads)


def carry_out(
    climb: Ascent,
    manifest: Manifest,
    observer: Observer = Silent(),
    state: State | None = None,
    keeper: Keeper | None = None,
    threads: int | None = None,
) -> Any:
    """What a climb comes to, from a state or the start; the rest of `fit`.

    It is driven by the scheduler of the active client; if that cannot, or there is none, by this
    process.
    """
    client = active_client()
    if client is not None:
        try:
            return jobs.carry_out(client, climb, manifest, observer, state, keeper)
        except Unhosted as reason:
            warnings.warn(f"{reason} It is driven from this process instead.", stacklevel=3)
    with choose(manifest, observer.on_blocks, threads) as engine:
        requests = climb.run(manifest.boundaries, manifest.n_columns, state)
        return drive(requests, engine, observer, keeper)
