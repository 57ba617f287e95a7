"""Arrays in memory that hold strings: codes of them, as of columns of a dataframe."""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.engine.readers.arrays import ArraySource
from dem.engine.readers.codes import CODE, Codes, Levels, plain_levels, unknown

Array = np.ndarray


def as_words(data: Any) -> Array | None:
    """A list or array (n, D) with strings as an array of objects; None if it is no such thing."""
    if isinstance(data, (list, tuple)) and data and not hasattr(data[0], "dtype"):
        rows = (row for row in data if isinstance(row, (list, tuple)))
        strings = (isinstance(value, str) for row in rows for value in row)
        data = np.array(data, object) if any(strings) else None
    if not isinstance(data, np.ndarray) or isinstance(data, np.ma.MaskedArray) or data.ndim != 2:
        return None
    if data.dtype.kind == "O":
        return data if any(isinstance(value, str) for value in data.flat) else None
    return data.astype(object) if data.dtype.kind in "UT" else None


def open_words(words: Array, codes: Codes) -> ArraySource:
    """Codes of strings (n, D), None or NaN where one is missing.

    codes : the levels of each column; `Codes()` to find them.
    """
    levels = codes.levels or tuple(
        plain_levels({value for value in column if not _lacks(value)}, j)
        for j, column in enumerate(words.T.tolist())
    )
    coded = np.empty(words.shape, CODE)
    for j, (column, own) in enumerate(zip(words.T.tolist(), levels, strict=True)):
        coded[:, j] = _codes_of(column, own or (), j)
    return ArraySource(coded, None, Codes(("category",) * words.shape[1], levels))


def _codes_of(column: list[Any], levels: Levels, number: int) -> Array:
    places = {level: code for code, level in enumerate(levels)}
    codes = np.array([np.nan if _lacks(value) else places.get(value, -1) for value in column])
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise unknown(column[row], row, number, None, levels)
    return codes


def _lacks(value: Any) -> bool:
    return value is None or value != value
