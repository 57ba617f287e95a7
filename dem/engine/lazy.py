"""Row-wise results: NumPy in, NumPy out; anything else in, a lazy Dask array out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from typing import Any

import dask.array as da
import numpy as np
from dask.system import CPU_COUNT
from scipy.sparse import issparse

from dem.engine.blas import one_blas_thread
from dem.engine.manifest import Manifest, cut
from dem.engine.readers.base import Reader, Source, is_a
from dem.engine.readers.beside import BesideSource
from dem.engine.readers.dasks import DaskSource, stored_array
from dem.engine.readers.lazy import dense
from dem.engine.task import not_finite, outside
from dem.engine.xarrays import like
from dem.errors import SupportError

Function = Callable[[np.ndarray], np.ndarray]


def rowwise(
    data: Any,
    source: Source,
    function: Function,
    dtype: Any,
    width: int | None = None,
    axis: str = "component",
) -> Any:
    """function(rows (n, D)) → (n,) or (n, width), applied to every block of the data.

    data : what the user gave, source : what `open_source` made of it.
    function : gives NaN for a row with a value that is not finite.
    dtype : what the result is cast to once that has been looked for.
    axis : what xarray is to call the second dimension; "" where it is that of the data's columns.

    Arrays in memory give an array, at once. Dask arrays and dataframes give a lazy Dask array
    with the same chunks of rows, and so do paths and Zarr arrays, with the blocks of their
    manifest; an xarray.DataArray gives one, with the coordinates of its rows. Raises `DataError`,
    when computed, where a value is not finite.
    """
    return like(data, _rowwise(data, source, function, dtype, width), axis)


def _rowwise(data: Any, source: Source, function: Function, dtype: Any, width: int | None) -> Any:
    if isinstance(source, BesideSource):
        source = _joined(source)
    if isinstance(source, DaskSource) and stored_array(source.array) is None:
        return _over_chunks(source.array, source.columns, function, dtype, width, source.sparse)
    manifest = cut(source)
    if isinstance(data, (str, PathLike)) or is_lazy(data):
        return _over_chunks(_as_dask(manifest), source.columns, function, dtype, width)
    out = np.empty((manifest.n_rows, *(() if width is None else (width,))), dtype)

    def fill(block: int) -> None:
        rows = manifest.rows_of(block)
        read = manifest.reader.read(block)
        out[rows] = applied(function, dtype, read, block, rows.start, manifest.columns)

    with ThreadPoolExecutor(CPU_COUNT) as pool:
        list(pool.map(fill, range(manifest.n_blocks)))
    return out


def is_lazy(data: Any) -> bool:
    """Whether data are a Dask or Zarr array, or an xarray.DataArray of one."""
    return (
        is_a(data, "dask.array", "Array")
        or is_a(data, "zarr", "Array", "Group")
        or (is_a(data, "xarray", "DataArray") and not isinstance(data.data, np.ndarray))
    )


def _joined(source: BesideSource) -> Source:
    """The same as one Dask array, in the chunks of the left source, if that is one."""
    left, right = source.left, source.right
    if not isinstance(left, DaskSource) or stored_array(left.array) is not None:
        return source
    if isinstance(right, DaskSource):
        columns = right.array.rechunk({0: left.array.chunks[0]})
    else:
        boundaries = left.boundaries(0)
        columns = _of_blocks(right.reader(boundaries), boundaries, right.shape[1:], right.dtype)
    columns = columns[:, None] if columns.ndim == 1 else columns
    both = da.concatenate([left.array, columns], axis=1).astype(source.dtype)
    return DaskSource(both.rechunk({1: -1}))


def applied(
    function: Function,
    dtype: Any,
    rows: np.ndarray,
    index: int,
    start: int,
    names: tuple[str, ...] | None,
) -> np.ndarray:
    """function(rows) of block `index`, which begins with row `start`, as dtype.

    Raises `DataError` naming the place of a value that is not finite, or has no density.
    """
    with one_blas_thread(), np.errstate(all="ignore"):
        try:
            result = function(rows)
        except SupportError as error:
            raise outside(error, index, start, names) from None
    if not np.isfinite(result).all():
        raise not_finite(rows, index, start, names)
    return result.astype(dtype, copy=False)


def _over_chunks(
    rows: da.Array,
    names: tuple[str, ...] | None,
    function: Function,
    dtype: Any,
    width: int | None,
    sparse: bool = False,
) -> da.Array:
    def chunk(part: np.ndarray, block_info: Any = None) -> np.ndarray:
        info = block_info[0]
        index, start = info["chunk-location"][0], info["array-location"][0][0]
        rows = part if sparse and issparse(part) else np.asarray(dense(part))
        return applied(function, dtype, rows, index, start, names)

    shape = {"drop_axis": 1} if width is None else {"chunks": (rows.chunks[0], (width,))}
    meta = np.empty((0,) * (1 if width is None else 2), dtype)
    return rows.map_blocks(chunk, dtype=dtype, meta=meta, **shape)


def _as_dask(manifest: Manifest) -> da.Array:
    """A lazy Dask array over the blocks of a manifest."""
    width = (manifest.n_columns,)
    return _of_blocks(manifest.reader, manifest.boundaries, width, manifest.dtype)


def _of_blocks(
    reader: Reader, boundaries: np.ndarray, width: tuple[int, ...], dtype: np.dtype
) -> da.Array:
    """A lazy Dask array over the blocks that a reader reads, (n_i, *width)."""
    from dask import delayed

    sizes = np.diff(boundaries).tolist()
    parts = [
        da.from_delayed(
            delayed(reader.take([i]).read, pure=False)(i),
            (size, *width),
            dtype,
        )
        for i, size in enumerate(sizes)
    ]
    return da.concatenate(parts)
