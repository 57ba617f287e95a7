"""Dataframes, of pandas and of Dask: columns of numbers, or of codes, side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np

from dem.engine.readers.arrays import ArraySource
from dem.engine.readers.codes import CODE, NUMBERS, Codes, Levels, plain_levels, unknown
from dem.errors import DataError


def open_pandas(frame: Any, codes: Codes | None = None) -> ArraySource:
    """A pandas DataFrame or Series; missing values of nullable columns become NaN.

    codes : of columns that are not numeric, see `dem.engine.manifest.open_source`.
    """
    if frame.ndim == 1:
        return ArraySource(open_pandas(frame.to_frame()).array[:, 0])
    if codes is None:
        return ArraySource(values(frame, common_dtype(frame)), names(frame))
    codes = resolved(frame, codes, lambda column: frame.iloc[:, column].dropna().unique())
    array = coded_values(frame, 0, dtype=common_dtype(frame, codes), codes=codes)
    return ArraySource(array, names(frame), codes)


def open_dask_frame(frame: Any, codes: Codes | None = None) -> Any:
    """A Dask dataframe or series. Counting its partitions here is one pass over the data.

    codes : as for `open_pandas`; levels that are not known are found by that pass.
    """
    from dem.engine.readers.dasks import DaskSource

    if frame.ndim == 1:
        return DaskSource(open_dask_frame(frame.to_frame()).array[:, 0])
    if codes is not None:
        return _open_coded(frame, codes)
    dtype = common_dtype(frame._meta)
    lengths = tuple(int(n) for n in frame.map_partitions(len).compute())
    even = frame.map_partitions(_uniform, dtype, meta=_uniform(frame._meta, dtype))
    return DaskSource(even.to_dask_array(lengths=lengths), names(frame))


def of_partitions(frame: Any, function: Callable[[Any], Any]) -> tuple[Any, ...]:
    """A function of each partition of a Dask dataframe or series, computed now."""
    import dask

    each = dask.delayed(function)
    found: tuple[Any, ...] = dask.compute(*map(each, frame.to_delayed()))
    return found


def _open_coded(frame: Any, codes: Codes) -> Any:
    import dask
    import dask.array as da

    from dem.engine.readers.dasks import DaskSource

    dtypes = enumerate(frame._meta.dtypes)
    open_ended = [j for j, d in dtypes if not codes and _is_category(d) and _declared(d) is None]
    surveyed = of_partitions(frame, partial(_survey, columns=open_ended))
    lengths, found = zip(*surveyed, strict=True)
    seen = {
        j: set().union(*every)
        for j, every in zip(open_ended, zip(*found, strict=True), strict=True)
    }
    codes = resolved(frame._meta, codes, lambda column: seen[column])
    dtype = common_dtype(frame._meta, codes)
    to_array = dask.delayed(partial(coded_values, dtype=dtype, codes=codes), pure=True)
    starts, width = accumulate(lengths, initial=0), len(frame.columns)
    arrays = [
        da.from_delayed(to_array(part, start), (n, width), dtype)
        for part, n, start in zip(frame.to_delayed(), lengths, starts, strict=False)
    ]
    return DaskSource(da.concatenate(arrays), names(frame), codes)


def _survey(frame: Any, columns: list[int]) -> tuple[int, list[set[Any]]]:
    """The length of a part of a frame, and the values of some of its columns."""
    return len(frame), [set(frame.iloc[:, j].dropna().unique()) for j in columns]


def names(frame: Any) -> tuple[str, ...] | None:
    """The column names, where all of them are strings."""
    columns = tuple(frame.columns)
    return columns if columns and all(isinstance(name, str) for name in columns) else None


def resolved(frame: Any, codes: Codes, distinct: Any) -> Codes:
    """What the columns of a frame hold, with the levels of `codes` where it has them.

    distinct : gives the values of a column, by its number, whose dtype does not tell.
    """
    kinds: list[str] = []
    levels: list[Levels | None] = []
    for column, (name, dtype) in enumerate(zip(frame.columns, frame.dtypes, strict=True)):
        kinds.append(_kind(dtype))
        if not _is_category(dtype):
            levels.append(None)
        elif codes:
            levels.append(codes.levels[column] if column < len(codes.levels) else None)
        else:
            declared = _declared(dtype)
            found = distinct(column) if declared is None else declared
            levels.append(plain_levels(found, name, ordered=declared is not None))
    return Codes(tuple(kinds), tuple(levels))


def _kind(dtype: Any) -> str:
    from pandas.api.types import is_bool_dtype, is_integer_dtype

    if _is_category(dtype):
        return "category"
    return "bool" if is_bool_dtype(dtype) else "int" if is_integer_dtype(dtype) else "float"


def _is_category(dtype: Any) -> bool:
    """Whether codes are needed: for categories, strings and objects."""
    import pandas as pd
    from pandas.api.types import is_object_dtype, is_string_dtype

    if isinstance(dtype, pd.CategoricalDtype):
        return True
    return not _numeric(dtype) and (is_string_dtype(dtype) or is_object_dtype(dtype))


def _declared(dtype: Any) -> Any:
    """The categories of a dtype, None where it does not have them or, as Dask's, not yet."""
    categories = getattr(dtype, "categories", None)
    if categories is None or "__UNKNOWN_CATEGORIES__" in categories:
        return None
    return categories


def common_dtype(frame: Any, codes: Codes = NUMBERS) -> np.dtype:
    """One dtype for all columns: float64 where a column's dtype is not NumPy's."""
    levels = codes.levels or (None,) * frame.shape[1]
    dtypes = list(frame.dtypes)
    named = zip(frame.columns, dtypes, levels, strict=True)
    bad = [f"{name!r} ({dtype})" for name, dtype, own in named if not own and not _numeric(dtype)]
    if bad:
        raise DataError(
            f"Columns that are not numeric: {', '.join(bad)}. Drop them or encode them as numbers."
        )
    plain = [
        CODE if own is not None else d if isinstance(d, np.dtype) else np.dtype(np.float64)
        for d, own in zip(dtypes, levels, strict=True)
    ]
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


def coded_values(frame: Any, start: int, *, dtype: np.dtype, codes: Codes) -> np.ndarray:
    """As `values`, with codes in columns that have levels; rows are counted from `start`."""
    out = np.empty(frame.shape, dtype)
    for j, levels in enumerate(codes.levels):
        column = frame.iloc[:, [j]]
        if levels is None:
            out[:, j] = values(column, dtype)[:, 0]
        else:
            out[:, j] = _coded(column.iloc[:, 0], levels, start, j)
    return out


def _coded(column: Any, levels: Levels, start: int, number: int) -> np.ndarray:
    """The codes (n,) of a Series, NaN where it is missing."""
    import pandas as pd

    among = pd.Index(levels, dtype=object)
    if isinstance(column.dtype, pd.CategoricalDtype):
        places = among.get_indexer(column.cat.categories.astype(object))
        own = column.cat.codes.to_numpy()
        found = np.where(own < 0, -1, np.append(places, -1)[own])
    else:
        found = among.get_indexer(column.astype(object))
    wrong = (found < 0) & column.notna().to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise unknown(column.iloc[row], start + row, number, str(column.name), levels)
    return np.where(found < 0, np.nan, found)


def _uniform(frame: Any, dtype: np.dtype) -> Any:
    return type(frame)(values(frame, dtype), index=frame.index, columns=frame.columns)
