"""A fit from data to parameters: the data's manifest, an engine, and the climb that it drives.

Estimators and the command line call `fit`; so may you, with any `Model`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dem import checkpoint as checkpoints
from dem.checkpoint import Keeper
from dem.climb import Climb, Fit, Record
from dem.contract import Model, Posterior, Schedule
from dem.engine.drive import drive
from dem.engine.hosts import choose
from dem.engine.manifest import Manifest, open_data
from dem.passes import Pass
from dem.posteriors import Exact
from dem.report.progress import Observer, Silent
from dem.schedules import FullBatch
from dem.starts import FromModel, Start
from dem.store.place import URI

__all__ = ["Fit", "Record", "fit", "resume", "total"]


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
    checkpoint: URI | None = None,
    checkpoint_seconds: float = 60.0,
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
    checkpoint : path or URL where the fit is kept at most every `checkpoint_seconds` seconds and
        when it ends, for `resume` to go on from. Nothing may be there yet.

    Raises `DataError` (a ValueError) for data that cannot be used, naming the place; MemoryError,
    before the start, for a plan that cannot fit. Ctrl-C ends the fit and keeps what it has, once
    there has been a turn.
    """
    manifest = data if isinstance(data, Manifest) else open_data(data, weights=weights)
    climb = Climb(model, start, schedule, posterior, max_iter, tol, n_init, seed)
    keeper = None
    if checkpoint is not None:
        checkpoints.refuse_to_overwrite(checkpoint)
        keeper = Keeper(checkpoint, climb, manifest, checkpoint_seconds)
    with choose(manifest, observer.on_blocks, threads) as engine:
        requests = climb.run(manifest.boundaries, manifest.n_columns)
        return drive(requests, engine, observer, keeper)


def resume(
    checkpoint: URI,
    data: Any = None,
    *,
    weights: Any = None,
    max_iter: int | None = None,
    threads: int | None = None,
    observer: Observer = Silent(),
    checkpoint_seconds: float = 60.0,
) -> Fit:
    """Go on with a fit from its last checkpoint, to the same bits as if it had not been cut off.

    checkpoint : where `fit` kept it; it is kept there further.
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
    manifest = place if isinstance(place, Manifest) else open_data(place, weights=weights)
    saved.check(manifest)
    climb = saved.climb if max_iter is None else replace(saved.climb, max_iter=max_iter)
    keeper = Keeper(checkpoint, climb, manifest, checkpoint_seconds)
    with choose(manifest, observer.on_blocks, threads) as engine:
        requests = climb.run(manifest.boundaries, manifest.n_columns, saved.state)
        return drive(requests, engine, observer, keeper)
