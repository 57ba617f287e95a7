"""What `open_data` makes of every kind of data, good and bad."""

import copy
import subprocess
import sys
import warnings

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.sparse
import zarr

from dem.engine.manifest import open_data
from dem.engine.readers.base import Spans, regular
from dem.errors import DataError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1000, 3))
WEIGHTS = RNG.integers(0, 5, size=1000)
NAMES = ("a", "b", "c")
with warnings.catch_warnings(action="ignore"):
    MATRIX = np.asmatrix(X)


def as_is(tmp_path):
    return X


def as_lists(tmp_path):
    return X.tolist()


def as_object(tmp_path):
    return X.astype(object)


def as_fortran(tmp_path):
    return np.asfortranarray(X)


def as_big_endian(tmp_path):
    return X.astype(">f8")


def as_memmap(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def as_part_of_a_memmap(tmp_path):
    np.save(tmp_path / "x.npy", np.vstack([X[:7], X, X[:3]]))
    return np.load(tmp_path / "x.npy", mmap_mode="r")[7:-3]


def as_every_other_row_of_a_memmap(tmp_path):
    np.save(tmp_path / "x.npy", np.repeat(X, 2, axis=0))
    return np.load(tmp_path / "x.npy", mmap_mode="r")[::2]


def as_changed_copy_on_write_memmap(tmp_path):
    np.save(tmp_path / "x.npy", X * 0)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="c")
    mapped[:] = X
    return mapped


def as_npy(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return str(tmp_path / "x.npy")


def as_fortran_npy(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    return tmp_path / "x.npy"


def as_big_endian_npy(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(">f8"))
    return tmp_path / "x.npy"


def as_npy_url(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return f"file://{tmp_path}/x.npy"


def make_zarr(tmp_path, **options):
    return zarr.create_array(
        tmp_path / "x.zarr", **{"data": X, "chunks": (70, 3), "overwrite": True, **options}
    )


def as_zarr(tmp_path):
    return make_zarr(tmp_path)


def as_zarr_path(tmp_path):
    make_zarr(tmp_path)
    return tmp_path / "x.zarr"


def as_zarr_url(tmp_path):
    make_zarr(tmp_path)
    return f"file://{tmp_path}/x.zarr"


def as_zarr_2(tmp_path):
    return make_zarr(tmp_path, zarr_format=2)


def as_column_chunked_zarr(tmp_path):
    return make_zarr(tmp_path, chunks=(70, 2))


def as_big_endian_zarr(tmp_path):
    return make_zarr(tmp_path, data=X.astype(">f8"))


def as_sharded_zarr(tmp_path):
    return make_zarr(tmp_path, chunks=(35, 3), shards=(140, 3))


def as_zarr_in_memory(tmp_path):
    return zarr.create_array(zarr.storage.MemoryStore(), data=X, chunks=(70, 3))


def as_array_of_a_group(tmp_path):
    zarr.create_group(tmp_path / "g.zarr").create_array("in/x", data=X, chunks=(70, 3))
    return f"{tmp_path}/g.zarr::in/x"


def as_path_into_a_group(tmp_path):
    as_array_of_a_group(tmp_path)
    return tmp_path / "g.zarr" / "in" / "x"


def as_dask(tmp_path):
    return da.from_array(X, chunks=(300, 3)) + 0


def as_dask_over_zarr(tmp_path):
    make_zarr(tmp_path)
    return da.from_zarr(str(tmp_path / "x.zarr"), chunks=(150, 3))


def as_dask_inlined_over_zarr(tmp_path):
    return da.from_array(make_zarr(tmp_path), chunks=(70, 3), inline_array=True)


def as_slice_of_dask_over_zarr(tmp_path):
    make_zarr(tmp_path, data=np.vstack([X[:5], X]))
    return da.from_zarr(str(tmp_path / "x.zarr"))[5:]


def as_column_chunked_dask(tmp_path):
    return da.from_array(X, chunks=(300, 1))


def as_dask_with_empty_chunks(tmp_path):
    empty = da.zeros((0, 3), chunks=(0, 3))
    return da.concatenate([empty, da.from_array(X, chunks=(600, 3)), empty])


def as_persisted_dask(tmp_path):
    with dask.config.set(scheduler="synchronous"):
        return (da.from_array(X, chunks=(300, 3)) + 0).persist()


def as_sparse_dask(tmp_path):
    return da.from_array(X, chunks=(300, 3)).map_blocks(scipy.sparse.csr_array)


def as_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(X, columns=NAMES)


def as_dask_frame(tmp_path):
    frames = pytest.importorskip("dask.dataframe")
    return frames.from_pandas(as_pandas(tmp_path), npartitions=4)


def as_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    as_pandas(tmp_path).to_parquet(tmp_path / "x.parquet", row_group_size=90)
    return tmp_path / "x.parquet"


def as_parquet_directory(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "_SUCCESS").touch()
    for i, rows in enumerate(np.array_split(X, 3)):
        frame = type(as_pandas(tmp_path))(rows, columns=NAMES)
        frame.to_parquet(tmp_path / "x" / f"part-{i}.parquet", row_group_size=90)
    return tmp_path / "x"


KINDS = [value for name, value in list(globals().items()) if name.startswith("as_")]


def rows_of(reader, blocks):
    return np.concatenate([np.array(reader.read(block)) for block in blocks])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_gives_its_rows_and_weights(kind, tmp_path):
    manifest = open_data(kind(tmp_path), weights=WEIGHTS, block_bytes=10_000)
    assert (manifest.n_rows, manifest.n_columns, manifest.dtype) == (1000, 3, np.float64)
    assert manifest.boundaries.dtype == np.int64
    assert manifest.boundaries[0] == 0
    blocks = range(manifest.n_blocks)
    for block in blocks:
        rows = manifest.reader.read(block)
        assert type(rows) is np.ndarray
        assert rows.dtype == manifest.dtype
        np.testing.assert_array_equal(rows, X[manifest.rows_of(block)])
        weights = manifest.weights.read(block)
        assert weights.dtype == np.float64
        np.testing.assert_array_equal(weights, WEIGHTS[manifest.rows_of(block)])
    sizes = np.diff(manifest.boundaries)
    assert manifest.block_bytes == sizes.max() * 24
    named = any(word in kind.__name__ for word in ("pandas", "frame", "parquet"))
    assert manifest.columns == (NAMES if named else None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_buffer_is_filled_or_left_alone(kind, tmp_path):
    manifest = open_data(kind(tmp_path), block_bytes=10_000)
    buffer = manifest.reader.buffer()
    for block in range(manifest.n_blocks):
        rows = manifest.reader.read(block, buffer)
        np.testing.assert_array_equal(rows, X[manifest.rows_of(block)])
        if buffer is not None and rows.size:
            assert np.shares_memory(rows, buffer)
    assert (buffer is None) or not manifest.reader.in_memory


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_data_has_the_same_blocks_and_fingerprint(kind, tmp_path):
    data = kind(tmp_path)
    one, two = open_data(data, block_bytes=10_000), open_data(data, block_bytes=10_000)
    np.testing.assert_array_equal(one.boundaries, two.boundaries)
    assert one.fingerprint() == two.fingerprint()
    assert one.fingerprint() != open_data(data, weights=WEIGHTS, block_bytes=10_000).fingerprint()


def test_fingerprints_tell_data_apart():
    prints = {
        open_data(data, weights=None if weights is None else weights[: len(data)]).fingerprint()
        for data in (X, X[:-1], X + 0.5, X.astype(np.float32))
        for weights in (None, WEIGHTS, WEIGHTS + 1.5)
    }
    assert len(prints) == 12


def test_blocks_follow_the_sizes_that_are_asked_for(tmp_path):
    def sizes(data, **options):
        return set(np.diff(open_data(data, **options).boundaries)[:-1].tolist())

    tall = np.zeros((600_000, 1), np.float32)
    assert sizes(tall) == {262_144}
    assert sizes(np.zeros((20_000, 64))) == {4096}  # 2 MB
    assert sizes(np.zeros((9_000, 1024))) == {4096}
    np.save(tmp_path / "x.npy", np.zeros((20_000, 64)))
    assert sizes(tmp_path / "x.npy", block_bytes=2**20) == {2048}
    stored = zarr.create_array(tmp_path / "z", data=X, chunks=(70, 3))
    assert sizes(stored, block_bytes=1) == {70}
    assert sizes(stored, block_bytes=70 * 24 * 3 + 5) == {210}
    sharded = zarr.create_array(tmp_path / "s", data=X, chunks=(10, 3), shards=(480, 3))
    assert sizes(sharded, block_bytes=480 * 24) == {480}
    assert sizes(sharded, block_bytes=25 * 24) == {20}  # a shard would be 19 blocks


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_blocks_do_not_depend_on_who_computes(scheduler, tmp_path):
    data = as_dask(tmp_path)
    with dask.config.set(scheduler=scheduler, num_workers=3):
        np.testing.assert_array_equal(open_data(data).boundaries, [0, 300, 600, 900, 1000])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint64, np.bool_])
def test_dtypes_are_kept(dtype, tmp_path):
    data = (X > 0).astype(dtype)
    stored = zarr.create_array(tmp_path / "x.zarr", data=data, chunks=(70, 3))
    for kind in (data, stored, da.from_array(data, chunks=(100, 3)) * dtype(1)):
        manifest = open_data(kind)
        assert manifest.dtype == dtype
        np.testing.assert_array_equal(rows_of(manifest.reader, range(manifest.n_blocks)), data)


def test_long_doubles_become_doubles():
    assert open_data(X.astype(np.longdouble)).dtype == np.float64


BAD = {
    "one dimension": (X[:, 0], DataError, "Expected 2D array, got 1D array(?s:.*)Reshape your"),
    "scalar": (np.float64(3), DataError, "got scalar array instead"),
    "three dimensions": (X.reshape(10, 100, 3), DataError, "dim 3, while dim <= 2"),
    "1-D dask": (da.zeros(9), DataError, "Reshape your data"),
    "no rows": (
        X[:0],
        DataError,
        r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1 is required",
    ),
    "no columns": (
        X[:, :0],
        DataError,
        r"0 feature\(s\) \(shape=\(1000, 0\)\) while a minimum of 1 is",
    ),
    "no rows in dask": (da.zeros((0, 3)), DataError, r"0 sample\(s\)"),
    "complex": (X + 1j, DataError, "Complex data not supported"),
    "complex dask": (da.from_array(X + 1j), DataError, "Complex data not supported"),
    "strings": (np.array([["a", "b"]]), DataError, "Convert your data to numeric values"),
    "dates": (np.zeros((3, 2), "M8[s]"), DataError, "datetime64.*not supported"),
    "object": (np.array([["a", 1]], object), DataError, "could not convert string to float"),
    "ragged": ([[1, 2], [3]], DataError, "inhomogeneous"),
    "dict in object": (np.array([[{}, 1]], object), TypeError, "argument must be .* string"),
    "sparse": (
        scipy.sparse.csr_array(X),
        TypeError,
        r"Sparse data was passed.*dense data is required.*toarray\(\)",
    ),
    "matrix": (MATRIX, TypeError, "np.matrix is not supported"),
    "none": (None, TypeError, "NoneType is not supported"),
    "generator": ((row for row in X), TypeError, "generator is not supported"),
    "unknown chunks": (
        da.from_array(X)[da.from_array(X)[:, 0] > 0],
        DataError,
        r"compute_chunk_sizes\(\)",
    ),
    "nothing there": ("no/such/file.zarr", FileNotFoundError, "no/such/file.zarr"),
    "no npy": ("no-such-file.npy", FileNotFoundError, "no-such-file.npy"),
    "no url": ("file:///no-such-file.zarr", FileNotFoundError, "no-such-file.zarr"),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused(case):
    data, error, match = BAD[case]
    with pytest.raises(error, match=match):
        open_data(data)


def test_files_of_other_kinds_are_refused(tmp_path):
    for name, content, match in [
        ("x.csv", b"1,2\n", "expected a Zarr array, a .npy file, or Parquet"),
        ("x.npy", b"1,2\n", "not a .npy file"),
        ("x.parquet", b"1,2\n", "not a Parquet file"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=match):
            open_data(tmp_path / name)
    np.save(tmp_path / "o.npy", np.array([[{}]], object))
    with pytest.raises(DataError, match="object"):
        open_data(tmp_path / "o.npy")
    whole = (as_npy(tmp_path), (tmp_path / "x.npy").read_bytes())[1]
    (tmp_path / "x.npy").write_bytes(whole[:-8])
    with pytest.raises(DataError, match="cut short"):
        open_data(tmp_path / "x.npy")


def test_a_zarr_group_lists_its_arrays(tmp_path):
    group = zarr.create_group(tmp_path / "g.zarr")
    group.create_array("in/x", data=X)
    group.create_array("y", data=X)
    with pytest.raises(DataError, match=r"Its arrays: in/x, y\. Name one.*g\.zarr::in/x"):
        open_data(tmp_path / "g.zarr")
    with pytest.raises(TypeError, match="got a group"):
        open_data(group)


def test_xarray(tmp_path):
    xarray = pytest.importorskip("xarray")
    for inner in (X, as_dask(tmp_path)):
        manifest = open_data(xarray.DataArray(inner, dims=("row", "column")))
        np.testing.assert_array_equal(rows_of(manifest.reader, range(manifest.n_blocks)), X)


def test_nullable_columns_become_floats_with_nan(tmp_path):
    pandas = pytest.importorskip("pandas")
    frames = pytest.importorskip("dask.dataframe")
    frame = pandas.DataFrame(
        {
            "a": pandas.array([1, None, 3], dtype="Int64"),
            "b": [True, False, True],
            "c": np.float32([1, 2, 3]),
        }
    )
    expected = np.array([[1, 1, 1], [np.nan, 0, 2], [3, 1, 3]])
    for data in (frame, frames.from_pandas(frame, npartitions=2)):
        manifest = open_data(data)
        assert manifest.dtype == np.float64
        np.testing.assert_array_equal(rows_of(manifest.reader, range(manifest.n_blocks)), expected)
    frame["text"] = ["x", "y", "z"]
    for data in (frame, frames.from_pandas(frame, npartitions=2)):
        with pytest.raises(DataError, match=r"not numeric: 'text' \(str"):
            open_data(data)


def test_parquet_columns(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1.5, None], "b": [1, 2], "c": [True, False]}), path)
    manifest = open_data(path)
    np.testing.assert_array_equal(manifest.reader.read(0), [[1.5, 1, 1], [np.nan, 2, 0]])

    pq.write_table(pa.table({"a": [1, 2, None]}), path)
    np.testing.assert_array_equal(open_data(path).reader.read(0), [[1], [2], [np.nan]])

    pq.write_table(
        pa.table({"a": [1, 2], "when": pa.array([0, 0], pa.date32()), "t": ["x", "y"]}), path
    )
    with pytest.raises(DataError, match=r"not numeric: 'when' \(date32.*'t' \(string"):
        open_data(path)


def test_parquet_files_must_agree(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    (tmp_path / "x").mkdir()
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "x" / "1.parquet")
    pq.write_table(pa.table({"b": [1.0]}), tmp_path / "x" / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet has other columns"):
        open_data(tmp_path / "x")


def weight_forms(tmp_path):
    np.save(tmp_path / "w.npy", WEIGHTS)
    stored = zarr.create_array(tmp_path / "w.zarr", data=WEIGHTS, chunks=(333,))
    yield from (WEIGHTS.tolist(), WEIGHTS.astype(np.uint8), tmp_path / "w.npy", stored)
    yield from (tmp_path / "w.zarr", da.from_zarr(stored), da.from_array(WEIGHTS, chunks=77) + 0)
    series = pytest.importorskip("pandas").Series(WEIGHTS, name="w")
    yield series
    yield pytest.importorskip("dask.dataframe").from_pandas(series, npartitions=3)


def test_weights_come_in_every_form(tmp_path):
    for weights in weight_forms(tmp_path):
        manifest = open_data(as_zarr(tmp_path), weights=weights, block_bytes=5000)
        read = rows_of(manifest.weights, range(manifest.n_blocks))
        assert read.dtype == np.float64
        np.testing.assert_array_equal(read, WEIGHTS)


@pytest.mark.parametrize(("bad", "value"), [(-1.0, "-1.0"), (np.nan, "nan"), (np.inf, "inf")])
def test_bad_weights_are_named(bad, value, tmp_path):
    weights = np.ones(1000)
    weights[723] = bad
    with pytest.raises(DataError, match=f"weight of row 723 is {value}"):
        open_data(X, weights=weights)
    manifest = open_data(as_dask(tmp_path), weights=da.from_array(weights, chunks=77) + 0)
    manifest.weights.take([1]).read(1)
    with pytest.raises(DataError, match=f"weight of row 723 is {value}"):
        manifest.weights.take([1, 2]).read(2)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="999 weights for 1000 rows"):
        open_data(X, weights=WEIGHTS[:-1])
    with pytest.raises(DataError, match="Sample weights must be 1D"):
        open_data(X, weights=WEIGHTS[:, None])
    with pytest.raises(DataError, match="real numbers"):
        open_data(X, weights=WEIGHTS + 1j)


def test_optional_libraries_are_not_imported():
    code = (
        "import sys, numpy as np; from dem.engine.manifest import open_data;"
        "open_data(np.zeros((5, 2)));"
        "print([m for m in ('pandas', 'pyarrow', 'xarray', 'zarr') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "offsets",
    [[0], [0, 3], [0, 3, 6, 9], [5, 8, 11, 12], [0, 3, 6, 9, 20], [0, 3, 3, 3, 3], [0, 3, 6, 9, 9]],
    ids=str,
)
def test_spans_travel(offsets: list[int]) -> None:
    spans = Spans(np.array(offsets), first=2)
    travelled = copy.copy(spans)  # as pickle makes one
    assert travelled.first == 2
    np.testing.assert_array_equal(travelled.offsets, spans.offsets)


def test_many_blocks_of_one_length_travel_light() -> None:
    assert len(repr(Spans(regular(10**7, 10)).__reduce__())) < 500


@pytest.mark.parametrize("kind", ["npy", "zarr"])
@pytest.mark.parametrize(("mib", "blocks"), [(1, 1), (4, 2), (16, 8), (64, 8), (96, 12)])
def test_small_data_on_disk_still_has_blocks_for_several_threads(
    tmp_path, kind, mib, blocks
) -> None:
    shape = (mib * 2**20 // (64 * 8), 64)
    if kind == "npy":
        np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float64, shape)
    else:
        zarr.create_array(tmp_path / "x.zarr", shape=shape, chunks=(512, 64), dtype=np.float64)
    assert open_data(tmp_path / f"x.{kind}").n_blocks == blocks
