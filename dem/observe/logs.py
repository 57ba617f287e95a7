"""Logs with one JSON object a line, of a command or of the processes of a cluster.

`dem --log-json` does so for a command. For schedulers and workers name the formatter in Dask's
configuration, as `deploy/dask.yaml` does, and preload this module, so that warnings, and what ends
a thread or the process, go the same way::

    logging:
      version: 1
      formatters: {json: {(): dem.observe.logs.Json}}
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

LOGGER = "dem"


class Json(logging.Formatter):
    """A record as {"time", "level", "logger", "message"} and its `fields`, see `tell`."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: _plain(value) for name, value in told.items()}, default=str)


def log_to(stream: TextIO) -> logging.Logger:
    """Have all that is logged in this process go to a stream as JSON; the logger of dem."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Json())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    return logger


def dask_setup(server: Any) -> None:
    """What ``--preload dem.observe.logs`` calls: log what Python else writes to standard error."""
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda told: _log_uncaught(*told[:3])


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> None:
    known: Any = (kind, error, traceback)
    logging.getLogger(LOGGER).critical("%s: %s", kind.__name__, error, exc_info=known)


def tell(message: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log a message with named values."""
    logging.getLogger(LOGGER).log(level, message, extra={"fields": fields})


class Told:
    """An observer of fits that logs what it is told, of blocks once every `interval` seconds."""

    def __init__(self, interval: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval, self._clock = interval, clock
        self._at, self._bound = clock(), math.nan

    def on_phase(self, description: str) -> None:
        self._tell("phase", phase=description)

    def on_start(self, description: str, total_steps: int | None) -> None:
        self._bound = math.nan
        self._tell("start", fit=description, max_iter=total_steps)

    def on_blocks(self, done: int, total: int) -> None:
        if self._clock() - self._at >= self._interval:
            self._tell("blocks", done=done, blocks=total)

    def on_step(self, step: Any) -> None:
        change, self._bound = step.bound - self._bound, step.bound
        told = {"turn": step.turn, "bound": step.bound, "seconds": step.seconds}
        self._tell("turn", **told, change=change)

    def on_end(self, reason: str) -> None:
        self._tell("end", reason=reason)

    def _tell(self, event: str, **fields: Any) -> None:
        self._at = self._clock()
        tell(event, **fields)


def _plain(value: Any) -> Any:
    """JSON knows neither NaN nor infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
