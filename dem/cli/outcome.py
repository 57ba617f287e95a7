"""How a command ends: one line for what a user can cause, and an exit code."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO

import click

ERROR, INTERRUPTED = 1, 130
DEBUG = "dem.cli.debug"

# What data, paths, schedulers and missing extras raise. Anything else is a fault of dem, and is
# left to show where it came from.
EXPECTED = (ImportError, MemoryError, OSError, ValueError)


class Interrupted(click.ClickException):
    """Ctrl-C, and what became of the work."""

    exit_code = INTERRUPTED

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Interrupted: {self.message}", file=file, err=True)


class Commands(click.Group):
    """A group whose commands end in one line on standard error when something is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        with _warnings_in_a_line(ctx):
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt as error:
                raise Interrupted("nothing was written.") from error
            except EXPECTED as error:
                broken_pipe = isinstance(error, OSError) and error.errno == errno.EPIPE
                if ctx.meta.get(DEBUG) or broken_pipe:
                    raise
                raise click.ClickException(in_a_line(error)) from error


def in_a_line(error: BaseException | Warning) -> str:
    """What an error says, with its notes, without line breaks."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.strerror}: {error.filename}"
    elif isinstance(error, MemoryError) and not str(error):
        text = "Out of memory. Use smaller chunks, fewer workers or fewer components."
    else:
        text = str(error) or type(error).__name__
    return " ".join(" ".join([text, *getattr(error, "__notes__", ())]).split())


@contextmanager
def _warnings_in_a_line(ctx: click.Context) -> Iterator[None]:
    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = in_a_line(message) if isinstance(message, Warning) else message
        where = f" ({category.__name__}, {filename}:{lineno})" if ctx.meta.get(DEBUG) else ""
        click.echo(f"Warning: {text}{where}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
