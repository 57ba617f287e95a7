"""From codes back to categories."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from dem.engine.readers.base import is_a
from dem.engine.readers.codes import Codes


def is_frame(X: Any) -> bool:
    """Whether X is a dataframe, of pandas or Dask."""
    return is_a(X, "pandas", "DataFrame") or is_a(X, "dask.dataframe", "DataFrame")


def as_numbers(rows: np.ndarray, codes: Codes | None) -> np.ndarray:
    """Rows (n, D) in which codes that stand for numbers are those numbers again."""
    levels = codes.levels if codes else ()
    named = [j for j, own in enumerate(levels) if own and not isinstance(own[0], str)]
    if not named:
        return rows
    out = np.array(rows, float)
    for j in named:
        out[:, j] = np.asarray(levels[j], float)[out[:, j].astype(np.intp)]
    return out


def decoded(X: Any, filled: Any, codes: Codes) -> Any:
    """What was made of a dataframe, as it was: with its columns, index and categories.

    filled : (n, D) with the codes of categories.
    """
    return (
        _decoded(X, filled, codes)
        if is_a(X, "pandas", "DataFrame")
        else (_in_partitions(X, filled, codes))
    )


def _in_partitions(X: Any, filled: Any, codes: Codes) -> Any:
    import dask
    import dask.dataframe as dd

    decode = dask.delayed(partial(_decoded, codes=codes), pure=True)
    blocks = filled.to_delayed().ravel()
    parts = [decode(part, block) for part, block in zip(X.to_delayed(), blocks, strict=True)]
    meta = _decoded(X._meta, np.empty((0, filled.shape[1])), codes)
    return dd.from_delayed(parts, meta=meta, divisions=X.divisions, verify_meta=False)


def _decoded(X: Any, filled: np.ndarray, codes: Codes) -> Any:
    import pandas as pd

    columns = {}
    for j, (name, levels) in enumerate(zip(X.columns, codes.levels, strict=True)):
        values, dtype = filled[:, j], X.dtypes.iloc[j]
        if levels is None:
            columns[name] = _as_before(values, dtype)
        elif isinstance(dtype, pd.CategoricalDtype):
            categories = pd.Categorical.from_codes(values.astype(int), categories=list(levels))
            columns[name] = categories.set_categories(dtype.categories, ordered=dtype.ordered)
        else:
            columns[name] = pd.Series(np.array(levels, object)[values.astype(int)]).astype(dtype)
            columns[name].index = X.index
    return pd.DataFrame(columns, index=X.index)


def _as_before(values: np.ndarray, dtype: Any) -> Any:
    """Numbers in their former dtype, unless what was filled in has no place there."""
    import pandas as pd
    from pandas.api.types import is_bool_dtype, is_float_dtype

    if is_float_dtype(dtype) or not (values == np.rint(values)).all():
        return values if isinstance(dtype, np.dtype) else pd.array(values, dtype="Float64")
    return pd.array(values.astype(bool if is_bool_dtype(dtype) else np.int64), dtype=dtype)
