"""Chains over blocks: two reads or one, the same bits on threads and workers, schedules."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from distributed import Client

import chains
import dem
import trials
from dem.accelerate import QuasiNewton
from dem.errors import DataError
from dem.families import Full, Gaussian
from dem.models import HMM, LeftRight
from dem.posteriors import Exact, Hard
from dem.schedules import Incremental
from dem.starts import Given

pytestmark = pytest.mark.usefixtures("small_blocks")  # of 4 096 rows
ROWS = 20_000
RNG = np.random.default_rng(3)
STATES = np.repeat(RNG.integers(0, 3, ROWS // 20), 20)
X = 2.0 * STATES[:, None] + RNG.normal(size=(ROWS, 2))
LENGTHS = {
    "one sequence": None,
    "long ones": [7000, 3, 12_000, 997],
    "short ones": [100] * (ROWS // 100),
}
MODEL = HMM(3, Gaussian(Full()))
START = Given(chains.start(MODEL, X))


def fitted(lengths: Any, data: Any = X, model: HMM = MODEL, **options: Any) -> Any:
    options = {"start": START, "max_iter": 4, "tol": 0.0, **options}
    return dem.fit(model, dem.sequences(data, lengths), **options)


@pytest.mark.parametrize("posterior", [Exact(), Hard()], ids=["exact", "hard"])
@pytest.mark.parametrize("name", LENGTHS)
def test_bits(client: Client, name: str, posterior: Any) -> None:
    lengths = LENGTHS[name]
    expected = fitted(lengths, posterior=posterior, threads=1)
    bounds = np.ravel([(record.bound_e, record.bound) for record in expected.history])
    assert (np.diff(bounds) > -1e-12).all()
    assert trials.bits(fitted(lengths, posterior=posterior, threads=3)) == trials.bits(expected)
    with client.as_current():
        assert trials.bits(fitted(lengths, posterior=posterior)) == trials.bits(expected)


def test_bits_of_masked_chains(client: Client) -> None:
    model = HMM(3, Gaussian(Full()), LeftRight(), transmat_prior=2.0)
    params = chains.start(model, X)
    params = type(params)(
        np.array([1.0, 0.0, 0.0]),
        np.array([[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0]]),
        params.components,
    )
    how = {"model": model, "start": Given(params), "max_iter": 2}
    expected = trials.bits(fitted(LENGTHS["long ones"], threads=1, **how))
    with client.as_current():
        assert trials.bits(fitted(LENGTHS["long ones"], **how)) == expected


@pytest.mark.parametrize(("name", "reads"), [("one sequence", 2), ("short ones", 1)])
def test_reads(name: str, reads: int) -> None:
    """Blocks of whole sequences take one read a turn, and one more to find that out."""
    few, many = (fitted(LENGTHS[name], max_iter=turns).phases[-1].rows for turns in (2, 5))
    assert (many - few) == 3 * reads * ROWS


def test_blocks_end_with_sequences() -> None:
    short, long = (dem.sequences(X, LENGTHS[name]) for name in ("short ones", "long ones"))
    assert (short.boundaries[:-1] % 100 == 0).all()
    assert short.n_blocks == long.n_blocks == 5
    assert long.boundaries[1] == 4096


def test_any_blocks_have_the_same_fit() -> None:
    for name, lengths in LENGTHS.items():
        one = fitted(lengths, data=da.from_array(X, chunks=(-1, -1)))
        many = fitted(lengths, data=da.from_array(X, chunks=(617, -1)))
        assert many.lower_bound == pytest.approx(one.lower_bound, abs=1e-10), name
        np.testing.assert_allclose(many.params.transmat, one.params.transmat, atol=1e-8)


@pytest.mark.parametrize("kind", ["zarr", "npy", "dask", "persisted"])
@pytest.mark.parametrize("name", LENGTHS)
def test_kinds_of_data(client: Client, kind: str, name: str, tmp_path: Path) -> None:
    lengths = LENGTHS[name]
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(1500, 2))
    np.save(tmp_path / "x.npy", X)
    data = {
        "zarr": lambda: str(tmp_path / "x.zarr"),
        "npy": lambda: tmp_path / "x.npy",
        "dask": lambda: da.from_array(X, chunks=(1500, 1)) + 0,
        "persisted": lambda: da.from_array(X, chunks=(1500, -1)).persist(),
    }
    with client.as_current():
        found = fitted(lengths, data=data[kind]())
    expected = fitted(lengths)
    assert found.lower_bound == pytest.approx(expected.lower_bound, abs=1e-10)


def test_accelerated_and_resumed(tmp_path: Path) -> None:
    how: dict[str, Any] = {"accelerate": QuasiNewton()}
    for name, lengths in LENGTHS.items():
        whole = fitted(lengths, max_iter=6, **how)
        place = tmp_path / name
        fitted(lengths, max_iter=3, checkpoint=place, **how)
        again = dem.resume(place, dem.sequences(X, lengths), max_iter=6)
        assert trials.bits(again) == trials.bits(whole)
        with pytest.raises(DataError, match="not the data of the checkpoint"):
            dem.resume(place, dem.sequences(X, [ROWS - 1, 1]), max_iter=6)


def test_groups_of_blocks() -> None:
    """Incremental EM of whole sequences does not fall; of sequences over blocks it is refused."""
    found = fitted(LENGTHS["short ones"], schedule=Incremental(4), max_iter=6)
    bounds = np.ravel([(record.bound_e, record.bound) for record in found.history])
    assert (np.diff(bounds) > -1e-12).all()
    with pytest.raises(DataError, match="Sequences go on from block to block"):
        fitted(LENGTHS["one sequence"], schedule=Incremental(4))


def test_weights(client: Client) -> None:
    lengths = LENGTHS["long ones"]
    weights = np.repeat([1.0, 3.0, 2.0, 0.0], lengths)
    manifest = dem.sequences(X, lengths, weights=weights)
    one = dem.fit(MODEL, manifest, start=START, max_iter=3, tol=0.0)
    again = np.concatenate([X[:7000], *[X[7000:7003]] * 3, *[X[7003:19_003]] * 2])
    more = [7000, 3, 3, 3, 12_000, 12_000]
    other = dem.fit(MODEL, dem.sequences(again, more), start=START, max_iter=3, tol=0.0)
    assert one.lower_bound == pytest.approx(other.lower_bound, abs=1e-10)
    np.testing.assert_allclose(one.params.transmat, other.params.transmat, atol=1e-9)
    weights[15_000:] = 5.0
    with pytest.raises(DataError, match="sequence"):
        dem.fit(MODEL, dem.sequences(X, lengths, weights=weights), start=START, max_iter=1)


def test_lengths_must_fit() -> None:
    with pytest.raises(DataError, match="lengths add up to 7, and there are 20000 rows"):
        dem.sequences(X, [3, 4])
    for lengths in ([0, ROWS], [-1, ROWS + 1], [1.5] * 2, []):
        with pytest.raises(DataError, match="whole numbers above 0"):
            dem.sequences(X, lengths)
