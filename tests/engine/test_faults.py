"""Faults of real processes: the bits are those of an undisturbed fit, and little time is lost.

Those that take longer are marked: `pytest -m faults` has them too.
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed.scheduler import KilledWorker

import dem
import faults
from dem.engine import cluster
from dem.engine.run import Lost
from dem.jobs import Job
from machines import Machines, blocks_done, environment, eventually, while_there
from trials import HOW, KINDS, Trial, X, at_turn, bits

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("small_blocks")]
slow = pytest.mark.faults
kinds = pytest.mark.parametrize(
    "kind", [KINDS[0], *(pytest.param(kind, marks=slow) for kind in KINDS[1:])]
)


@pytest.mark.parametrize(
    ("nanny", "kind"),
    [
        *(pytest.param(False, kind, id=f"no nanny-{kind}") for kind in KINDS),
        pytest.param(True, KINDS[0], id=f"nanny-{KINDS[0]}"),
        *(pytest.param(True, kind, id=f"nanny-{kind}", marks=slow) for kind in KINDS[1:]),
    ],
)
def test_a_worker_is_killed(trial: Trial, kind: str, nanny: bool) -> None:
    """In mid-iteration; with a nanny it comes back."""
    victim, _ = trial.machines.staff(2, nanny)

    def disturb(job: Job) -> None:
        at_turn(job, 2)
        trial.machines.strike(victim)

    trial.check(f"worker killed, {'' if nanny else 'no '}nanny, {kind}", disturb, kind)
    assert trial.machines.alive(victim) == nanny


@kinds
def test_all_workers_but_one_are_killed(trial: Trial, kind: str) -> None:
    *victims, last = trial.machines.staff(4)

    def disturb(job: Job) -> None:
        for turn, victim in enumerate(victims, 1):
            if kind != "array":  # of which another run has the next turn
                at_turn(job, turn)
            trial.machines.strike(victim)

    trial.check(f"3 of 4 workers killed, {kind}", disturb, kind)
    assert list(trial.machines.addresses()) == [last]


def test_all_workers_are_killed(trial: Trial) -> None:
    """The fit waits for others."""
    victims = trial.machines.staff(2)

    def disturb(job: Job) -> None:
        at_turn(job, 2)
        for victim in victims:
            trial.machines.kill(victim)
        eventually(lambda: not trial.machines.addresses(), "no worker")
        assert job.status()["state"] == "running"
        trial.machines.ready(trial.machines.start(), trial.machines.start())

    trial.check("all workers killed, 2 others started", disturb)


def test_all_workers_are_killed_with_large_parameters(trial: Trial) -> None:
    """They are scattered, and a copy goes with the last worker that had it."""
    machines = trial.machines
    first, second = machines.staff(2)
    before = machines.client.run_on_scheduler(faults.large, 0)

    def disturb(job: Job) -> None:
        at_turn(job, 1)
        machines.strike(first)
        at_turn(job, 2)
        machines.kill(second)
        eventually(lambda: not machines.addresses(), "no worker")
        time.sleep(2 * cluster.SCATTER_SECONDS)  # longer than a scatter waits for one
        machines.ready(machines.start(), machines.start())

    try:
        trial.check("all workers killed with large parameters", disturb)
    finally:
        machines.client.run_on_scheduler(faults.large, before)


@pytest.mark.parametrize("kind", ["file", pytest.param("array", marks=slow)])
def test_no_worker_is_there_at_first(trial: Trial, kind: str) -> None:
    """Nor any that the data could be sent to: the fit waits."""
    machines = trial.machines
    assert not machines.staff(0)
    with machines.client.as_current():
        data = trial.opened(kind)
        with ThreadPoolExecutor(1) as pool:
            context = copy_context()
            fit = pool.submit(context.run, lambda: dem.fit(trial.model, data, **HOW))
            time.sleep(1.0)
            assert not fit.done()
            machines.ready(machines.start())
            assert bits(fit.result(60)) == trial.whole


@kinds
def test_a_worker_is_retired(trial: Trial, kind: str) -> None:
    victim, stays = trial.machines.staff(2)

    def disturb(job: Job) -> None:
        at_turn(job, 2)
        trial.machines.client.retire_workers(names=[victim])

    trial.check(f"worker retired, {kind}", disturb, kind)
    assert list(trial.machines.addresses()) == [stays]


@kinds
def test_a_worker_is_paused(trial: Trial, kind: str) -> None:
    """By its memory: the fit ends on the others while it stays paused, with what waited there."""
    machines = trial.machines
    address = machines.with_a_sluggard()

    def disturb(job: Job) -> float:
        at_turn(job, 2)
        began = time.monotonic()
        trial.hold.touch()  # so that tasks are waiting there
        machines.pause(address)
        trial.hold.unlink()
        return time.monotonic() - began

    job = trial.check(f"worker paused by memory, {kind}", disturb, kind)
    assert job.status()["turns"] == HOW["max_iter"]
    assert machines.paused(address)


def test_the_last_task_that_waits_at_a_paused_worker(trial: Trial, tmp_path: Path) -> None:
    """Which Dask takes from it only while there are more than it has threads."""
    machines = trial.machines
    dem.runs(machines.client)  # so that the scheduler has what relieves it
    slow_one = machines.with_a_sluggard()
    (other,) = set(machines.addresses().values()) - {slow_one}
    here, there = tmp_path / "here", tmp_path / "there"
    here.touch()
    there.touch()

    def task(number: int, hold: Path, address: str) -> Any:
        pinned = {"workers": [address], "allow_other_workers": True}
        return machines.client.submit(while_there, hold, key=("dem-task", number), **pinned)

    busy = task(0, there, other)  # so that it takes nothing
    begun, waiting = task(1, here, slow_one), task(2, here, slow_one)
    eventually(lambda: len(machines.client.processing()[slow_one]) == 2, "two tasks")
    machines.pause(slow_one)
    here.unlink()
    begun.result(30)
    there.unlink()
    busy.result(30)
    assert waiting.result(30) == machines.pid(other)
    assert machines.paused(slow_one)


def test_a_worker_joins(trial: Trial) -> None:
    """And takes part from the next pass on."""
    machines = trial.machines
    machines.staff(1)
    joined: list[str] = []

    def disturb(job: Job) -> float:
        at_turn(job, 2)
        began = time.monotonic()
        trial.hold.touch()
        joined.append(machines.start())
        machines.ready(*joined)
        trial.hold.unlink()
        return time.monotonic() - began

    trial.check("worker joins 1", disturb)
    (done,) = machines.client.run(blocks_done, workers=[machines.addresses()[joined[0]]]).values()
    assert done > 0


@pytest.mark.parametrize("kind", ["file", pytest.param("array", marks=slow)])
def test_the_cluster_is_restarted(trial: Trial, kind: str) -> None:
    """Its workers lose all they have: data on disk are read again, those of the client sent."""
    trial.machines.staff(2, nanny=True)

    def disturb(job: Job) -> None:
        at_turn(job, 2)
        trial.machines.client.restart()

    trial.check(f"Client.restart, {kind}", disturb, kind)


def test_persisted_data_are_lost(trial: Trial) -> None:
    """Nobody can bring them again: an error says so."""
    trial.machines.staff(1, nanny=True)
    with trial.begun("persisted") as (job, fit):
        at_turn(job, 2)
        trial.machines.client.restart()
        with pytest.raises(Lost, match="persisted data are no longer on the cluster"):
            fit.result(30)


SCRIPT = """
import sys, time, dem, faults
from distributed import Client
client = Client(sys.argv[1])
model = faults.Slow(3, dem.Gaussian(), seconds=0.025)
data = dem.open_data(sys.argv[2], block_bytes=4096 * 16)
dem.fit(model, data, max_iter=6, tol=0.0, seed=1)
"""


def test_the_client_is_killed(trial: Trial) -> None:
    """Another finds the run of `dem.fit`, and has the result."""
    machines = trial.machines
    machines.staff(2)
    undisturbed, run = trial.undisturbed(), trial.next_run()
    command = [sys.executable, "-c", SCRIPT, machines.address, str(trial.place / "x.zarr")]
    with subprocess.Popen(command, env=environment()) as process:
        try:
            job = dem.attach(eventually(run, "a run"), machines.client)
            at_turn(job, 2)
        finally:
            process.kill()
    assert job.status()["state"] == "running"
    assert bits(job.result(60)) == trial.whole
    trial.note("client killed", undisturbed, time.time() - job.status()["began"])


def test_the_scheduler_is_killed(trial: Trial, tmp_path: Path) -> None:
    """Whoever waits is told; the fit goes on elsewhere from its checkpoint."""
    kept = tmp_path / "kept"
    trial.machines.staff(2)
    with Machines(tmp_path) as first:
        first.staff(2)
        began = time.monotonic()
        with replace(trial, machines=first).begun(checkpoint=kept, checkpoint_seconds=0) as (
            job,
            fit,
        ):
            at_turn(job, 3)
            first.kill("scheduler")
            with (
                dask.config.set({"distributed.comm.timeouts.connect": "2s"}),  # to come back
                pytest.raises(ConnectionError, match=r"scheduler is gone.*dem\.resume"),
            ):
                fit.result(30)
    with trial.machines.client.as_current():
        resumed = dem.resume(kept, trial.opened("file"))
    assert bits(resumed) == trial.whole
    seconds = time.monotonic() - began
    trial.note("scheduler killed, resumed elsewhere", trial.undisturbed(), seconds)


@pytest.mark.parametrize("kind", ["file", pytest.param("array", marks=slow)])
def test_a_task_that_kills_every_worker(trial: Trial, tmp_path: Path, kind: str) -> None:
    """Ends in an error, and not in an endless slaughter."""
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    model = faults.Deadly(3, dem.Gaussian(), marker=float(X[0, 0]), deaths=str(deaths))
    config = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with Machines(tmp_path, config=config) as fragile:
        fragile.staff(2, nanny=True)
        with fragile.client.as_current(), pytest.raises((KilledWorker, Lost), match="died"):
            dem.fit(model, trial.opened(kind), **HOW)
        eventually(lambda: fragile.client.submit(sum, [1, 2]).result() == 3, "an answer")
    assert 2 <= len(list(deaths.iterdir())) <= 2 * 2
