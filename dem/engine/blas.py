"""One BLAS thread for each of ours: more would fight over the cores and change the bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController

_lock = Lock()
_users = 0
_limits = None


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS runs in the calling thread only, in the whole process, until the last user leaves.

    The setting is global to a process, so that threads which came and went by themselves would
    restore it under each other's feet: users are counted.
    """
    global _users, _limits
    with _lock:
        if _users == 0:
            _limits = _controller().limit(limits=1, user_api="blas")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _limits is not None:
                _limits.restore_original_limits()
                _limits = None


def blas_architecture() -> list[str]:
    """Which kernels the BLAS libraries of this process use, such as SkylakeX."""
    return sorted({str(info.get("architecture")) for info in _controller().info()})
