"""Files made to deceive are refused with a clear error."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import zarr

from dem.errors import DataError
from dem.store import load, read, write
from storing import LITTLE, edit_metadata


def test_nothing_there(target: str) -> None:
    with pytest.raises(FileNotFoundError, match="model"):
        read(target)
    with pytest.raises(FileNotFoundError, match="model"):
        load(target)


def header(**changes: Any) -> Any:
    return lambda metadata: metadata["attributes"]["dem"].update(changes)


def layout(**changes: Any) -> Any:
    return lambda metadata: metadata["attributes"]["dem"]["layout"]["mapping"].update(changes)


def nested(depth: int) -> Any:
    tree: Any = {"shape": [1], "dtype": "float64"}
    for _ in range(depth):
        tree = {"tuple": [tree]}
    return tree


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (header(format=2), "in format 2 and this version of dem reads format 1"),
        (header(format="one"), "in format 'one'"),
        (header(complete=False), "incomplete"),
        (header(complete="yes"), "incomplete"),
        (header(layout=None), "not a valid description"),
        (header(layout={"tuple": []}), "not a mapping"),
        (lambda m: m["attributes"].pop("attributes"), "damaged"),
        (lambda m: m["attributes"].update(attributes=[]), "not a mapping"),
        (lambda m: m["attributes"].update(attributes={"x": float("nan")}), "damaged"),
        (lambda m: m["attributes"].pop("dem"), "not saved by dem"),
        (layout(means={"shape": [10**13], "dtype": "float64"}), "need 80,000,000,000,000 bytes"),
        (layout(means={"shape": [2**62, 2**62], "dtype": "float64"}), "pass a higher max_bytes"),
        (layout(means={"shape": [0, 10**30], "dtype": "float64"}), "means: not stored as"),
        (layout(means={"shape": [2, 3], "dtype": "float64"}), "means: not stored as float64"),
        (layout(means={"shape": [3, 2], "dtype": "int64"}), "means: not stored as int64"),
        (layout(means={"shape": [3, -2], "dtype": "float64"}), "not a valid description"),
        (layout(means={"shape": [3, True], "dtype": "float64"}), "not a valid description"),
        (layout(means={"shape": [3, 2.0], "dtype": "float64"}), "not a valid description"),
        (layout(means={"shape": [1] * 33, "dtype": "float64"}), "not a valid description"),
        (layout(means={"shape": [3, 2], "dtype": "object"}), "not a valid description"),
        (layout(means={"shape": [3, 2], "dtype": "float64", "x": 1}), "not a valid description"),
        (layout(other={"shape": [3, 2], "dtype": "float64"}), "other: damaged"),
        (layout(means={"mapping": {}}), None),
        (layout(**{"../x": {"shape": [1], "dtype": "float64"}}), "a name is a letter"),
        (layout(**{"x/../..": {"tuple": []}}), "a name is a letter"),
        (layout(a={"tuple": []}, A={"tuple": []}), "differ by case"),
        (layout(deep=nested(100)), "nested more than"),
    ],
)
def test_a_crafted_header_is_refused(change: Any, message: str | None, tmp_path: Path) -> None:
    write(tmp_path / "model", LITTLE, {})
    edit_metadata(tmp_path / "model", change)
    if message is None:  # an array that nobody declares is nobody's
        assert read(tmp_path / "model")[0] == {"means": {}}
        return
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "model")
    assert str(tmp_path / "model") in str(caught.value)


def test_metadata_nested_beyond_the_parser_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "model", LITTLE, {})
    (tmp_path / "model" / "zarr.json").write_text("[" * 200_000 + "]" * 200_000)
    with pytest.raises(DataError, match="damaged"):
        read(tmp_path / "model")


def test_huge_metadata_are_refused_unread(tmp_path: Path) -> None:
    write(tmp_path / "model", LITTLE, {})
    os.truncate(tmp_path / "model" / "zarr.json", 10**12)
    with pytest.raises(DataError, match="damaged"):
        read(tmp_path / "model")


def gzip_codec(metadata: Any) -> None:
    metadata["codecs"].insert(1, {"name": "gzip", "configuration": {"level": 1}})


def transposed(metadata: Any) -> None:
    metadata["codecs"].insert(0, {"name": "transpose", "configuration": {"order": [1, 0]}})


def huge_chunk(metadata: Any) -> None:
    metadata["chunk_grid"]["configuration"]["chunk_shape"] = [10**12, 2]


def huge_shape(metadata: Any) -> None:
    metadata["shape"] = [10**12, 2]


@pytest.mark.parametrize("change", [gzip_codec, transposed, huge_chunk, huge_shape])
def test_a_crafted_array_is_refused_unread(change: Any, tmp_path: Path) -> None:
    write(tmp_path / "model", LITTLE, {})
    edit_metadata(tmp_path / "model" / "means", change)
    with pytest.raises(DataError, match="means: not stored as"):
        read(tmp_path / "model")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"zarr_format": 3}', "[" * 200_000])
def test_an_array_without_sense_is_refused(content: str, tmp_path: Path) -> None:
    write(tmp_path / "model", LITTLE, {})
    (tmp_path / "model" / "means" / "zarr.json").write_text(content)
    with pytest.raises(DataError, match="means: damaged"):
        read(tmp_path / "model")


def test_an_array_of_another_format_is_refused(tmp_path: Path) -> None:
    # Zarr 2 knows a codec that pickles.
    write(tmp_path / "model", LITTLE, {})
    shutil.rmtree(tmp_path / "model" / "means")
    old = zarr.create_array(
        str(tmp_path / "model" / "means"), shape=(3, 2), dtype="f8", chunks=(3, 2), zarr_format=2
    )
    old[...] = 1
    with pytest.raises(DataError, match="means: damaged"):
        read(tmp_path / "model")
