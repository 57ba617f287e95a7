"""Sums over a canonical binary tree, so that the bits do not depend on who added what when.

The leaves are the blocks 0..n-1. Node (level, i) is the sum of the leaves i·2^level to
(i+1)·2^level − 1; two siblings are added, left to right, and nothing else is ever added to
anything else. A node whose sibling lies beyond the last leaf moves up as it is. Any split of the
leaves among workers, in any order of completion, hence gives the same bits.

Pure Python, no Dask: a `Partial` holds the finished nodes of some leaves, at most about
2 log₂ n of them for a contiguous run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Node = tuple[int, int]
Partial = Mapping[Node, Any]


def insert(nodes: dict[Node, Any], node: Node, value: Any, n: int) -> None:
    """Add a finished node to `nodes` (changed in place) and merge upwards while siblings meet."""
    level, i = node
    while (1 << level) < n:
        last = (n - 1) >> level  # the last node of this level
        if i % 2 == 0 and i == last:
            level, i = level + 1, i // 2  # no sibling: it moves up as it is
            continue
        sibling = (level, i ^ 1)
        if sibling not in nodes:
            break
        other = nodes.pop(sibling)
        value = value + other if i % 2 == 0 else other + value
        level, i = level + 1, i // 2
    nodes[level, i] = value


def merge(partials: Iterable[Partial], n: int) -> dict[Node, Any]:
    """The union of partial sums over disjoint sets of leaves, merged as far as it goes."""
    nodes: dict[Node, Any] = {}
    for partial in partials:
        for node, value in partial.items():
            insert(nodes, node, value, n)
    return nodes


def root(nodes: Partial, n: int) -> Any:
    """The sum of all n leaves. Raises ValueError if some are missing."""
    if nodes.keys() != {((n - 1).bit_length(), 0)}:
        raise ValueError(f"the sum is not complete: it stands at the nodes {sorted(nodes)}")
    return next(iter(nodes.values()))
