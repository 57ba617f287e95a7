"""Nested values as a layout (what is where, of which shape and dtype) and arrays by path.

A layout is JSON: an array is {"shape": [8, 2], "dtype": "float64"}, a mapping is
{"mapping": {name: layout}}, a tuple is {"tuple": [layout, ...]}.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.errors import DataError
from dem.storable import JSON, Value

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_DTYPES = frozenset(
    [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
    + ["bool", "float16", "float32", "float64", "complex64", "complex128"]
)
_DEPTH = 32
_DIMENSIONS = 32


@dataclass(frozen=True)
class Leaf:
    """An array of a layout: where it is and what it must be."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def take_apart(value: Value, path: str = "") -> tuple[dict[str, JSON], dict[str, np.ndarray]]:
    """The layout of a value, and its arrays by path; TypeError or ValueError if it has none."""
    if path.count("/") >= _DEPTH:
        raise ValueError(f"{path}: nested more than {_DEPTH} deep")
    if isinstance(value, np.ndarray):
        if value.dtype.name not in _DTYPES or value.ndim > _DIMENSIONS:
            raise TypeError(
                f"{path}: an array of {value.dtype} with {value.ndim} dimensions cannot be stored; "
                "convert it to numbers, or put it in the attributes"
            )
        array = np.asarray(value, dtype=value.dtype.newbyteorder("="))
        return {"shape": list(array.shape), "dtype": array.dtype.name}, {path: array}
    if isinstance(value, Mapping):
        check_names(value, path, ValueError)
        parts = {name: take_apart(item, join(path, name)) for name, item in value.items()}
        return {"mapping": {name: part[0] for name, part in parts.items()}}, _merged(parts.values())
    if isinstance(value, tuple):
        items = [take_apart(item, join(path, str(i))) for i, item in enumerate(value)]
        return {"tuple": [item[0] for item in items]}, _merged(items)
    raise TypeError(
        f"{path}: a {type(value).__name__} cannot be stored as an array; pass a NumPy array, or "
        "put it in the attributes"
    )


def put_together(layout: JSON, leaf: Callable[[Leaf], Any], path: str = "", depth: int = 0) -> Any:
    """The value that a layout describes, with `leaf` called for each of its arrays.

    The layout is not trusted: DataError for anything that `take_apart` could not have made.
    """
    if depth > _DEPTH:
        raise DataError(f"{path}: nested more than {_DEPTH} deep")
    match layout:
        case {"mapping": dict(items), **rest} if not rest:
            check_names(items, path, DataError)
            return {
                name: put_together(item, leaf, join(path, name), depth + 1)
                for name, item in items.items()
            }
        case {"tuple": list(items), **rest} if not rest:
            return tuple(
                put_together(item, leaf, join(path, str(i)), depth + 1)
                for i, item in enumerate(items)
            )
        case {"shape": list(shape), "dtype": str(dtype), **rest} if not rest:
            sizes = tuple(n for n in shape if type(n) is int and n >= 0)
            if path and len(sizes) == len(shape) <= _DIMENSIONS and dtype in _DTYPES:
                return leaf(Leaf(path, sizes, np.dtype(dtype)))
    raise DataError(f"{path or 'the layout'}: not a valid description of an array or a group")


def check_names(names: Collection[str], path: str, error: type[ValueError]) -> None:
    """Raise `error` unless the names are plain words that every store and disk keeps apart."""
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise error(
                f"{join(path, repr(name))}: a name is a letter followed by up to 99 letters, "
                "digits and underscores, all ASCII"
            )
    if len({name.lower() for name in names}) < len(names):
        raise error(f"{path or 'values'}: two names differ by case alone, which some disks ignore")


def check_finite(
    array: np.ndarray, path: str, nonfinite: Collection[str], error: type[ValueError]
) -> None:
    """Raise `error` if an array holds NaN or infinity and is not at or under a path that may."""
    allowed = any(path == name or path.startswith(f"{name}/") for name in nonfinite)
    if not allowed and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise error(f"{path}: holds NaN or infinity, first at index {where}")


def plain(value: Any, path: str = "attributes", depth: int = 0) -> Any:
    """The same JSON in plain dicts and lists; TypeError or ValueError for what JSON cannot hold."""
    if depth > _DEPTH:
        raise ValueError(f"{path}: nested more than {_DEPTH} deep")
    if isinstance(value, Mapping):
        for name in value:
            if type(name) is not str:
                raise TypeError(f"{path}: the name {name!r} is not a string")
        return {name: plain(item, f"{path}/{name}", depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{path}/{i}", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{path}: JSON has no {value}; store it in an array")
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"{path}: a {type(value).__name__} is not JSON; convert it to a plain one")


def join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _merged(parts: Collection[tuple[Any, dict[str, np.ndarray]]]) -> dict[str, np.ndarray]:
    return {path: array for _, arrays in parts for path, array in arrays.items()}
