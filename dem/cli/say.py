"""What commands say beside their results: in words, or as JSON with `dem --log-json`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

import click

from dem.cli.tables import figures

LOG_JSON = "dem.cli.log-json"


def _set_log_json(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        from dem.observe.logs import log_to

        ctx.meta[LOG_JSON] = True
        log_to(sys.stderr)


log_json_option = click.option(
    "--log-json",
    is_flag=True,
    expose_value=False,
    envvar="DEM_LOG_JSON",
    show_envvar=True,
    callback=_set_log_json,
    help="Say everything as JSON, an object a line, as log collectors want it.",
)


def in_json() -> bool:
    """Whether the command under way was told to log JSON."""
    ctx = click.get_current_context(silent=True)
    return bool(ctx and ctx.meta.get(LOG_JSON))


def observer(quiet: bool) -> Any:
    """Who is told of a fit: nobody, a log, or bars and lines."""
    from dem.report.progress import Progress, Silent

    if quiet:
        return Silent()
    if in_json():
        from dem.observe.logs import Told

        return Told()
    return Progress()


def note(text: str, kind: str = "") -> None:
    """A remark on standard error; kind : its first word, such as Warning."""
    if in_json():
        from dem.observe.logs import tell

        tell(text, logging.WARNING if kind else logging.INFO)
    else:
        click.echo(f"{kind}: {text}" if kind else text, err=True)


def summary(event: str, facts: Mapping[str, tuple[Any, str]]) -> None:
    """What a command came to, as a table on standard output, or an event of the log.

    facts : by name, values and how to format them for people; of truth yes and no.
    """
    if in_json():
        from dem.observe.logs import tell

        tell(event, **{name.replace(" ", "_"): value for name, (value, _) in facts.items()})
    else:
        click.echo(figures({name: _shown(*fact) for name, fact in facts.items()}))


def _shown(value: Any, spec: str) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else f"{value:{spec}}"
