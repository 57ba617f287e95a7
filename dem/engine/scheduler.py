"""A fit that lives on the scheduler of a cluster, whoever started it and whether they stay.

A plugin keeps the runs. Each is driven by a thread of the scheduler's process through a client of
that process, with the very code that drives a fit anywhere else: the M-step hence never runs on
the event loop, and the bits are the same. Clients ask and are answered through handlers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

from distributed import Client, Security
from distributed.client import _wait as _wait_for
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.protocol.pickle import dumps, loads
from tornado.ioloop import PeriodicCallback

from dem.dashboard import serve
from dem.engine import meter
from dem.engine.cluster import Cluster
from dem.engine.drive import Keeper, Limits, TooHeavy, drive
from dem.engine.graph import futures_behind
from dem.engine.outpost import drive_here
from dem.engine.relief import relieve
from dem.engine.run import ENDED, Kept, Lost, Order, Reporter, Run, Standing, Unhosted, repeat
from dem.observe.metrics import expose
from dem.records import Fit, State

__all__ = ["Runs", "dumps", "loads"]

PLUGIN = "dem"
TOPIC = "dem"
HANDLERS = ("submit", "status", "history", "follow", "told", "read", "outcome", "cancel", "names")
KEPT_RUNS = 100
GRAPH_SECONDS = 10.0
RELIEF_SECONDS = 0.5
# Above these a worker drives a fit: 50 MB that arrive keep the event loop from answering for some
# 0.1 s (measured), and so does an M-step whenever it holds the interpreter's lock.
LIMITS = Limits(stats_bytes=50e6, m_step_seconds=1.0)


class Runs(SchedulerPlugin):
    """The runs of a scheduler. Registered by the first client that submits one."""

    name = PLUGIN
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.runs: dict[str, Run] = {}
        self.loop = asyncio.get_running_loop()
        self.relief = PeriodicCallback(lambda: relieve(scheduler, "dem-"), 1e3 * RELIEF_SECONDS)
        self.relief.start()
        for name in HANDLERS:
            scheduler.handlers[f"dem_{name}"] = _answering(getattr(self, name))
        serve(scheduler)
        expose(scheduler)

    async def close(self) -> None:
        self.relief.stop()
        for run in self.runs.values():
            run.cancelled.set()

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Let a model go with the last worker that had it, or its fit would be done once more."""
        for run in self.runs.values():
            task = run.kept and scheduler.tasks.get(run.kept.key)
            if run.state in ENDED and task and task.state != "memory":
                scheduler.remove_client(_kept_by(run.name))

    async def submit(self, run: str, order: bytes) -> None:
        """Begin a run in a thread of its own."""
        try:
            asked: Order = loads(order)
        except Exception as error:  # whatever unpickling raises, such as for a module unknown here
            raise Unhosted(f"The scheduler cannot host this fit: {error!r}") from error
        keys = [future.key for future in futures_behind(asked.manifest)]
        if not await self._known(keys):
            raise ValueError("the persisted data are not, or no longer, on this cluster")
        if run in self.runs and self.runs[run].state not in ENDED:
            raise ValueError(f"there is a run {run!r} already: choose another name")
        self._forget(run)
        kept = str(asked.keeper.uri) if asked.keeper and not asked.sent else None
        self.runs[run] = Run(run, asked.climb.max_iter, checkpoint=kept)
        # Data that live on workers stay there while the run lives, whoever sent them.
        self.scheduler.client_desires_keys(keys=keys, client=f"dem-{run}")
        args = (self.runs[run], asked)
        threading.Thread(target=self._work, args=args, name=f"dem-{run}", daemon=True).start()

    async def status(self, run: str) -> dict[str, Any]:
        return self._find(run).status()

    async def history(self, run: str) -> list[tuple[Any, ...]]:
        return self._find(run).turns

    async def follow(self, run: str, since: int, timeout: float) -> dict[str, Any]:
        """The state, blocks, and log from this entry on, once there is news or time is up."""
        found = self._find(run)
        if len(found.log) <= since and found.state not in ENDED:
            await _wait(found.changed, timeout)
        return {"state": found.state, "blocks": found.blocks, "log": found.log[since:]}

    async def outcome(self, run: str, timeout: float) -> bytes | None:
        """The pickled Fit or exception, or None if it has not ended within `timeout` seconds."""
        found, until = self._find(run), self.loop.time() + timeout
        while found.state not in ENDED and (left := until - self.loop.time()) > 0:
            await _wait(found.changed, left)
        if found.kept and found.kept.key not in self.scheduler.tasks:
            raise ValueError(f"the model of {run} went with the worker that had it: fit it again")
        return found.outcome if found.state in ENDED else None

    async def told(self, run: str, name: str, told: tuple[Any, ...]) -> str:
        """What a worker that drives a run tells of it; "cancelled" if it is to end it."""
        found = self._find(run)
        assert found.reporter
        if found.state in ENDED:  # done once more, as its result was lost: nobody needs it
            return "cancelled"
        try:
            repeat(found.reporter, name, told)
        except KeyboardInterrupt:
            return "cancelled"
        return "noted"

    async def read(self, name: str) -> int:
        """Blocks done of a pass under way, for a worker that drives it."""
        return self.done(name)

    async def cancel(self, run: str) -> None:
        self._find(run).cancelled.set()

    async def names(self) -> list[dict[str, Any]]:
        return [run.status() for run in self.runs.values()]

    async def _known(self, keys: Sequence[Any]) -> bool:
        """Whether the scheduler has these keys; a graph may be on its way, by another road."""
        until = self.loop.time() + GRAPH_SECONDS
        while not all(key in self.scheduler.tasks for key in keys):
            if self.loop.time() > until:
                return False
            await asyncio.sleep(0.01)
        return True

    def _find(self, run: str) -> Run:
        if run not in self.runs:
            raise KeyError(f"no run {run!r} on this scheduler; there are {sorted(self.runs)}")
        return self.runs[run]

    def _forget(self, name: str) -> None:
        """Old runs that have ended make room, and any of this name."""
        ended = [known for known, run in self.runs.items() if run.state in ENDED]
        old = ended[: max(len(self.runs) - KEPT_RUNS + 1, 0)]
        for known in {*old, name} & self.runs.keys():
            del self.runs[known]
            self.scheduler.remove_client(_kept_by(known))

    def _work(self, run: Run, order: Order) -> None:
        """The thread of a run."""
        outcome: Fit | Kept | BaseException
        standing = Standing(order.keeper, order.state)
        try:
            outcome = self._fit(run, order, standing)
            state = "cancelled" if ("on_end", ("interrupted",)) in run.log[-1:] else "done"
        except KeyboardInterrupt:  # cancelled before its first turn
            outcome, state = asyncio.CancelledError(f"{run.name} was cancelled"), "cancelled"
        except CancelledError as error:
            rests = futures_behind(order.manifest)
            outcome, state = Lost(standing.state, order.sent) if rests else error, "failed"
        except BaseException as error:  # whatever it is, it belongs to whoever asks for the result
            outcome, state = error, "failed"
        run.outcome = dumps(outcome)
        self.tell(run, state)

    def _fit(self, run: Run, order: Order, standing: Keeper) -> Fit | Kept:
        scheduler = self.scheduler
        before = order.state.history if order.state else ()
        run.reporter = reporter = Reporter(run, self.tell, before)
        with Client(
            scheduler.address,
            security=_as_client(scheduler.security),
            set_as_default=False,
            name="dem",
        ) as client:
            self.tell(run, "running")
            requests = order.climb.run(
                order.manifest.boundaries, order.manifest.n_columns, order.state
            )
            try:
                with Cluster(
                    order.manifest,
                    client,
                    reporter.on_blocks,
                    self.workers,
                    self.done,
                    order.budget,
                ) as engine:
                    return drive(requests, engine, reporter, standing, LIMITS)
            except TooHeavy as heavy:
                return self._moved(client, run, order, heavy.state)

    def _moved(self, client: Client, run: Run, order: Order, state: State) -> Kept:
        """Have a worker drive the run from this state on, and keep what it comes to."""
        assert run.reporter
        if state.history:
            run.reporter.before, run.attempt = state.history, run.attempt - 1
        keeper: Any = order.keeper
        keeper = keeper and replace(keeper, take_over=True)
        asked = dumps(replace(order, state=state, keeper=keeper))
        kept = Kept(f"dem-drive-{run.name}-{uuid4().hex[:8]}")
        future = client.submit(drive_here, asked, run.name, key=kept.key)
        client.sync(_wait_for, [future])
        asyncio.run_coroutine_threadsafe(self._keep(run, kept), self.loop).result()
        if error := future.exception():
            raise error
        if not run.turns and run.cancelled.is_set():
            raise KeyboardInterrupt
        return kept

    async def _keep(self, run: Run, kept: Kept) -> None:
        """Have the result of a task stay on its worker for as long as the run is remembered."""
        self.scheduler.client_desires_keys([kept.key], _kept_by(run.name))
        run.kept = kept

    def workers(self) -> Mapping[str, int]:
        """Threads by address of the workers that take tasks now."""
        return {worker.address: worker.nthreads for worker in tuple(self.scheduler.running)}

    def done(self, name: str) -> int:
        """Blocks that are done of a pass under way, by what workers last said."""
        workers = tuple(self.scheduler.workers.values())
        return sum(worker.metrics.get(meter.NAME, {}).get(name, 0) for worker in workers)

    def tell(self, run: Run, state: str) -> None:
        """Set the state of a run, from its thread, and wake who waits for news of it."""

        def tell() -> None:
            turns = len(run.turns)
            if (state, turns) != (run.state, run.logged):
                run.logged = turns
                self.scheduler.log_event(TOPIC, run.status() | {"state": state})
            run.state = state
            if state in ENDED:
                self.scheduler.remove_client(f"dem-{run.name}")
            run.changed.set()
            run.changed = asyncio.Event()

        with suppress(RuntimeError):  # the loop is closed: the scheduler is no more
            self.loop.call_soon_threadsafe(tell)


def _kept_by(run: str) -> str:
    """The client in whose name the Fit of a run stays on a worker."""
    return f"dem-{run}-fit"


def _answering(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler, with errors that a client can cause as answers.

    To raise them would have the scheduler log tracebacks. `dem.jobs` raises them again.
    """

    async def answer(**message: Any) -> dict[str, Any]:
        try:
            return {"answer": await handler(**message)}
        except (KeyError, Unhosted, ValueError) as error:
            return {"error": type(error).__name__, "text": error.args[0]}

    return answer


async def _wait(event: asyncio.Event, timeout: float) -> None:
    """For the event, or until time is up."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout)


def _as_client(security: Any) -> Any:
    """The scheduler's credentials, with which to connect to itself as a client."""
    if not security.require_encryption or security.tls_client_cert:
        return security
    return Security(
        require_encryption=True,
        tls_ca_file=security.tls_ca_file,
        tls_client_cert=security.tls_scheduler_cert,
        tls_client_key=security.tls_scheduler_key,
        extra_conn_args=security.extra_conn_args,
    )
