"""Data and checkpoints on stores that fail, read and written by processes of a cluster."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zarr

import dem
import faults
from dem import checkpoint
from dem.jobs import Job
from trials import BLOCK, HOW, Trial, at_turn, bits

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("small_blocks")]


def read_through(store: Any, trial: Trial) -> Any:
    array = zarr.open_array(store(trial.place / "x.zarr"), mode="r")
    return dem.open_data(array, block_bytes=BLOCK * 16)


def test_a_store_that_fails_every_third_read(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.machines.staff(2)
    trial.undisturbed()  # from a store that does not fail
    monkeypatch.setattr(Trial, "opened", lambda self, kind: read_through(faults.EveryThird, self))
    trial.check("store fails every third read", lambda job: None)
    assert all(n > 10 for n in trial.machines.client.run(faults.failed_reads).values())


@pytest.mark.faults
def test_a_store_that_fails_every_read(trial: Trial) -> None:
    trial.machines.staff(2)
    with (
        trial.machines.client.as_current(),
        pytest.raises(OSError, match=r"chunk \(\d+, 0\) .*cannot be read from its store"),
    ):
        dem.fit(trial.model, read_through(faults.Silenced, trial), **HOW)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "dem-tests", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room there is; more of it, if there is more by now."""
    path = disk / "ballast"
    with open(path, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def test_a_full_disk(trial: Trial, small_disk: Path) -> None:
    """The fit goes on without checkpoints, says so, and keeps some again once there is room."""
    trial = replace(trial, how=HOW | {"max_iter": 12}, whole=(), times={})
    trial.machines.staff(2)
    kept = small_disk / "kept"

    def disturb(job: Job) -> None:
        at_turn(job, 2)
        ballast = fill(small_disk)
        standing = checkpoint.load(kept).state
        turns = len(standing.history)
        assert turns >= 2
        while job.status()["turns"] < turns + 2:
            fill(small_disk)  # also what a failed attempt has freed
        assert len(checkpoint.load(kept).state.history) <= turns + 1
        ballast.unlink()
        at_turn(job, turns + 4)
        assert len(checkpoint.load(kept).state.history) >= turns + 4

    with pytest.warns(UserWarning, match="goes on without a checkpoint.*No space left"):
        trial.check("disk of the checkpoint full", disturb, checkpoint=kept, checkpoint_seconds=0)
    assert len(checkpoint.load(kept).state.history) == trial.how["max_iter"]
    assert bits(dem.resume(kept, trial.opened("file"))) == trial.whole
    assert not [path for path in kept.iterdir() if path.name.startswith(".")]
