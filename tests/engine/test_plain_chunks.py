"""Chunks that are decoded without Zarr: the same rows, and the same errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec

from dem.engine.manifest import open_data
from dem.errors import DataError

Array = np.ndarray


def stored(folder: Path, rows: Array, chunk: int, **options: Any) -> zarr.Array:
    options = {"compressors": BloscCodec(cname="lz4"), "filters": None} | options
    chunks = options.pop("chunks", (chunk, *rows.shape[1:]))
    array = zarr.create_array(
        str(folder), shape=rows.shape, dtype=rows.dtype, chunks=chunks, **options
    )
    array[:] = rows
    return array


def blocks(folder: Path) -> tuple[Any, list[Array]]:
    manifest = open_data(str(folder))
    return manifest.reader, [manifest.reader.read(i) for i in range(manifest.n_blocks)]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "uint8"])
@pytest.mark.parametrize("compressor", ["lz4", "zstd", "blosclz"])
@pytest.mark.parametrize("n", [1000, 1024, 70])
def test_the_same_rows(tmp_path: Path, dtype: str, compressor: str, n: int) -> None:
    """Also where the last chunk goes beyond the end."""
    rows = (100 * np.random.default_rng(n).random((n, 3))).astype(dtype)
    stored(tmp_path / "x", rows, 128, compressors=BloscCodec(cname=compressor))
    reader, read = blocks(tmp_path / "x")
    assert reader.plain.read(0, n, np.empty_like(rows))
    np.testing.assert_array_equal(np.concatenate(read), rows)


OTHERS: dict[str, dict[str, Any]] = {
    "of some columns": {"chunks": (128, 2)},
    "in shards": {"shards": (256, 3)},
    "not compressed": {"compressors": None},
    "of the other byte order": {"serializer": BytesCodec(endian="big")},
    "of the second format": {"zarr_format": 2, "compressors": None},
}


@pytest.mark.parametrize("options", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_not_plain_is_left_to_zarr(tmp_path: Path, options: dict[str, Any]) -> None:
    rows = np.random.default_rng(0).random((700, 3))
    stored(tmp_path / "x", rows, 128, **options)
    reader, read = blocks(tmp_path / "x")
    assert reader.plain is None
    np.testing.assert_array_equal(np.concatenate(read), rows)


def test_parts_of_chunks_are_left_to_zarr(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((700, 3))
    stored(tmp_path / "x", rows, 128)
    reader, _ = blocks(tmp_path / "x")
    assert not reader.plain.read(64, 128, np.empty((64, 3)))
    assert not reader.plain.read(0, 100, np.empty((100, 3)))


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "smaller"])
def test_damage_is_told_as_zarr_tells_it(tmp_path: Path, damage: str) -> None:
    rows = np.random.default_rng(0).random((640, 3))
    stored(tmp_path / "x", rows, 128)
    chunk = tmp_path / "x" / "c" / "2" / "0"
    if damage == "missing":
        chunk.unlink()
    elif damage == "smaller":  # sound by itself, but of half the rows
        stored(tmp_path / "y", rows[:64], 64)
        chunk.write_bytes((tmp_path / "y" / "c" / "0" / "0").read_bytes())
    else:
        chunk.write_bytes(chunk.read_bytes()[: 40 if damage == "cut" else 0])
    with pytest.raises(DataError, match=r"chunk \(2, 0\) \(rows 256 to 383\)"):
        blocks(tmp_path / "x")
