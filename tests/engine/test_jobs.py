"""A fit on the scheduler: the same bits, and nobody needs to stay for it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client

import dem
import faults
import trials
from dem.engine.run import ENDED
from dem.report.progress import Silent

BLOCK = 4096
X = np.random.default_rng(5).normal(size=(12 * BLOCK, 2)) * [1, 3] + [5, 0]
W = np.random.default_rng(6).random(len(X))
MODEL = dem.Mixture(3, dem.Gaussian())
HOW: dict[str, Any] = {"max_iter": 5, "tol": 0.0, "seed": 1}
pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("small_blocks")]


def bits(fitted: Any) -> tuple[Any, ...]:
    return *trials.bits(fitted), fitted.n_passes


def kinds(tmp_path: Path) -> dict[str, Any]:
    np.save(tmp_path / "x.npy", X)
    return {
        "file": tmp_path / "x.npy",
        "array": X,
        "lazy": da.from_array(X, chunks=(BLOCK, 2)),
        "persisted": da.from_array(X, chunks=(BLOCK, 2)).persist(),
    }


@pytest.mark.parametrize("kind", ["file", "array", "lazy", "persisted"])
@pytest.mark.parametrize("weights", [None, W], ids=["unweighted", "weighted"])
def test_the_same_bits(client: Client, tmp_path: Path, kind: str, weights: Any) -> None:
    with client.as_current():
        data = kinds(tmp_path)[kind]
        whole = dem.fit(MODEL, data, weights=weights, **HOW)
        job = dem.submit(MODEL, data, weights=weights, **HOW)
        assert bits(job.result(60)) == bits(whole)
        assert job.status()["state"] == "done"
        assert len(job.history) == HOW["max_iter"]


def test_whoever_submitted_it_may_be_killed(client: Client, tmp_path: Path) -> None:
    data = kinds(tmp_path)["file"]
    whole = dem.fit(MODEL, data, **(HOW | {"max_iter": 40}))
    script = (
        "import sys, time, dem\n"
        "from distributed import Client\n"
        f"client = Client({client.scheduler.address!r})\n"
        "model = dem.Mixture(3, dem.Gaussian())\n"
        f"dem.submit(model, {str(data)!r}, run='orphan', max_iter=40, tol=0.0, seed=1)\n"
        "print('submitted', flush=True)\n"
        "time.sleep(60)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(dem.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=env
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert line == "submitted\n"
    with client.as_current():
        job = dem.attach("orphan")
        assert "orphan" in [run["run"] for run in dem.runs()]
        assert bits(job.result(60))[:2] == bits(whole)[:2]


def test_data_of_a_client_that_has_gone(client: Client) -> None:
    """What it sent to the workers stays as long as the run."""
    model = faults.Slow(3, dem.Gaussian(), seconds=0.02)
    with Client(client.scheduler.address, set_as_default=False) as passing:
        job = dem.submit(model, X, client=passing, **HOW)
    whole = dem.fit(MODEL, X, **HOW)
    assert bits(dem.attach(job.run, client).result(60)) == bits(whole)


def test_cancelling_keeps_what_there_is(client: Client) -> None:
    job = dem.submit(
        faults.Slow(3, dem.Gaussian(), seconds=0.01), X, client=client, max_iter=500, tol=0.0
    )
    while job.status()["turns"] < 2:
        time.sleep(0.05)
    job.cancel()
    fitted = job.result(30)
    assert fitted.interrupted
    assert 2 <= len(fitted.history) < 500
    assert job.status()["state"] == "cancelled"


def test_cancelled_before_its_first_turn(client: Client) -> None:
    job = dem.submit(faults.Slow(3, dem.Gaussian(), seconds=0.5), X, client=client, max_iter=50)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        job.result(30)


def test_errors_are_those_of_the_fit(client: Client) -> None:
    x = X.copy()
    x[BLOCK + 7, 1] = np.nan
    job = dem.submit(MODEL, x, client=client)
    with pytest.raises(dem.DataError, match=f"NaN: row {BLOCK + 7}, column 1, in block 1"):
        job.result(30)
    assert job.status()["state"] == "failed"
    marked = faults.Raising(3, dem.Gaussian(), marker=X[0, 0])
    with pytest.raises(faults.ModelFault):
        dem.submit(marked, X, client=client).result(30)


def test_waiting_in_vain(client: Client) -> None:
    job = dem.submit(
        faults.Slow(3, dem.Gaussian(), seconds=0.1), X, client=client, max_iter=50, tol=0.0
    )
    with pytest.raises(TimeoutError, match="still at work"):
        job.result(0.2)
    job.cancel()


def test_names(client: Client) -> None:
    with client.as_current():
        slow = faults.Slow(3, dem.Gaussian(), seconds=0.05)
        job = dem.submit(slow, X, run="mine", **HOW)
        with pytest.raises(ValueError, match="'mine' already"):
            dem.submit(MODEL, X, run="mine", **HOW)
        with pytest.raises(KeyError, match="no run 'yours'"):
            dem.attach("yours")
        job.result(30)
        again = dem.submit(MODEL, X, run="mine", **HOW)  # the first one has ended
        assert bits(again.result(30)) == bits(dem.fit(MODEL, X, **HOW))
    with pytest.raises(ValueError, match=r"no active distributed\.Client"):
        dem.submit(MODEL, X)


def test_following(client: Client) -> None:
    """An observer is told of every turn, of every attempt."""
    told: list[int] = []

    class Watch(Silent):
        def on_step(self, step: Any) -> None:
            told.append(step.turn)

    slow = faults.Slow(3, dem.Gaussian(), seconds=0.01)
    fitted = dem.submit(slow, X, client=client, **HOW).follow(Watch())
    assert told == [record.turn for record in fitted.history]


def test_twenty_at_once(client: Client) -> None:
    seeds = range(20)
    jobs = [dem.submit(MODEL, X, client=client, **(HOW | {"seed": seed})) for seed in seeds]
    for seed, job in zip(seeds, jobs, strict=True):
        assert bits(job.result(100)) == bits(dem.fit(MODEL, X, **(HOW | {"seed": seed})))


def test_a_worker_dies_and_a_checkpoint_is_kept(client: Client, tmp_path: Path) -> None:
    data = kinds(tmp_path)["file"]
    flag = tmp_path / "died"
    dying = faults.Dying(3, dem.Gaussian(), marker=float(X[0, 0]), flag=str(flag))
    dem.store.value(faults.Dying)
    job = dem.submit(
        dying, data, client=client, checkpoint=tmp_path / "kept", checkpoint_seconds=0, **HOW
    )
    fitted = job.result(90)
    assert flag.exists()
    assert bits(fitted) == bits(dem.fit(MODEL, data, **HOW))
    assert bits(dem.resume(tmp_path / "kept")) == bits(fitted)


def test_nothing_is_left_on_the_scheduler(client: Client) -> None:
    dem.submit(MODEL, X, client=client, **HOW).result(30)

    def left(dask_scheduler: Any) -> tuple[int, list[str]]:
        names = [str(name) for name in dask_scheduler.clients if str(name).startswith("dem-")]
        return len(dask_scheduler.tasks), names

    deadline = time.monotonic() + 20
    while client.run_on_scheduler(left) != (0, []) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert client.run_on_scheduler(left) == (0, [])
    assert all(run["state"] in ENDED for run in dem.runs(client))


def test_asynchronously(client: Client, tmp_path: Path) -> None:
    data = kinds(tmp_path)["file"]

    async def submitted() -> Any:
        async with Client(client.scheduler.address, asynchronous=True) as own:
            with pytest.raises(TypeError, match="submit_async"):
                dem.submit(MODEL, data, client=own, **HOW)
            with pytest.raises(TypeError, match="submit_async"):
                dem.fit(MODEL, data, **HOW)
            job = await dem.submit_async(MODEL, data, client=own, **HOW)
            fitted = await job.result_async()
            assert (await job.status_async())["state"] == "done"
            slow = faults.Slow(3, dem.Gaussian(), seconds=0.02)
            long = await dem.submit_async(slow, X, max_iter=10_000, tol=0.0, run="long")
            while not (await long.status_async())["turns"]:
                await asyncio.sleep(0.05)
            await dem.attach("long").cancel_async()
            assert (await long.result_async()).interrupted
        return fitted

    assert bits(asyncio.run(submitted())) == bits(dem.fit(MODEL, data, **HOW))
    job = dem.submit(MODEL, data, client=client, **HOW)
    assert bits(asyncio.run(job.result_async())) == bits(job.result(30))
