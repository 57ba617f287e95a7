"""A pass as one small Dask graph: range tasks → combine tasks of 16 → a root for each group."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cloudpickle
from dask._task_spec import DataNode, List, Task, TaskRef
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from distributed import get_worker

from dem.engine import cache, plan, reduce, task
from dem.engine.manifest import Manifest, Reader
from dem.engine.meter import counter

FAN_IN = 16
LITERAL_BYTES = 256 * 2**10  # of a pass within its tasks: both ends keep the last 1 000 messages


@dataclass(frozen=True, eq=False)
class Piece:
    """A range ready to be sent, time and again: as bytes, with what it rests on beside it.

    n_leaves : of the tree that it is a part of.
    rows, weights : the keys of the Futures that its readers rest on, None without any.
    home : the worker that had best do it, "" for any.
    threads : how many it uses there.
    """

    part: bytes
    n_leaves: int
    rows: tuple[Any, ...] | None
    weights: tuple[Any, ...] | None
    home: str = ""
    threads: int = 1

    @classmethod
    def of(cls, part: task.Range, home: str = "", threads: int = 1) -> Piece:
        part = part.detached()
        rows, weights = (_keys(reader) for reader in (part.reader, part.weights))
        return cls(cloudpickle.dumps(part), part.n_leaves, rows, weights, home, threads)


@dataclass(frozen=True, eq=False)
class Timed:
    """A partial sum, what its tasks took on each worker, and seconds of it waited for reading."""

    nodes: reduce.Partial
    spent: plan.Spent
    waited: float


def build(
    run: str, turn: int, shipped: bytes | TaskRef, groups: Sequence[Sequence[Piece]]
) -> tuple[HighLevelGraph, list[Any]]:
    """The graph of a pass over groups of ranges, and the keys of the totals of each group.

    shipped : the pass as `pickled`, or a reference to it where workers have it already.

    Each total comes with what it took, see `_root`. All keys begin with (run, turn): turns must be
    fresh, since a scheduler answers with the old result for a key that it knows. To a scheduler
    the tasks of a run are one group, which lasts as long as some task of it is remembered.
    """
    name = f"{run}-{turn}"
    ranges: dict[Any, Any] = {}
    sums: dict[Any, Any] = {}
    shared: dict[Any, Any] = {}
    shipped = _once(shared, (run, turn, "pass"), shipped, sum(map(len, groups)))
    homes, roots = {}, []
    for g, pieces in enumerate(groups):
        keys = [(run, turn, "range", g, j) for j in range(len(pieces))]
        if len(pieces) == 1:
            ranges[keys[0]] = _task(keys[0], _run_all, name, shipped, pieces[0])
            roots.append(keys[0])
            continue
        for key, piece in zip(keys, pieces, strict=True):
            ranges[key] = _task(key, _run, name, shipped, piece)
            if piece.home:
                homes[key] = [piece.home]
        roots.append(_tree(sums, (run, turn, "sum", g), keys, pieces[0].n_leaves))
    # Soft pins: the worker that has had the blocks before has them in its page cache perhaps.
    return _layers(name, shared, (ranges, homes), (sums, {})), roots


def errands(
    run: str, turn: int, shipped: bytes | TaskRef, n: int, workers: Sequence[str]
) -> tuple[HighLevelGraph, list[Any]]:
    """The graph of n tasks that need no data, and their keys.

    shipped : a tuple of them, as `pickled`: what they share is sent once.
    workers : among which to share them out, or they would all go to where that is.
    """
    shared: dict[Any, Any] = {}
    shipped = _once(shared, (run, turn, "errands"), shipped, n)
    keys = [(run, turn, "errand", i) for i in range(n)]
    tasks = {key: Task(key, _errand, shipped, i) for i, key in enumerate(keys)}
    homes = {key: [workers[i % len(workers)]] for i, key in enumerate(keys) if workers}
    return _layers(f"{run}-{turn}", shared, (tasks, homes)), keys


def _once(shared: dict[Any, Any], key: Any, shipped: Any, n: int) -> Any:
    """What n tasks are to have: the thing itself, or a reference to it if that would be much."""
    if not isinstance(shipped, bytes) or len(shipped) * n <= LITERAL_BYTES:
        return shipped
    shared[key] = DataNode(key, shipped)
    return TaskRef(key)


def _layers(name: str, shared: dict[Any, Any], *above: tuple[dict, dict]) -> HighLevelGraph:
    """Layers of tasks one above the other, each with the workers that had best do them."""
    layers = {f"{name}-0": MaterializedLayer(shared)}
    below: dict[str, set[str]] = {f"{name}-0": set()}
    for level, (tasks, homes) in enumerate(above, 1):
        pins = {"workers": homes.get, "allow_other_workers": True} if homes else None
        layers[f"{name}-{level}"] = MaterializedLayer(tasks, annotations=pins)
        below[f"{name}-{level}"] = {f"{name}-{level - 1}"}
    return HighLevelGraph(layers, below)


def pickled(work: Any) -> bytes:
    """A pass, or errands, as bytes, as their tasks want them.

    A worker that cannot import the model's module would die of a message with the pass itself,
    and all the others after it; inside a task it is an error with a name.
    """
    return cloudpickle.dumps(work)


def futures_of(reader: Reader | None) -> tuple[Any, ...]:
    """The Futures that a reader rests on."""
    return getattr(reader, "futures", ())


def futures_behind(manifest: Manifest) -> list[Any]:
    """The Futures that data and weights rest on."""
    return [*futures_of(manifest.reader), *futures_of(manifest.weights)]


def _keys(reader: Reader | None) -> tuple[Any, ...] | None:
    return tuple(future.key for future in futures_of(reader)) or None


def _task(key: Any, function: Callable[..., Any], name: str, shipped: Any, piece: Piece) -> Task:
    rows, weights = (keys and List(*map(TaskRef, keys)) for keys in (piece.rows, piece.weights))
    return Task(
        key, function, name, shipped, piece.part, piece.n_leaves, rows, weights, piece.threads
    )


def _tree(graph: dict[Any, Any], name: tuple[Any, ...], keys: list[Any], n_leaves: int) -> Any:
    """Tasks that merge these partial sums, 16 at a time; returns the key of the total."""
    level = 0
    while len(keys) > FAN_IN:
        merged = []
        for j, first in enumerate(range(0, len(keys), FAN_IN)):
            some = List(*map(TaskRef, keys[first : first + FAN_IN]))
            merged.append((*name, level, j))
            graph[merged[-1]] = Task(merged[-1], _merge, some, n_leaves)
        keys, level = merged, level + 1
    root = (*name, "root")
    graph[root] = Task(root, _root, List(*map(TaskRef, keys)), n_leaves)
    return root


def _run(
    name: str,
    work: bytes,
    part: bytes,
    n_leaves: int,
    rows: list | None,
    weights: list | None,
    threads: int,
) -> Timed:
    """A range task on a worker; `rows`, `weights`: results of the Futures that it rests on."""
    began, count = time.perf_counter(), counter(name)
    cache.on_worker(get_worker())
    asked, mine = cloudpickle.loads(work), cloudpickle.loads(part).resolved(rows, weights)
    waits: list[float] = []

    def run(piece: task.Range) -> reduce.Partial:
        return task.run(asked, piece, count, waits.append)

    if threads == 1:
        nodes = run(mine)
    else:
        with ThreadPoolExecutor(threads, "dem") as pool:
            nodes = reduce.merge(pool.map(run, task.shared_out(mine, threads)), n_leaves)
    seconds = threads * (time.perf_counter() - began)
    return Timed(nodes, {get_worker().address: (len(mine.blocks), seconds)}, sum(waits))


def _errand(shipped: bytes, i: int) -> Any:
    return task.errand(cloudpickle.loads(shipped)[i])


def _run_all(
    name: str, work: bytes, part: bytes, n_leaves: int, *rest: Any
) -> tuple[Any, plan.Spent, float]:
    """A range task that is the whole of a pass."""
    return _root([_run(name, work, part, n_leaves, *rest)], n_leaves)


def _merge(parts: list[Timed], n_leaves: int) -> Timed:
    nodes = reduce.merge((part.nodes for part in parts), n_leaves)
    return Timed(
        nodes, plan.together(part.spent for part in parts), sum(part.waited for part in parts)
    )


def _root(parts: list[Timed], n_leaves: int) -> tuple[Any, plan.Spent, float]:
    """(the sum of all leaves, what the range tasks took on each worker, and waited for reads)."""
    whole = _merge(parts, n_leaves)
    return reduce.root(whole.nodes, n_leaves), whole.spent, whole.waited
