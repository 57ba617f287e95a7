"""How a command ends: one line for what a user can cause, and an exit code."""

from __future__ import annotations

import errno
import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO

import click

from dem.cli.say import in_json, note
from dem.cli.signals import once

DEBUG, ENDING = "dem.cli.debug", "dem.cli.ending"

# What data, paths, schedulers and missing extras raise. Anything else is a fault of dem, and is
# left to show where it came from.
EXPECTED = (ImportError, MemoryError, OSError, ValueError)


class Interrupted(click.ClickException):
    """Ctrl-C or SIGTERM, and what became of the work."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """As shells have it."""
        return 128 + self.number

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.format_message(), file=file, err=True)

    def format_message(self) -> str:
        word = "Terminated" if self.number == signal.SIGTERM else "Interrupted"
        return f"{word}: {self.message}"


class Passing(click.ClickException):
    """An error that may not come again: sysexits.h calls it a temporary failure."""

    exit_code = 75


class Logged(click.ClickException):
    """An error as a line of the log, with its exit code."""

    def __init__(self, error: BaseException) -> None:
        known = error if isinstance(error, click.ClickException) else None
        super().__init__(known.format_message() if known else in_a_line(error))
        self._exit_code = known.exit_code if known else 1
        self.fault = None if known else error

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return self._exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        from dem.observe.logs import LOGGER

        logging.getLogger(LOGGER).error(
            self.message, exc_info=self.fault, extra={"fields": {"exit_code": self.exit_code}}
        )


class Commands(click.Group):
    """A group whose commands end in one line on standard error when something is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        with once() as ending, _warnings_in_a_line(ctx):
            ctx.meta[ENDING] = ending
            try:
                return super().invoke(ctx)
            except (KeyboardInterrupt, Exception) as error:
                end = _in_order(error, ctx, bool(ending.heard))
                if isinstance(end, Interrupted):
                    end = Interrupted(end.message, ending.heard or signal.SIGINT)
                if in_json() and not isinstance(end, click.exceptions.Exit):
                    end = Logged(end)
                if end is error:
                    raise
                raise end from error


def _in_order(error: BaseException, ctx: click.Context, interrupted: bool) -> BaseException:
    """What to raise for an error: one line, unless it is a fault of dem."""
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("nothing was written.")
    if isinstance(error, (click.ClickException, click.exceptions.Exit)):
        return error
    broken_pipe = isinstance(error, OSError) and error.errno == errno.EPIPE
    if ctx.meta.get(DEBUG) or broken_pipe:
        return error
    if interrupted:  # such as a connection that a worker, ended by the same signal, has dropped
        return Interrupted(in_a_line(error))
    from dem.engine.patience import may_pass, of_a_store

    if not isinstance(error, EXPECTED) and not of_a_store(error):
        return error
    return (Passing if may_pass(error) else click.ClickException)(in_a_line(error))


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
        note(f"{text}{where}", "Warning")

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
