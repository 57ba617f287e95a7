from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from click.testing import CliRunner, Result

from dem.cli import main

Run = Callable[..., Result]


@pytest.fixture
def dem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in a directory of its own, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(line: str, *, code: int = 0) -> Result:
        result = CliRunner().invoke(main, line.split())
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


def rows_of(n: int = 3000) -> np.ndarray:
    """Three clusters that overlap a little."""
    rng = np.random.default_rng(0)
    centres = np.array([[-3.0, 0.0], [0.0, 3.0], [3.0, 0.0]])
    return centres[rng.integers(3, size=n)] + rng.normal(size=(n, 2))


@pytest.fixture(scope="session")
def rows() -> np.ndarray:
    return rows_of()


@pytest.fixture
def data(rows: np.ndarray, tmp_path: Path) -> dict[str, Path]:
    """The same rows in each form of storage."""
    frame = pd.DataFrame(rows, columns=["width", "height"])
    paths = {kind: tmp_path / f"rows.{kind}" for kind in ("zarr", "npy", "parquet")}
    stored = zarr.create_array(paths["zarr"], shape=rows.shape, chunks=(700, 2), dtype=rows.dtype)
    stored[...] = rows
    np.save(paths["npy"], rows)
    frame.to_parquet(paths["parquet"], row_group_size=700)
    return paths


@pytest.fixture
def in_process(dem: Run) -> Run:
    """`dem`, where that is the name of the library."""
    return dem
