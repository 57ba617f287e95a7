"""Trying again what failed, where the fault may pass: of a network, a store, a full queue."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

ATTEMPTS = 5
PAUSE_SECONDS = 0.1  # before the second attempt; then four times as long each


class Deadly(ConnectionError):
    """Workers that died of a task, as others would."""


LASTING = (
    Deadly,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# Stores whose libraries raise network faults that are no OSErrors.
STORES = frozenset(
    {"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "obstore", "s3fs"}
)
REFUSALS = ("CredentialsError", "AuthenticationError")

logger = logging.getLogger(__name__)


def patiently(call: Callable[[], T], what: str) -> T:
    """The result of a call that is made up to five times, some 8 s in all, while faults may pass.

    Raises the last error, with a note that says `what` failed how often; any other at once.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return call()
        except Exception as error:
            if not may_pass(error):
                raise
            pause = PAUSE_SECONDS * 4 ** (attempt - 1)
            logger.warning("%s: %s; attempt %d in %.1f s", what, error, attempt + 1, pause)
            time.sleep(pause)
    try:
        return call()
    except Exception as error:
        if may_pass(error):
            error.add_note(f"{what}, at each of {ATTEMPTS} attempts")
        raise


def may_pass(error: BaseException) -> bool:
    """Whether the same call might succeed a moment later."""
    if _lasts(error) or (error.__cause__ is not None and _lasts(error.__cause__)):
        return False
    # TimeoutError and ConnectionError are OSErrors.
    return isinstance(error, OSError) or of_a_store(error)


def _lasts(fault: BaseException) -> bool:
    if isinstance(fault, LASTING) or getattr(fault, "errno", None) in FULL:
        return True
    if type(fault) is OSError:  # gcsfs has no better word for it
        return str(fault).startswith("Forbidden:")
    return of_a_store(fault) and type(fault).__name__.endswith(REFUSALS)


def of_a_store(error: BaseException) -> bool:
    """Whether it comes from the library of an object store."""
    return type(error).__module__.partition(".")[0] in STORES
