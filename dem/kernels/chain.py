"""Forward and backward over Markov chains, many steps of them side by side.

Rows are columns here: (K, n), with K states. A block of rows is cut into segments; what comes into
each is found by a scan (`dem.kernels.scan`), and all of them take their steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.kernels.scan import maps, product, surroundings
from dem.kernels.segments import Segments
from dem.kernels.semirings import MaxProduct, Semiring, Summing

Array = np.ndarray


def forward(
    ring: Semiring, density: Array, segments: Segments, entering: Array
) -> tuple[Array, Array]:
    """p(state | the rows up to this one), (K, n), and p(row | those before), (n,).

    In the semiring's numbers, and up to what the densities leave out.
    """
    filtered, scale = np.empty_like(density), np.empty(density.shape[1])
    now = entering
    for t, here in segments.steps:
        m, out = here.stop - here.start, filtered[:, here]
        ring.advance(now[:, :m], density[:, here], out)
        if t == 0:
            out[:, segments.fresh] = ring.enter(density[:, here][:, segments.fresh])
        scale[here] = ring.normalise(out)
        now = out
    return filtered, scale


@dataclass(frozen=True, eq=False)
class Smoothed:
    """q of the states of chains: what is expected of them.

    states : (K, n), q(state) of each row in their order, times its weight.
    first : (K,), Σ w q(first state). pairs : (K, K), Σ w q(state i, then j).
    entropy : Σ w H(q), in nats.
    least : the least log p(row | those before it), up to a term of the row.
    """

    states: Array
    first: Array
    pairs: Array
    entropy: float
    least: float


def smooth(
    ring: Summing,
    log_density: Array,
    new: Array,
    weights: Array | None,
    before: Array,
    after: Array,
) -> Smoothed:
    """The posterior of the states of n > 0 rows, log_density (K, n); new (n,) begin a chain.

    before, after : (K,), in the semiring's numbers: p(state before them | the rows of its chain up
        to there), p(the rows of the last chain that come after them | state), up to a factor.
    """
    segments = Segments.of(new)
    density, logs, _ = ring.densities(np.take(log_density, segments.order, axis=1))
    w = None if weights is None else weights[segments.order]
    entering, leaving = surroundings(ring, density, segments, before, after)
    filtered, scale = forward(ring, density, segments, entering)
    future, pairs = np.empty_like(density), np.zeros((len(density), len(density)))
    behind = density[:, :0]
    for t, here in reversed(list(segments.steps)):
        m, longer = here.stop - here.start, behind.shape[1]
        ring.retreat(behind, future[:, here][:, :longer])
        ends = filtered[:, here][:, longer:]
        future[:, here][:, longer:] = _scaled(ring, ends, leaving[:, longer:m])
        behind = ring.behind(density[:, here], future[:, here], scale[here])
        earlier = filtered[:, segments.edges[t - 1] :] if t else entering
        there = slice(0, m) if t else ~segments.fresh
        own = None if w is None else w[here][there]
        pairs += ring.pairs(earlier[:, :m][:, there], behind[:, there], own)
    states = ring.states(filtered, future)
    if w is not None:
        states *= w
    first = states[:, : len(segments)][:, segments.fresh].sum(axis=1)
    seen = ring.logs(scale)
    entropy: Any = (seen.sum() if w is None else w @ seen) - np.vdot(states, logs)
    entropy -= np.vdot(pairs, ring.logs(ring.transitions)) + first @ ring.logs(ring.start)
    back = segments.places
    return Smoothed(np.take(states, back, axis=1), first, pairs, float(entropy), seen.min())


def _scaled(ring: Summing, filtered: Array, leaving: Array) -> Array:
    """leaving (K, m), so that Σ filtered · leaving is one; all before it then are probabilities."""
    free = ring.free(leaving.shape[1])
    total = ring.normalise(ring.behind(filtered, leaving, free[0]))
    return ring.behind(leaving, free, total)


def predicted(ring: Summing, log_density: Array, new: Array, before: Array) -> Array:
    """log p(row | those before it in its chain), (n,), of n > 0 rows; see `smooth`."""
    segments = Segments.of(new)
    density, _, largest = ring.densities(np.take(log_density, segments.order, axis=1))
    entering, _ = surroundings(ring, density, segments, before, ring.free(1)[:, 0])
    _, scale = forward(ring, density, segments, entering)
    return np.asarray((ring.logs(scale) + largest)[segments.places])


def best(ring: MaxProduct, log_density: Array, new: Array, before: Array, after: Array) -> Array:
    """The states (n,) of the most probable way, see `smooth` (Viterbi 1967)."""
    segments = Segments.of(new)
    density, _, _ = ring.densities(np.take(log_density, segments.order, axis=1))
    entering, leaving = surroundings(ring, density, segments, before, after)
    filtered, _ = forward(ring, density, segments, entering)
    path, later = np.empty(density.shape[1], np.intp), np.empty(0, np.intp)
    for _, here in reversed(list(segments.steps)):
        now, longer = filtered[:, here], len(later)
        path[here][:longer] = (now[:, :longer] + ring.transitions[:, later]).argmax(axis=0)
        ends = now[:, longer:] + leaving[:, longer : now.shape[1]]
        path[here][longer:] = ends.argmax(axis=0)
        later = path[here]
    return path[segments.places]


def whole(ring: Semiring, log_density: Array, fresh: bool) -> Array:
    """The map (K, K) of rows (K, n) in which no chain begins but, if fresh, at the first."""
    n = log_density.shape[1]
    if not n:
        return ring.identity(1)[:, :, 0]
    new = np.zeros(n, bool)
    new[0] = fresh
    segments = Segments.of(new)
    density, _, _ = ring.densities(np.take(log_density, segments.order, axis=1))
    return product(ring, maps(ring, density, segments))
