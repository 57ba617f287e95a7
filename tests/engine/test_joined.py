"""Resuming a fit that still lives on the scheduler: whoever asks joins it."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client

import dem
import faults
import trials
from dem import checkpoint as checkpoints

X = np.random.default_rng(5).normal(size=(3000, 2)) * [1, 3] + [5, 0]
HOW: dict[str, Any] = {"max_iter": 12, "tol": 0.0, "seed": 1}
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def living(client: Client, tmp_path: Path) -> dem.Job:
    """A fit at work that has a checkpoint."""
    np.save(tmp_path / "x.npy", X)
    model = faults.Slow(3, dem.Gaussian(), seconds=0.3)
    kept = tmp_path / "kept"
    job = dem.submit(model, tmp_path / "x.npy", client=client, checkpoint=kept, **HOW)
    while not checkpoints.exists(kept):
        time.sleep(0.05)
    assert job.status()["state"] == "running"
    return job


def test_the_same_fit_is_joined(client: Client, living: dem.Job, tmp_path: Path) -> None:
    before = len(dem.runs(client))
    with client.as_current():
        joined = dem.resume(tmp_path / "kept")
    assert len(dem.runs(client)) == before
    assert trials.bits(joined) == trials.bits(living.result(30))
    assert living.status()["state"] == "done"
    # Now that it has ended it is gone on with, from where it stood at its end.
    with client.as_current():
        assert trials.bits(dem.resume(tmp_path / "kept")) == trials.bits(joined)


def test_another_one_takes_its_place(client: Client, living: dem.Job, tmp_path: Path) -> None:
    with client.as_current():
        shorter = dem.resume(tmp_path / "kept", max_iter=5)
    assert len(shorter.history) == 5
    living.cancel()
