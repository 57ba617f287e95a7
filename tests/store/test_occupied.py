"""What dem did not write, it neither replaces nor reads."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from dem.errors import DataError
from dem.store import read, write
from storing import LITTLE, files


def occupied_by_a_file(path: Path) -> None:
    path.write_text("a letter to my mother")


def occupied_by_a_directory(path: Path) -> None:
    path.mkdir()
    (path / "letter.txt").write_text("to my mother")


def occupied_by_an_array(path: Path) -> None:
    zarr.create_array(str(path), shape=3, dtype="f8", chunks=3)


def occupied_by_a_group(path: Path) -> None:
    zarr.create_group(str(path), attributes={"dem": "hello"}).create_array(
        "a", shape=3, dtype="f8", chunks=3
    )


def occupied_by_a_model_with_company(path: Path) -> None:
    write(path, LITTLE, {})
    (path / "letter.txt").write_text("to my mother")


def occupied_by_broken_metadata(path: Path) -> None:
    path.mkdir()
    (path / "zarr.json").write_text("{")


OCCUPANTS = [
    occupied_by_a_file,
    occupied_by_a_directory,
    occupied_by_an_array,
    occupied_by_a_group,
    occupied_by_a_model_with_company,
    occupied_by_broken_metadata,
]


@pytest.mark.parametrize("occupy", OCCUPANTS)
def test_what_is_not_ours_is_never_replaced(occupy: Any, tmp_path: Path) -> None:
    occupy(tmp_path / "data")
    before = files(tmp_path)
    with pytest.raises(FileExistsError, match="data"):
        write(tmp_path / "data", {"a": np.zeros(1)}, {}, overwrite=True)
    assert files(tmp_path) == before


def test_what_is_not_ours_behind_a_url_is_never_replaced() -> None:
    uri = f"memory://{uuid.uuid4().hex}/data"
    zarr.create_group(uri).create_array("a", shape=3, dtype="f8", chunks=3)[...] = 1
    with pytest.raises(FileExistsError, match="not saved by dem"):
        write(uri, LITTLE, {})
    assert np.all(zarr.open_group(uri, mode="r")["a"][...] == 1)


@pytest.mark.parametrize("occupy", [f for f in OCCUPANTS if "company" not in f.__name__])
def test_what_dem_did_not_write_is_refused(occupy: Any, tmp_path: Path) -> None:
    occupy(tmp_path / "data")
    with pytest.raises(DataError, match="not saved by dem"):
        read(tmp_path / "data")
