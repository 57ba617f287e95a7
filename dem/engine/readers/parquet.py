"""Parquet: a file, or a directory of files, read by runs of row groups."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from dem.engine.readers.arrow import codes_of, common_dtype, distinct, kind_of, numbers
from dem.engine.readers.base import Spans, far_ahead, row_bytes
from dem.engine.readers.codes import NUMBERS, Codes, plain_levels
from dem.errors import DataError

T = TypeVar("T")
SUFFIXES = (".parquet", ".parq", ".pq")
READING = 4  # threads that look for levels
FOOTERS = 16  # that read footers, which is waiting if they are far away


@dataclass(frozen=True)
class RowGroup:
    """One row group: its file, its number in there, and the rows [start, stop) of the whole."""

    path: str
    number: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class ParquetRows:
    """Blocks of rows of Parquet files."""

    groups: tuple[RowGroup, ...]
    columns: tuple[str, ...]
    dtype: np.dtype
    spans: Spans
    codes: Codes | None = None
    ahead: int = 1
    in_memory: bool = field(default=False, init=False)
    blocks_held: ClassVar[float] = 7.0  # a row group as it is stored, and columns of it

    @property
    def _categories(self) -> list[str]:
        """The columns that hold codes."""
        levels = self.codes.levels if self.codes else (None,) * len(self.columns)
        return [name for name, own in zip(self.columns, levels, strict=True) if own is not None]

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        start, stop = self.spans[block]
        if out is None:
            out = np.empty((stop - start, len(self.columns)), self.dtype)
        rows = out[: stop - start]
        for group in self.groups:
            low, high = max(start, group.start), min(stop, group.stop)
            if low < high:
                self._read_group(group, low, high, rows[low - start : high - start])
        return rows

    def _read_group(self, group: RowGroup, low: int, high: int, rows: np.ndarray) -> None:
        import pyarrow as pa

        try:
            with _open(group.path, self._categories) as file:
                table = file.read_row_group(
                    group.number, columns=list(self.columns), use_threads=False
                )
        except (pa.ArrowException, OSError) as error:
            arrows = not isinstance(error, OSError) or (type(error) is OSError and not error.errno)
            if not arrows:  # of the disk, or of the network
                raise
            raise DataError(
                f"{group.path}, row group {group.number} (rows {group.start} to "
                f"{group.stop - 1}) cannot be decoded: {error}"
            ) from error
        table = table.slice(low - group.start, high - low)
        levels = self.codes.levels if self.codes else (None,) * len(self.columns)
        for j, (name, own) in enumerate(zip(self.columns, levels, strict=True)):
            column = table.column(name)
            rows[:, j] = numbers(column) if own is None else codes_of(column, own, low, j, name)

    def take(self, blocks: Sequence[int]) -> ParquetRows:
        spans = self.spans.take(blocks)
        low, high = spans.offsets[0], spans.offsets[-1]
        groups = tuple(g for g in self.groups if g.start < high and g.stop > low)
        return replace(self, groups=groups, spans=spans)

    def buffer(self) -> np.ndarray:
        return np.empty((self.spans.largest, len(self.columns)), self.dtype)

    def token(self) -> str:
        return repr((self.groups, self.columns, *([self.codes] if self.codes else [])))


@dataclass(frozen=True, eq=False)
class ParquetSource:
    """Parquet files with the same columns, in the order of their names.

    schema : the Arrow type of each column.
    """

    groups: tuple[RowGroup, ...]
    schema: Mapping[str, Any]
    codes: Codes | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.schema)

    @cached_property
    def dtype(self) -> np.dtype:
        """`DataError` if there are columns that are neither numbers nor coded."""
        dtype = common_dtype(self.schema, self.codes or NUMBERS)
        if dtype.kind != "f" and _may_have_nulls(dict.fromkeys(g.path for g in self.groups)):
            dtype = np.result_type(dtype, np.float32)
        return dtype

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return (self.groups[-1].stop if self.groups else 0, len(self.columns))

    def boundaries(self, block_bytes: int) -> np.ndarray:
        rows = max(1, block_bytes // row_bytes(self.shape, self.dtype))
        offsets = [0]
        for group in self.groups:  # a block is closed where one more group would be too much
            if group.stop - offsets[-1] > rows and group.start > offsets[-1]:
                offsets.append(group.start)
        return np.array([*offsets, self.shape[0]], dtype=np.int64)

    def reader(self, boundaries: np.ndarray) -> ParquetRows:
        spans = Spans(boundaries)
        nbytes = spans.largest * row_bytes(self.shape, self.dtype)
        ahead = far_ahead(nbytes) if any("://" in group.path for group in self.groups) else 1
        return ParquetRows(self.groups, self.columns, self.dtype, spans, self.codes, ahead)

    def without(self, name: str) -> ParquetSource:
        """The same without a column, which is not read then; only for data without codes."""
        return replace(self, schema={c: kind for c, kind in self.schema.items() if c != name})

    def each(self, name: str, function: Callable[[Any], T]) -> list[T]:
        """A function of a column as it is stored in Arrow, of each row group in turn."""

        def of_group(group: RowGroup) -> T:
            with _open(group.path) as file:
                table = file.read_row_group(group.number, columns=[name], use_threads=False)
            return function(table.column(name))

        with ThreadPoolExecutor(READING) as pool:
            return list(pool.map(of_group, self.groups))


def open_parquet(path: str, codes: Codes | None = None) -> ParquetSource:
    """A Parquet file, or all of them in a directory (hidden and `_` files left out).

    codes : of columns that are not numeric, see `dem.engine.manifest.open_source`. Finding levels
        reads those columns.
    """
    if find_spec("pyarrow") is None:
        raise ImportError(
            f"{path}: Parquet is read with pyarrow, which is not installed: "
            "pip install 'dask-em[dataframe]'"
        )
    files = _files(path)
    schema, groups, row = None, [], 0
    with ThreadPoolExecutor(FOOTERS) as pool:
        for name, (found, sizes) in zip(files, pool.map(_contents, files), strict=True):
            schema = schema or found
            if found != schema:
                raise DataError(f"{name} has other columns or types than {files[0]}.")
            for number, size in enumerate(sizes):
                groups.append(RowGroup(name, number, row, row + size))
                row += size
    if schema is None:
        raise DataError(f"{path} holds no Parquet files.")
    if codes is not None:
        codes = _resolved(schema, codes, groups)
    return ParquetSource(tuple(groups), schema, codes)


def _contents(path: str) -> tuple[dict[str, Any], list[int]]:
    """The columns of a file with their types, and the rows of each of its row groups."""
    with _open(path) as file:
        index = _index_columns(file.schema_arrow)
        columns = {f.name: f.type for f in file.schema_arrow if f.name not in index}
        groups = range(file.metadata.num_row_groups)
        return columns, [file.metadata.row_group(number).num_rows for number in groups]


def _index_columns(schema: Any) -> set[str]:
    """Columns that are the index of the dataframe that was written, and none of its columns."""
    known = (schema.pandas_metadata or {}).get("index_columns", ())
    return {name for name in known if isinstance(name, str)}


def _resolved(schema: dict[str, Any], codes: Codes, groups: list[RowGroup]) -> Codes:
    """What the columns hold, with the levels of `codes`, or those that are found."""
    kinds = tuple(kind_of(kind) or "other" for kind in schema.values())
    names = [name for name, kind in zip(schema, kinds, strict=True) if kind == "category"]
    if codes:
        known = dict(zip(schema, codes.levels, strict=False))
    else:
        known = {name: plain_levels(values, name) for name, values in _levels(groups, names)}
    return Codes(kinds, tuple(known.get(name) if name in names else None for name in schema))


def _levels(groups: list[RowGroup], names: list[str]) -> Iterator[tuple[str, set[Any]]]:
    """The distinct values of some columns, by a read of just these."""

    def of_group(group: RowGroup) -> list[set[Any]]:
        with _open(group.path, names) as file:
            table = file.read_row_group(group.number, columns=names, use_threads=False)
        return [distinct([table.column(name)]) for name in names]

    with ThreadPoolExecutor(READING) as pool:
        found = list(pool.map(of_group, groups)) if names else []
    for j, name in enumerate(names):
        yield name, set().union(*(values[j] for values in found))


def _may_have_nulls(files: Iterable[str]) -> bool:
    """Whether there may be NULL in any column, going by the files' statistics."""

    def has(path: str) -> bool:
        with _open(path) as file:
            groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
            columns = (group.column(j) for group in groups for j in range(group.num_columns))
            told = (column.statistics for column in columns)
            return any(s is None or not s.has_null_count or s.null_count for s in told)

    with ThreadPoolExecutor(FOOTERS) as pool:
        return any(pool.map(has, files))


def _files(path: str) -> list[str]:
    if "://" in path:
        import fsspec

        fs, place = fsspec.core.url_to_fs(path)
        found = sorted(fs.find(place)) if fs.isdir(place) else [place]
        found = [fs.unstrip_protocol(name) for name in found]
    elif Path(path).is_dir():
        found = sorted(str(p) for p in Path(path).absolute().rglob("*") if p.is_file())
    else:
        return [str(Path(path).absolute())]
    if len(found) == 1:
        return found
    visible = (name for name in found if not Path(name).name.startswith(("_", ".")))
    return [name for name in visible if name.endswith(SUFFIXES)]


def _open(path: str, categories: Sequence[str] = ()) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    far = "://" in path
    status = None if far else os.stat(path)
    stamp = status and (status.st_mtime_ns, status.st_size)
    try:
        metadata = _metadata(path, stamp)
        source = _opened(path) if far else path
        # What is far is fetched in one request for each run of columns, and not column by column.
        how = {"read_dictionary": list(categories), "pre_buffer": far}
        return pq.ParquetFile(source, metadata=metadata, **how)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is not a Parquet file that can be read: {error}") from error


@lru_cache(maxsize=256)  # parsing the footer of a wide file may cost as much as reading a group
def _metadata(path: str, stamp: tuple[int, int] | None) -> Any:
    import pyarrow.parquet as pq

    if "://" not in path:
        return pq.read_metadata(path)
    with _opened(path) as file:
        return pq.read_metadata(file)


def _opened(url: str) -> Any:
    """A file at a URL, of which what is asked for is read, and not the 50 MB after it as well."""
    import fsspec

    fs, place = fsspec.core.url_to_fs(url)
    return fs.open(place, "rb", cache_type="none")
