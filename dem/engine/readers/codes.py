"""Codes for what is no number: categories, strings, and numbers that are names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from dem.engine.readers.base import Reader, Source, Spans, ahead_of, native
from dem.errors import DataError

Array = np.ndarray
Levels: TypeAlias = tuple[Any, ...]
CODE = np.dtype(np.float32)  # holds NaN, and codes up to 2²⁴
PLAIN = (bool, int, float, str)
SHOWN = 8


@dataclass(frozen=True)
class Codes:
    """What the columns of a table hold, and what the codes in them stand for.

    kinds : of each column "category" (strings too), "bool", "int" or "float"; () to find out.
    levels : of each column the values that codes 0, 1, ... stand for, None if it has no codes.
    """

    kinds: tuple[str, ...] = ()
    levels: tuple[Levels | None, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.kinds)


NUMBERS = Codes()


def plain_levels(values: Iterable[Any], name: object, *, ordered: bool = False) -> Levels:
    """Levels as bool, int, float or str: in their own order if they have one, else sorted.

    Raises `DataError` for other values, naming the column.
    """
    levels = [value.item() if isinstance(value, np.generic) else value for value in values]
    for value in levels:
        if not isinstance(value, PLAIN):
            raise DataError(
                f"Column {name!r} holds {value!r} of type {type(value).__name__}: levels must be "
                "strings or numbers. Convert them to strings."
            )
    try:
        return tuple(levels if ordered else sorted(levels))
    except TypeError as error:
        raise DataError(f"Column {name!r} holds values of several types: {error}.") from error


def unknown(value: Any, row: int, column: int, name: str | None, levels: Levels) -> DataError:
    """The error for a value that is none of the levels."""
    more = ", ..." if len(levels) > SHOWN else ""
    known = ", ".join(repr(level) for level in levels[:SHOWN]) + more
    where = f"row {row}, column {column}" + (f" ({name!r})" if name else "")
    return DataError(
        f"Input X has the value {value!r}: {where}, which is not among the {len(levels)} levels "
        f"of that column in the fit: {known}. Make it missing, or fit to data that have it."
    )


@dataclass(frozen=True)
class Among:
    """Numbers as their places among the levels."""

    levels: Levels

    def __call__(self, values: Array, start: int, column: int, name: str | None) -> Array:
        """Codes (n,) of values (n,), NaN staying so; rows are counted from `start`."""
        levels = np.asarray(self.levels, float)
        order = np.argsort(levels)
        place = np.searchsorted(levels[order], values).clip(max=len(levels) - 1)
        codes = order[place]
        with np.errstate(invalid="ignore"):
            wrong = (levels[codes] != values) & (values == values)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise unknown(values[row].item(), start + row, column, name, self.levels)
        return np.where(values == values, codes, np.nan)


Coders: TypeAlias = tuple[Among | None, ...]


def coded(source: Source, coders: Coders) -> Source:
    """The same data with codes for numbers in those columns that have a coder."""
    if not any(coders):
        return source
    from dem.engine.readers.dasks import DaskSource

    if isinstance(source, DaskSource):
        apply = _on_chunks(coders, source.columns)
        dtype = np.result_type(source.dtype, CODE)
        array = source.array.map_blocks(apply, dtype=dtype, meta=np.empty((0, 0), dtype))
        return replace(source, array=array)
    return CodedSource(source, coders)


def _on_chunks(coders: Coders, names: tuple[str, ...] | None) -> Callable[..., Array]:
    def apply(rows: Array, block_info: Any = None) -> Array:
        return code(np.asarray(rows), coders, block_info[0]["array-location"][0][0], names)

    return apply


def code(rows: Array, coders: Coders, start: int, names: tuple[str, ...] | None) -> Array:
    """The rows (n, D), the first of which is number `start`, with codes; a new array."""
    out = rows.astype(np.result_type(rows.dtype, CODE))
    for column, coder in enumerate(coders):
        if coder is not None:
            name = names[column] if names else None
            out[:, column] = coder(rows[:, column], start, column, name)
    return out


@dataclass(frozen=True, eq=False)
class CodedSource:
    """Another source, some of whose columns are coded when they are read."""

    stored: Source
    coders: Coders

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    @property
    def dtype(self) -> np.dtype:
        return native(np.result_type(self.stored.dtype, CODE))

    @property
    def columns(self) -> tuple[str, ...] | None:
        return self.stored.columns

    def boundaries(self, block_bytes: int) -> Array:
        return self.stored.boundaries(block_bytes)

    def reader(self, boundaries: Array) -> Reader:
        from dem.engine.readers.arrays import InMemory

        reader = self.stored.reader(boundaries)
        rows = CodedRows(reader, Spans(boundaries), self.coders, self.columns)
        if not reader.in_memory:
            return rows
        return InMemory({block: rows.read(block) for block in range(len(boundaries) - 1)})


@dataclass(frozen=True, eq=False)
class CodedRows:
    """Blocks of another reader, coded."""

    stored: Reader
    spans: Spans
    coders: Coders
    columns: tuple[str, ...] | None
    in_memory: bool = field(default=False, init=False)

    @property
    def blocks_held(self) -> float:
        return self.stored.blocks_held + 3.0  # of twice the width at most, where they were bytes

    @property
    def ahead(self) -> int:
        return ahead_of(self.stored)

    @property
    def chunk_of(self) -> Any:
        return getattr(self.stored, "chunk_of", None)

    def read(self, block: int, out: Array | None = None) -> Array:
        rows = self.stored.read(block, out)
        return code(rows, self.coders, self.spans[block][0], self.columns)

    def take(self, blocks: Sequence[int]) -> CodedRows:
        taken = self.stored.take(blocks), self.spans.take(blocks)
        return CodedRows(*taken, self.coders, self.columns)

    def buffer(self) -> Array | None:
        return self.stored.buffer()

    def token(self) -> str:
        return f"{self.stored.token()} {self.coders!r}"
