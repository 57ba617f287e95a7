"""Fits that live on a cluster's scheduler: submit one, leave, and let anybody attach to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from dem import checkpoint as checkpoints
from dem.checkpoint import Keeper
from dem.climb import Climb, Fit, Record
from dem.engine.hosts import active_client
from dem.engine.manifest import Manifest, open_data
from dem.report.progress import Observer
from dem.store.place import URI

POLL_SECONDS = 0.25
ENDED = ("done", "cancelled", "failed")


@dataclass(frozen=True)
class Job:
    """A fit on the scheduler: a name, and the client to ask through.

    Any client of the same cluster can make one for a run that it did not start: `dem.attach`.
    """

    run: str
    client: Any

    def status(self) -> dict[str, Any]:
        """run, state (waiting, running, done, cancelled, failed), attempt, turns, max_iter, began
        (seconds since the epoch) and the history so far."""
        return self._ask("dem_status", run=self.run)

    @property
    def history(self) -> tuple[Record, ...]:
        """A `Record` for each turn so far."""
        return tuple(Record(*entry) for entry in self.status()["history"])

    def cancel(self) -> None:
        """End the fit after the pass under way; its result is then what it had."""
        self._ask("dem_cancel", run=self.run)

    def result(self, timeout: float | None = None) -> Fit:
        """Wait for the end: the `Fit`.

        Raises what the fit raised, asyncio.CancelledError if it was cancelled before its first
        turn, TimeoutError after `timeout` seconds.
        """
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            patience = min(max(deadline - time.monotonic(), 0.0), 10.0)
            outcome = self._ask("dem_outcome", run=self.run, timeout=patience)
            if outcome is not None:
                return self._opened(outcome)
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{self.run} is still at work after {timeout} seconds")

    async def result_async(self) -> Fit:
        """As `result`, for a client made with asynchronous=True."""
        outcome = None
        while outcome is None:
            outcome = await self.client.scheduler.dem_outcome(run=self.run, timeout=10.0)
        return self._opened(outcome)

    def follow(self, observer: Observer) -> Fit:
        """As `result`, telling an observer of each turn. Ctrl-C cancels the fit."""
        seen = 0
        observer.on_start(self.run, self.status()["max_iter"])
        try:
            for record in self._turns():
                observer.on_step(record)
                seen += 1
        except KeyboardInterrupt:
            self.cancel()
        state = self.status()["state"]
        observer.on_end(state)
        return self.result()

    def _turns(self) -> Iterator[Record]:
        """The turns, as they are done."""
        seen, attempt = 0, 0
        while True:
            status = self._ask("dem_status", run=self.run, since=seen)
            if status["attempt"] > attempt:
                attempt, seen = status["attempt"], 0
                continue
            for entry in status["history"]:
                seen += 1
                yield Record(*entry)
            if status["state"] in ENDED:
                return
            time.sleep(POLL_SECONDS)

    def _ask(self, handler: str, **message: Any) -> Any:
        return self.client.sync(getattr(self.client.scheduler, handler), **message)

    def _opened(self, outcome: bytes) -> Fit:
        from dem.engine.scheduler import loads

        value = loads(outcome)
        if isinstance(value, BaseException):
            raise value
        return value


def submit(
    model: Any,
    data: Any,
    *,
    weights: Any = None,
    client: Any = None,
    run: str | None = None,
    checkpoint: URI | None = None,
    checkpoint_seconds: float = 60.0,
    **how: Any,
) -> Job:
    """Begin a fit on the scheduler and return at once.

    model, data, weights, checkpoint : as for `dem.fit`; paths must be visible to workers and
        scheduler. An array in this process is sent to the workers, and is lost with them.
    client : the active one by default. run : a name for the run.
    how : start, schedule, posterior, max_iter, tol, n_init, seed, as for `dem.fit`.

    Raises ValueError where there is no client.
    """
    manifest = data if isinstance(data, Manifest) else open_data(data, weights=weights)
    climb = Climb(model, **how)
    keeper = None
    if checkpoint is not None:
        checkpoints.refuse_to_overwrite(checkpoint)
        keeper = Keeper(checkpoint, climb, manifest, checkpoint_seconds)
    return _order(_client(client), run, climb, manifest, None, keeper)


def attach(run: str, client: Any = None) -> Job:
    """The run of that name, whoever submitted it. Raises KeyError if there is none."""
    job = Job(run, _client(client))
    _register(job.client)
    job.status()
    return job


def runs(client: Any = None) -> list[dict[str, Any]]:
    """The status of every run that the scheduler knows, the oldest first, without history."""
    client = _client(client)
    _register(client)
    return client.sync(client.scheduler.dem_runs)


def _order(
    client: Any, run: str | None, climb: Climb, manifest: Manifest, state: Any, keeper: Any
) -> Job:
    from dem.engine.cluster import on_workers
    from dem.engine.scheduler import Order, dumps

    _register(client)
    name = run or f"run-{uuid4().hex[:8]}"
    placed, scattered = on_workers(manifest, client)
    order = dumps(Order(climb, placed, state, keeper))
    job = Job(client.sync(client.scheduler.dem_submit, run=name, order=order), client)
    del scattered  # not before the scheduler holds them for the run
    return job


def _client(client: Any) -> Any:
    found = client or active_client()
    if found is None:
        raise ValueError("There is no active distributed.Client: make one, or pass it as `client`.")
    return found


def _register(client: Any) -> None:
    from dem.engine.scheduler import Runs

    client.register_plugin(Runs())
