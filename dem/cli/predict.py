"""`dem predict`: labels or probabilities of rows, to disk."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from dem.cli.options import (
    cluster,
    cluster_options,
    debug_option,
    quiet_option,
    sequence_options,
)
from dem.cli.recipe import sequences_of

if TYPE_CHECKING:
    from dem.cli.target import Target


@click.command()
@click.argument("model")
@click.argument("data")
@click.option(
    "--out",
    required=True,
    metavar="LABELS",
    help="Where to write: a .npy file, or else a Zarr array.",
)
@click.option("--proba", is_flag=True, help="Write p(component | row) rather than labels.")
@click.option("--overwrite", is_flag=True, help="Replace the labels that are there.")
@sequence_options
@cluster_options
@quiet_option
@debug_option
def predict(
    model: str,
    data: str,
    out: str,
    proba: bool,
    overwrite: bool,
    lengths: str | None,
    groups: str | None,
    scheduler: str | None,
    workers: int | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Write the most probable component of each row of DATA under MODEL.

    Of factor analyses and principal components, the coordinates of each row; of hidden Markov
    models, the states of the most probable path.

    LABELS appears whole at the end, or not at all.
    """
    from dem.cli.models import load
    from dem.cli.target import Target

    target = Target.of(out)
    target.check(overwrite, keep=(model, data))
    estimator = load(model)
    if proba and not hasattr(estimator, "predict_proba"):
        raise click.UsageError(f"{type(estimator).__name__} has no probabilities: leave --proba.")
    known = sequences_of(type(estimator).__name__, lengths, groups)
    with cluster(scheduler, workers, threads, quiet):
        lazy = getattr(estimator, _method(estimator, proba))(data, **known)
        _write(target, lazy, quiet)
    click.echo(f"{lazy.shape[0]:,} rows written to {out}")


def _method(estimator: Any, proba: bool) -> str:
    if proba:
        return "predict_proba"
    return "predict" if hasattr(estimator, "predict") else "transform"


def _write(target: Target, lazy: Any, quiet: bool) -> None:
    from dem.engine.output import computed

    layout = (lazy.shape, lazy.dtype, max(lazy.chunks[0]))
    if quiet or not sys.stderr.isatty():
        target.write(computed(lazy), *layout)
        return
    bar: Any
    with click.progressbar(length=lazy.shape[0], label="predict", file=sys.stderr) as bar:
        target.write(computed(lazy, bar.update), *layout)
