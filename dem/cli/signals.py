"""Ctrl-C and SIGTERM in a command: the first ends it, in good order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from dem.engine.signals import ENDING

PATIENCE = 10.0


class Stopped(KeyboardInterrupt):
    """A signal has come to end the program.

    Where KeyboardInterrupt itself has once passed through an `exec` of text, as when a module that
    defines dataclasses was being imported, Python ends by SIGINT and not with the exit code.
    """


@dataclass
class Ending:
    """Raises `Stopped` at the first signal that ends a program, and nothing at a later one.

    So what it sets off, keeping a model and closing a cluster, is itself not interrupted; except
    that one which comes more than 10 seconds after the first, as nothing seems to end, ends the
    process at once. Workers that it has started then end by themselves.

    heard : the number of that signal, 0 if there was none.
    """

    heard: int = 0
    _at: float = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self.heard:
            self.heard, self._at = number, time.monotonic()
            raise Stopped
        if time.monotonic() - self._at > PATIENCE:
            os._exit(128 + number)


@contextmanager
def once() -> Iterator[Ending]:
    """Within the block the signals that end a program go to an `Ending`.

    If one has come they are ignored after the block: the process is then on its way out.
    """
    ending = Ending()
    if threading.current_thread() is not threading.main_thread():  # signals are not its to set
        yield ending
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    mine = [number for number in ENDING if before[number] is not signal.SIG_IGN]  # as nohup sets it
    for number in mine:
        signal.signal(number, ending)
    try:
        yield ending
    finally:
        for number in mine:
            after = signal.SIG_IGN if ending.heard else before[number]
            signal.signal(number, after or signal.SIG_DFL)
