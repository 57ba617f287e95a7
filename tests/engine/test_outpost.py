"""Fits that are too heavy for the scheduler's process are driven by a worker, to the same bits."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client

import dem
import faults
from dem.engine.drive import Limits
from dem.engine.run import Kept
from trials import bits

X = np.random.default_rng(5).normal(size=(12 * 4096, 2)) * [1, 3] + [5, 0]
MODEL = dem.Mixture(3, dem.Gaussian())
HOW: dict[str, Any] = {"max_iter": 6, "tol": 0.0, "seed": 1, "n_init": 2}
pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("small_blocks")]


@pytest.fixture(params=["statistics", "M-step"])
def limited(client: Client, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A cluster whose scheduler finds every fit too heavy: at once, or after its first M-step."""
    tight = Limits(stats_bytes=1) if request.param == "statistics" else Limits(m_step_seconds=0)
    before = client.run_on_scheduler(limit, limits=tight)
    yield client
    client.run_on_scheduler(limit, limits=before)


def limit(limits: Limits) -> Limits:
    from dem.engine import scheduler

    before, scheduler.LIMITS = scheduler.LIMITS, limits
    return before


@pytest.mark.parametrize("kind", ["file", "array"])
def test_the_same_bits(limited: Client, kind: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    data = X if kind == "array" else tmp_path / "x.npy"
    whole = dem.fit(MODEL, data, **HOW)
    job = dem.submit(MODEL, data, client=limited, **HOW)
    fitted = job.result(60)
    assert bits(fitted) == bits(whole)
    assert len(job.history) == HOW["max_iter"]
    status = job.status()
    assert (status["state"], status["attempt"]) == ("done", 1)
    with limited.as_current():
        assert bits(dem.fit(MODEL, data, **HOW)) == bits(whole)


def test_a_checkpoint_moves_along(limited: Client, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    how = HOW | {"checkpoint_seconds": 0}
    kept = tmp_path / "kept"
    job = dem.submit(MODEL, tmp_path / "x.npy", client=limited, checkpoint=kept, **how)
    fitted = job.result(60)
    assert bits(dem.resume(kept)) == bits(fitted)


def test_its_worker_dies(limited: Client, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    slow = faults.Slow(3, dem.Gaussian(), seconds=0.05)
    how = HOW | {"n_init": 1}
    whole = dem.fit(slow, tmp_path / "x.npy", **how)
    limited.wait_for_workers(2)
    job = dem.submit(slow, tmp_path / "x.npy", client=limited, **how)
    while job.status()["turns"] < 3:
        time.sleep(0.02)
    driver = f"dem-drive-{job.run}"
    (address,) = limited.run_on_scheduler(
        lambda dask_scheduler: [
            task.processing_on.address
            for key, task in dask_scheduler.tasks.items()
            if str(key).startswith(driver)
        ]
    )
    with pytest.raises(Exception, match=r"."):
        limited.run(lambda: __import__("os")._exit(1), workers=[address])
    assert bits(job.result(60)) == bits(whole)


def test_cancelled(limited: Client) -> None:
    slow = faults.Slow(3, dem.Gaussian(), seconds=0.02)
    limited.wait_for_workers(2)
    job = dem.submit(slow, X, client=limited, max_iter=1000, tol=0.0)
    while job.status()["turns"] < 3:
        time.sleep(0.02)
    job.cancel()
    fitted = job.result(30)
    assert fitted.interrupted
    assert job.status()["state"] == "cancelled"
    assert isinstance(limited.run_on_scheduler(kept, run=job.run), Kept)


def kept(run: str, dask_scheduler: Any) -> Any:
    from distributed.protocol.pickle import loads

    return loads(dask_scheduler.plugins["dem"].runs[run].outcome)


def test_a_model_goes_with_its_worker(limited: Client, tmp_path: Path) -> None:
    """The fit is not done once more, and who asks is told."""
    np.save(tmp_path / "x.npy", X)
    limited.wait_for_workers(2)
    job = dem.submit(MODEL, tmp_path / "x.npy", client=limited, **HOW)
    job.result(60)
    for nanny in tuple(limited.scheduler_info(-1)["workers"]):
        with pytest.raises(Exception, match=r"."):
            limited.run(lambda: __import__("os")._exit(1), workers=[nanny])
    with pytest.raises(ValueError, match="went with the worker that had it"):
        job.result(30)
    limited.wait_for_workers(2)
    time.sleep(1)
    assert job.status()["state"] == "done"


def test_progress_within_a_pass(limited: Client) -> None:
    slow = faults.Slow(3, dem.Gaussian(), seconds=0.2)
    limited.wait_for_workers(2)
    job = dem.submit(slow, X, client=limited, max_iter=3, tol=0.0)
    seen = set()
    while (status := job.status())["state"] not in ("done", "failed"):
        if status["turns"]:  # by then a worker drives it
            seen.add(status["blocks"])
        time.sleep(0.05)
    assert status["state"] == "done"
    assert any(0 < done < total for done, total in seen), seen


def test_large_parameters_travel_from_worker_to_worker(limited: Client, tmp_path: Path) -> None:
    """No pass goes through the scheduler, and one that is lost is sent again."""
    np.save(tmp_path / "x.npy", X)
    slow = faults.Slow(3, dem.Gaussian(), seconds=0.1)
    how = HOW | {"n_init": 1}
    whole = dem.fit(slow, tmp_path / "x.npy", **how)
    limited.wait_for_workers(2)
    before = limited.run(faults.large, limit=0)
    job = dem.submit(slow, tmp_path / "x.npy", client=limited, **how)
    lost: set[str] = set()
    while job.status()["state"] not in ("done", "failed"):
        if job.status()["turns"] >= 1 and len(lost) < 2:
            lost |= set(limited.run_on_scheduler(lose_the_pass))
            assert not limited.run_on_scheduler(literal_passes)
        time.sleep(0.1)
    limited.run(faults.large, limit=max(before.values()))
    assert bits(job.result(60)) == bits(whole)
    assert lost


def lose_the_pass(dask_scheduler: Any) -> list[str]:
    """Forget what was scattered, as when the only worker that has it dies."""
    sent = [task for task in dask_scheduler.tasks.values() if str(task.key).startswith("bytes-")]
    for task in sent:
        for client in tuple(task.who_wants):
            dask_scheduler.stimulus_cancel(
                [task.key], client.client_key, force=True, reason="lost", msg="lost"
            )
    return [task.key for task in sent]


def literal_passes(dask_scheduler: Any) -> list[Any]:
    return [key for key in dask_scheduler.tasks if isinstance(key, tuple) and "pass" in key]
