"""The associative scan over chains (Särkkä and García-Fernández 2021).

What a run of rows does to what is known of the states is a map from states before it to states
after it, and maps are put together in any order that keeps them in a row. So vectors need pass
through one map for each run, to tell each what comes into it from both sides.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from dem.kernels.segments import Segments
from dem.kernels.semirings import MaxProduct, Semiring

Array = np.ndarray
STEPS = 8  # between scalings of maps: numbers that shrink by 1e-30 a step still are numbers
FEW = 12  # maps that are gone through one by one


def maps(ring: Semiring, density: Array, segments: Segments) -> Array:
    """From states before each segment to states after it, with its rows' densities, (S, K, K).

    density : (K, n), in the order of the segments. The maps are in the order of rows, scaled.
    """
    now, spare = ring.identity(len(segments)), ring.identity(len(segments))
    result = np.empty_like(now)
    for t, here in segments.steps:
        m, done = here.stop - here.start, now.shape[2]
        result[:, :, m:done] = now[:, :, m:]
        if m < done:
            now, spare = now[:, :, :m], spare[:, :, :m]
        ring.advance(now, density[:, here], spare)
        now, spare = spare, now
        if t == 0:
            now[:, :, segments.fresh] = ring.enter(density[:, here][:, segments.fresh])
        if t % STEPS == STEPS - 1:
            ring.normalise(now)
    result[:, :, : now.shape[2]] = now
    ring.normalise(result)
    return np.ascontiguousarray(result.transpose(2, 0, 1)[segments.rank])


def product(ring: Semiring, all_maps: Array) -> Array:
    """One map (K, K) for all of (M, K, K), M > 0."""
    while len(all_maps) > 1:
        paired = ring.times(all_maps[:-1:2], all_maps[1::2])
        all_maps = np.concatenate([paired, all_maps[-1:]]) if len(all_maps) % 2 else paired
    return np.asarray(all_maps[0])


def _grouped(ring: Semiring, all_maps: Array) -> Array:
    """The maps in some √M runs of some √M, the last ended by maps that change nothing."""
    m, k, _ = all_maps.shape
    size = isqrt(m - 1) + 1
    short = -m % size
    padding = ring.identity(short).transpose(2, 0, 1)
    return np.concatenate([all_maps, padding]).reshape(-1, size, k, k)


def joined(ring: Semiring, all_maps: Array, before: Array, after: Array) -> tuple[Array, Array]:
    """What comes into each of the maps (M, K, K) from both sides, (M, K) each.

    before, after : (K,), what comes into all of them. A chain that begins has a map whose rows
    are the same, so that nothing goes through it.
    """
    m, k, _ = all_maps.shape
    if m <= FEW:
        grouped, into, out = all_maps[None], before[None], after[None]
    else:
        grouped = _grouped(ring, all_maps)
        runs = grouped[:, 0]
        for i in range(1, grouped.shape[1]):
            runs = ring.times(runs, grouped[:, i])
        into, out = joined(ring, runs, before, after)
    entering, leaving = np.empty(grouped.shape[:3]), np.empty(grouped.shape[:3])
    for i in range(grouped.shape[1]):
        entering[:, i] = into
        into = ring.forth(into, grouped[:, i])
    for i in reversed(range(grouped.shape[1])):
        leaving[:, i] = out
        out = ring.back(grouped[:, i], out)
    return entering.reshape(-1, k)[:m], leaving.reshape(-1, k)[:m]


def traced(ring: MaxProduct, all_maps: Array, entering: Array, last: Array) -> Array:
    """The states (M,) after each of the maps on the best way, of which `last` () is the last."""
    m, k, _ = all_maps.shape
    if m <= FEW:
        grouped, into, states = all_maps[None], entering[None], np.asarray(last)[None]
    else:
        grouped = _grouped(ring, all_maps)
        size = grouped.shape[1]
        into = np.concatenate([entering, np.zeros((grouped.shape[0] * size - m, k))])
        into = into.reshape(-1, size, k)
        runs = grouped[:, 0]
        for i in range(1, size):
            runs = ring.times(runs, grouped[:, i])
        states = traced(ring, runs, into[:, 0], last)
    found, rows = np.empty(grouped.shape[:2], np.intp), np.arange(len(grouped))
    for i in reversed(range(grouped.shape[1])):
        found[:, i] = states
        states = (into[:, i] + grouped[rows, i, :, states]).argmax(axis=1)
    return found.ravel()[:m]


def surroundings(
    ring: Semiring, density: Array, segments: Segments, before: Array, after: Array
) -> tuple[Array, Array]:
    """What comes into each segment from both sides, (K, S) each, where its chain has others."""
    entering, leaving = ring.free(len(segments)), ring.free(len(segments))
    if segments.linked.any():
        some, there = segments.only(segments.linked)
        own = maps(ring, np.take(density, there, axis=1), some)
        to_the_end = segments.linked[segments.rank[-1]]
        ends = after if to_the_end else ring.free(1)[:, 0]
        into, out = joined(ring, own, before, ends)
        if isinstance(ring, MaxProduct):
            into, out = decided(ring, own, into, before, ends)
        where = np.flatnonzero(segments.linked)[some.rank]
        entering[:, where], leaving[:, where] = into.T, out.T
    leaving[:, segments.rank[-1]] = after
    return entering, leaving


def decided(
    ring: MaxProduct, all_maps: Array, entering: Array, before: Array, after: Array
) -> tuple[Array, Array]:
    """The same as `joined` for the one best way: states before and after the maps, as certain."""
    last = (ring.forth(entering[-1:], all_maps[-1:])[0] + after).argmax()
    states = traced(ring, all_maps, entering, last)
    certain = ring.identity(1)[:, :, 0][states]
    return np.concatenate([before[None], certain[:-1]]), certain
