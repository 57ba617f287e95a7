"""A fit that lives on the scheduler of a cluster, whoever started it and whether they stay.

A plugin keeps the runs. Each is driven by a thread of the scheduler's process through a client of
that process, with the very code that drives a fit anywhere else: the M-step hence never runs on
the event loop, and the bits are the same. Clients ask and are answered through handlers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from distributed import Client
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.protocol.pickle import dumps, loads

from dem.climb import Climb, Fit, State
from dem.engine.cluster import Cluster, futures_of
from dem.engine.drive import Keeper, drive
from dem.engine.manifest import Manifest

__all__ = ["Order", "Runs", "dumps", "loads"]

PLUGIN = "dem"
TOPIC = "dem"
KEPT_RUNS = 100


@dataclass(frozen=True, eq=False)
class Order:
    """What a client asks the scheduler to do: a climb over data, from a state or the start."""

    climb: Climb
    manifest: Manifest
    state: State | None = None
    keeper: Keeper | None = None


@dataclass
class Run:
    """A fit on the scheduler, and what may be asked of it."""

    name: str
    max_iter: int
    began: float = field(default_factory=time.time)
    state: str = "waiting"  # then running; then done, cancelled or failed
    attempt: int = -1
    history: list[tuple[int, float, float, float]] = field(default_factory=list)
    outcome: bytes = b""  # a pickled Fit, or exception
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def status(self, since: int = 0) -> dict[str, Any]:
        """In words and numbers; the history from this entry on."""
        return {
            "run": self.name,
            "state": self.state,
            "attempt": self.attempt,
            "max_iter": self.max_iter,
            "began": self.began,
            "turns": len(self.history),
            "history": self.history[since:],
        }


class Runs(SchedulerPlugin):
    """The runs of a scheduler. Registered by the first client that submits one."""

    name = PLUGIN
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.runs: dict[str, Run] = {}
        self.loop = asyncio.get_running_loop()
        scheduler.handlers.update(
            dem_submit=self.submit,
            dem_status=self.status,
            dem_outcome=self.outcome,
            dem_cancel=self.cancel,
            dem_runs=self.names,
        )

    async def close(self) -> None:
        for run in self.runs.values():
            run.cancelled.set()

    async def submit(self, run: str, order: bytes) -> str:
        """Begin a run in a thread of its own."""
        if run in self.runs:
            raise ValueError(f"there is a run {run!r} already: choose another name")
        asked: Order = loads(order)
        self._forget()
        self.runs[run] = Run(run, asked.climb.max_iter)
        # Data that live on workers stay there while the run lives, whoever sent them.
        manifest = asked.manifest
        keys = [future.key for r in (manifest.reader, manifest.weights) for future in futures_of(r)]
        self.scheduler.client_desires_keys(keys=keys, client=f"dem-{run}")
        args = (self.runs[run], asked)
        threading.Thread(target=self._work, args=args, name=f"dem-{run}", daemon=True).start()
        return run

    async def status(self, run: str, since: int = 0) -> dict[str, Any]:
        return self._find(run).status(since)

    async def outcome(self, run: str, timeout: float) -> bytes | None:
        """The pickled Fit or exception, or None if it has not ended within `timeout` seconds."""
        found = self._find(run)
        try:
            await asyncio.wait_for(found.ended.wait(), timeout)
        except TimeoutError:
            return None
        return found.outcome

    async def cancel(self, run: str) -> None:
        self._find(run).cancelled.set()

    async def names(self) -> list[dict[str, Any]]:
        return [run.status(len(run.history)) for run in self.runs.values()]

    def _find(self, run: str) -> Run:
        if run not in self.runs:
            raise KeyError(f"no run {run!r} on this scheduler; there are {sorted(self.runs)}")
        return self.runs[run]

    def _forget(self) -> None:
        """Old runs that have ended make room."""
        ended = [name for name, run in self.runs.items() if run.ended.is_set()]
        for name in ended[: max(len(self.runs) - KEPT_RUNS + 1, 0)]:
            del self.runs[name]

    def _work(self, run: Run, order: Order) -> None:
        """The thread of a run."""
        outcome: Fit | BaseException
        try:
            outcome = self._fit(run, order)
            state = "cancelled" if outcome.interrupted else "done"
        except KeyboardInterrupt:  # cancelled before its first turn
            outcome, state = asyncio.CancelledError(f"{run.name} was cancelled"), "cancelled"
        except BaseException as error:  # whatever it is, it belongs to whoever asks for the result
            outcome, state = error, "failed"
        run.outcome = dumps(outcome)
        self._tell(run, state)

    def _fit(self, run: Run, order: Order) -> Fit:
        address, security = self.scheduler.address, self.scheduler.security
        with Client(address, security=security, set_as_default=False, name="dem") as client:
            run.state = "running"
            requests = order.climb.run(
                order.manifest.boundaries, order.manifest.n_columns, order.state
            )
            if order.state:
                run.history += [_entry(record) for record in order.state.history]
            reporter = _Reporter(self, run)
            with Cluster(order.manifest, client, reporter.on_blocks) as engine:
                return drive(requests, engine, reporter, order.keeper)

    def _tell(self, run: Run, state: str) -> None:
        """Set the state of a run, from its thread, and wake who waits for its end."""

        def tell() -> None:
            run.state = state
            self.scheduler.log_event(TOPIC, run.status(len(run.history) - 1))
            if state not in ("waiting", "running"):
                self.scheduler.remove_client(f"dem-{run.name}")
                run.ended.set()

        self.loop.call_soon_threadsafe(tell)


@dataclass
class _Reporter:
    """The observer of a run."""

    runs: Runs
    run: Run

    def on_start(self, description: str, total_steps: int | None) -> None:
        self.run.attempt += 1
        if self.run.attempt:
            self.run.history = []

    def on_blocks(self, done: int, total: int) -> None:
        if self.run.cancelled.is_set():
            raise KeyboardInterrupt

    def on_step(self, step: Any) -> None:
        self.run.history.append(_entry(step))
        self.runs._tell(self.run, "running")
        self.on_blocks(0, 0)

    def on_end(self, reason: str) -> None:
        return


def _entry(record: Any) -> tuple[int, float, float, float]:
    return record.turn, record.bound_e, record.bound, record.seconds
