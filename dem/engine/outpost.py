"""A fit driven by a worker, where it would be too heavy for the scheduler's process.

The statistics and the parameters then go from worker to worker, and the scheduler keeps nothing
but scalars. If that worker dies the task is done again by another, from where the fit stood when
it was moved, or from its latest checkpoint if it keeps any.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any
from uuid import uuid4

from dask._task_spec import Task, TaskRef
from distributed import get_client
from distributed.protocol.pickle import loads

from dem.engine.cluster import Cluster, seceded
from dem.engine.drive import drive
from dem.engine.run import Kept, Order, entry
from dem.engine.vitals import Vitals
from dem.records import Fit


def drive_here(order: bytes, run: str) -> Fit | None:
    """The task: what the climb comes to; None if it was cancelled before its first turn."""
    asked: Order = loads(order)
    client = get_client()
    teller = _Teller(client, run)
    manifest, state = asked.manifest, asked.state
    if asked.keeper:
        state = asked.keeper.latest() or state
    requests = asked.climb.run(manifest.boundaries, manifest.n_columns, state)
    with (
        seceded(),
        Cluster(
            manifest, client, teller.on_blocks, done=teller.done, budget=asked.budget
        ) as engine,
    ):
        try:
            return drive(requests, engine, teller, asked.keeper)
        except KeyboardInterrupt:
            return None


def fetched(client: Any, kept: Kept) -> Any:
    """The Fit of a run that is kept on a worker; awaitable if the client is asynchronous."""
    key = f"{kept.key}-{uuid4().hex}"
    (future,) = client.get({key: Task(key, _same, TaskRef(kept.key))}, [key], sync=False)
    return future.result()


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class _Teller:
    """An observer that tells that of the run, on the scheduler, which may end the fit."""

    client: Any
    run: str

    def on_phase(self, description: str) -> None:
        self._tell("on_phase", description)

    def on_start(self, description: str, total_steps: int | None) -> None:
        self._tell("on_start", description, total_steps)

    def on_blocks(self, done: int, total: int) -> None:
        self._tell("on_blocks", done, total)

    def on_step(self, step: Any) -> None:
        self._tell("on_step", *entry(step))

    def on_vitals(self, vitals: Vitals) -> None:
        self._tell("on_vitals", *astuple(vitals))

    def on_warning(self, text: str) -> None:
        self._tell("on_warning", text)

    def on_end(self, reason: str) -> None:
        self._tell("on_end", reason)

    def done(self, name: str) -> int:
        """Blocks done of a pass under way."""
        done: int = self.client.sync(self.client.scheduler.dem_read, name=name)["answer"]
        return done

    def _tell(self, name: str, *told: Any) -> None:
        ask = self.client.scheduler.dem_told
        if self.client.sync(ask, run=self.run, name=name, told=told)["answer"] == "cancelled":
            raise KeyboardInterrupt
