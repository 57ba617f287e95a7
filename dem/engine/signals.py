"""The signals that end a program: Ctrl-C, and SIGTERM, as Slurm and Kubernetes send it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred() -> Iterator[None]:
    """Hold back the signals that end a program until the block is done.

    The first that has come is then sent again, to whatever handled it before. In other threads
    than the main one, which signals never interrupt, nothing needs to be done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    before = {number: signal.signal(number, hear) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if heard:
            signal.raise_signal(heard[0])


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes started within the block, or by threads started within it, never see Ctrl-C.

    A terminal sends it to them too, but it is for this process alone to keep what there is, and to
    end them. A blocked signal stays blocked in a new process and a new thread, from their very
    beginning; this process still hears it, through its other threads or when the block is done.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # It is started along with the first process, and unblocks the signal as it does so.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
