"""A cluster for the length of a command: that of a scheduler's address, or one on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import dask

from dem.engine.patience import Deadly
from dem.engine.signals import deaf_children, deferred

CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Session:
    """Where the cluster is.

    dashboard : its URL, "" where Bokeh, which draws it, is not installed.
    """

    address: str
    workers: int
    dashboard: str


@contextmanager
def session(address: str | None = None, workers: int | None = None) -> Iterator[Session]:
    """The cluster of the scheduler at an address, or one of so many processes on this machine.

    Within the block it is the active client's; afterwards the connection is closed, and with it
    the processes that were started here. Each has one thread and listens to this machine alone.

    Raises ConnectionError if no scheduler answers within 10 seconds, or if the workers die of a
    task; ValueError for what is not an address.
    """
    from distributed import Client
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    if address is not None:
        _check_address(address)
    logging.getLogger("asyncio").addFilter(_of_interest)
    with _told_once(), ExitStack() as stack:
        target = stack.enter_context(_processes(workers)) if address is None else address
        try:
            # Not as the default, which one that cannot connect would remain.
            client = Client(target, timeout=CONNECT_SECONDS, set_as_default=False)
        except OSError as error:
            raise ConnectionError(
                f"No scheduler answers at {address} within {CONNECT_SECONDS:.0f} s. Is it running, "
                "and can this machine reach it? Addresses look like tcp://host:8786."
            ) from error
        stack.callback(_closed, client)
        stack.enter_context(client.as_current())
        drawn = address is not None or find_spec("bokeh") is not None
        here = Session(
            address=client.scheduler.address,
            workers=len(client.scheduler_info(n_workers=-1)["workers"]),
            dashboard=client.dashboard_link if drawn else "",
        )
        try:
            yield here
        except KilledWorker as error:
            raise Deadly(
                f"Workers died again and again at the same task, perhaps for lack of memory: "
                f"{error} Use smaller chunks, or workers with more memory."
            ) from error
        except FutureCancelledError as error:
            raise ConnectionError(
                f"The cluster lost the work, perhaps as its scheduler went away: {error}"
            ) from error


def _check_address(address: str) -> None:
    """Raise ValueError for what is no address, of which a client would make a long wait."""
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import backends

    scheme, place = parse_address(address)
    try:
        if scheme not in backends:
            raise ValueError(f"{scheme!r} is none of {', '.join(sorted(backends))}")
        if scheme != "inproc":
            parse_host_port(place)
    except ValueError as error:
        raise ValueError(
            f"{address!r} is not the address of a scheduler: {error}. Addresses look like "
            "tcp://host:8786."
        ) from error


@contextmanager
def _told_once() -> Iterator[None]:
    """A connection that is lost is raised, and not also logged by the client with a traceback."""
    logger = logging.getLogger("distributed.client")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _of_interest(record: logging.LogRecord) -> bool:
    """False for what distributed leaves behind when Ctrl-C ends the wait for a result."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__name__ != "AllExit"


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """At most so many threads of this process work within the block; None: as configured."""
    with dask.config.set(num_workers=threads) if threads else nullcontext():
        yield


@contextmanager
def _processes(workers: int | None) -> Iterator[Any]:
    """A cluster of single-threaded processes that listen to this machine alone."""
    from distributed import LocalCluster

    with ExitStack() as stack:
        with deferred(), deaf_children():  # halfway through, processes would be left behind
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,  # what fails there is raised here, and told once
            )
            stack.callback(_closed, cluster)
        yield cluster


def _closed(closable: Any) -> None:
    """Close a client or a cluster to the end, whatever signals come."""
    with deferred():
        closable.close()
