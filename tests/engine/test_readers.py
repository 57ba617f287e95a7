"""Readers as values that travel, faults of stores, and how Dask graphs are read."""

import os
import pickle
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import dask
import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from dem.engine.manifest import open_data
from dem.engine.readers.base import Spans, regular
from dem.engine.readers.lazy import FutureRows, GraphRows
from dem.engine.readers.zarrs import ZarrRows
from dem.errors import DataError

X = np.random.default_rng(1).normal(size=(1000, 3))
BOUNDARIES = np.arange(0, 1001, 100)


def numpy(tmp_path):
    return X


def npy(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "x.npy"


def fortran_npy(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    return tmp_path / "x.npy"


def stored(tmp_path, **options):
    options = {"data": X, "chunks": (100, 3), "overwrite": True, **options}
    return zarr.create_array(tmp_path / "x.zarr", **options)


def stored_in_memory(tmp_path):
    return zarr.create_array(zarr.storage.MemoryStore(), data=X, chunks=(100, 3))


def behind_dask(tmp_path):
    return da.from_zarr(str(stored(tmp_path).store.root), chunks=(130, 3))


def lazy(tmp_path):
    x = da.from_array(X, chunks=(100, 3))
    return (x - x.mean(axis=0)).map_blocks(lambda rows: rows + X.mean(axis=0))


def persisted(tmp_path):
    with dask.config.set(scheduler="synchronous"):
        return lazy(tmp_path).persist()


def parquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pytest.importorskip("pandas").DataFrame(X, columns=list("abc"))
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=90)
    return tmp_path / "x.parquet"


KINDS = [
    numpy,
    npy,
    fortran_npy,
    stored,
    stored_in_memory,
    behind_dask,
    lazy,
    persisted,
    parquet,
]


@pytest.mark.parametrize("kind", KINDS)
def test_readers_travel(kind, tmp_path):
    manifest = open_data(kind(tmp_path), weights=np.arange(1000.0), block_bytes=3000)
    last = manifest.n_blocks - 1
    for blocks in ([0], [last], [0, last], list(range(last // 2, last + 1)), []):
        for reader, data in ((manifest.reader, X), (manifest.weights, np.arange(1000.0))):
            arrived = pickle.loads(pickle.dumps(reader.take(blocks)))  # noqa: S301
            assert arrived.in_memory == reader.in_memory
            for block in blocks:
                expected = data[manifest.rows_of(block)]
                np.testing.assert_allclose(arrived.read(block), expected, rtol=0, atol=1e-14)
                out = arrived.buffer()
                np.testing.assert_array_equal(arrived.read(block, out), reader.read(block))
            if last + 1 not in blocks:
                with pytest.raises((IndexError, KeyError)):
                    arrived.read(last + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_different_blocks_may_be_read_at_once(kind, tmp_path):
    manifest = open_data(kind(tmp_path), block_bytes=1)
    blocks = list(range(manifest.n_blocks)) * 5
    with ThreadPoolExecutor(8) as pool:
        read = pool.map(
            lambda b: np.array(manifest.reader.read(b, manifest.reader.buffer())), blocks
        )
        for block, rows in zip(blocks, read, strict=True):
            np.testing.assert_allclose(rows, X[manifest.rows_of(block)], rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", [npy, stored, behind_dask, parquet])
def test_readers_of_files_travel_light(kind, tmp_path):
    reader = open_data(kind(tmp_path), block_bytes=3000).reader
    assert len(pickle.dumps(reader.take([2]))) < 3000


@pytest.mark.parametrize("kind", ["numpy", "persisted", "lazy"])
def test_readers_of_arrays_take_only_their_rows_along(kind):
    x = np.tile(X, (1000, 1))
    data = x
    if kind != "numpy":
        data = da.from_array(x, chunks=(170_000, 3)) + 0
    if kind == "persisted":
        data = data.persist(scheduler="synchronous")
    manifest = open_data(data)
    assert len(pickle.dumps(manifest.reader.take([2]))) < 1.1 * manifest.block_bytes < x.nbytes / 4


@pytest.mark.parametrize("kind", [npy, stored])
def test_relative_paths_hold_in_other_working_directories(kind, tmp_path, monkeypatch):
    path = kind(tmp_path)
    monkeypatch.chdir(tmp_path)
    data = "x.npy" if kind is npy else zarr.open_array("x.zarr", mode="r")
    dumped = pickle.dumps(open_data(data).reader)
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(pickle.loads(dumped).read(0)[:9], X[:9])  # noqa: S301
    assert path


def test_readers_work_in_a_fresh_process(tmp_path):
    dumped = tmp_path / "readers"
    sources = [npy(tmp_path), stored(tmp_path), lazy(tmp_path)]
    dumped.write_bytes(pickle.dumps([open_data(source).reader.take([0]) for source in sources]))
    code = (
        f"import pickle; rs = pickle.load(open({str(dumped)!r}, 'rb'));"
        "print(*(round(float(r.read(0)[:100].sum()), 6) for r in rs))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(round(float(X[:100].sum()), 6))] * 3


sizes = st.lists(st.integers(0, 5), min_size=1, max_size=20)


@given(sizes, st.data())
def test_spans_keep_their_numbers(sizes, data):
    offsets = np.cumsum([0, *sizes])
    spans = Spans(offsets)
    for _ in range(2):  # a part of a part is a part
        numbers = range(spans.first, spans.first + len(spans.offsets) - 1)
        blocks = data.draw(st.lists(st.sampled_from(numbers), min_size=1, unique=True))
        spans = spans.take(blocks)
        for block in blocks:
            assert spans[block] == (offsets[block], offsets[block + 1])
        assert spans.largest >= max(sizes[block] for block in blocks)
        for outside in (min(blocks) - 1, max(blocks) + 1):
            with pytest.raises(IndexError):
                spans[outside]


@given(st.integers(1, 10_000), st.integers(1, 3000))
def test_regular_blocks_cover_the_rows(n_rows, block_rows):
    lengths = np.diff(regular(n_rows, block_rows))
    assert lengths.sum() == n_rows
    assert (lengths[:-1] == block_rows).all()
    assert 1 <= lengths[-1] <= block_rows


@given(sizes.filter(any), st.integers(1, 30), st.integers(1, 9))
def test_zarr_reads_any_boundaries(sizes, rows, width):
    offsets = np.cumsum([0, *sizes])
    data = np.arange(offsets[-1] * 7, dtype=np.float32).reshape(-1, 7)
    array = zarr.create_array(
        zarr.storage.MemoryStore(), data=data, chunks=(min(rows, len(data)), min(width, 7))
    )
    reader = ZarrRows(array, Spans(offsets))
    for block in range(len(sizes)):
        np.testing.assert_array_equal(
            reader.read(block, reader.buffer()), data[offsets[block] : offsets[block + 1]]
        )


# Faults of a Zarr store.

LAYOUTS = {
    "v3": ({}, "c/4/0", "chunk"),
    "v2": ({"zarr_format": 2}, "4.0", "chunk"),
    "sharded": ({"shards": (100, 3), "chunks": (50, 3)}, "c/4/0", "shard"),
    "uncompressed": ({"compressors": None}, "c/4/0", "chunk"),
    "columns": ({"chunks": (100, 2)}, "c/4/1", "chunk"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("block_bytes", [1, 10_000])
def test_a_missing_chunk_is_an_error_that_can_be_put_right(layout, block_bytes, tmp_path):
    options, key, what = LAYOUTS[layout]
    array = stored(tmp_path, **options)
    (tmp_path / "x.zarr" / key).unlink()
    manifest = open_data(array, block_bytes=block_bytes)
    bad = int(np.searchsorted(manifest.boundaries, 400, side="right")) - 1
    manifest.reader.read(bad - 1)
    with pytest.raises(
        DataError, match=rf"{what} \(4, \d\) \(rows 400 to 499\).*is missing"
    ) as caught:
        manifest.reader.read(bad)
    # The remedy that the message gives works.
    remedy = str(caught.value).rpartition("store them: ")[2]
    exec(remedy, {"zarr": zarr, "path": tmp_path / "x.zarr"})
    expected = array[manifest.rows_of(bad)]
    assert (expected == 0).any()
    np.testing.assert_array_equal(manifest.reader.read(bad), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_corrupt_chunk_is_named(layout, tmp_path):
    options, key, what = LAYOUTS[layout]
    array = stored(tmp_path, **options)
    chunk = tmp_path / "x.zarr" / key
    chunk.write_bytes(chunk.read_bytes()[:-20] + b"junk")
    reader = open_data(array, block_bytes=10_000).reader
    with pytest.raises(
        DataError, match=rf"{what} \(4, \d\) \(rows 400 to 499\).*corrupt"
    ) as caught:
        reader.read(1)
    assert caught.value.__cause__ is not None


def test_a_chunk_that_cannot_be_opened_is_not_called_corrupt(tmp_path):
    array = stored(tmp_path)
    (tmp_path / "x.zarr" / "c" / "4" / "0").unlink()
    (tmp_path / "x.zarr" / "c" / "4" / "0").symlink_to("0")  # a loop: opening it fails
    with pytest.raises(OSError, match=r"chunk \(4, 0\) .*cannot be read from its store.*symbolic"):
        open_data(array, block_bytes=1).reader.read(4)


def test_chunks_of_fill_values_that_are_stored_are_data(tmp_path):
    zeros = np.zeros((300, 2))
    options = {"chunks": (100, 2), "config": {"write_empty_chunks": True}}
    array = zarr.create_array(tmp_path / "zeros.zarr", data=zeros, **options)
    np.testing.assert_array_equal(open_data(array).reader.read(0), zeros)


def test_missing_chunks_are_found_in_memory_and_behind_dask(tmp_path):
    empty = zarr.create_array(zarr.storage.MemoryStore(), shape=(9, 2), chunks=(3, 2), dtype="f8")
    with pytest.raises(DataError, match=r"chunk \(0, 0\) \(rows 0 to 2\).*missing"):
        open_data(empty)
    array = behind_dask(tmp_path)
    (tmp_path / "x.zarr" / "c" / "4" / "0").unlink()
    with pytest.raises(DataError, match=r"chunk \(4, 0\)"):
        open_data(array).reader.read(3)


def test_a_file_that_shrinks_is_an_error(tmp_path):
    manifest = open_data(npy(tmp_path), block_bytes=10_000)
    os.truncate(tmp_path / "x.npy", 20_000)
    manifest.reader.read(0)
    with pytest.raises(DataError, match=r"block 2 .*ends \d+ bytes too early"):
        manifest.reader.read(2)


@pytest.mark.parametrize("name", [None, "id"])
def test_the_index_of_a_dataframe_is_no_column(tmp_path, name):
    """Written by pandas or Dask, it is stored as one."""
    pytest.importorskip("pyarrow")
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5], "b": [0.0, 1.0, 2.0]})
    frame.index = pd.Index([7, 3, 5], name=name)
    frame.to_parquet(tmp_path / "x.parquet")
    dd.from_pandas(frame, npartitions=2).to_parquet(tmp_path / "many")
    for path in ("x.parquet", "many"):
        manifest = open_data(tmp_path / path)
        assert manifest.columns == ("a", "b")
        rows = np.concatenate([manifest.reader.read(b) for b in range(manifest.n_blocks)])
        assert sorted(rows[:, 0]) == [1.5, 2.5, 3.5]


def test_a_corrupt_parquet_file_names_its_row_group(tmp_path):
    path = parquet(tmp_path)
    reader = open_data(path, block_bytes=1).reader
    whole = bytearray(path.read_bytes())
    whole[4:200] = b"x" * 196
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"row group 0 \(rows 0 to 89\) cannot be decoded"):
        reader.read(0)
    reader.read(3)


# Dask graphs.


class Counted:
    """Rows that count how often each is read."""

    def __init__(self):
        self.reads = Counter()
        self.shape, self.dtype, self.ndim = X.shape, X.dtype, 2

    def __getitem__(self, index):
        self.reads[index[0].start] += 1
        return X[index]


def counted(chunks):
    source = Counted()
    return source, da.from_array(source, chunks=chunks, meta=np.empty((0, 0)))


@pytest.fixture
def no_compute(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a graph was executed")

    with dask.config.set(scheduler=refuse):
        yield


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("columns", [2, 3])
def test_zarr_behind_dask_is_read_without_its_graph(
    inline, columns, tmp_path, monkeypatch, no_compute
):
    array = stored(tmp_path, chunks=(100, columns))
    for x in (
        da.from_array(array, chunks=(130, columns), inline_array=inline),
        da.from_zarr(str(tmp_path / "x.zarr"), inline_array=inline),
    ):
        manifest = open_data(x)
        assert isinstance(manifest.reader, ZarrRows)
        np.testing.assert_array_equal(manifest.boundaries, np.cumsum([0, *x.chunks[0]]))
        monkeypatch.setattr(dask, "get", dask.config.get("scheduler"))
        np.testing.assert_array_equal(manifest.reader.read(1), X[manifest.rows_of(1)])


@pytest.mark.parametrize(
    "change", [lambda x: x[5:], lambda x: x + 1, lambda x: x[::-1], lambda x: x.rechunk((50, 3))]
)
def test_what_is_done_to_zarr_behind_dask_is_not_forgotten(change, tmp_path):
    x = change(behind_dask(tmp_path))
    manifest = open_data(x)
    assert isinstance(manifest.reader, GraphRows)
    read = np.concatenate([manifest.reader.read(i) for i in range(manifest.n_blocks)])
    np.testing.assert_array_equal(read, change(X) if x.shape != X.shape else x.compute())


def test_a_chunk_is_read_once_for_each_time_it_is_asked_for():
    source, x = counted((100, 3))
    manifest = open_data((x * 2)[:, ::-1] + 1)
    assert not source.reads
    np.testing.assert_array_equal(manifest.reader.read(4), X[400:500, ::-1] * 2 + 1)
    assert source.reads == {400: 1}


@pytest.mark.parametrize("n_chunks", [4, 10, 100])
@pytest.mark.parametrize("depth", [0, 3])
def test_what_all_chunks_share_is_computed_once(n_chunks, depth):
    source, x = counted((1000 // n_chunks, 3))
    y = (x - x.mean(axis=0)) / x.std(axis=0)
    expected = (X - X.mean(axis=0)) / X.std(axis=0)
    if depth:  # each chunk also borrows the edges of its neighbours
        y = da.overlap.overlap(y, {0: depth}, boundary="reflect")[:, :2]
    manifest = open_data(y)
    planned = source.reads.total()
    assert planned <= 3 * n_chunks  # the mean and the deviation, up to what Dask fuses twice
    for block in range(n_chunks):
        rows = manifest.reader.read(block)
        start = block * (1000 // n_chunks)
        middle = rows[depth : depth + 1000 // n_chunks]
        np.testing.assert_allclose(
            middle, expected[start:][: len(middle), : y.shape[1]], atol=1e-12
        )
    assert source.reads.total() - planned <= (3 if depth else 1) * n_chunks


def test_running_sums_are_not_restarted_for_each_chunk():
    source, x = counted((10, 3))
    manifest = open_data(da.cumsum(x, axis=0))
    planned = source.reads.total()
    read = np.concatenate([manifest.reader.read(i) for i in range(100)])
    np.testing.assert_allclose(read, np.cumsum(X, axis=0), atol=1e-10)
    assert planned <= 2 * 100
    assert source.reads.total() - planned < 10 * 100  # and not 100 * 100 / 2


def test_chunks_that_are_split_are_not_kept_in_memory():
    source, x = counted((200, 3))
    manifest = open_data(x.rechunk((10, 3)))
    assert not source.reads
    np.testing.assert_array_equal(manifest.reader.read(21), X[210:220])
    assert source.reads == {200: 1}


def test_only_what_is_shared_is_kept():
    source, x = counted((100, 3))
    halves = x.rechunk((50, 3))  # its chunks are used by themselves and by their mean
    manifest = open_data(halves - halves.mean(axis=0))
    assert len(pickle.dumps(manifest.reader)) < X.nbytes + 20_000  # X is part of the source
    source.reads.clear()
    expected = X[150:200] - X.mean(axis=0)
    np.testing.assert_allclose(manifest.reader.read(3), expected, atol=1e-14)
    assert source.reads == {100: 1}


def test_a_dtype_that_dask_was_told_is_kept(tmp_path):
    x = da.from_array(stored(tmp_path), chunks=(100, 3))
    x = da.Array(x.dask, x.name, x.chunks, dtype=np.float32)
    manifest = open_data(x)
    assert manifest.dtype == np.float32
    np.testing.assert_array_equal(manifest.reader.read(1), X[100:200].astype(np.float32))


def test_a_fitted_parameter_is_computed_once():
    calls = Counter()

    def fit(rows):
        calls["fit"] += 1
        return rows.max()

    limit = dask.delayed(fit)(X)
    x = da.from_array(X, chunks=(50, 3)).map_blocks(lambda rows, m: rows / m, limit, dtype=float)
    manifest = open_data(x)
    for block in range(20):
        np.testing.assert_array_equal(
            manifest.reader.read(block), X[manifest.rows_of(block)] / X.max()
        )
    assert calls["fit"] == 1


def test_planning_many_chunks_is_quick(no_compute):
    import time

    x = da.random.default_rng(0).normal(size=(20_000, 2), chunks=(2, 2))
    start = time.process_time()
    manifest = open_data(x + 1)
    assert time.process_time() - start < 5  # about 0.7 s
    assert manifest.n_blocks == 10_000
    start = time.process_time()
    for block in range(100):
        manifest.reader.take([block, block + 1])
    assert time.process_time() - start < 0.5


def test_chunks_that_are_not_what_they_should_be_are_named():
    x = da.from_array(X, chunks=(100, 3))
    for bad, error, match in [
        (
            lambda rows: rows[:-1],
            DataError,
            r"chunk 2 \(rows 200 to 299\).*shape \(99, 3\).*declares",
        ),
        (lambda rows: rows + 1j, DataError, "dtype complex128.*declares float64"),
        (lambda rows: "text", TypeError, r"chunk 2 .* is a str"),
    ]:
        reader = open_data(x.map_blocks(bad, meta=np.empty((0, 0)))).reader
        with pytest.raises(error, match=match):
            reader.read(2)


def test_what_is_masked_is_missing():
    x = np.ma.masked_less(X, 0)
    expected = x.filled(np.nan)
    np.testing.assert_array_equal(open_data(x).reader.read(0), expected)
    lazy = da.from_array(X, chunks=(100, 3)).map_blocks(lambda rows: np.ma.masked_less(rows, 0))
    np.testing.assert_array_equal(open_data(lazy).reader.read(2), expected[200:300])
    counts = np.ma.masked_equal(np.arange(6).reshape(3, 2), 3)
    np.testing.assert_array_equal(open_data(counts).reader.read(0), [[0, 1], [2, np.nan], [4, 5]])
    whole = da.from_array(np.ones((4, 2), int)).map_blocks(lambda rows: np.ma.masked_equal(rows, 1))
    with pytest.raises(TypeError, match=r"masked array of int64.*astype"):
        open_data(whole).reader.read(0)


def test_an_error_in_a_chunk_says_which_chunk():
    def fail(rows):
        raise RuntimeError("no luck")

    reader = open_data(da.from_array(X, chunks=(100, 3)).map_blocks(fail, meta=X[:0])).reader
    with pytest.raises(RuntimeError, match="no luck") as caught:
        reader.read(7)
    assert caught.value.__notes__ == ["while computing chunk 7 (rows 700 to 799) of the Dask array"]


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"
    ) as client:
        yield client


def read_there(reader, block, values):
    return (reader.resolved(values) if values else reader).read(block)


def test_arrays_persisted_on_a_cluster_are_read_there(client):
    x = client.persist(da.from_array(X, chunks=(100, 3)) + 0)
    centred = x - x.mean(axis=0)
    for data, kind in ((x, FutureRows), (x * 2, GraphRows), (centred, GraphRows)):
        manifest = open_data(data, weights=x[:, 0] ** 2)
        assert isinstance(manifest.reader, kind)
        expected = np.asarray(data)[200:300]
        np.testing.assert_allclose(manifest.reader.read(2), expected, atol=1e-12)
        part = pickle.loads(pickle.dumps(manifest.reader.take([2])))  # noqa: S301
        with pytest.raises(RuntimeError, match="lives on a cluster"):
            part.read(2)
        futures = manifest.reader.take([2]).futures
        assert [future.key for future in futures] == [(x.name, 2, 0)]
        sent = client.submit(read_there, part, 2, list(futures))
        np.testing.assert_allclose(sent.result(), expected, atol=1e-12)
        weights = manifest.weights.take([2])
        there = client.submit(read_there, weights, 2, list(weights.futures))
        np.testing.assert_allclose(there.result(), X[200:300, 0] ** 2)
