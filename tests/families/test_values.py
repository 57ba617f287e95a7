"""Fits that are stored, parameters as vectors, numbers of parameters; and functions underneath."""

from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import polygamma, psi

import dem
from components import COMPONENTS, K, with_gaps
from dem.contract import Sample
from dem.families.beta import beta_shapes
from dem.families.parameters import floored
from dem.families.positive import gamma_shape
from dem.families.student import half_df
from dem.kernels.bessel import concentration, log_bessel, ratio
from dem.kernels.seeding import squared_distances
from dem.stats import leaves

FREE = {  # of 3 components, without the mixing weights
    "Bernoulli": 12,
    "Poisson": 12,
    "NegativeBinomial": 24,
    "Categorical": 30,
    "Categorical many": 3 * (2 + 37 + 8),
    "Multinomial": 18,
    "Exponential": 12,
    "Gamma": 24,
    "LogNormal": 24,
    "Normal": 24,
    "Beta": 24,
    "VonMisesFisher": 12,
    "StudentT full": 3 * (4 + 10 + 1),
    "StudentT diag": 3 * (4 + 4 + 1),
    "StudentT spherical": 3 * (4 + 1 + 1),
    "StudentT fixed": 3 * (4 + 10),
    "Gaussian full": 3 * (4 + 10),
    "Gaussian tied": 3 * 4 + 10,
    "Gaussian diag": 3 * (4 + 4),
    "Gaussian spherical": 3 * (4 + 1),
    "Gaussian factors 1": 3 * (4 + 4 + 4),
    "Gaussian principal 1": 3 * (4 + 4 + 1),
    "Product": 12 + 24 + 3 * (4 + 10),
    "MixtureOf Gaussian": 3 + 6 * (4 + 10),
    "MixtureOf Poisson": 3 + 6 * 4,
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_number_of_free_parameters(name: str) -> None:
    here = COMPONENTS[name]
    assert here.family.n_parameters(here.params) == FREE[name]
    assert here.model.n_parameters(here.mixture) == FREE[name] + K - 1


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_fit_comes_back_from_a_store(name: str, tmp_path: Path) -> None:
    here = COMPONENTS[name]
    rows = here.rows(200)
    fit = dem.fit(here.model, rows, max_iter=2, checkpoint=str(tmp_path / "kept"))
    dem.save(fit, tmp_path / "fit")
    back = dem.load(tmp_path / "fit")
    assert back.model == here.model
    for one, two in zip(leaves(fit.params), leaves(back.params), strict=True):
        np.testing.assert_array_equal(one, two)
    more = dem.resume(str(tmp_path / "kept"), rows, max_iter=4)
    assert len(more.history) == 4 or more.converged


@pytest.mark.parametrize("name", COMPONENTS)
def test_parameters_are_points_without_constraints(name: str) -> None:
    here, rng = COMPONENTS[name], np.random.default_rng(1)
    family: Any = here.family
    vector = family.flatten(here.params)
    back = family.unflatten(vector, here.params)
    for one, two in zip(leaves(here.params), leaves(back), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-12)
    # Beyond what matrices hold.
    matrices = "StudentT", "Gaussian", "Product", "MixtureOf Gaussian"
    far = () if name.startswith(matrices) else (1e3,)
    for size in (0.1, 3.0, *far):
        with np.errstate(all="ignore"):  # as where they are accelerated
            away = family.unflatten(vector + size * rng.normal(size=len(vector)), here.params)
        family.check(away, K)


@pytest.mark.parametrize("name", COMPONENTS)
def test_rows_come_back_from_where_starts_measure(name: str) -> None:
    here = COMPONENTS[name]
    rows = here.rows(300)
    space = here.family.frame(Sample(rows, np.ones(300), True))
    points = space.inward(rows)
    assert points.shape[0] == 300
    back = space.outward(points)
    if name == "Multinomial":  # a row's total is not kept
        back = back * rows.sum(axis=1, keepdims=True)
    unit = np.abs(rows).max(axis=0)
    np.testing.assert_allclose(back / unit, rows / unit, rtol=1e-9, atol=1e-9)
    if here.missing:
        gaps = with_gaps(here, rows)
        there = space.inward(gaps)
        assert np.isfinite(there).all()
        full = ~np.isnan(gaps).any(axis=1)
        np.testing.assert_array_equal(there[full], points[full])


def test_distances_between_codes_count_the_columns_that_differ() -> None:
    here = COMPONENTS["Categorical"]
    rows = here.rows(50)
    points = here.family.frame(Sample(rows, np.ones(50), True)).inward(rows)
    differ = (rows[:, None] != rows).sum(axis=2)
    np.testing.assert_allclose(squared_distances(points, points), 2 * differ, atol=1e-12)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=6), st.floats(1e-10, 0.1))
def test_floored_probabilities_are_the_maximum(counts: list[float], least: float) -> None:
    c = np.array(counts)
    if not c.sum() > 1e-3:
        return
    p = floored(c, least)
    assert p.min() >= least * (1 - 1e-12)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    # Karush-Kuhn-Tucker: counts / p is the same where p is above the floor, and less at it.
    slopes, free = c / p, p > least * (1 + 1e-9)
    if free.any():
        top = slopes[free].max()
        np.testing.assert_allclose(slopes[free], top, rtol=1e-9)
        assert (slopes[~free] <= top * (1 + 1e-9)).all()


def test_newtons_methods_solve_their_equations() -> None:
    shapes = np.geomspace(1e-2, 1e7, 40)
    gaps = np.log(shapes) - psi(shapes)
    # log α − ψ(α) has about as many digits as it is larger than rounding.
    slope = np.abs(1 / shapes - polygamma(1, shapes))
    allowed = 1e-12 + 1e-15 * np.maximum(np.log(shapes), 1) / slope / shapes
    assert (np.abs(gamma_shape(gaps) / shapes - 1) <= 10 * allowed).all()
    half = np.geomspace(0.06, 99, 40)
    found = half_df(np.log(half) - psi(half), np.full(40, 5.0))
    np.testing.assert_allclose(found, half, rtol=1e-9)
    a, b = (grid.ravel() for grid in np.meshgrid(*[np.geomspace(0.05, 1e3, 12)] * 2))
    logs = psi(a) - psi(a + b), psi(b) - psi(a + b)
    ones = np.ones_like(a)
    for value, truth in zip(beta_shapes(*logs, ones, ones), (a, b), strict=True):
        np.testing.assert_allclose(value, truth, rtol=1e-6)


@pytest.mark.parametrize("d", [2, 3, 10, 100, 1000, 10_000])
def test_bessel_functions_that_neither_over_nor_underflow(d: int) -> None:
    order, x = d / 2 - 1, np.geomspace(1e-8, 1e6 if d < 5000 else 1e4, 15)
    with mp.workdps(40):
        below = [mp.besseli(order, float(v), maxterms=10**6) for v in x]
        above = [mp.besseli(order + 1, float(v), maxterms=10**6) for v in x]
        logs = np.array([float(mp.log(v)) for v in below])
        quotients = np.array([float(a / b) for a, b in zip(above, below, strict=True)])
    np.testing.assert_allclose(log_bessel(order, x), logs, rtol=1e-11, atol=1e-10)
    np.testing.assert_allclose(ratio(order, x), quotients, rtol=1e-9)
    here = quotients < 1 - 1e-3
    found = concentration(d, quotients[here], (1e-8, 1e8))
    np.testing.assert_allclose(found, x[here], rtol=1e-6)
