"""Columns of Arrow tables as numbers or codes, NULL as NaN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dem.engine.readers.codes import CODE, NUMBERS, Codes, Levels, unknown
from dem.errors import DataError


def kind_of(kind: Any) -> str | None:
    """ "category", "bool", "int" or "float" of an Arrow type; None for what is none of them."""
    import pyarrow.types as kinds

    text = (kinds.is_string, kinds.is_large_string, kinds.is_dictionary, kinds.is_string_view)
    if any(is_text(kind) for is_text in text):
        return "category"
    if kinds.is_boolean(kind):
        return "bool"
    if kinds.is_integer(kind):
        return "int"
    return "float" if kinds.is_floating(kind) else None


def common_dtype(schema: Mapping[str, Any], codes: Codes = NUMBERS) -> np.dtype:
    """One dtype for all columns; `DataError` names those that are neither numbers nor coded."""
    levels = dict(zip(schema, codes.levels or (None,) * len(schema), strict=True))
    bad = [
        f"{name!r} ({kind})"
        for name, kind in schema.items()
        if levels[name] is None and kind_of(kind) in (None, "category")
    ]
    if bad:
        raise DataError(
            f"Columns that are not numeric: {', '.join(bad)}. Drop them or encode them as numbers."
        )
    plain = (kind.to_pandas_dtype() for name, kind in schema.items() if levels[name] is None)
    coded = (CODE for own in levels.values() if own is not None)
    dtype = np.result_type(*plain, *coded, np.bool_)
    return np.result_type(dtype, np.float32) if dtype.kind == "f" else dtype


def distinct(columns: Iterable[Any]) -> set[Any]:
    """The values, without NULL, of chunked columns of categories."""
    found: set[Any] = set()
    for column in columns:
        for chunk in column.chunks:
            chunk = chunk if hasattr(chunk, "dictionary") else chunk.dictionary_encode()
            used = np.unique(chunk.indices.drop_null().to_numpy(zero_copy_only=False))
            found.update(chunk.dictionary.take(used).to_pylist())
    return found - {None}


def numbers(column: Any) -> np.ndarray:
    """A chunked column of numbers, (n,); NULL is NaN."""
    if column.null_count:
        column = column.cast("float64").fill_null(np.nan)
    return np.asarray(column.to_numpy())


def codes_of(column: Any, levels: Levels, start: int, number: int, name: str) -> np.ndarray:
    """The codes (n,) of a chunked column of categories, rows from `start` on; NULL is NaN."""
    places = {level: float(i) for i, level in enumerate(levels)}
    parts: list[np.ndarray] = []
    for chunk in column.chunks:
        chunk = chunk if hasattr(chunk, "dictionary") else chunk.dictionary_encode()
        values = chunk.dictionary.to_pylist()
        lookup = np.array([np.nan if v is None else places.get(v, -1.0) for v in (*values, None)])
        # NULL refers to the last place.
        index = chunk.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
        codes = lookup[index]
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            here = start + sum(len(part) for part in parts) + row
            raise unknown(values[index[row]], here, number, name, levels)
        parts.append(codes)
    return np.concatenate(parts) if parts else np.empty(0)
