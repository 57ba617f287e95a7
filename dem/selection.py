"""Which of many models: all of them fitted on shared reads of the data, and one table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from dem import checkpoint as checkpoints
from dem.accelerate import Plain, QuasiNewton, can_leap
from dem.checkpoint import SECONDS
from dem.checks import check_all, check_number
from dem.climb import Climb
from dem.contract import Model
from dem.criteria import usual
from dem.engine.manifest import Manifest, open_data
from dem.errors import DegenerateComponentWarning
from dem.fitting import carry_out
from dem.race import Race
from dem.relay import reaches
from dem.report.progress import Observer, Silent
from dem.starts import FromModel, Start
from dem.stopping import Aitken
from dem.store.place import URI
from dem.stretches import FromRuns
from dem.table import Candidate, Selected
from dem.warm import WarmStart

__all__ = ["Candidate", "Selected", "select"]


def select(
    models: Mapping[str, Model] | Sequence[Model],
    data: Any,
    *,
    criterion: str | None = None,
    held_out: float = 0.0,
    restarts: int = 5,
    weights: Any = None,
    start: Start | None = None,
    max_iter: int = 200,
    tol: float = 1e-5,
    seed: int = 0,
    rungs: Sequence[int] = (5, 10, 20),
    max_passes: float | None = None,
    max_time: float | None = None,
    threads: int | None = None,
    observer: Observer = Silent(),
    checkpoint: URI | None = None,
    checkpoint_seconds: float = SECONDS,
) -> Selected:
    """Fit many models to the same data and find the best, at the price of reading for one.

    Each model has `restarts` starts on a sample of the rows, of which the best goes on (see
    `dem.warm`). Then every read of the data is a turn for all models. After the reads in `rungs`
    the worse half of those that are left is given up, but for two; and at any time one that
    cannot come up with the best any more. A last read makes the table.

    models : by name, or a sequence, whose names are their own words. Such as
        ``{f"K={k}": dem.Mixture(k, dem.Gaussian()) for k in range(1, 21)}``. One that is listed
        again, by another name, begins with other random numbers: the table then tells how much
        hangs on the start.
    criterion : "bic", "aic", "icl", "held_out" or "bound": the best of those that were not given
        up wins. "bound" is for models with a posterior of their parameters, such as topics, for
        which it is the default, as "bic" is for others.
    held_out : a share of the rows, chosen by a hash of their number and the seed, that no model
        is fitted to, for their mean log-likelihood; of chains whole ones, a share of all.
    start : in the place of the warm start, if given. Chains begin at `FromRuns`, and models that
        are no mixtures at what they make of the sample themselves, in one way: list them again for
        more.
    tol : in nats per row; what is left to gain, going by the last turns, where a model stops.
    The rest is as for `dem.fit`. From a checkpoint `dem.resume` goes on, to the same bits.

    Raises ValueError for no models, or a criterion that is none or makes no sense for one of them,
    TypeError for models of chains beside others, and what `dem.fit` raises.
    """
    check_number("restarts", restarts, int, 1)
    check_all("rungs", tuple(rungs) if isinstance(rungs, Sequence) else rungs, int)
    if not isinstance(models, (Mapping, Sequence)):
        raise TypeError(f"models must be a mapping or a sequence of models, got {models!r:.60}.")
    if not isinstance(models, Mapping):
        models = {repr(model): model for model in models}
    listed = tuple(models.values())
    sparse = any(getattr(model, "sparse", False) for model in listed)
    known = isinstance(data, Manifest)
    manifest = data if known else open_data(data, weights=weights, sparse=sparse)
    climbs = tuple(
        Climb(
            model,
            start or _start(model, restarts),
            accelerate=QuasiNewton() if can_leap(model) else Plain(),
            stop=Aitken(),
            max_iter=max_iter,
            tol=tol,
            seed=seed + listed[:i].count(model),
            max_passes=max_passes,
            max_time=max_time,
        )
        for i, model in enumerate(listed)
    )
    race = Race(climbs, tuple(models), criterion or usual(listed), held_out, tuple(rungs), seed)
    keeper = checkpoints.keeper(checkpoint, race, manifest, checkpoint_seconds)
    found: Selected = carry_out(race, manifest, observer, keeper=keeper, threads=threads)
    for fault in found.fit.degenerate:
        warnings.warn(f"The best of them: {fault}", DegenerateComponentWarning, stacklevel=2)
    return found


def _start(model: Model, restarts: int) -> Start:
    """The best of so many starts, where a model has such."""
    if reaches(model):
        return FromRuns(candidates=restarts)
    if hasattr(model, "family"):
        return WarmStart(candidates=restarts)
    return WarmStart(FromModel(), candidates=restarts)
