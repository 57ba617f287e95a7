"""One BLAS thread for each of ours: more would fight over the cores and change the bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import scipy.linalg  # noqa: F401  # its BLAS and NumPy's must be loaded before they are looked for
from threadpoolctl import ThreadpoolController

_lock = Lock()
_users = 0
_before: list[int] = []


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS runs in the calling thread only, in the whole process, until the last user leaves.

    The setting is global to a process, so that threads which came and went by themselves would
    restore it under each other's feet: users are counted.
    """
    global _users, _before
    libraries = _controller().select(user_api="blas").lib_controllers
    with _lock:
        if _users == 0:
            _before = [library.num_threads for library in libraries]
            _set(libraries, [1] * len(libraries))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _set(libraries, _before)
                _release(libraries)


def _set(libraries: Sequence[Any], numbers: Sequence[int]) -> None:
    """Set the number of threads of each library, whoever set it before."""
    _release(libraries)
    for library, number in zip(libraries, numbers, strict=True):
        library.set_num_threads(number)


def _release(libraries: Sequence[Any]) -> None:
    """Let any thread set the numbers next.

    From threadpoolctl 3.8 on those of OpenBLAS belong to the thread that set them, and for others
    setting them silently does nothing. But the last of our users to leave is seldom the first who
    came, and the caller of a fit may hold a limit of its own.
    """
    for library in libraries:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


def blas_architecture() -> list[str]:
    """Which kernels the BLAS libraries of this process use, such as SkylakeX."""
    libraries = _controller().select(user_api="blas").info()
    return sorted({str(library.get("architecture")) for library in libraries})
