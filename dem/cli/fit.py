"""`dem fit`: from data to a model on disk."""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import Any

import click

from dem.cli.options import (
    cluster,
    cluster_options,
    debug_option,
    labels_option,
    quiet_option,
    response_option,
    sequence_options,
    weights_option,
)
from dem.cli.outcome import ENDING, Interrupted
from dem.cli.recipe import (
    CHAINS,
    LATENT,
    REGRESSIONS,
    estimator_of,
    recipe_options,
    response_of,
    sequences_of,
)
from dem.cli.say import note, observer, summary


@click.command()
@click.argument("data")
@recipe_options
@click.option("--out", metavar="MODEL", help="Where to keep the model: a directory or URL.")
@click.option("--overwrite", is_flag=True, help="Replace the model that is there.")
@click.option("--checkpoint", metavar="PLACE", help="Keep the fit here once a minute.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint, if there is one.")
@weights_option
@labels_option
@response_option
@sequence_options
@cluster_options
@quiet_option
@debug_option
@click.pass_context
def fit(
    ctx: click.Context,
    /,
    data: str,
    model: str,
    out: str | None,
    overwrite: bool,
    weights: str | None,
    labels: str | None,
    response: str | None,
    lengths: str | None,
    groups: str | None,
    scheduler: str | None,
    workers: int | None,
    threads: int | None,
    quiet: bool,
    resume: bool,
    **options: Any,
) -> None:
    """Fit a model to DATA.

    Ctrl-C, or SIGTERM, ends the fit and keeps the model of the last turn. With --checkpoint and
    --resume the same command begins a fit and, however often it was cut off, takes it up again,
    and replaces the model that it has left so far. Options that describe another fit than that of
    the checkpoint are then refused, but --max-iter may be changed.
    """
    checkpoint = options["checkpoint"]
    if resume and checkpoint is None:
        raise click.UsageError("--resume needs --checkpoint PLACE to go on from.")
    estimator = estimator_of(model, options)
    known = response_of(model, response) | sequences_of(model, lengths, groups)
    if labels is not None:
        if model in ("k-means", REGRESSIONS, *LATENT, *CHAINS):
            raise click.UsageError(f"{model} takes no --labels.")
        known["labels"] = labels
    from dem import checkpoint as checkpoints
    from dem.cli.models import opened
    from dem.cli.resume import refuse_another
    from dem.cli.target import check_apart, check_model
    from dem.cli.watch import Watch
    from dem.engine.patience import patiently
    from dem.engine.signals import deferred
    from dem.store import save
    from dem.store.place import Place

    # Whatever can be refused is refused before an hour of fitting.
    read = [path for path in (data, weights, labels, lengths) if path is not None]
    saved = None
    if checkpoint is not None:
        check_apart(Place.of(checkpoint), read)
        if resume and checkpoints.exists(checkpoint):
            with warnings.catch_warnings(action="ignore"):  # it is loaded once more, and warns then
                saved = checkpoints.load(checkpoint)
            refuse_another(saved, model, estimator, _typed(ctx) & options.keys())
    if out is None:
        note("the model will not be kept; --out MODEL says where to.", "Note")
    else:
        around = [*read, checkpoint] if checkpoint else read
        check_model(out, overwrite or saved is not None, keep=around)
    rows, columns = (m := opened(estimator, data, weights)).n_rows, m.n_columns
    watch = Watch(observer(quiet), ctx.meta.get(ENDING))
    estimator.set_params(verbose=watch)
    done = "no turn was complete, so nothing was written."
    try:
        with cluster(scheduler, workers, threads, quiet):
            began = time.perf_counter()
            if saved is not None:
                known |= {name: getattr(estimator, name) for name in estimator.face}
                estimator = type(estimator).resume(
                    checkpoint, data, weights, max_iter=options["max_iter"], verbose=watch, **known
                )
            else:
                if resume:
                    checkpoints.abandon(checkpoint)
                estimator.fit(data, sample_weight=weights, **known)
            seconds = time.perf_counter() - began
            turn = f"the model of turn {estimator.n_iter_}"
            done = f"{turn} was not kept."
            if out is not None:
                with deferred():
                    patiently(partial(save, estimator, out), f"{turn} could not be written")
                    done = f"{turn} was written to {out}."
    except KeyboardInterrupt as error:
        raise Interrupted(done) from error
    facts = {
        "rows": (rows, ","),
        "columns": (columns, ","),
        "turns": (estimator.n_iter_, ""),
        "converged": (bool(getattr(estimator, "converged_", watch.converged)), ""),
        **_objective(estimator, rows),
        "passes": (estimator.n_passes_, ".3g"),
        "seconds": (seconds, ".3g"),
        "model": (out or "not kept", ""),
    }
    summary("fitted", facts)
    if watch.interrupted:
        raise Interrupted(done)


def _typed(ctx: click.Context) -> set[str]:
    """The options that were given."""
    default = click.core.ParameterSource.DEFAULT
    return {name for name in ctx.params if ctx.get_parameter_source(name) is not default}


def _objective(estimator: Any, rows: int) -> dict[str, tuple[float, str]]:
    """What the fit has made as good as it could."""
    if hasattr(estimator, "inertia_"):
        return {"inertia per row": (float(estimator.inertia_) / rows, ".8g")}
    return {"bound per row": (float(estimator.lower_bound_), ".8g")}
