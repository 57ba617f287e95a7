"""Signals that end a program, held back where they would do damage."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from dem.engine.signals import ENDING, deaf_children, deferred


@pytest.fixture(autouse=True)
def _ctrl_c_as_python_has_it() -> Iterator[None]:
    """Libraries may have taken it for themselves as they were imported: dask-jobqueue does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_comes_when_the_block_is_done() -> None:
    def interrupted_twice() -> None:
        with deferred():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            done.append(True)

    before = [signal.getsignal(number) for number in ENDING]
    done: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted_twice()
    assert done == [True]
    assert [signal.getsignal(number) for number in ENDING] == before


def test_sigterm_goes_to_whoever_handled_it() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            assert not heard
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_may_enter() -> None:
    def enter() -> None:
        with deferred():
            entered.append(True)

    entered: list[bool] = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [True]


def test_processes_are_deaf_from_the_beginning_and_this_one_is_not() -> None:
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with deaf_children():
        child = subprocess.Popen(command, stdin=subprocess.PIPE)
    with child:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=30)
    assert child.returncode == 0
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
