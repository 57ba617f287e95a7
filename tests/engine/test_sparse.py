"""Sparse rows, from wherever they are: the same values, the same bits of a fit, clear errors."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from distributed import Client, LocalCluster
from scipy.sparse import coo_array, csc_matrix, csr_array, csr_matrix, vstack

import dem
from corpora import corpus
from dem.engine.manifest import Manifest
from dem.engine.output import write_csr
from dem.engine.readers.sparse import balanced
from dem.errors import DataError
from dem.fitting import Fit
from dem.models import LDA
from dem.stats import leaves

ROWS, BLOCK, WORDS = 400, 100, 50
COUNTS = corpus(ROWS, WORDS, 4, 12.0)
EDGES = range(0, ROWS, BLOCK)


def in_zarr(place: Path) -> str:
    path = str(place / "counts.zarr")
    write_csr(path, (COUNTS[first : first + BLOCK] for first in EDGES), WORDS, chunk=700)
    return path


def in_dask() -> da.Array:
    return da.from_array(COUNTS.toarray(), chunks=(BLOCK, -1)).map_blocks(csr_array)


def in_parts() -> list[Any]:
    return [COUNTS[first : first + BLOCK] for first in EDGES]


def kinds(place: Path) -> dict[str, Any]:
    """The same rows in blocks of 100, held in several ways."""
    stored = dem.open_data(in_zarr(place), sparse=True)
    edges = np.array([*EDGES, ROWS])
    from_disk = Manifest(
        _source(place).reader(edges), edges, WORDS, stored.dtype, place=stored.place
    )
    return {
        "list": in_parts(),
        "Zarr": from_disk,
        "lazy Dask": in_dask(),
        "persisted Dask": in_dask().persist(),
    }


def _source(place: Path) -> Any:
    from dem.engine.manifest import open_source

    return open_source(str(place / "counts.zarr"), sparse=True)


def bits(fitted: Fit) -> list[bytes]:
    bounds = np.array([(record.bound_e, record.bound) for record in fitted.history])
    return [leaf.tobytes() for leaf in (*leaves(fitted.params), bounds)]


def whole(manifest: Manifest) -> np.ndarray:
    blocks = [manifest.reader.read(block) for block in range(manifest.n_blocks)]
    for block, rows in enumerate(blocks):
        assert rows.format == "csr"
        assert rows.dtype == manifest.dtype
        edges = manifest.rows_of(block)
        assert rows.shape == (edges.stop - edges.start, manifest.n_columns)
    return vstack(blocks).toarray()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.uint8, np.bool_])
def test_all_kinds_read_the_same_values(dtype: type, tmp_path: Path) -> None:
    rows = COUNTS.astype(dtype)
    write_csr(str(tmp_path / "a.zarr"), [rows[:150], rows[150:150], rows[150:]], WORDS, chunk=333)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    memory = zarr.open_group(zarr.storage.MemoryStore(), mode="w")
    for name in ("data", "indices", "indptr"):
        memory.create_array(name, data=group[name][:])
    memory.attrs["shape"] = [ROWS, WORDS]
    outer = zarr.open_group(tmp_path / "b.zarr", mode="w")
    outer.create_group("layers")
    write_csr(str(tmp_path / "b.zarr" / "layers" / "counts"), [rows], WORDS)
    data = {
        "array": rows,
        "matrix": csr_matrix(rows),
        "columns": csc_matrix(rows),
        "coordinates": coo_array(rows),
        "list": [csr_matrix(rows[:7]), csc_matrix(rows[7:])],
        "path": str(tmp_path / "a.zarr"),
        "group": group,
        "memory": memory,
        "inside": f"{tmp_path / 'b.zarr'}::layers/counts",
        "Dask": da.from_array(rows.toarray(), chunks=(130, -1)).map_blocks(csr_matrix),
    }
    for name, one in data.items():
        manifest = dem.open_data(one, sparse=True)
        assert manifest.sparse, name
        assert manifest.dtype == dtype, name
        np.testing.assert_array_equal(whole(manifest), rows.toarray(), err_msg=name)
        assert manifest.fingerprint() == dem.open_data(one, sparse=True).fingerprint()
    other = rows.copy()
    other.data[5] = 1 if dtype is np.bool_ else 99
    other.indices[3] += 1 if other.indices[3] + 1 < WORDS else -1
    changed = dem.open_data(other, sparse=True)
    assert changed.fingerprint() != dem.open_data(rows, sparse=True).fingerprint()


def test_dense_rows_stay_dense_where_sparse_ones_may_be() -> None:
    manifest = dem.open_data(COUNTS.toarray(), sparse=True)
    assert not manifest.sparse
    dense = dem.fit(LDA(3), manifest, max_iter=3, tol=0)
    assert dense.n_passes == 3  # its start looks at no rows
    sparse = dem.fit(LDA(3), COUNTS, max_iter=3, tol=0)
    np.testing.assert_allclose(dense.params.topics, sparse.params.topics, rtol=1e-9)
    assert not dem.open_data(in_dask()).sparse  # for models that take dense rows


def test_any_boundaries_will_do(tmp_path: Path) -> None:
    in_zarr(tmp_path)
    for source in (_source(tmp_path), dem.engine.manifest.open_source(in_parts(), sparse=True)):
        for edges in ([0, 400], [0, 1, 1, 250, 400], [0, 99, 101, 400]):
            reader = source.reader(np.array(edges))
            blocks = [reader.read(block) for block in range(len(edges) - 1)]
            assert [block.shape[0] for block in blocks] == np.diff(edges).tolist()
            np.testing.assert_array_equal(vstack(blocks).toarray(), COUNTS.toarray())
            last = len(edges) - 2
            np.testing.assert_array_equal(
                reader.take([last]).read(last).toarray(), blocks[last].toarray()
            )


def test_blocks_have_about_as_many_values() -> None:
    lengths = np.random.default_rng(0).pareto(1.5, 10_000).astype(int)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    edges = balanced(indptr, 1000, most_rows=900)
    assert edges[0] == 0
    assert edges[-1] == 10_000
    assert np.diff(edges).max() <= 900
    longest = lengths.max()
    assert np.diff(indptr[edges]).max() <= 1000 + longest
    assert balanced(np.zeros(6, int), 1000).tolist() == [0, 5]  # rows without a value


def test_threads_and_kinds_give_the_same_bits(tmp_path: Path) -> None:
    model, found = LDA(4), {}
    weights = np.random.default_rng(2).gamma(2.0, size=ROWS)
    for name, data in kinds(tmp_path).items():
        for threads in (1, 2, 4):
            fitted = dem.fit(model, data, max_iter=4, tol=0, threads=threads)
            found[name, threads] = bits(fitted)
    first = found["Zarr", 1]
    for what, theirs in found.items():
        assert theirs == first, what
    weighted = [
        bits(dem.fit(model, in_parts(), weights=weights, max_iter=3, tol=0, threads=threads))
        for threads in (1, 3)
    ]
    assert weighted[0] == weighted[1] != first


def test_a_cluster(tmp_path: Path) -> None:
    model, here = LDA(4), kinds(tmp_path)
    expected = bits(dem.fit(model, here["Zarr"], max_iter=3, tol=0, threads=1))
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
        ) as cluster,
        Client(cluster),
    ):
        here["persisted Dask"] = in_dask().persist()
        for name, data in here.items():
            assert bits(dem.fit(model, data, max_iter=3, tol=0)) == expected, name


def test_a_checkpoint_is_taken_up_again(tmp_path: Path) -> None:
    path = in_zarr(tmp_path)
    unbroken = dem.fit(LDA(4), path, max_iter=6, tol=0)
    place = tmp_path / "fit"
    dem.fit(LDA(4), path, max_iter=3, tol=0, checkpoint=place)
    assert bits(dem.resume(place, max_iter=6)) == bits(unbroken)
    dem.save(unbroken, str(tmp_path / "model"))
    assert bits(dem.load(str(tmp_path / "model"))) == bits(unbroken)


def spoil(path: str, **arrays: Any) -> zarr.Group:
    """The group at a path with other arrays."""
    group = zarr.open_group(path, mode="r+")
    for name, values in arrays.items():
        del group[name]
        group.create_array(name, data=np.asarray(values), chunks=(700,))
    return group


def test_groups_that_do_not_fit_together(tmp_path: Path) -> None:
    path = in_zarr(tmp_path)
    group = zarr.open_group(path, mode="r")
    data, indices, indptr = (group[name][:] for name in ("data", "indices", "indptr"))
    shape = group.attrs["shape"]
    with pytest.raises(DataError, match=r"holds sparse rows \(CSR\), and dense ones are required"):
        dem.open_data(path)
    with pytest.raises(DataError, match=r"as many"):
        dem.open_data(str(spoil(path, indices=indices[:-1]).store.root), sparse=True)
    spoil(path, indices=indices, indptr=indptr[:-1])
    with pytest.raises(DataError, match=r"indptr must be 401 integers for 400 rows.*got 400"):
        dem.open_data(path, sparse=True)
    spoil(path, indptr=indptr[::-1].copy())
    with pytest.raises(DataError, match=rf"indptr must rise from 0 to {len(data)}"):
        dem.open_data(path, sparse=True)
    wrong = indices.copy()
    wrong[-1] = WORDS
    spoil(path, indptr=indptr, indices=wrong)
    with pytest.raises(DataError, match=r"block \d+ \(rows \d+ to 399\).*or 50, and there are 50"):
        dem.fit(LDA(2), path)
    group = spoil(path, indices=indices)
    del group.attrs["shape"]
    with pytest.raises(DataError, match="how many columns"):
        dem.open_data(path, sparse=True)
    group.attrs["shape"] = shape
    (Path(path) / "data" / "c" / "1").unlink()
    with pytest.raises(DataError, match=r"chunk \(1,\) \(rows 700 to 1399\).*data is missing"):
        dem.fit(LDA(2), path)


def test_values_that_cannot_be(tmp_path: Path) -> None:
    rows = COUNTS.copy()
    rows.data[rows.indptr[333]] = np.inf
    column = rows.indices[rows.indptr[333]]
    for data in (rows, [rows[:200], rows[200:]]):
        with pytest.raises(DataError, match=rf"infinity: row 333, column {column}, in block"):
            dem.fit(LDA(2), data)
    with pytest.raises(DataError, match=r"different numbers of columns: \[49, 50\]"):
        dem.open_data([rows, rows[:, 1:]], sparse=True)
    with pytest.raises(DataError, match=r"0 sample\(s\)"):
        dem.open_data(rows[:0], sparse=True)
    wide = da.from_array(rows.toarray(), chunks=(100, 25)).map_blocks(csr_array)
    with pytest.raises(DataError, match="each must hold all columns"):
        dem.open_data(wide, sparse=True)
    with pytest.raises(ValueError, match="rows of 49 columns, where there are 50"):
        write_csr(str(tmp_path / "x.zarr"), [rows[:, 1:]], WORDS)
    mixed = da.concatenate([in_dask()[:100], da.from_array(COUNTS.toarray()[100:])])
    with pytest.raises(TypeError, match="ndarray, and others are sparse"):
        dem.fit(LDA(2), mixed)
