"""Row-wise results: NumPy in, NumPy out; Dask, Zarr and paths in, a lazy Dask array out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import zarr

import dem

CHUNKS = (300, 250, 350)


def lazy(x: np.ndarray) -> da.Array:
    return da.from_array(x, chunks=(CHUNKS, (3,)))


@pytest.fixture(scope="module")
def mixture(x: np.ndarray) -> dem.GaussianMixture:
    return dem.GaussianMixture(3, random_state=0).fit(x)


@pytest.fixture(scope="module")
def means(x: np.ndarray) -> dem.KMeans:
    return dem.KMeans(3, random_state=0).fit(x)


METHODS = {
    "predict": ("mixture", np.int64, ()),
    "predict_proba": ("mixture", np.float64, (3,)),
    "score_samples": ("mixture", np.float64, ()),
    "transform": ("means", np.float64, (3,)),
    "predict of k-means": ("means", np.int64, ()),
}
methods = pytest.mark.parametrize("name", METHODS)


@pytest.fixture
def method(name: str, request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return getattr(request.getfixturevalue(METHODS[name][0]), name.partition(" ")[0])


@methods
def test_numpy(x: np.ndarray, name: str, method: Any) -> None:
    out = method(x)
    assert type(out) is np.ndarray
    assert (out.dtype, out.shape) == (METHODS[name][1], (900, *METHODS[name][2]))


@methods
def test_dask(x: np.ndarray, name: str, method: Any) -> None:
    _, dtype, width = METHODS[name]
    read = []

    def spy(part: np.ndarray) -> np.ndarray:
        read.append(len(part))
        return part

    data = lazy(x).map_blocks(spy, dtype=x.dtype, meta=x[:0])
    out = method(data)
    assert isinstance(out, da.Array)
    assert read == []
    assert out.chunks == (CHUNKS, *((n,) for n in width))
    assert out.dtype == out._meta.dtype == dtype
    assert out._meta.ndim == out.ndim == 1 + len(width)
    computed = out.compute(scheduler="synchronous")
    assert computed.dtype == dtype
    assert sorted(read) == sorted(CHUNKS)
    np.testing.assert_array_equal(computed, np.concatenate([method(x[:300]), method(x[300:550]),
                                                            method(x[550:])]))  # fmt: skip
    np.testing.assert_allclose(computed, method(x), rtol=1e-12)


def stored(x: np.ndarray, place: Path) -> Any:
    zarr.create_array(str(place / "x.zarr"), data=x, chunks=(100, 3))
    return place / "x.zarr"


def npy(x: np.ndarray, place: Path) -> Any:
    np.save(place / "x.npy", x)
    return str(place / "x.npy")


def parquet(x: np.ndarray, place: Path) -> Any:
    pd.DataFrame(x, columns=list("abc")).to_parquet(place / "x.parquet", row_group_size=200)
    return place / "x.parquet"


def dask_xarray(x: np.ndarray, place: Path) -> Any:
    return pytest.importorskip("xarray").DataArray(lazy(x), dims=("row", "column"))


def numpy_xarray(x: np.ndarray, place: Path) -> Any:
    return pytest.importorskip("xarray").DataArray(np.array(x), dims=("row", "column"))


LAZY: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "Zarr path": stored,
    "Zarr array": lambda x, place: zarr.open_array(str(stored(x, place)), mode="r"),
    "Dask over Zarr": lambda x, place: da.from_zarr(str(stored(x, place))),
    "npy path": npy,
    "Parquet path": parquet,
    "Dask dataframe": lambda x, place: dd.from_pandas(pd.DataFrame(x, columns=list("abc")), 3),
    "columns in two chunks": lambda x, place: da.from_array(x, chunks=(CHUNKS, (2, 1))),
    "an empty chunk": lambda x, place: da.from_array(x, chunks=((0, 300, 0, 600, 0), (3,))),
    "xarray of Dask": dask_xarray,
}
EAGER: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "memmap": lambda x, place: np.load(npy(x, place), mmap_mode="r"),
    "pandas": lambda x, place: pd.DataFrame(x, columns=list("abc")),
    "list": lambda x, place: x.tolist(),
    "columns first": lambda x, place: np.asfortranarray(x),
    "xarray of NumPy": numpy_xarray,
}


@pytest.mark.parametrize("kind", [*LAZY, *EAGER])
def test_fit_and_predict_of_any_kind(x: np.ndarray, kind: str, tmp_path: Path) -> None:
    data = {**LAZY, **EAGER}[kind](x, tmp_path)
    options: dict[str, Any] = {"means_init": x[:3], "tol": 1e-6}
    one = dem.GaussianMixture(3, **options).fit(data)
    whole = dem.GaussianMixture(3, **options).fit(x)
    np.testing.assert_allclose(one.means_, whole.means_, rtol=1e-8)
    labels, proba = one.predict(data), one.predict_proba(data)
    for out in (labels, proba):
        held = out.data if kind.startswith("xarray") else out
        assert type(held) is (da.Array if kind in LAZY else np.ndarray)
    np.testing.assert_array_equal(np.asarray(labels), whole.predict(x))
    np.testing.assert_allclose(np.asarray(proba), whole.predict_proba(x), atol=1e-8)
    assert one.score(data) == pytest.approx(whole.score(x), rel=1e-10)
    k_means = dem.KMeans(3, init=x[:3]).fit(data)
    np.testing.assert_array_equal(np.asarray(k_means.labels_), dem.KMeans(3, init=x[:3])
                                  .fit_predict(x))  # fmt: skip


@pytest.mark.parametrize("kind", ["Dask dataframe", "Parquet path"])
def test_names_of_columns_that_are_elsewhere(x: np.ndarray, kind: str, tmp_path: Path) -> None:
    data = LAZY[kind](x, tmp_path)
    one = dem.GaussianMixture(2, random_state=0).fit(data)
    assert one.feature_names_in_.tolist() == ["a", "b", "c"]
    frame = pd.DataFrame(x, columns=["b", "a", "c"])
    for other in (frame, dd.from_pandas(frame, 2)):
        with pytest.raises(ValueError, match="feature names should match"):
            one.predict(other)
    frame.to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="column 0 is 'b', and was 'a'"):
        one.score(tmp_path / "other.parquet")


@methods
def test_a_row_that_is_not_finite_is_named_when_computed(
    x: np.ndarray, name: str, method: Any
) -> None:
    bad = x.copy()
    bad[420, 1] = np.nan
    bad[423, 2] = np.inf
    out = method(lazy(bad))  # not yet
    np.testing.assert_array_equal(out[:300].compute(), method(lazy(x))[:300].compute())
    with pytest.raises(dem.DataError, match="NaN: row 420, column 1, in block 1; 2 of the 250"):
        out.compute(scheduler="threads")
    with pytest.raises(dem.DataError, match="NaN: row 420, column 1, in block 0; 2 of the 900"):
        method(bad)


@methods
def test_float32_and_integers(x: np.ndarray, name: str, method: Any) -> None:
    for rows in (x.astype(np.float32), np.round(x * 4).astype(np.int16)):
        wide = method(rows.astype(np.float64))
        for out in (method(rows), method(lazy(rows)).compute()):
            assert out.dtype == METHODS[name][1]
            np.testing.assert_allclose(out, wide, rtol=1e-6, atol=1e-6)


@methods
def test_results_may_be_indexed_and_combined(x: np.ndarray, name: str, method: Any) -> None:
    out = method(lazy(x))
    np.testing.assert_array_equal((out + 1)[290:310].compute(), out.compute()[290:310] + 1)
    masked = lazy(x)[method_mask(x)]
    masked.compute_chunk_sizes()
    np.testing.assert_allclose(method(masked).compute(), method(x[x[:, 0] > 2]), rtol=1e-12)


def method_mask(x: np.ndarray) -> da.Array:
    return lazy(x)[:, 0] > 2
