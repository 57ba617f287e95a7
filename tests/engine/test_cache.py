"""Blocks that are kept: read once, the same bits, within the budget, and gone with their fit."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import zarr
from distributed import Client, wait

import dem
from dem.contract import Sample
from dem.engine import cache
from dem.engine.cache import CACHE, Budget, Cache
from dem.engine.cluster import Cluster
from dem.engine.drive import Limits
from dem.engine.hosts import check_memory
from dem.engine.local import Local
from dem.engine.manifest import Manifest, open_data
from dem.engine.readers.cached import CachedRows, cached
from dem.errors import DataError
from dem.families import Full, Gaussian
from dem.fitting import fit
from dem.models.mixture import Mixture
from dem.passes import Expectation
from dem.posteriors import Exact
from dem.schedules import Incremental
from dem.starts import Centres
from dem.stats import leaves

BLOCK, BLOCKS, COLUMNS = 512, 12, 3
RNG = np.random.default_rng(1)
X = RNG.normal(size=(BLOCK * BLOCKS - 100, COLUMNS)) + 3.0 * RNG.integers(0, 2, size=(1, COLUMNS))
X = X.astype(np.float32)
WEIGHTS = RNG.integers(0, 4, size=len(X)).astype(np.float32)
MODEL = Mixture(2, Gaussian(Full()))
EVERY = [range(BLOCKS)]
PLENTY = Budget(2**30)


def e_step() -> Expectation:
    params = MODEL.start(Sample.of(X[:500], np.ones(500), True), np.random.default_rng(0))
    return Expectation(MODEL, params, Exact())


def bits(result: Any) -> bytes:
    return b"".join(np.ascontiguousarray(part).tobytes() for part in leaves(result))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(BLOCK, COLUMNS))
    zarr.create_array(str(tmp_path / "w.zarr"), data=WEIGHTS, chunks=(BLOCK,))
    return tmp_path


def opened(place: Path, weighted: bool = False) -> Manifest:
    manifest = open_data(
        place / "x.zarr",
        weights=place / "w.zarr" if weighted else None,
        block_bytes=BLOCK * COLUMNS * 4,
    )
    assert manifest.n_blocks == BLOCKS
    return manifest


def everywhere(client: Client | None) -> int:
    """Bytes that all processes keep."""
    there = {} if client is None else client.run(lambda: cache.CACHE.nbytes)
    return CACHE.nbytes + sum(there.values())


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that leaves blocks behind fails, and the thread that watches over them ends."""
    yield
    assert CACHE.nbytes == 0
    if "client" in request.fixturenames:
        assert everywhere(request.getfixturevalue("client")) == 0


@dataclass(frozen=True, eq=False)
class Counted:
    """A reader that notes which blocks are read."""

    stored: Any
    reads: list[int]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stored, name)

    def read(self, block: int, out: Any = None) -> Any:
        self.reads.append(block)
        return self.stored.read(block, out)


def counted(manifest: Manifest) -> tuple[Manifest, list[int]]:
    reads: list[int] = []
    return replace(manifest, reader=Counted(manifest.reader, reads)), reads


@pytest.mark.parametrize("client", [1], indirect=True)
def test_what_is_kept_is_never_read_again(client: Client, stored: Path) -> None:
    work = e_step()
    for host, seen in ((Local, None), (Cluster, client)):
        place = stored / host.__name__
        place.mkdir()
        for name in ("x.zarr", "w.zarr"):
            shutil.copytree(stored / name, place / name)
        manifest = opened(place, weighted=True)
        where = (2,) if host is Local else (client,)
        with Local(manifest, 1) as plain:
            expected = bits(plain.sweep(work, EVERY))
        with host(manifest, *where, budget=PLENTY) as engine:
            assert bits(engine.sweep(work, EVERY)) == expected
            # In their own precision; weights as they are used.
            assert everywhere(seen) == X.nbytes + 8 * len(X)
            shutil.rmtree(place)
            assert bits(engine.sweep(work, EVERY)) == expected
        assert everywhere(seen) == 0
        with Local(manifest, 1) as plain, pytest.raises(DataError, match="is missing"):
            plain.sweep(work, EVERY)


def test_what_does_not_fit_is_read_each_time(stored: Path) -> None:
    manifest, reads = counted(opened(stored))
    with Local(manifest, 1, budget=Budget(5 * BLOCK * COLUMNS * 4 + 100)) as engine:
        first = engine.sweep(e_step(), EVERY)
        assert CACHE.nbytes == 5 * BLOCK * COLUMNS * 4
        assert sorted(reads) == list(range(BLOCKS))
        for _ in range(2):
            reads.clear()
            assert bits(engine.sweep(e_step(), EVERY)) == bits(first)
            assert reads == list(range(5, BLOCKS))


@pytest.mark.parametrize("schedule", [{}, {"schedule": Incremental(3)}])
@pytest.mark.parametrize("asked", ["auto", 20_000])
def test_a_fit_has_the_same_bits(
    engine: Any, stored: Path, asked: Any, schedule: dict[str, Any]
) -> None:
    how = {"start": Centres(X[:2]), "max_iter": 4, "tol": 0.0, **schedule}
    expected = fit(MODEL, opened(stored, weighted=True), **how)
    with dask.config.set({"dem.cache": asked}):
        found = fit(MODEL, opened(stored, weighted=True), **how)
    assert bits(found.params) == bits(expected.params)
    assert [record.bound for record in found.history] == [r.bound for r in expected.history]
    assert everywhere(engine) == 0


def test_a_worker_that_dies_takes_nothing_with_it(client: Client, stored: Path) -> None:
    with Local(opened(stored), 1) as plain:
        expected = bits(plain.sweep(e_step(), EVERY))
    with Cluster(opened(stored), client, budget=PLENTY) as engine:
        assert bits(engine.sweep(e_step(), EVERY)) == expected
        pids = client.run(os.getpid)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        assert bits(engine.sweep(e_step(), EVERY)) == expected
        client.wait_for_workers(len(pids))
        while len(client.run(os.getpid, on_error="ignore")) < len(pids):
            time.sleep(0.05)


def test_two_runs_share_nothing(tmp_path: Path) -> None:
    """Even of the same place, which may have been written anew in between."""
    where = tmp_path / "x.zarr"
    zarr.create_array(str(where), data=X, chunks=(BLOCK, COLUMNS))
    manifest = open_data(where, block_bytes=BLOCK * COLUMNS * 4)
    with Local(manifest, 1, budget=PLENTY) as first:
        before = bits(first.sweep(e_step(), EVERY))
        zarr.open_array(str(where), mode="r+")[:] = X[::-1]
        with Local(manifest, 1, budget=PLENTY) as second:
            after = bits(second.sweep(e_step(), EVERY))
            assert after != before
            assert CACHE.nbytes == 2 * X.nbytes
        assert CACHE.nbytes == X.nbytes
        assert bits(first.sweep(e_step(), EVERY)) == before


@pytest.fixture(params=[Limits(), Limits(stats_bytes=1)], ids=["scheduler", "worker"])
def driven(client: Client, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A cluster whose scheduler drives every fit, or has a worker drive it."""
    before = client.run_on_scheduler(limit, limits=request.param)
    yield client
    client.run_on_scheduler(limit, limits=before)


def limit(limits: Limits) -> Limits:
    from dem.engine import scheduler

    before, scheduler.LIMITS = scheduler.LIMITS, limits
    return before


def test_a_fit_that_is_cancelled_leaves_nothing(driven: Client, stored: Path) -> None:
    with dask.config.set({"dem.cache": "auto"}):
        job = dem.submit(
            MODEL, opened(stored), client=driven, start=Centres(X[:2]), max_iter=10**6, tol=0.0
        )
    until(lambda: job.status()["turns"] > 2)
    assert everywhere(driven) >= X.nbytes
    job.cancel()
    job.result(30)
    assert everywhere(driven) == 0


def test_a_fit_that_fails_leaves_nothing(engine: Any, stored: Path) -> None:
    zarr.open_array(str(stored / "x.zarr"), mode="r+")[-1] = np.nan
    with dask.config.set({"dem.cache": "auto"}), pytest.raises(DataError, match="NaN"):
        fit(MODEL, opened(stored), start=Centres(X[:2]))
    if engine is not None:  # what other ranges had begun may still be under way
        wait_for_idle(engine)
    assert everywhere(engine) == 0


def wait_for_idle(client: Client) -> None:
    until(lambda: not any(client.processing().values()))


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_comes_after_the_end_is_not_kept() -> None:
    held = Cache()
    held.drop("run")
    held.put("run", 0, X, X.nbytes, 10**9)
    assert held.nbytes == 0
    assert not held.keeps("run")


def test_what_nobody_asks_for_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a driver that has died; if it has not, it keeps blocks again."""
    monkeypatch.setattr(cache, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(cache, "WATCH_SECONDS", 0.02)
    held = Cache()
    held.put("run", 0, X, X.nbytes, 10**9)
    assert held.find("run", 0) is X
    until(lambda: held.nbytes == 0)
    assert held.find("run", 0) is None
    assert held.keeps("run")
    until(lambda: held._watch is None)


def test_where_memory_gets_short_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    used = [0]
    monkeypatch.setattr(cache, "_used", lambda: used[0])
    monkeypatch.setattr(cache, "WATCH_SECONDS", 0.02)
    held = Cache()
    held.limit = 10 * X.nbytes
    for block in range(5):
        held.put("run", block, X, X.nbytes, None)
    assert held.nbytes == 3 * X.nbytes  # 30 %
    used[0] = 5 * X.nbytes
    held.put("another", 0, X, X.nbytes, 10**9)
    assert held.nbytes == 3 * X.nbytes
    used[0] = 7 * X.nbytes
    until(lambda: held.nbytes == 0)
    assert not held.keeps("run")


def test_a_machine_keeps_memory_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Memory:
        available: int
        total: int = 100 * X.nbytes

    for available, expected in ((22, X.nbytes), (20, 0)):
        memory = Memory(available * X.nbytes)
        monkeypatch.setattr(cache.psutil, "virtual_memory", lambda memory=memory: memory)
        held = Cache()
        held.put("run", 0, X, X.nbytes, 10**9)
        assert held.nbytes == expected
        held.drop("run")


def test_what_is_kept_does_not_count_as_taken(stored: Path) -> None:
    with Local(opened(stored), 1, budget=PLENTY) as engine:
        ((_, _, before),) = engine.memory()
        engine.sweep(e_step(), EVERY)
        CACHE.put("another", 0, X, 10**15, None)  # is far too much
        assert CACHE.nbytes == X.nbytes
        ((_, _, after),) = engine.memory()
        assert after > before - 2**30
        check_memory(engine, 0)
        CACHE.drop("another")


def test_chunks_of_lazy_arrays_are_computed_once() -> None:
    calls: list[int] = []

    def computed(part: np.ndarray) -> np.ndarray:
        calls.append(len(part))
        return part + 1

    lazy = da.from_array(X, chunks=(BLOCK, -1)).map_blocks(computed, dtype=X.dtype)
    manifest = open_data(lazy)
    calls.clear()
    with Local(manifest, 1, budget=PLENTY) as engine:
        engine.sweep(e_step(), EVERY)
        engine.sweep(e_step(), EVERY)
    assert len(calls) == BLOCKS


def test_what_is_in_memory_is_not_kept_again(client: Client) -> None:
    with client.as_current():
        lazy = da.from_array(X, chunks=(BLOCK, -1))
        persisted = lazy.persist()
        wait(persisted)
    views = da.map_blocks(lambda block_info=None: X[:BLOCK], chunks=((BLOCK,), (COLUMNS,)),
                          dtype=X.dtype, meta=X[:0])  # fmt: skip
    for data in (X, lazy, persisted):
        manifest = open_data(data)
        assert cached(manifest, "run", PLENTY).reader is manifest.reader
    manifest = cached(open_data(views), "views", PLENTY)
    assert isinstance(manifest.reader, CachedRows)
    assert manifest.reader.read(0).base is X
    assert CACHE.nbytes == 0


def test_sparse_rows_stay_sparse(tmp_path: Path) -> None:
    from scipy.sparse import csr_array

    rows = csr_array(np.round(np.abs(X[:600])))
    group = zarr.create_group(str(tmp_path / "s.zarr"), attributes={"shape": list(rows.shape)})
    for name in ("data", "indices", "indptr"):
        group.create_array(name, data=getattr(rows, name), chunks=(500,))
    manifest = cached(open_data(tmp_path / "s.zarr", sparse=True), "sparse", PLENTY)
    assert manifest.sparse
    first = manifest.reader.read(0)
    assert manifest.reader.read(0) is first
    assert (first != rows[: first.shape[0]]).nnz == 0
    CACHE.drop("sparse")


def test_what_is_kept_cannot_be_written_to(stored: Path) -> None:
    manifest = cached(opened(stored), "written", PLENTY)
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            manifest.reader.read(0)[0, 0] = 1.0
    CACHE.drop("written")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("auto", Budget()),
        (False, None),
        (None, None),
        (0, None),
        (10**6, Budget(10**6)),
        ("2 GB", Budget(2 * 10**9)),
        ("1.5MiB", Budget(3 * 2**19)),
    ],
)
def test_how_it_is_asked_for(asked: Any, expected: Any) -> None:
    with dask.config.set({"dem.cache": asked}):
        assert cache.configured() == expected


@pytest.mark.parametrize("asked", [True, "much", -1, "-2 GB"])
def test_what_it_may_not_be(asked: Any) -> None:
    with dask.config.set({"dem.cache": asked}), pytest.raises(ValueError, match=r"dem\.cache"):
        cache.configured()


def test_nothing_is_kept_unless_asked_for(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with suppress(KeyError):
        monkeypatch.delitem(dask.config.config, "dem")
    manifest, reads = counted(opened(stored))
    done = fit(MODEL, manifest, start=Centres(X[:2]), max_iter=3, tol=0.0)
    assert len(done.history) == 3
    assert len(reads) > 3 * BLOCKS
