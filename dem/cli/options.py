"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from dem.cli.outcome import DEBUG
from dem.cli.say import note


def _set_debug(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[DEBUG] = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_set_debug,
    help="Show where an error came from.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
weights_option = click.option(
    "--weights",
    metavar="PATH",
    help="How often each row counts: a one-dimensional array, stored like DATA. Rows of weight 0 "
    "do not count, but must be finite.",
)


labels_option = click.option(
    "--labels",
    metavar="PATH",
    help="Which component each row comes from, -1 where unknown: a one-dimensional array, stored "
    "like DATA.",
)


def sequence_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--lengths and --groups, of which one may be given."""
    for option in (
        click.option(
            "--groups",
            metavar="COLUMN",
            help="Where sequences end: where this column changes, which is then no other.",
        ),
        click.option(
            "--lengths",
            metavar="PATH",
            help="Of the sequences in DATA, one after the other: a one-dimensional array.",
        ),
    ):
        command = option(command)
    return command


response_option = click.option(
    "--response",
    metavar="COLUMN",
    help="What regressions predict: a column of DATA, by name or number (-1 is the last), or the "
    "path of an array.",
)


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--scheduler, --workers and --threads, of which one may be given."""
    for option in (
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            metavar="N",
            help="Threads in this process, where neither is given.  [all cores]",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            help="Start N single-threaded worker processes on this machine for this command.",
        ),
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            help="Work on the cluster of this Dask scheduler; its workers must see the same paths.",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def cluster(
    scheduler: str | None, workers: int | None, threads: int | None, quiet: bool = False
) -> Iterator[None]:
    """The cluster that the options ask for, as the active client; else threads in this process."""
    given = {"--scheduler": scheduler, "--workers": workers, "--threads": threads}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise click.UsageError(f"Give only one of {' and '.join(names)}.")
    if scheduler is None and workers is None:
        from dem.engine.session import limited

        with limited(threads):
            yield
        return
    from dem.engine.session import session

    with session(scheduler, workers) as here:
        if not quiet:
            place = f", dashboard {here.dashboard}" if here.dashboard else ""
            plural = "s" * (here.workers != 1)
            where = f"{here.workers} worker{plural} at {here.address}"
            note(f"Cluster of {where}{place}")
        warn_of_no_workers(here.workers)
        yield


def warn_of_no_workers(workers: int) -> None:
    """Say so where nothing can go on for lack of workers."""
    if not workers:
        note("the scheduler has no workers yet; waiting for some.", "Warning")
