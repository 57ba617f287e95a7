"""The unit of work: one pass over a run of blocks, on whatever host.

A task is a range of blocks and not one block, since a task costs a scheduler about half a
millisecond: it reads its blocks one after the other, works on one while the next is being read,
and returns a handful of partial sums.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import coo_array, issparse

from dem.engine.blas import one_blas_thread
from dem.engine.manifest import Manifest, Reader
from dem.engine.read import Numbered, blocks
from dem.engine.readers.base import Spans
from dem.engine.reduce import Partial, insert
from dem.errors import DataError, SupportError
from dem.passes import Block, Pass
from dem.stats import leaves


@dataclass(frozen=True, eq=False)
class Range:
    """Some blocks of the data, and where they stand in the tree of the sum they belong to.

    reader, weights : read these blocks at least.
    blocks, leaves : of each block its number and its leaf.
    spans : the rows of each block, by its number.
    n_leaves : of the whole tree.
    columns : names for error messages.
    """

    reader: Reader
    weights: Reader | None
    blocks: Sequence[int]
    leaves: Sequence[int]
    spans: Spans
    n_leaves: int
    columns: tuple[str, ...] | None

    def detached(self) -> Range:
        """With readers of just these blocks, ready to be sent away."""
        reader = self.reader.take(self.blocks)
        weights = self.weights.take(self.blocks) if self.weights else None
        return replace(self, reader=reader, weights=weights)

    def resolved(self, rows: Sequence[Any] | None, weights: Sequence[Any] | None) -> Range:
        """With the results of the Futures that its readers rest on, None where there are none."""
        reader: Any = self.reader
        weighted: Any = self.weights
        return replace(
            self,
            reader=reader if rows is None else reader.resolved(rows),
            weights=weighted if weights is None else weighted.resolved(weights),
        )


def pick(
    manifest: Manifest,
    group: Sequence[int],
    chosen: Sequence[int],
    pieces: int,
    shares: Sequence[float] | None = None,
) -> list[Range]:
    """At most `pieces` ranges over the chosen leaves of a group.

    They are of about the same length, or in proportion to `shares`, one for each; some may then
    be empty.
    """
    pieces = min(pieces, len(chosen))
    parts = np.cumsum([0.0, *(shares or [1.0] * pieces)])
    edges = np.rint(parts / parts[-1] * len(chosen)).astype(int)
    ranges = []
    spans = Spans(manifest.boundaries)
    for a, b in pairwise(edges):
        blocks = _taken(group, chosen[a:b])
        ranges.append(
            Range(
                manifest.reader,
                manifest.weights,
                blocks=blocks,
                leaves=chosen[a:b],
                spans=spans.take(blocks),
                n_leaves=len(group),
                columns=manifest.columns,
            )
        )
    return ranges


def _taken(group: Sequence[int], leaves: Sequence[int]) -> Sequence[int]:
    """The blocks at these leaves: a slice if they follow each other, which takes no room."""
    if isinstance(leaves, range):
        return group[leaves.start : leaves.stop]
    return [group[leaf] for leaf in leaves]


def split(
    manifest: Manifest,
    group: Sequence[int],
    pieces: int,
    shares: Sequence[float] | None = None,
) -> list[Range]:
    """At most `pieces` contiguous ranges over the blocks of a group; see `pick`."""
    return pick(manifest, group, range(len(group)), pieces, shares)


def shared_out(part: Range, pieces: int) -> list[Range]:
    """The same range as at most so many parts."""
    edges = np.linspace(0, len(part.blocks), min(pieces, len(part.blocks)) + 1).astype(int)
    return [
        replace(part, blocks=part.blocks[a:b], leaves=part.leaves[a:b]) for a, b in pairwise(edges)
    ]


def run(
    work: Pass,
    part: Range,
    on_block: Callable[[], Any] | None = None,
    on_read: Callable[[float], Any] | None = None,
) -> Partial:
    """The pass over every block of the range, added up as far as the tree goes.

    Raises `DataError` naming block, row and column if a value of the data is not finite.
    `on_block` is called after each block, and may raise to stop the work; `on_read` with the
    seconds that the work had to wait for each block to be read.
    """
    nodes: dict = {}
    with one_blas_thread(), np.errstate(all="ignore"):
        prepared = work.prepare()
        read = blocks(part.reader, part.weights, part.blocks)
        try:
            ready = _timed(read, on_read) if on_read else read
            for leaf, (index, rows, weights) in zip(part.leaves, ready, strict=True):
                start = part.spans[index][0]
                if issparse(rows) and not getattr(work, "sparse", False):
                    raise DataError(f"The rows are sparse, and {_model_of(work)} takes dense ones.")
                try:
                    result = work(prepared, Block(index, start, rows, weights))
                except SupportError as error:
                    raise outside(error, index, start, part.columns, part.reader) from None
                sound = getattr(work, "tentative", False) or _is_finite(result)
                if not sound:
                    missing = getattr(work, "missing", False)
                    raise not_finite(rows, index, start, part.columns, part.reader, missing)
                insert(nodes, (0, leaf), result, part.n_leaves)
                if on_block:
                    on_block()
        finally:
            read.close()
    return nodes


def _timed(items: Iterable[Numbered], on_read: Callable[[float], Any]) -> Iterator[Numbered]:
    """The same items, telling how long each was waited for."""
    began = time.perf_counter()
    for item in items:
        on_read(time.perf_counter() - began)
        yield item
        began = time.perf_counter()


def _model_of(work: Pass) -> str:
    """The model of a pass in words, if it has one."""
    model = getattr(work, "model", None)
    return "the model" if model is None else type(model).__name__


def _is_finite(result: Any) -> bool:
    return all(np.isfinite(values).all() for values in leaves(result))


def errand(task: Callable[[], Any]) -> Any:
    """What a task comes to that needs no data."""
    with one_blas_thread(), np.errstate(all="ignore"):
        return task()


def not_finite(
    rows: np.ndarray,
    block: int,
    start: int,
    columns: tuple[str, ...] | None,
    reader: Reader | None = None,
    missing: bool = False,
) -> DataError:
    """The error for a block whose result is not finite: where the first bad value is.

    reader : may name what is stored under one key, of which a block can hold many.
    missing : whether NaN is a missing value, and so none to blame.
    """
    stored_values: Any = coo_array(rows) if issparse(rows) else None
    values = rows if stored_values is None else stored_values.data
    bad = np.argwhere(np.isinf(values) if missing else ~np.isfinite(values))
    if not len(bad):
        largest = np.nanmax(np.abs(values), initial=0.0)
        return DataError(
            f"Input X has values so large that their squares overflow: in block {block}, rows "
            f"{start} to {start + rows.shape[0] - 1}, up to {largest:g}. Rescale the data."
        )
    what, or_else = "infinity", ""
    if np.isnan(values[tuple(bad[0])]):
        what, or_else = "NaN", ", or take them as missing, by missing=True where there is that"
    if stored_values is not None:
        bad = np.column_stack(stored_values.coords)[bad[:, 0]]
    row, column = bad[0]
    place, stored = _place(start + row, column, block, columns, reader)
    return DataError(
        f"Input X contains {what}: {place}; "
        f"{len(np.unique(bad[:, 0]))} of the {rows.shape[0]} rows of this block have such values. "
        f"{stored}Drop or impute them first{or_else}."
    )


def outside(
    error: SupportError,
    block: int,
    start: int,
    columns: tuple[str, ...] | None,
    reader: Reader | None = None,
) -> DataError:
    """The same error, telling where in the data the value is and not just where in the block."""
    place, stored = _place(start + error.row, error.column, block, columns, reader)
    return DataError(f"Input X has the value {error.value:g}: {place}. {stored}{error.what}.")


def _place(
    row: int, column: int, block: int, columns: tuple[str, ...] | None, reader: Reader | None
) -> tuple[str, str]:
    """Row, column and block in words, and in which chunk of a store that is, if that is known."""
    name = f" ({columns[column]!r})" if columns else ""
    chunk_of = getattr(reader, "chunk_of", None)
    stored = f"It is in {chunk_of(row, column)}. " if chunk_of else ""
    return f"row {row}, column {column}{name}, in block {block}", stored
