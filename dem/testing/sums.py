"""Laws about the statistics: what adds up, and what they must not depend on."""

from __future__ import annotations

import numpy as np

from dem.stats import leaves
from dem.testing.case import Case, Part, broken, close


def check_additive(case: Case) -> None:
    """Statistics of a ⧺ b are the sum; those of no rows are zero and neutral; weights add up."""
    n = len(case.rows)
    for posterior in case.posteriors:
        whole = case.stats(case.params, posterior)
        mass = float(case.masses.sum())
        close("additive", "weight and Σ w", whole.weight, mass, case.rtol * mass)
        for edge in sorted({1, n // 3, n - 1}):
            halves = case.stats(case.params, posterior, *case.split(edge))
            what = f"{n} rows and of {edge} + {n - edge} rows, under {posterior}"
            case.same_stats("additive", what, whole, halves)
        nothing = case.stats(case.params, posterior, (case.rows[:0], None))
        for name, value in (("weight", nothing.weight), ("entropy", nothing.entropy)):
            close("additive", f"{name} of no rows and 0", value, 0.0, 0.0)
        case.same_stats("additive", "s + 0 and of s", whole + nothing, whole)
        case.same_stats("additive", "0 + s and of s", nothing + whole, whole)


def check_vector_space(case: Case) -> None:
    """+, − and · by numbers obey the rules of vectors, and expected_log_joint is linear.

    The vectors come from different rows under different parameters and posteriors.
    """
    law, parts = "vector space", case.split(len(case.rows) // 2)
    q, p = case.posteriors[0], case.posteriors[-1]
    first, second, third = case.probes
    s = case.stats(first, q, parts[0])
    t = case.stats(second, p, parts[1])
    u = case.stats(third, q)
    zero = case.empty(first)
    case.same_stats(law, "(s + t) + u and of s + (t + u)", (s + t) + u, s + (t + u))
    case.same_stats(law, "s + t and of t + s", s + t, t + s)
    case.same_stats(law, "¾(s + u) and of ¾s + ¾u", 0.75 * (s + u), 0.75 * s + u * 0.75)
    case.same_stats(law, "s + u − s and of u", (s + u) - s, u)
    case.same_stats(law, "u − u and of no rows", u - u, zero, maximise=False)
    case.same_stats(law, "0 · u and of no rows", u * 0.0, zero, maximise=False)
    for i, params in enumerate(case.probes):
        a, b = case.joint(params, s), case.joint(params, t)
        allowed = (s.weight + t.weight) * case.allowed(params)
        what = f"expected_log_joint at parameters {i}, of 2s + t and twice s's + t's"
        close(law, what, case.joint(params, 2 * s + t), 2 * a + b, 2 * allowed)


def _same_fit(case: Case, law: str, what: str, *parts: tuple[Part, ...]) -> None:
    """Two ways of giving the same rows: the same statistics, and θ after a few turns."""
    for posterior in case.posteriors:
        under = f"{what}, under {posterior}"
        a, b = (case.stats(case.params, posterior, *part) for part in parts)
        case.same_stats(law, under, a, b)
        a, b = (case.climb(posterior, *part)[-1].params for part in parts)
        case.same_params(law, f"{case.turns} turns on {under}", a, b)


def check_weights(case: Case) -> None:
    """Weights 0, 1, 2, 3 are the row so many times, no weights are ones, and weights scale."""
    counts = case.rng("weights").integers(0, 4, len(case.rows))
    counts[:4] = range(4)
    repeated = np.repeat(case.rows, counts, axis=0)
    what = "integer weights and of repeated rows"
    _same_fit(case, "weights", what, ((case.rows, counts.astype(float)),), ((repeated, None),))
    ones = np.ones(len(case.rows))
    _same_fit(case, "weights", "weights 1 and of none", ((case.rows, ones),), ((case.rows, None),))
    for posterior in case.posteriors:
        tripled = case.stats(case.params, posterior, (case.rows, 3 * case.masses))
        thrice = 3 * case.stats(case.params, posterior)
        case.same_stats("weights", "3w and three times those of w", tripled, thrice)


def check_permutation(case: Case) -> None:
    """The order of the rows does not matter, but for rounding."""
    order = case.rng("permutation").permutation(len(case.rows))
    mixed = (case.rows[order], None if case.weights is None else case.weights[order])
    _same_fit(case, "permutation", "rows and of the same in another order", (case.part,), (mixed,))


def check_partition(case: Case) -> None:
    """Nor do the blocks into which they are cut, of which some are empty or one row."""
    n, rng = len(case.rows), case.rng("partition")
    for count in (3, 9):
        edges = np.sort(rng.integers(0, n + 1, count)).tolist()
        parts = case.split(0, 1, *(max(edge, 1) for edge in edges), n)
        what = f"one block and of {len(parts)}"
        _same_fit(case, "partition", what, (case.part,), parts)


def check_size(case: Case) -> None:
    """The arrays in the statistics have the same shapes for no rows, for n, and for 3n."""
    for posterior in case.posteriors:
        shapes = {}
        for times in (1, 0, 3):
            part = (np.concatenate([case.rows[:0], *[case.rows] * times]), None)
            found = [leaf.shape for leaf in leaves(case.stats(case.params, posterior, part))]
            shapes[len(part[0])] = found
        first, *others = shapes.items()
        for n, other in others:
            if other != first[1]:
                raise broken(
                    "size",
                    f"under {posterior} the arrays in the statistics have the shapes {first[1]} "
                    f"for {first[0]} rows and {other} for {n}",
                )
