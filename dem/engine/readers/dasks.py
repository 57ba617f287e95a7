"""Dask arrays: read from the store behind them, from memory, or by running a chunk's own graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import DataNode, convert_legacy_graph
from dask.array.core import getter, getter_inline, getter_nofancy
from scipy.sparse import issparse

from dem.engine.readers.arrays import InMemory
from dem.engine.readers.base import Reader, Spans, is_a, native
from dem.engine.readers.codes import Codes
from dem.engine.readers.graphs import compute_shared
from dem.engine.readers.lazy import FutureRows, GraphRows
from dem.engine.readers.sparse import SparseBlocks, as_csr
from dem.errors import DataError


@dataclass(frozen=True, eq=False)
class DaskSource:
    """A Dask array with known chunks, whole along its columns; a block is a chunk of rows."""

    array: da.Array
    columns: tuple[str, ...] | None = None
    codes: Codes | None = None
    sparse: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return native(self.array.dtype)

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
        spans, width = Spans(boundaries), array.shape[1:]
        nodes = _written_out(array, keys)
        if all(isinstance(node, np.ndarray) for node in nodes.values()):
            return InMemory(nodes)
        if self.sparse and all(map(issparse, nodes.values())):
            return SparseBlocks({block: as_csr(node) for block, node in nodes.items()})
        if all(is_a(node, "distributed", "Future") for node in nodes.values()):
            return FutureRows(nodes, spans, width, self.dtype, self.sparse)
        outputs = list(keys.values())
        graph = compute_shared(_optimised(array, outputs), outputs)
        return GraphRows(graph, keys, spans, width, self.dtype, self.sparse)


def open_dask(array: da.Array, sparse: bool = False) -> DaskSource:
    """A Dask array, with its columns gathered into one chunk.

    sparse : whether blocks that are sparse stay so.
    """
    if any(np.isnan(size) for size in array.shape):
        raise DataError(
            "The chunks of this Dask array have unknown sizes. Compute them first: "
            "X = X.compute_chunk_sizes()"
        )
    sparse = sparse and hasattr(array._meta, "tocsr")
    if array.ndim == 2 and array.numblocks[1] != 1 and stored_array(array) is None:
        if sparse:
            raise DataError(
                f"The sparse blocks of this Dask array hold {array.chunks[1]} columns: each must "
                "hold all columns."
            )
        array = array.rechunk({1: -1})
    return DaskSource(array, sparse=sparse)


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


def _written_out(array: da.Array, keys: Mapping[int, Any]) -> dict[int, Any]:
    """What the graph holds for each chunk: an array or a Future where it was persisted."""
    layer = array.dask.layers.get(array.name)
    mapping = getattr(layer, "mapping", {})  # other layers are recipes
    nodes = {block: mapping.get(key) for block, key in keys.items()}
    return {i: node.value if isinstance(node, DataNode) else node for i, node in nodes.items()}


def _optimised(array: da.Array, outputs: list[Any]) -> dict[Any, Any]:
    """The fused graph of these chunks."""
    graph = convert_legacy_graph(dict(array.__dask_optimize__(array.dask, outputs)))
    used = {key for node in graph.values() for key in node.dependencies}
    # Dask drops Futures from a graph that it optimises, and leaves their keys.
    return {**graph, **{key: array.dask[key] for key in used - graph.keys()}}
