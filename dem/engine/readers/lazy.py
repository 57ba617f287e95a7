"""Readers of lazy Dask arrays, and of those that were persisted on a cluster.

Both may rest on Futures. A Future is of no use inside a pickle, so a task that is sent elsewhere
with such a reader has to depend on `reader.futures` and to read from `reader.resolved(values)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import cloudpickle
import dask
import numpy as np
from dask._task_spec import DataNode

from dem.engine.readers.arrays import InMemory
from dem.engine.readers.base import Spans, is_a
from dem.engine.readers.graphs import Graph, needed
from dem.engine.readers.sparse import SparseBlocks, as_csr
from dem.errors import DataError


@dataclass(frozen=True, eq=False)
class GraphRows:
    """Chunks of a lazy Dask array; a read runs what that chunk needs, in the calling thread."""

    graph: Graph
    keys: Mapping[int, Any]
    spans: Spans
    width: tuple[int, ...]
    dtype: np.dtype
    sparse: bool = False
    in_memory: bool = field(default=False, init=False)
    blocks_held: ClassVar[float] = 4.0  # 3.0 for one step of arithmetic; a graph may hold more

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        start, stop = self.spans[block]
        where = f"chunk {block} (rows {start} to {stop - 1}) of the Dask array"
        key = self.keys[block]
        try:
            value = dask.get(_fetched(needed(self.graph, [key])), key)
        except Exception as error:
            error.add_note(f"while computing {where}")
            raise
        return as_rows(value, (stop - start, *self.width), self.dtype, where, self.sparse)

    def take(self, blocks: Sequence[int]) -> GraphRows:
        keys = {block: self.keys[block] for block in blocks}
        graph = needed(self.graph, keys.values())
        spans = self.spans.take(blocks)
        return GraphRows(graph, keys, spans, self.width, self.dtype, self.sparse)

    @property
    def futures(self) -> tuple[Any, ...]:
        """The Futures that the graph rests on, where a part of it was persisted on a cluster."""
        return tuple(node for node in self.graph.values() if _is_future(node))

    def resolved(self, values: Sequence[Any]) -> GraphRows:
        """The same reader, given the results of its `futures`."""
        keys = (key for key, node in self.graph.items() if _is_future(node))
        known = {key: DataNode(key, value) for key, value in zip(keys, values, strict=True)}
        graph = {**self.graph, **known}
        return GraphRows(graph, self.keys, self.spans, self.width, self.dtype, self.sparse)

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        """The array's name, which Dask derives from all that went into it."""
        return str(next(iter(self.keys.values()))[0])

    def __reduce__(self) -> Any:
        # Graphs hold lambdas and local functions, which plain pickle refuses.
        graph = {key: _portable(node) for key, node in self.graph.items()}
        parts = (graph, self.keys, self.spans, self.width, self.dtype, self.sparse)
        return _load_graph_rows, (cloudpickle.dumps(parts),)


def _load_graph_rows(dumped: bytes) -> GraphRows:
    return GraphRows(*cloudpickle.loads(dumped))


@dataclass(frozen=True, eq=False)
class FutureRows:
    """Chunks that were persisted on a cluster; best read where they live.

    parts : the distributed Future of each block.
    """

    parts: Mapping[int, Any]
    spans: Spans
    width: tuple[int, ...]
    dtype: np.dtype
    sparse: bool = False
    in_memory: bool = field(default=False, init=False)
    blocks_held: ClassVar[float] = 4.0  # 3.0 for one step of arithmetic; a graph may hold more

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        return self._rows(block, self.parts[block].result())

    @property
    def futures(self) -> tuple[Any, ...]:
        """The Futures of the blocks, in their order."""
        return tuple(self.parts.values())

    def resolved(self, values: Sequence[Any]) -> InMemory | SparseBlocks:
        """A reader of the same blocks, given the results of its `futures`."""
        numbered = zip(self.parts, values, strict=True)
        blocks = {block: self._rows(block, value) for block, value in numbered}
        return SparseBlocks(blocks) if self.sparse else InMemory(blocks)

    def _rows(self, block: int, value: Any) -> np.ndarray:
        start, stop = self.spans[block]
        where = f"chunk {block} (rows {start} to {stop - 1}) of the persisted Dask array"
        return as_rows(value, (stop - start, *self.width), self.dtype, where, self.sparse)

    def take(self, blocks: Sequence[int]) -> FutureRows:
        parts = {block: self.parts[block] for block in blocks}
        return FutureRows(parts, self.spans.take(blocks), self.width, self.dtype, self.sparse)

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        return " ".join(str(future.key) for future in self.parts.values())

    def __reduce__(self) -> Any:
        parts = {block: _portable(future) for block, future in self.parts.items()}
        return FutureRows, (parts, self.spans, self.width, self.dtype, self.sparse)


@dataclass(frozen=True)
class Remote:
    """What is left of a Future in another process."""

    key: Any

    def result(self) -> Any:
        raise RuntimeError(
            f"{self.key} lives on a cluster: let the task depend on reader.futures, and read from "
            "reader.resolved(values)."
        )


def _is_future(value: Any) -> bool:
    return isinstance(value, Remote) or is_a(value, "distributed", "Future")


def _portable(value: Any) -> Any:
    return Remote(value.key) if _is_future(value) else value


def dense(value: Any) -> Any:
    """A sparse array, or one on a GPU, as a NumPy array; anything else as it is."""
    for densify in ("todense", "get"):
        if not isinstance(value, np.ndarray) and hasattr(value, densify):
            value = getattr(value, densify)()
    return value


def as_rows(
    value: Any, shape: tuple[int, ...], dtype: np.dtype, where: str, sparse: bool = False
) -> Any:
    """A computed chunk as a NumPy array of the shape and dtype that its collection promised.

    sparse : as a CSR array instead.
    """
    if isinstance(value, np.ma.MaskedArray):
        if np.dtype(dtype).kind != "f":
            raise TypeError(
                f"{where} is a masked array of {dtype}, in which a missing value has no number. "
                "Convert it first: X.astype(float)."
            )
        value = np.ma.filled(value.astype(dtype), np.nan)
    if sparse and not hasattr(value, "tocsr"):
        raise TypeError(f"{where} is a {type(value).__name__}, and others are sparse.")
    value = value if sparse else dense(value)
    if not sparse and not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"{where} is a {type(value).__name__}; dem needs NumPy arrays.")
    value = as_csr(value) if sparse else np.asarray(value)
    if value.shape != shape:
        raise DataError(f"{where} has shape {value.shape}, but the array declares {shape}.")
    if not np.can_cast(value.dtype, dtype, "same_kind"):
        raise DataError(f"{where} has dtype {value.dtype}, but the array declares {dtype}.")
    return value.astype(dtype, copy=False)


def _fetched(graph: dict[Any, Any]) -> dict[Any, Any]:
    """The graph with its Futures replaced by their results."""
    futures = {k: v for k, v in graph.items() if _is_future(v)}
    return {**graph, **{key: DataNode(key, f.result()) for key, f in futures.items()}}
