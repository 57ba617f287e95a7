"""What goes wrong in a fit: it is said clearly, nothing hangs and nothing is left behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import zarr

import faults
from dem.climb import Climb
from dem.engine.manifest import open_data
from dem.errors import DataError
from dem.families import Full, Gaussian
from dem.fitting import fit
from dem.models.mixture import Mixture
from dem.report.progress import Silent
from dem.starts import Centres

BLOCK, N_BLOCKS, COLUMNS = 4096, 80, 2
ROWS = BLOCK * N_BLOCKS
X = np.random.default_rng(3).normal(size=(ROWS, COLUMNS))
START = Centres(X[:2])
FULL = Gaussian(Full())
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("small_blocks")]


def fitted(data: Any, model: Any = None, **options: Any) -> Any:
    manifest = open_data(data, block_bytes=BLOCK * COLUMNS * 8)
    assert manifest.n_blocks == N_BLOCKS
    options = {"start": START, "max_iter": 3, "tol": 0.0, **options}
    return fit(model or Mixture(2, FULL), manifest, **options)


def as_zarr(x: np.ndarray, place: Path) -> Any:
    zarr.create_array(str(place / "x.zarr"), data=x, chunks=(BLOCK, COLUMNS))
    return place / "x.zarr"


def as_npy(x: np.ndarray, place: Path) -> Any:
    np.save(place / "x.npy", x)
    return place / "x.npy"


def as_parquet(x: np.ndarray, place: Path) -> Any:
    frame = pd.DataFrame(x, columns=["left", "right"])
    frame.to_parquet(place / "x.parquet", row_group_size=BLOCK)
    return place / "x.parquet"


def as_frame(x: np.ndarray, place: Path) -> Any:
    return dd.from_pandas(pd.DataFrame(x, columns=["left", "right"]), npartitions=N_BLOCKS)


KINDS: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "NumPy": lambda x, place: x,
    "Zarr": as_zarr,
    "npy": as_npy,
    "Parquet": as_parquet,
    "Dask": lambda x, place: da.from_array(x, chunks=(BLOCK, -1)),
    "persisted Dask": lambda x, place: da.from_array(x, chunks=(BLOCK, -1)).persist(),
    "Dask dataframe": as_frame,
    "pandas": lambda x, place: pd.DataFrame(x, columns=["left", "right"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_not_finite_values_are_named_with_their_place(
    engine: Any, kind: str, tmp_path: Path
) -> None:
    block, row, column = 41, 41 * BLOCK + 17, 1
    x = X.copy()
    x[row, column] = np.inf
    x[row + 5] = np.nan
    with pytest.raises(DataError) as caught:
        fitted(KINDS[kind](x, tmp_path))
    message = str(caught.value)
    assert f"infinity: row {row}, column {column}" in message
    assert f"in block {block}; 2 of the {BLOCK} rows" in message
    if kind == "Zarr":
        assert f"It is in chunk ({block}, 0) (rows {block * BLOCK} to " in message
    assert ("'right'" in message) == (kind in ("Parquet", "Dask dataframe", "pandas"))


@pytest.mark.parametrize("block", [0, 33, N_BLOCKS - 1])
@pytest.mark.parametrize("value", [np.nan, -np.inf], ids=["NaN", "infinity"])
def test_wherever_they_are(engine: Any, block: int, value: float) -> None:
    x = X.copy()
    x[block * BLOCK, 0] = value
    what = "NaN" if np.isnan(value) else "infinity"
    with pytest.raises(
        DataError, match=rf"{what}: row {block * BLOCK}, column 0, in block {block};"
    ):
        fitted(x)


def test_in_a_block_that_the_sample_did_not_read(engine: Any) -> None:
    boundaries = np.arange(0, ROWS + 1, BLOCK)
    sample = next(Climb(Mixture(2, FULL), START, seed=0).run(boundaries, COLUMNS))
    (read,) = sample.groups
    assert 40 < len(read) < N_BLOCKS  # of the 80
    unread = next(block for block in range(N_BLOCKS) if block not in read)
    x = X.copy()
    x[unread * BLOCK + 3, 1] = np.nan
    with pytest.raises(DataError, match=f"row {unread * BLOCK + 3}, column 1, in block {unread};"):
        fitted(x, seed=0)


def test_squares_that_overflow(engine: Any) -> None:
    x = X.copy()
    x[50 * BLOCK, 0] = 1e200
    with pytest.raises(DataError, match="squares overflow: in block 50, rows 204800 to 208895"):
        fitted(x)


def test_a_corrupt_chunk(engine: Any, tmp_path: Path) -> None:
    path = as_zarr(X, tmp_path)
    (path / "c" / "40" / "0").write_bytes(b"not a frame of zstd at all")
    with pytest.raises(DataError, match=r"chunk \(40, 0\) .*cannot be decoded"):
        fitted(path)


def test_a_missing_chunk(engine: Any, tmp_path: Path) -> None:
    path = as_zarr(X, tmp_path)
    (path / "c" / "79" / "0").unlink()
    with pytest.raises(DataError, match=r"chunk \(79, 0\) .*is missing"):
        fitted(path)


def test_a_chunk_that_goes_missing_during_the_fit(engine: Any, tmp_path: Path) -> None:
    path = as_zarr(X, tmp_path)

    class Unlinks(Silent):
        def on_step(self, step: Any) -> None:
            (path / "c" / "12" / "0").unlink()

    with pytest.raises(DataError, match=r"chunk \(12, 0\) .*is missing"):
        fitted(path, observer=Unlinks())


def test_a_fault_in_the_model_comes_out_as_it_is(engine: Any) -> None:
    with pytest.raises(faults.ModelFault, match="a fault in the model"):
        fitted(X, faults.Raising(2, FULL, marker=X[60 * BLOCK, 0]))


def test_a_fault_in_the_graph_of_a_chunk_says_which(engine: Any) -> None:
    def broken(part: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info and block_info[0]["chunk-location"][0] == 70:
            raise ZeroDivisionError("broken chunk")
        return part

    x = da.from_array(X, chunks=(BLOCK, -1)).map_blocks(broken, dtype=float, meta=X[:0])
    with pytest.raises(ZeroDivisionError, match="broken chunk") as caught:
        fitted(x)
    if engine is None:  # notes are not sent over the network
        assert "while computing chunk 70 (rows 286720" in str(caught.value.__notes__)
