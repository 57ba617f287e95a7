"""Faults that pass are waited out; those that last are told at once, or in the end."""

import errno
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore

import dem
from dem.engine import patience
from dem.engine.patience import patiently

X = np.random.default_rng(8).normal(size=(4000, 2))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.0)


def failing(times: int, error: Exception) -> tuple[Callable[[], str], list[int]]:
    calls: list[int] = []

    def call() -> str:
        calls.append(len(calls))
        if len(calls) <= times:
            raise error
        return "result"

    return call, calls


@pytest.mark.parametrize("times", range(patience.ATTEMPTS))
def test_faults_that_pass(times: int) -> None:
    call, calls = failing(times, ConnectionResetError("gone for a moment"))
    assert patiently(call, "It failed") == "result"
    assert len(calls) == times + 1


def test_a_fault_that_stays() -> None:
    call, calls = failing(100, TimeoutError("no answer"))
    with pytest.raises(TimeoutError) as caught:
        patiently(call, "It failed")
    assert caught.value.__notes__ == ["It failed, at each of 5 attempts"]
    assert len(calls) == patience.ATTEMPTS


def wrapped(cause: Exception) -> Exception:
    error = OSError("cannot be read from its store")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        *(dem.DataError("corrupt"), ZeroDivisionError(), MemoryError()),
        *(FileNotFoundError(), PermissionError(), wrapped(PermissionError())),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=repr,
)
def test_no_use_in_waiting(error: Exception) -> None:
    call, calls = failing(100, error)
    with pytest.raises(type(error)) as caught:
        patiently(call, "It failed")
    assert not hasattr(caught.value, "__notes__")
    assert len(calls) == 1


class EveryThird(LocalStore):
    """A store of which every third read of a chunk fails."""

    reads = itertools.count(1)
    failed = 0
    every = 3

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        if "c/" in key and next(self.reads) % self.every == 0:
            type(self).failed += 1
            raise TimeoutError("the store does not answer")
        return await super().get(key, *args, **kwargs)


class Every(EveryThird):
    """A store that gives no chunk."""

    every = 1


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 2))
    return tmp_path / "x.zarr"


def fitted(data: Any) -> Any:
    manifest = dem.open_data(data, block_bytes=100 * 16)
    return dem.fit(dem.Mixture(2, dem.Gaussian()), manifest, max_iter=3, tol=0.0, threads=2)


def test_a_store_that_fails_every_third_read(stored: Path) -> None:
    here, there = fitted(stored), fitted(zarr.open_array(EveryThird(stored), mode="r"))
    assert EveryThird.failed > 10
    assert [r.bound for r in here.history] == [r.bound for r in there.history]


def test_a_store_that_fails_every_read(stored: Path) -> None:
    with pytest.raises(OSError, match=r"chunk \(\d+, 0\) \(rows \d+ to \d+\)") as caught:
        fitted(zarr.open_array(Every(stored), mode="r"))
    assert "attempts" in caught.value.__notes__[0]
