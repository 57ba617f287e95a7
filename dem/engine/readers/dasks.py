"""Dask arrays: read from the store behind them, from memory, or by running a chunk's own graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cloudpickle
import dask
import dask.array as da
import numpy as np
from dask._task_spec import DataNode, GraphNode, Task, convert_legacy_graph
from dask.array.core import getter, getter_inline, getter_nofancy

from dem.engine.readers.arrays import InMemory
from dem.engine.readers.base import Reader, Spans, is_a
from dem.errors import DataError

Graph = Mapping[Any, Any]


@dataclass(frozen=True, eq=False)
class DaskSource:
    """A Dask array with known chunks, whole along its columns; a block is a chunk of rows."""

    array: da.Array
    columns: tuple[str, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.array.dtype).newbyteorder("=")

    def boundaries(self, block_bytes: int) -> np.ndarray:
        return np.cumsum((0, *self.array.chunks[0]), dtype=np.int64)

    def reader(self, boundaries: np.ndarray) -> Reader:
        stored = stored_array(self.array)
        if stored is not None:
            from dem.engine.readers.zarrs import ZarrSource

            return ZarrSource(stored).reader(boundaries)
        chunks = tuple(np.diff(boundaries).tolist())
        array = self.array if chunks == self.array.chunks[0] else self.array.rechunk({0: chunks})
        rest = (0,) * (array.ndim - 1)
        keys = {block: (array.name, block, *rest) for block in range(len(chunks))}
        finished = _finished(array, keys.values())
        if finished is not None and all(isinstance(part, np.ndarray) for part in finished):
            return InMemory(dict(enumerate(finished)))
        width = array.shape[1:]
        if finished is not None:
            return FutureRows(tuple(finished), 0, Spans(boundaries), width, self.dtype)
        graph = convert_legacy_graph(dict(array.__dask_optimize__(array.dask, list(keys.values()))))
        graph = compute_shared(graph, list(keys.values()), array)
        return GraphRows(graph, keys, Spans(boundaries), width, self.dtype)


@dataclass(frozen=True, eq=False)
class GraphRows:
    """Chunks of a lazy Dask array; a read runs what that chunk needs, in the calling thread."""

    graph: Graph
    keys: Mapping[int, Any]
    spans: Spans
    width: tuple[int, ...]
    dtype: np.dtype
    in_memory: bool = field(default=False, init=False)

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        start, stop = self.spans[block]
        where = f"chunk {block} (rows {start} to {stop - 1}) of the Dask array"
        key = self.keys[block]
        try:
            value = dask.get(_fetched(_needed(self.graph, [key])), key)
        except Exception as error:
            error.add_note(f"while computing {where}")
            raise
        return as_rows(value, (stop - start, *self.width), self.dtype, where)

    def take(self, blocks: Sequence[int]) -> GraphRows:
        keys = {block: self.keys[block] for block in blocks}
        graph = _needed(self.graph, keys.values())
        return GraphRows(graph, keys, self.spans.take(blocks), self.width, self.dtype)

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        """The array's name, which Dask derives from all that went into it."""
        return str(next(iter(self.keys.values()))[0])

    def __reduce__(self) -> Any:
        # Graphs hold lambdas and local functions, which plain pickle refuses.
        graph = {key: _portable(node) for key, node in self.graph.items()}
        parts = (graph, self.keys, self.spans, self.width, self.dtype)
        return _load_graph_rows, (cloudpickle.dumps(parts),)


def _load_graph_rows(dumped: bytes) -> GraphRows:
    return GraphRows(*cloudpickle.loads(dumped))


@dataclass(frozen=True)
class Remote:
    """A Future under way to a worker: a real one can't be unpickled outside of a task."""

    key: Any

    def result(self) -> Any:
        """Gather it, in a task."""
        from distributed import Future, get_client

        return Future(self.key, client=get_client()).result()


def _portable(value: Any) -> Any:
    return Remote(value.key) if is_a(value, "distributed", "Future") else value


@dataclass(frozen=True, eq=False)
class FutureRows:
    """Chunks that were persisted on a cluster; best read where they live.

    futures : the distributed Future of each block, the first being that of block `first`.
    """

    futures: tuple[Any, ...]
    first: int
    spans: Spans
    width: tuple[int, ...]
    dtype: np.dtype
    in_memory: bool = field(default=False, init=False)

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        start, stop = self.spans[block]
        where = f"chunk {block} (rows {start} to {stop - 1}) of the persisted Dask array"
        value = self.futures[block - self.first].result()
        return as_rows(value, (stop - start, *self.width), self.dtype, where)

    def take(self, blocks: Sequence[int]) -> FutureRows:
        spans = self.spans.take(blocks)
        low = spans.first - self.first
        futures = self.futures[low : low + len(spans.offsets) - 1]
        return FutureRows(futures, spans.first, spans, self.width, self.dtype)

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        return " ".join(str(future.key) for future in self.futures)

    def __reduce__(self) -> Any:
        futures = tuple(map(_portable, self.futures))
        return FutureRows, (futures, self.first, self.spans, self.width, self.dtype)


def open_dask(array: da.Array) -> DaskSource:
    """A Dask array, with its columns gathered into one chunk."""
    if any(np.isnan(size) for size in array.shape):
        raise DataError(
            "The chunks of this Dask array have unknown sizes. Compute them first: "
            "X = X.compute_chunk_sizes()"
        )
    if array.ndim == 2 and array.numblocks[1] != 1:
        array = array.rechunk({1: -1})
    return DaskSource(array)


def stored_array(array: da.Array) -> Any:
    """The Zarr array that `array` is, whole and unchanged, or None."""
    layer = array.dask.layers.get(array.name)
    task = getattr(layer, "task", None)
    if getattr(task, "func", None) not in (getter, getter_nofancy, getter_inline):
        return None
    original = layer.indices[0][0]
    key = getattr(original, "key", None)
    if key is not None:
        original = array.dask.layers.get(key, {}).get(key)
        original = getattr(original, "value", original)
    if not is_a(original, "zarr", "Array"):
        return None
    same = (original.shape, original.dtype) == (array.shape, array.dtype)
    return original if same else None


def as_rows(value: Any, shape: tuple[int, ...], dtype: np.dtype, where: str) -> np.ndarray:
    """A computed chunk as a NumPy array of the shape and dtype that its collection promised."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where} is a masked array; fill it first (dask.array.ma.filled).")
    for densify in ("todense", "get"):  # sparse arrays; arrays on a GPU
        if not isinstance(value, np.ndarray) and hasattr(value, densify):
            value = getattr(value, densify)()
    if not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"{where} is a {type(value).__name__}; dem needs NumPy arrays.")
    value = np.asarray(value)
    if value.shape != shape:
        raise DataError(f"{where} has shape {value.shape}, but the array declares {shape}.")
    if not np.can_cast(value.dtype, dtype, "same_kind"):
        raise DataError(f"{where} has dtype {value.dtype}, but the array declares {dtype}.")
    return value.astype(dtype, copy=False)


def compute_shared(graph: Graph, outputs: Sequence[Any], array: da.Array) -> Graph:
    """Compute once what many chunks share, such as the mean in x - x.mean(axis=0).

    Chunks are later computed one at a time, so a shared node would be computed again for each.
    It runs through Dask's active scheduler, or client.
    """
    cut = _shared(graph, outputs)
    if not cut:
        return graph
    get = dask.base.get_scheduler(collections=[array]) or array.__dask_scheduler__
    values = get(_needed(graph, cut), cut)
    known = {key: DataNode(key, value) for key, value in zip(cut, values, strict=True)}
    return _needed({**graph, **known}, outputs)


def _shared(graph: Graph, outputs: Sequence[Any]) -> list[Any]:
    """The nodes at which to cut: needed by many outputs, and dear (or needed by most of them).

    Seen from the outputs, users before what they use. What lies behind a cut counts no more: in
    x - x.mean(axis=0), once the mean is cut, each chunk of x is needed by one output alone.
    The limits spare nodes whose recomputation is cheap: a chunk that is split into several
    chunks, or that lends its edges to its neighbours, is read again rather than kept in memory.
    """
    limit = min(8, max(3, len(outputs) // 2))
    order = _topological(graph, outputs)
    users: dict[Any, set[Any]] = {key: set() for key in order}  # of outputs, at most limit + 1
    for key in outputs:
        users[key].add(key)
    direct: dict[Any, list[Any]] = {key: [] for key in order}
    cut = []
    for key in reversed(order):
        node = graph[key]
        if len(users[key]) > limit and isinstance(node, Task) and not isinstance(node, DataNode):
            dear = _exceeds(graph, key, limit)
            if dear or _outputs_above(key, direct, set(outputs), len(outputs) // 2):
                cut.append(key)
                continue
        for other in _dependencies(node):
            direct[other].append(key)
            if len(users[other]) <= limit:
                users[other].update(list(users[key])[: limit + 1])
    return cut


def _exceeds(graph: Graph, key: Any, limit: int) -> bool:
    """Whether more than `limit` tasks lie under a node."""
    seen, stack = {key}, [key]
    tasks = 0
    while stack and tasks <= limit:
        node = graph[stack.pop()]
        tasks += isinstance(node, Task)
        fresh = [k for k in _dependencies(node) if k not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    return tasks > limit


def _outputs_above(key: Any, direct: Graph, outputs: set[Any], limit: int) -> bool:
    """Whether more than `limit` outputs use a node."""
    seen, stack = {key}, [key]
    found = 0
    while stack and found <= limit:
        current = stack.pop()
        found += current in outputs
        fresh = [k for k in direct[current] if k not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    return found > limit


def _topological(graph: Graph, outputs: Iterable[Any]) -> list[Any]:
    """The nodes under the outputs, each after what it depends on."""
    order: dict[Any, None] = {}
    for output in outputs:
        stack = [(output, False)]
        while stack:
            key, expanded = stack.pop()
            if key in order:
                continue
            if expanded:
                order[key] = None
            else:
                stack.append((key, True))
                stack.extend((k, False) for k in _dependencies(graph[key]) if k not in order)
    return list(order)


def _needed(graph: Graph, keys: Iterable[Any]) -> dict[Any, Any]:
    """The part of a graph that these keys need."""
    return {key: graph[key] for key in _topological(graph, keys)}


def _dependencies(node: Any) -> Iterable[Any]:
    return node.dependencies if isinstance(node, GraphNode) else ()


def _finished(array: da.Array, keys: Iterable[Any]) -> list[Any] | None:
    """The chunks that are there already, as arrays or as Futures; None unless all are alike."""
    layer = array.dask.layers.get(array.name)
    mapping = getattr(layer, "mapping", None)  # only of layers that are written out
    if mapping is None:
        return None
    nodes = [mapping.get(key) for key in keys]
    values = [node.value if isinstance(node, DataNode) else node for node in nodes]
    for kind in (lambda v: isinstance(v, np.ndarray), lambda v: is_a(v, "distributed", "Future")):
        if all(map(kind, values)):
            return values
    return None


def _fetched(graph: dict[Any, Any]) -> dict[Any, Any]:
    """The graph with its Futures replaced by their results."""
    futures = {k: v for k, v in graph.items() if isinstance(_portable(v), Remote)}
    return {**graph, **{key: DataNode(key, f.result()) for key, f in futures.items()}}
