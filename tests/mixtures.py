"""Small Gaussian mixtures and data for tests: forms, shapes, climbs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dem.contract import Sample
from dem.em import EStep, Step, em
from dem.families import Diagonal, Full, Gaussian, Spherical, Tied
from dem.models.mixture import Mixture
from dem.posteriors import Exact
from dem.schedules import FullBatch

Array = np.ndarray
FORMS = {form.name: form for form in (Full(), Tied(), Diagonal(), Spherical())}


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows (n, D) of K overlapping clusters, weights (n,), and a model with K components."""

    model: Mixture
    rows: Array
    weights: Array


def problem(form: str, n: int, d: int, k: int, seed: int) -> Problem:
    """Correlated clusters of unequal size and spread, some 2 standard deviations apart."""
    rng = np.random.default_rng(seed)
    centres = 2.0 * rng.normal(size=(k, d))
    mixing = rng.normal(size=(k, d, d)) / np.sqrt(d) + np.eye(d)
    labels = rng.integers(0, k, n)
    rows = centres[labels] + np.einsum("nij,nj->ni", mixing[labels], rng.normal(size=(n, d)))
    return Problem(Mixture(k, Gaussian(FORMS[form])), rows, rng.gamma(2.0, size=n))


@st.composite
def problems(draw: Any, form: str) -> Problem:
    """Problems of up to 3 components and columns, with some 30 rows for each component."""
    d, k = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    n = draw(st.integers(25 * k, 35 * k))
    return problem(form, n, d, k, draw(st.integers(0, 2**32 - 1)))


def start(model: Any, rows: Array, weights: Array | None = None, seed: int = 0) -> Any:
    """The model's own start on all the rows."""
    weights = np.ones(len(rows)) if weights is None else weights
    rows, weights = rows[weights > 0].astype(float), weights[weights > 0]
    return model.start(Sample.of(rows, weights, True), np.random.default_rng(seed))


def climb(
    model: Any,
    params: Any,
    rows: Array,
    turns: int,
    weights: Array | None = None,
    posterior: Any = Exact(),
) -> list[Step]:
    """Turns of the loop on rows in memory."""
    loop, steps = em(model, params, FullBatch(), 1), []
    request = next(loop)
    while len(steps) < turns:
        if isinstance(request, EStep):
            with np.errstate(all="ignore"):  # as the engine does
                prepared = model.prepare(request.params)
                request = loop.send((model.e_step(prepared, rows, weights, posterior),))
        else:
            steps.append(request)
            request = next(loop)
    return steps


def largest_fall(steps: Sequence[Step]) -> float:
    """By how much a half-step lowered the bound per row, at most; NaN if a bound is NaN."""
    bounds = np.array([(step.bound_e, step.bound) for step in steps]).ravel()
    return float((bounds[:-1] - bounds[1:]).max())
