"""Fits of the same data, disturbed or not, of which the bits and the times are compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import zarr

import dem
import faults
from dem.engine.run import ENDED
from dem.jobs import Job
from dem.stats import leaves
from machines import Machines, eventually

BLOCK, N_BLOCKS = 4096, 16
X = np.random.default_rng(5).normal(size=(N_BLOCKS * BLOCK, 2)) * [1, 3] + [5, 0]
SECONDS_A_BLOCK = 0.025
HOW: dict[str, Any] = {"max_iter": 6, "tol": 0.0, "seed": 1}
KINDS = ("file", "array", "persisted")


def bits(fitted: Any) -> tuple[Any, ...]:
    turns = [(r.turn, r.bound_e, r.bound) for r in fitted.history]
    return [leaf.tobytes() for leaf in leaves(fitted.params)], turns


def at_turn(job: Job, turns: int) -> None:
    """Wait until a run has made so many, or fail as it does."""

    def there() -> bool:
        status = job.status()
        if status["turns"] < turns and status["state"] in ENDED:
            raise AssertionError(f"{status}, {job.result()}")
        return status["turns"] >= turns

    eventually(there, f"turn {turns}", 60)


@dataclass
class Trial:
    """Fits on a cluster of machines.

    place : an empty directory for the data.
    note : told of a fault, seconds of the undisturbed fit, and of the disturbed one.
    how : the fits are done, see `dem.fit`.
    whole : the bits of an undisturbed fit; `times` are its seconds, by data and workers.
    """

    machines: Machines
    place: Path
    note: Callable[[str, float, float], None] = lambda *told: None
    how: Mapping[str, Any] = field(default_factory=lambda: HOW)
    whole: tuple[Any, ...] = ()
    times: dict[tuple[str, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hold = self.place / "hold"
        self.model = faults.Slow(3, dem.Gaussian(), seconds=SECONDS_A_BLOCK, hold=str(self.hold))
        if not (self.place / "x.zarr").exists():
            zarr.create_array(str(self.place / "x.zarr"), data=X, chunks=(BLOCK, 2))
        if not self.whole:
            plain = dem.Mixture(3, dem.Gaussian())
            self.whole = bits(dem.fit(plain, self.opened("file"), **self.how))

    def opened(self, kind: str) -> Any:
        """The data, in the same blocks whatever they are; persisted ones on the active cluster."""
        given = {
            "file": lambda: self.place / "x.zarr",
            "array": lambda: X,
            "persisted": lambda: da.from_array(X, chunks=(BLOCK, 2)).persist(),
        }[kind]()
        manifest = dem.open_data(given, block_bytes=BLOCK * 16)
        assert manifest.n_blocks == N_BLOCKS
        return manifest

    @contextmanager
    def begun(self, kind: str = "file", **how: Any) -> Iterator[tuple[Job, Future]]:
        """`dem.fit` in a thread, and its run on the scheduler; none of it is left behind."""
        client, run = self.machines.client, self.next_run()
        with ThreadPoolExecutor(1) as pool, client.as_current():
            data, context = self.opened(kind), copy_context()
            fit = pool.submit(context.run, lambda: dem.fit(self.model, data, **{**self.how, **how}))
            job = dem.attach(eventually(run, "a run"), client)
            try:
                yield job, fit
            except BaseException:
                self.hold.unlink(missing_ok=True)
                for other in dem.runs(client):
                    dem.attach(other["run"], client).cancel()
                raise

    def next_run(self) -> Callable[[], str]:
        """Asks for the name of the run that begins next; "" before."""
        client = self.machines.client
        known = {run["run"] for run in dem.runs(client)}
        return lambda: next((r["run"] for r in dem.runs(client) if r["run"] not in known), "")

    def check(
        self,
        fault: str,
        disturb: Callable[[Job], float | None],
        kind: str = "file",
        **how: Any,
    ) -> Job:
        """The disturbed fit has the same bits; note the time that it took longer.

        disturb : returns seconds that do not count, if any.
        how : for `dem.fit`, such as where to keep checkpoints.
        """
        undisturbed = self.undisturbed(kind)
        began = time.monotonic()
        with self.begun(kind, **how) as (job, fit):
            excepted = disturb(job) or 0.0
            assert bits(fit.result(90)) == self.whole
        self.note(fault, undisturbed, time.monotonic() - began - excepted)
        return job

    def undisturbed(self, kind: str = "file") -> float:
        """Seconds of a fit on so many workers as there are, which are warm afterwards."""
        key = kind, len(self.machines.addresses())
        with self.machines.client.as_current():
            data = self.opened(kind)
            dem.fit(self.model, data, **{**self.how, "max_iter": 1})
            if key not in self.times:
                began = time.monotonic()
                assert bits(dem.fit(self.model, data, **self.how)) == self.whole
                self.times[key] = time.monotonic() - began
        return self.times[key]
