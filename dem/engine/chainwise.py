"""Results for each row of sequences, which depend on the rows around it; see `dem.engine.lazy`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add
from os import PathLike
from typing import Any

import dask.array as da
import numpy as np
from dask import delayed
from dask.system import CPU_COUNT

from dem.engine.blas import one_blas_thread
from dem.engine.lazy import applied, is_lazy
from dem.engine.manifest import Manifest, cut
from dem.engine.readers.dasks import DaskSource, stored_array
from dem.engine.readers.sequences import BeginningRows, SequenceSource
from dem.engine.task import not_finite, outside
from dem.errors import SupportError
from dem.passes import LARGEST, Block, Expectation
from dem.relay import Transfer

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Chainwise:
    """What is done to each block of sequences.

    work : the E-step whose messages tell blocks of each other.
    function : of (prepared parameters, rows (n, D), what they are told) → (n, ...).
    dtype : of the results, cast to once that has been seen to be finite.
    names : of the columns.
    """

    work: Expectation
    function: Callable[..., Array]
    dtype: Any
    names: tuple[str, ...] | None

    def message(self, rows: Array, block: int, start: int) -> Any:
        self._check(rows, block, start)
        with one_blas_thread(), np.errstate(all="ignore"):
            try:
                return Transfer(self.work)(self.work.prepare(), Block(block, start, rows, None))
            except SupportError as error:
                raise outside(error, block, start, self.names) from None

    def told(self, messages: list[Any]) -> Any:
        model: Any = self.work.model
        return model.told(self.work.params, reduce(add, messages), self.work.posterior)

    def result(self, rows: Array, block: int, start: int, told: Any) -> Array:
        prepared, own = self.work.prepare(), None if told is None else told[block]
        self._check(rows, block, start)
        return applied(
            lambda some: self.function(prepared, some, own),
            self.dtype, np.asarray(rows), block, start, self.names,
        )  # fmt: skip

    def _check(self, rows: Array, block: int, start: int) -> None:
        """Raise `DataError` for a value that is not finite: a path through it would look sound."""
        missing = getattr(self.work.model, "missing", False)
        finite = np.asarray(abs(rows) < LARGEST)
        if not (finite | np.isnan(rows) if missing else finite).all():
            raise not_finite(rows, block, start, self.names, None, missing)


def chainwise(
    data: Any,
    source: SequenceSource,
    work: Expectation,
    function: Callable[..., Array],
    dtype: Any,
    width: int | None = None,
) -> Any:
    """function(prepared, rows (n, D), told) → (n,) or (n, width), over every block of the data.

    data : what the user gave, of which the source was made. The rest: see `Chainwise`.

    As `dem.engine.lazy.rowwise`: arrays in memory give an array, at once; what is lazy, a path or
    a Zarr array gives a lazy Dask array, which reads the data twice unless blocks are of whole
    sequences.
    """
    manifest = cut(source)
    each = Chainwise(work, function, dtype, manifest.columns)
    apart = bool(np.isin(manifest.boundaries[:-1], source.starts).all())
    left: Any = source.both.left
    chunks = isinstance(left, DaskSource) and stored_array(left.array) is None
    if chunks or isinstance(data, (str, PathLike)) or is_lazy(data):
        return _lazily(each, manifest, source, left.array if chunks else None, apart, width)
    blocks, starts = range(manifest.n_blocks), manifest.boundaries.tolist()
    read = manifest.reader.read
    out = np.empty((manifest.n_rows, *(() if width is None else (width,))), dtype)
    with ThreadPoolExecutor(CPU_COUNT) as pool:
        told = None
        if not apart:
            told = each.told(list(pool.map(lambda i: each.message(read(i), i, starts[i]), blocks)))

        def fill(block: int) -> None:
            out[manifest.rows_of(block)] = each.result(read(block), block, starts[block], told)

        list(pool.map(fill, blocks))
    return out


def _lazily(
    each: Chainwise,
    manifest: Manifest,
    source: SequenceSource,
    array: da.Array | None,
    apart: bool,
    width: int | None,
) -> da.Array:
    """The same as a lazy Dask array; array: the chunks of rows, if they are Dask's."""
    boundaries = manifest.boundaries
    sizes, starts = np.diff(boundaries).tolist(), boundaries.tolist()
    column: Any = source.both.right.reader(boundaries)

    def blocks(array: da.Array | None) -> list[Any]:
        if array is None:
            readers = [manifest.reader.take([i]) for i in range(len(sizes))]
            return [delayed(reader.read, pure=False)(i) for i, reader in enumerate(readers)]
        chunks = array.to_delayed().ravel()
        beside = delayed(_beside, pure=False)
        return [beside(chunk, column.take([i]), i) for i, chunk in enumerate(chunks)]

    told = None
    if not apart:
        # Read on their own, unless they are in memory: else all would stay until the last is read.
        there = array if getattr(manifest.reader, "futures", ()) else None
        said = delayed(each.message, pure=False)
        messages = [said(rows, i, starts[i]) for i, rows in enumerate(blocks(there))]
        told = delayed(each.told, pure=False)(messages)
    result = delayed(each.result, pure=False)
    rest = () if width is None else (width,)
    return da.concatenate(
        [
            da.from_delayed(result(rows, i, starts[i], told), (size, *rest), each.dtype)
            for i, (rows, size) in enumerate(zip(blocks(array), sizes, strict=True))
        ]
    )


def _beside(rows: Array, column: BeginningRows, block: int) -> Array:
    """The rows of a chunk with the column where sequences begin."""
    return np.concatenate([np.asarray(rows), column.read(block)[:, None]], axis=1)
