"""Helpers of the tests in tests/store."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

LITTLE = {"means": np.arange(6.0).reshape(3, 2)}


def assert_same_bits(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype.newbyteorder("=")
        assert a.shape == b.shape
        assert a.tobytes() == b.astype(a.dtype).tobytes()
    elif isinstance(a, Mapping):
        assert a.keys() == b.keys()
        for name in a:
            assert_same_bits(a[name], b[name])
    else:
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same_bits(x, y)


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def edit_metadata(directory: Path, change: Any) -> None:
    path = directory / "zarr.json"
    metadata = json.loads(path.read_text())
    change(metadata)
    path.write_text(json.dumps(metadata))


def chunk_of(directory: Path) -> Path:
    (chunk,) = [path for path in (directory / "means" / "c").rglob("*") if path.is_file()]
    return chunk
