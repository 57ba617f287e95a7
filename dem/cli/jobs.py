"""`dem submit`, `dem attach`, `dem runs`, `dem cancel`: fits that live on a scheduler."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import click

from dem.cli.options import (
    debug_option,
    json_option,
    quiet_option,
    response_option,
    sequence_options,
    warn_of_no_workers,
    weights_option,
)
from dem.cli.outcome import Interrupted
from dem.cli.recipe import estimator_of, recipe_options, response_of, sequences_of
from dem.cli.say import observer, summary
from dem.cli.tables import table

scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", required=True, help="Where the Dask scheduler listens."
)


@click.command()
@click.argument("data")
@recipe_options
@click.option("--checkpoint", metavar="PLACE", help="Keep the fit here once a minute.")
@click.option("--run", metavar="NAME", help="What to call the run.  [run-1a2b3c4d]")
@weights_option
@response_option
@sequence_options
@scheduler_option
@debug_option
def submit(
    data: str,
    model: str,
    weights: str | None,
    response: str | None,
    lengths: str | None,
    groups: str | None,
    run: str | None,
    scheduler: str,
    **options: Any,
) -> None:
    """Begin to fit a model to DATA on a scheduler, and leave.

    The name of the run is printed. The scheduler and its workers must see the same paths. Options
    are those of `dem fit`; `dem attach` waits for the model and keeps it.
    """
    estimator, known = estimator_of(model, options), response_of(model, response)
    known |= sequences_of(model, lengths, groups)
    if model in ("k-means", "pca"):
        raise click.UsageError(f"{model} needs the data in the end: use `dem fit --scheduler`.")
    from dem.engine.session import session

    with session(scheduler) as here:
        warn_of_no_workers(here.workers)
        job = estimator.submit(data, weights, run=run, **known)
    click.echo(job.run)


@click.command()
@click.argument("run")
@click.option("--out", metavar="MODEL", help="Where to keep the model: a directory or URL.")
@click.option("--overwrite", is_flag=True, help="Replace the model that is there.")
@scheduler_option
@quiet_option
@debug_option
def attach(run: str, out: str | None, overwrite: bool, scheduler: str, quiet: bool) -> None:
    """Follow RUN to its end, and keep its model.

    Ctrl-C leaves, and the run goes on: `dem cancel` ends it.
    """
    from dem.cli.select import shown
    from dem.cli.target import check_model
    from dem.engine.session import session
    from dem.store import save
    from dem.table import Selected

    if out is not None:
        check_model(out, overwrite, keep=())
    with session(scheduler) as here:
        warn_of_no_workers(here.workers)
        job = _attached(run)
        try:
            fitted = job.follow(observer(quiet), cancel=False)
        except KeyboardInterrupt as error:
            raise Interrupted(f"{run} goes on.") from error
    if isinstance(fitted, Selected):
        click.echo(f"{shown(fitted)}\n")
        fitted = fitted.fit
    if out is not None:
        save(fitted, out)
    facts = {
        "turns": (len(fitted.history), ""),
        "converged": (bool(fitted.converged), ""),
        "bound per row": (float(fitted.lower_bound), ".8g"),
        "passes": (float(fitted.n_passes), ".3g"),
        "model": (out or "not kept", ""),
    }
    summary("fitted", facts)


@click.command()
@scheduler_option
@json_option
@debug_option
def runs(scheduler: str, as_json: bool) -> None:
    """List the runs that a scheduler knows, the oldest first."""
    from dem.engine.session import session
    from dem.jobs import runs as known

    with session(scheduler) as here:
        warn_of_no_workers(here.workers)
        found = known()
    if as_json:
        click.echo(json.dumps(found))
    elif found:
        rows = [_row(status) for status in found]
        click.echo(table(("run", "state", "turns", "bound per row", "began"), rows, 100))


@click.command()
@click.argument("run")
@scheduler_option
@debug_option
def cancel(run: str, scheduler: str) -> None:
    """End RUN now; it keeps what it has come to."""
    from dem.engine.session import session

    with session(scheduler):
        job = _attached(run)
        job.cancel()
        while (status := job.status())["state"] in ("waiting", "running"):
            time.sleep(0.1)
    click.echo(f"{run} {status['state']} after {status['turns']} turns")


def _attached(run: str) -> Any:
    from dem.jobs import attach as attached

    try:
        return attached(run)
    except KeyError as error:
        raise click.ClickException(error.args[0]) from error


def _row(status: dict[str, Any]) -> tuple[str, ...]:
    bound = "" if status["bound"] is None else f"{status['bound']:.8g}"
    began = datetime.fromtimestamp(status["began"]).astimezone()
    turns = f"{status['turns']}/{status['max_iter']}"
    return status["run"], status["state"], turns, bound, f"{began:%Y-%m-%d %H:%M:%S}"
