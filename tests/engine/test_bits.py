"""The same blocks give the same bits: whatever the engine, the kind of data, the deaths."""

import os
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st

import faults
from dem import GaussianMixture
from dem.accelerate import QuasiNewton
from dem.contract import Sample
from dem.engine import reduce, task
from dem.engine.local import Local
from dem.engine.manifest import Manifest, open_data
from dem.engine.readers import arrays
from dem.families import Diagonal, Full, Gaussian
from dem.fitting import Fit, fit
from dem.models.mixture import Mixture
from dem.passes import Expectation
from dem.posteriors import Exact
from dem.schedules import Incremental, Stepwise, VarianceReduced
from dem.starts import Centres, KMeansParallel
from dem.stats import leaves
from dem.warm import WarmStart

BLOCK = 4096
ROWS, COLUMNS = 20 * BLOCK + 123, 3
RNG = np.random.default_rng(5)
# In multiples of 2⁻²⁰, so that shifting by a half and back is exact.
X = RNG.normal(size=(ROWS, COLUMNS)) + 3.0 * RNG.integers(0, 3, (ROWS, 1))
X = np.round(X * 2**20) / 2**20
WEIGHTS = RNG.integers(0, 4, size=ROWS).astype(float)
MODEL = Mixture(3, Gaussian(Full()))
START = Centres(X[:3])
pytestmark = pytest.mark.usefixtures("small_blocks")


def opened(data: Any, weights: Any = None) -> Manifest:
    manifest = open_data(data, weights=weights, block_bytes=BLOCK * COLUMNS * 8)
    assert manifest.n_blocks == 21
    return manifest


def fitted(data: Any, weights: Any = None, model: Any = MODEL, **options: Any) -> Fit:
    options = {"start": KMeansParallel(rounds=2), "max_iter": 4, "tol": 0.0, **options}
    return fit(model, opened(data, weights), **options)


def bits(result: Fit) -> bytes:
    bounds = [(record.bound_e, record.bound) for record in result.history]
    parts = [*leaves(result.params), np.array(bounds)]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the data as Zarr, .npy and Parquet, and the weights as Zarr."""
    place = tmp_path_factory.mktemp("stored")
    for name, data, chunks in (("x", X, (BLOCK, COLUMNS)), ("w", WEIGHTS, (10_000,))):
        zarr.create_array(str(place / f"{name}.zarr"), data=data, chunks=chunks)
    np.save(place / "x.npy", X)
    pd.DataFrame(X, columns=list("abc")).to_parquet(place / "x.parquet", row_group_size=BLOCK)
    return place


@pytest.fixture(scope="module")
def expected() -> dict[str, bytes]:
    """What one thread makes of arrays in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
        return {
            "unweighted": bits(fitted(X, threads=1)),
            "weighted": bits(fitted(X, WEIGHTS, threads=1)),
        }


SOURCES: dict[str, Callable[[Path], Any]] = {
    "Zarr path": lambda place: str(place / "x.zarr"),
    "Zarr array": lambda place: zarr.open_array(str(place / "x.zarr"), mode="r"),
    "npy path": lambda place: place / "x.npy",
    "memmap": lambda place: np.load(place / "x.npy", mmap_mode="r"),
    "Parquet path": lambda place: place / "x.parquet",
    "NumPy": lambda place: X,
    "NumPy, column order": lambda place: np.asfortranarray(X),
    "Dask over Zarr": lambda place: da.from_zarr(str(place / "x.zarr")),
    "lazy Dask": lambda place: da.from_zarr(str(place / "x.zarr")).map_blocks(np.copy),
    "Dask split along columns": lambda place: da.from_array(X, chunks=(BLOCK, 2)),
    "persisted Dask": lambda place: da.from_array(X, chunks=(BLOCK, -1)).persist(),
    "lazy on persisted Dask": lambda place: (
        da.from_array(X - 0.5, chunks=(BLOCK, -1)).persist() + 0.5
    ),
}
WEIGHTED: dict[str, Callable[[Path], Any]] = {
    "NumPy": lambda place: WEIGHTS,
    "integers": lambda place: WEIGHTS.astype(np.int8),
    "Zarr path": lambda place: place / "w.zarr",
    "lazy Dask": lambda place: da.from_array(WEIGHTS, chunks=7_000) * 1.0,
    "persisted Dask": lambda place: da.from_array(WEIGHTS, chunks=BLOCK).persist(),
}


ON_DISK_OR_NOT = ["Zarr path", "NumPy", "persisted Dask"]
two_workers = pytest.mark.parametrize("client", [2], indirect=True, ids=["2 workers"])


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("source", SOURCES)
def test_threads(source: str, threads: int, stored: Path, expected: dict[str, bytes]) -> None:
    assert bits(fitted(SOURCES[source](stored), threads=threads)) == expected["unweighted"]


@pytest.mark.parametrize("weights", WEIGHTED)
@pytest.mark.parametrize("source", ON_DISK_OR_NOT)
def test_weights_on_threads(
    source: str, weights: str, stored: Path, expected: dict[str, bytes]
) -> None:
    result = fitted(SOURCES[source](stored), WEIGHTED[weights](stored), threads=2)
    assert bits(result) == expected["weighted"]


@two_workers
@pytest.mark.parametrize("source", SOURCES)
def test_two_workers(client: Client, source: str, stored: Path, expected: dict[str, bytes]) -> None:
    with client.as_current():
        assert bits(fitted(SOURCES[source](stored))) == expected["unweighted"]


WAYS: dict[str, dict[str, Any]] = {
    "incremental": {"schedule": Incremental(5)},
    "stepwise": {"schedule": Stepwise(5, sweeps=2)},
    "variance-reduced": {"schedule": VarianceReduced(5, epochs=1), "accelerate": QuasiNewton()},
    "accelerated": {"accelerate": QuasiNewton(2), "max_iter": 8},
    "warm": {"start": WarmStart(candidates=3, turns=3), "accelerate": QuasiNewton()},
}


@two_workers
@pytest.mark.parametrize("way", WAYS)
def test_ways_to_climb(client: Client, way: str, stored: Path) -> None:
    one = bits(fitted(X, WEIGHTS, threads=1, **WAYS[way]))
    assert bits(fitted(SOURCES["Zarr path"](stored), WEIGHTS, threads=4, **WAYS[way])) == one
    with client.as_current():
        for source in ON_DISK_OR_NOT:
            assert bits(fitted(SOURCES[source](stored), WEIGHTS, **WAYS[way])) == one


@two_workers
@pytest.mark.parametrize("columns", [3, 2])
def test_labels_of_persisted_data(client: Client, columns: int) -> None:
    """Labels are computed where the chunks are, also if a row is in more than one."""
    mixture = GaussianMixture(3, random_state=0, tol=0.1).fit(X)
    with client.as_current():
        x = (da.from_array(X - 0.5, chunks=(BLOCK, columns)).persist() + 0.5).persist()
        np.testing.assert_array_equal(mixture.predict(x).compute(), mixture.predict(X))


@two_workers
@pytest.mark.parametrize("weights", WEIGHTED)
@pytest.mark.parametrize("source", ON_DISK_OR_NOT)
def test_weights_on_workers(
    client: Client, source: str, weights: str, stored: Path, expected: dict[str, bytes]
) -> None:
    with client.as_current():
        result = fitted(SOURCES[source](stored), WEIGHTED[weights](stored))
    assert bits(result) == expected["weighted"]


@two_workers
@pytest.mark.parametrize("weights", [None, "NumPy", "persisted Dask"])
@pytest.mark.parametrize("source", [*ON_DISK_OR_NOT, "lazy on persisted Dask"])
def test_a_worker_dies(
    client: Client, source: str, weights: str | None, stored: Path, tmp_path: Path
) -> None:
    """At the eighth block of the first pass, with whatever blocks it held."""
    flag = tmp_path / "died"
    model = faults.Dying(3, Gaussian(Diagonal()), marker=X[7 * BLOCK, 0], flag=str(flag))
    whole = Mixture(3, Gaussian(Diagonal()))
    w = None if weights is None else WEIGHTS
    unbroken = fitted(X, w, whole, start=START, max_iter=3, threads=1)
    client.wait_for_workers(2)  # the one that the test before has killed is back
    before = client.run(os.getpid).values()
    with client.as_current():
        w = None if weights is None else WEIGHTED[weights](stored)
        broken = fitted(SOURCES[source](stored), w, model, start=START, max_iter=3)
    assert flag.exists()
    assert len(set(before) - set(client.run(os.getpid).values())) == 1
    assert bits(broken) == bits(unbroken)


@pytest.mark.parametrize("client", [1, 4], indirect=True, ids=["1 worker", "4 workers"])
@pytest.mark.parametrize("source", ON_DISK_OR_NOT)
def test_other_numbers_of_workers(
    client: Client, source: str, stored: Path, expected: dict[str, bytes]
) -> None:
    with client.as_current():
        assert bits(fitted(SOURCES[source](stored))) == expected["unweighted"]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_ranges_in_any_order(pieces: int, seed: int) -> None:
    """Partial sums of random sets of blocks, merged in a random order and in random groups."""
    manifest = Manifest(
        arrays.ArraySource(X).reader(np.arange(0, 2001, 100)),
        np.arange(0, 2001, 100),
        COLUMNS,
        X.dtype,
    )
    work = expectation()
    with Local(manifest, threads=1) as engine:
        whole = engine.sweep(work, [range(20)])[0]
    shuffled = random.Random(seed)
    blocks = list(range(20))
    shuffled.shuffle(blocks)
    edges = sorted({0, 20, *(shuffled.randrange(20) for _ in range(pieces))})
    chosen = [sorted(blocks[a:b]) for a, b in pairwise(edges)]
    parts = [task.pick(manifest, range(20), some, 1)[0] for some in chosen]
    partials = [task.run(work, part.detached()) for part in parts]
    shuffled.shuffle(partials)
    cut = shuffled.randrange(len(partials) + 1)
    halves = [reduce.merge(half, 20) for half in (partials[:cut], partials[cut:])]
    total = reduce.root(reduce.merge(halves, 20), 20)
    for a, b in zip(leaves(total), leaves(whole), strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("per_thread", [1, 3, 50])
def test_any_number_of_ranges(
    per_thread: int, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dem.engine.local.RANGES_PER_THREAD", per_thread)
    assert bits(fitted(X, threads=2)) == expected["unweighted"]


def test_other_blocks_may_give_other_bits(expected: dict[str, bytes]) -> None:
    """So the tests above can fail: sums over other blocks differ in the last bits."""
    manifest = open_data(da.from_array(X, chunks=(3000, -1)))
    other = fit(MODEL, manifest, start=KMeansParallel(rounds=2), max_iter=4, tol=0.0)
    assert bits(other) != expected["unweighted"]


def expectation() -> Expectation:
    params = MODEL.start(Sample.of(X[:2000], np.ones(2000), True), np.random.default_rng(0))
    return Expectation(MODEL, params, Exact())
