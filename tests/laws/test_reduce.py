"""The canonical tree: one total, whoever adds what when."""

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dem.engine.reduce import insert, merge, root


def total(n: int, parts: list[list[int]], value: Any) -> dict[Any, Any]:
    """Each part summed by itself, then the partial sums merged."""
    partials = []
    for part in parts:
        nodes: dict[Any, Any] = {}
        for leaf in part:
            insert(nodes, (0, leaf), value(leaf), n)
        partials.append(nodes)
    return merge(partials, n)


def partition(n: int, pieces: int, seed: int, contiguous: bool) -> list[list[int]]:
    """The leaves 0..n-1 in pieces, each in any order, some of them empty."""
    rng, leaves = random.Random(seed), list(range(n))
    if not contiguous:
        rng.shuffle(leaves)
    edges = sorted({0, n, *(rng.randint(0, n) for _ in range(pieces))})
    parts = [leaves[a:b] for a, b in pairwise(edges)] + [[]]
    for part in parts:
        rng.shuffle(part)
    rng.shuffle(parts)
    return parts


splits = st.builds(
    lambda n, pieces, seed, contiguous: (n, partition(n, pieces, seed, contiguous)),
    st.integers(1, 200),
    st.integers(0, 30),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)


def tree(low: int, high: int) -> str:
    """What must be added to what, by the definition: halves at the largest power of two."""
    if high - low == 1:
        return str(low)
    half = 1 << (high - low - 1).bit_length() - 1
    return f"({tree(low, low + half)}+{tree(low + half, high)})"


class Bracketed(str):
    """Text whose + writes down who was added to whom."""

    def __add__(self, other: str) -> "Bracketed":
        return Bracketed(f"({self!s}+{other!s})")


@given(splits)
def test_any_partition_in_any_order_adds_in_the_same_tree(split: tuple[int, list]) -> None:
    n, parts = split
    assert root(total(n, parts, lambda leaf: Bracketed(leaf)), n) == tree(0, n)


@given(splits, st.integers(0, 2**32 - 1))
def test_floats_have_the_same_bits(split: tuple[int, list], seed: int) -> None:
    n, parts = split
    rng = random.Random(seed)
    values = [rng.uniform(-1, 1) * 10 ** rng.uniform(-9, 9) for _ in range(n)]
    alone = root(total(n, [list(range(n))], values.__getitem__), n)
    assert root(total(n, parts, values.__getitem__), n).hex() == alone.hex()
    assert alone == pytest.approx(sum(values), rel=1e-6, abs=1e-3)


@given(splits)
def test_merging_in_two_steps_is_merging(split: tuple[int, list]) -> None:
    n, parts = split
    partials = [total(n, [part], lambda leaf: Bracketed(leaf)) for part in parts]
    half = len(partials) // 2
    assert root(merge([merge(partials[:half], n), merge(partials[half:], n)], n), n) == tree(0, n)


@given(splits, st.data())
def test_a_missing_leaf_is_noticed(split: tuple[int, list], data: Any) -> None:
    n, parts = split
    lost = data.draw(st.integers(0, n - 1))
    held = total(n, [[leaf for leaf in part if leaf != lost] for part in parts], float)
    with pytest.raises(ValueError, match="not complete: it stands at the nodes"):
        root(held, n)


@given(st.integers(1, 4096), st.data())
def test_a_contiguous_run_keeps_few_nodes(n: int, data: Any) -> None:
    low = data.draw(st.integers(0, n - 1))
    high = data.draw(st.integers(low + 1, n))
    nodes = total(n, [list(range(low, high))], lambda leaf: 1)
    assert sum(nodes.values()) == high - low
    assert len(nodes) <= max(2 * n.bit_length() - 2, 1)


def test_no_leaves() -> None:
    with pytest.raises(ValueError, match="not complete"):
        root({}, 1)
