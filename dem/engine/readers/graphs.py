"""Dask graphs: what a chunk needs, and what many chunks share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dask
import dask.threaded
from dask._task_spec import DataNode, GraphNode, Task

Graph = Mapping[Any, Any]


def compute_shared(graph: Graph, outputs: Sequence[Any]) -> Graph:
    """Compute once what many chunks share, such as the mean in x - x.mean(axis=0).

    Chunks are later computed one at a time, so a shared node would be computed again for each.
    It runs through Dask's active scheduler, or client.
    """
    cut = _shared(graph, outputs)
    if not cut:
        return graph
    get = dask.base.get_scheduler() or dask.threaded.get
    values = get(needed(graph, cut), cut)
    known = {key: DataNode(key, value) for key, value in zip(cut, values, strict=True)}
    return needed({**graph, **known}, outputs)


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
    ends = set(outputs)
    for key in ends:
        users[key].add(key)
    direct: dict[Any, list[Any]] = {key: [] for key in order}
    cut = []
    for key in reversed(order):
        node = graph[key]
        if len(users[key]) > limit and isinstance(node, Task) and not isinstance(node, DataNode):
            dear = _exceeds(graph, key, limit)
            if dear or _outputs_above(key, direct, ends, len(ends) // 2):
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


def needed(graph: Graph, keys: Iterable[Any]) -> dict[Any, Any]:
    """The part of a graph that these keys need."""
    return {key: graph[key] for key in _topological(graph, keys)}


def _dependencies(node: Any) -> Iterable[Any]:
    return node.dependencies if isinstance(node, GraphNode) else ()
