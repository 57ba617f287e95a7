"""Laws about the bound L(v, θ, q)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from dem.accelerate import Plain, QuasiNewton
from dem.em import bound
from dem.posteriors import Exact
from dem.schedules import FullBatch, Incremental
from dem.testing.case import Case, Way, broken, close

# How strongly the weights of the rows are tilted to make parameters near those of the M-step.
TILTS = (1e-3, 1e-2, 1e-1, 1.0)
DRAWS = 8


def _gaps(case: Case, exact: bool) -> list[tuple[str, float, float, float]]:
    """(what, bound, log-likelihood, allowed) at every probe, for exact posteriors or the rest."""
    found, mass = [], float(case.masses.sum())
    for posterior in case.posteriors:
        if isinstance(posterior, Exact) is not exact:
            continue
        for i, params in enumerate(case.probes):
            log_prob, stats = case.log_prob(params), case.stats(params, posterior)
            if log_prob.shape != (len(case.rows),):
                raise broken("tight", f"log_prob has the shape {log_prob.shape}, not (n,)")
            what = f"under {posterior} at parameters {i}: bound and log-likelihood"
            value = case.joint(params, stats) + stats.entropy
            likelihood = float(case.masses @ log_prob)
            found.append((what, value, likelihood, mass * case.allowed(params)))
    return found


def check_tight(case: Case) -> None:
    """Under `Exact` the bound is Σ w log p(v; θ), for any θ."""
    for what, value, likelihood, allowed in _gaps(case, exact=True):
        close("tight", what, value, likelihood, allowed)


def check_lower(case: Case) -> None:
    """Under any other posterior the bound is at most Σ w log p(v; θ)."""
    for what, value, likelihood, allowed in _gaps(case, exact=False):
        if not value <= likelihood + allowed:
            raise broken(
                "lower", f"{what} are {value:.15g} > {likelihood:.15g}, by {value - likelihood:.3g}"
            )


def _ways(case: Case) -> Iterator[tuple[str, Way]]:
    """How to climb without a fall: the textbook; group by group; accelerated, if it can be."""
    yield "", (FullBatch(), Plain())
    yield " and Incremental(3)", (Incremental(3), Plain())
    if hasattr(case.model, "flatten"):
        yield " and QuasiNewton(2)", (FullBatch(), QuasiNewton(2))


def check_monotone(case: Case) -> None:
    """No half-step of the loop lowers the bound, whichever the way; tells of the largest fall."""
    third = len(case.rows) // 3
    for posterior, (name, way) in product(case.posteriors, _ways(case)):
        longer = replace(case, turns=case.turns if way[0].groups == 1 else case.turns + 3)
        steps = longer.climb(posterior, *case.split(third, 2 * third), way=way)
        bounds = np.array([(step.bound_e, step.bound) for step in steps]).ravel()
        falls = bounds[:-1] - bounds[1:]
        i = int(np.argmax(falls))  # a NaN counts as the largest
        allowed = max(case.allowed(step.params) for step in steps)
        if not falls[i] <= allowed:
            half = "E" if i % 2 else "M"
            raise broken(
                "monotone",
                f"under {posterior}{name} the {half} half-step of turn {(i + 1) // 2 + 1} lowers "
                f"the bound per row by {falls[i]:.3g}, to {bounds[i + 1]:.15g}; "
                f"allowed {allowed:.1g}",
            )


def check_maximiser(case: Case) -> None:
    """No parameters near those of m_step, nor those before it, have more expected_log_joint.

    They are M-steps on the same rows with other weights, so that they are valid for any model.
    Parameters that no M-step moves are taken for fixed (`dem.wrap.Frozen`) and not judged.
    """
    rng = case.rng("maximiser")
    for posterior in case.posteriors:
        for i, params in enumerate(case.probes):
            stats = case.stats(params, posterior)
            best = case.model.m_step(params, stats)
            value, allowed = bound(case.model, best, stats), stats.weight * case.allowed(best)
            others = [("the parameters before it", params)]
            for tilt in np.repeat(TILTS, DRAWS):
                other = case.stats(params, posterior, case.tilted(tilt, rng))
                what = f"an m_step on weights changed by {tilt:g}"
                others.append((what, case.model.m_step(params, other)))
            for what, other in others:
                more = bound(case.model, other, stats) - value
                if not more <= allowed:
                    raise broken(
                        "maximiser",
                        f"under {posterior} from parameters {i}, {what} has {more:.3g} more "
                        f"expected_log_joint than m_step; allowed {allowed:.1g}",
                    )
