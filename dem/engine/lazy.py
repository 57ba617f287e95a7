"""Row-wise results: NumPy in, NumPy out; anything else in, a lazy Dask array out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dask.array as da
import numpy as np
from dask.system import CPU_COUNT

from dem.engine.blas import one_blas_thread
from dem.engine.manifest import open_data
from dem.engine.readers.base import is_a
from dem.engine.task import not_finite

Function = Callable[[np.ndarray], np.ndarray]


def rowwise(data: Any, function: Function, dtype: Any, width: int | None = None) -> Any:
    """function(rows (n, D)) → (n,) or (n, width), applied to every block of the data.

    The function gives NaN for a row with a value that is not finite; dtype is what the result is
    cast to once that has been looked for.

    Arrays in memory give an array, at once. Dask arrays and dataframes give a lazy Dask array
    with the same chunks of rows, and so do paths and Zarr arrays, with the blocks of their
    manifest. Raises `DataError`, when computed, where a value is not finite.
    """
    manifest = open_data(data)
    lazy = isinstance(data, str) or hasattr(data, "__fspath__") or _is_lazy(data)
    names, offsets = manifest.columns, manifest.boundaries

    def block(index: int) -> np.ndarray:
        rows, start = manifest.reader.read(index), int(offsets[index])
        return _apply(function, dtype, rows, index, start, names)

    if not lazy:
        out = np.empty((manifest.n_rows, *(() if width is None else (width,))), dtype)

        def fill(index: int) -> None:
            out[manifest.rows_of(index)] = block(index)

        with ThreadPoolExecutor(CPU_COUNT) as pool:
            list(pool.map(fill, range(manifest.n_blocks)))
        return out
    if is_a(data, "dask.array", "Array") and data.numblocks[1] == 1:
        return _over_chunks(data, function, dtype, width)
    rows = _as_dask(manifest)
    return _over_chunks(rows, function, dtype, width)


def _is_lazy(data: Any) -> bool:
    return (
        is_a(data, "dask.array", "Array")
        or is_a(data, "dask.dataframe", "DataFrame")
        or is_a(data, "zarr", "Array")
        or (is_a(data, "xarray", "DataArray") and not isinstance(data.data, np.ndarray))
    )


def _apply(
    function: Function,
    dtype: Any,
    rows: np.ndarray,
    index: int,
    start: int,
    names: tuple[str, ...] | None,
) -> np.ndarray:
    with one_blas_thread(), np.errstate(all="ignore"):
        result = function(rows)
    if not np.isfinite(result).all():
        raise not_finite(rows, index, start, names)
    return result.astype(dtype, copy=False)


def _over_chunks(rows: da.Array, function: Function, dtype: Any, width: int | None) -> da.Array:
    def chunk(part: np.ndarray, block_info: Any = None) -> np.ndarray:
        info = block_info[0]
        index, start = info["chunk-location"][0], info["array-location"][0][0]
        return _apply(function, dtype, np.asarray(part), index, start, None)

    shape = {"drop_axis": 1} if width is None else {"chunks": (rows.chunks[0], (width,))}
    meta = np.empty((0,) * (1 if width is None else 2), dtype)
    return rows.map_blocks(chunk, dtype=dtype, meta=meta, **shape)


def _as_dask(manifest: Any) -> da.Array:
    """A lazy Dask array over the blocks of a manifest."""
    from dask import delayed

    sizes = np.diff(manifest.boundaries).tolist()
    parts = [
        da.from_delayed(
            delayed(manifest.reader.take([i]).read, pure=False)(i),
            (size, manifest.n_columns),
            manifest.dtype,
        )
        for i, size in enumerate(sizes)
    ]
    return da.concatenate(parts)
