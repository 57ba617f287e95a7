"""Dataframes, of pandas and of Dask: numeric columns side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.engine.readers.arrays import ArraySource
from dem.errors import DataError


def open_pandas(frame: Any) -> ArraySource:
    """A pandas DataFrame or Series; missing values of nullable columns become NaN."""
    if frame.ndim == 1:
        return ArraySource(open_pandas(frame.to_frame()).array[:, 0])
    dtype = common_dtype(frame)
    return ArraySource(values(frame, dtype), names(frame))


def open_dask_frame(frame: Any) -> Any:
    """A Dask dataframe or series. Counting its partitions here is one pass over the data."""
    from dem.engine.readers.dasks import DaskSource

    if frame.ndim == 1:
        return DaskSource(open_dask_frame(frame.to_frame()).array[:, 0])
    dtype = common_dtype(frame._meta)
    lengths = tuple(int(n) for n in frame.map_partitions(len).compute())
    even = frame.map_partitions(_uniform, dtype, meta=_uniform(frame._meta, dtype))
    return DaskSource(even.to_dask_array(lengths=lengths), names(frame))


def names(frame: Any) -> tuple[str, ...] | None:
    """The column names, where all of them are strings."""
    columns = tuple(frame.columns)
    return columns if columns and all(isinstance(name, str) for name in columns) else None


def common_dtype(frame: Any) -> np.dtype:
    """One dtype for all columns: float64 where a column's dtype is not NumPy's."""
    dtypes = list(frame.dtypes)
    named = zip(frame.columns, dtypes, strict=True)
    bad = [f"{name!r} ({dtype})" for name, dtype in named if not _numeric(dtype)]
    if bad:
        raise DataError(
            f"Columns that are not numeric: {', '.join(bad)}. Drop them or encode them as numbers."
        )
    plain = [d if isinstance(d, np.dtype) else np.dtype(np.float64) for d in dtypes]
    return np.result_type(*plain) if plain else np.dtype(np.float64)


def _numeric(dtype: Any) -> bool:
    from pandas.api.types import is_complex_dtype, is_numeric_dtype

    return is_numeric_dtype(dtype) and not is_complex_dtype(dtype)


def values(frame: Any, dtype: np.dtype) -> np.ndarray:
    """The rows of a pandas DataFrame, (n, D), column by column so that nothing goes by object."""
    out = np.empty(frame.shape, dtype)
    for j in range(frame.shape[1]):
        column = frame.iloc[:, j]
        missing = {} if isinstance(column.dtype, np.dtype) else {"na_value": np.nan}
        out[:, j] = column.to_numpy(dtype=dtype, **missing)
    return out


def _uniform(frame: Any, dtype: np.dtype) -> Any:
    return type(frame)(values(frame, dtype), index=frame.index, columns=frame.columns)
