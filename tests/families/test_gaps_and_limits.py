"""Whole fits with missing values, and components at the edge of what is allowed."""

from typing import Any

import numpy as np
import pytest

import dem
from components import COMPONENTS, MISSING, K, with_gaps
from dem.accelerate import Plain, QuasiNewton
from dem.families import (
    Bernoulli,
    Beta,
    Categorical,
    Exponential,
    Gamma,
    LogNormal,
    Multinomial,
    NegativeBinomial,
    Normal,
    Poisson,
    VonMisesFisher,
)
from dem.models.mixture import Mixture
from dem.starts import KMeansParallel, KMeansPlusPlus, RandomResponsibilities, RandomRows

STARTS = {
    "model": dem.starts.FromModel(),
    "k-means++": KMeansPlusPlus(lloyd=True),
    "k-means||": KMeansParallel(),
    "rows": RandomRows(),
    "responsibilities": RandomResponsibilities(),
}


def bounds(fit: Any) -> np.ndarray:
    return np.array([(turn.bound_e, turn.bound) for turn in fit.history]).ravel()


@pytest.mark.parametrize("begin", STARTS)
@pytest.mark.parametrize("name", MISSING)
def test_fits_with_missing_values_climb(name: str, begin: str) -> None:
    here = COMPONENTS[name]
    rows = with_gaps(here, here.rows(600))
    fit = dem.fit(here.model, rows, start=STARTS[begin], max_iter=15, tol=0.0)
    assert np.isfinite(bounds(fit)).all()
    assert np.diff(bounds(fit)).min() >= -1e-9


def test_k_means_over_data_that_do_not_fit_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dem.reading.SAMPLE_ROWS", 200)
    for name in MISSING:
        here = COMPONENTS[name]
        rows = with_gaps(here, here.rows(900))
        fit = dem.fit(here.model, rows, start=KMeansParallel(), max_iter=3)
        assert np.isfinite(bounds(fit)).all()


@pytest.mark.parametrize("name", MISSING)
def test_values_missing_at_random_hardly_move_the_answer(name: str) -> None:
    """From the truth, a fit to rows with gaps explains complete rows as well as the truth does."""
    here = COMPONENTS[name]
    rows = with_gaps(here, here.rows(20_000, seed=3))
    fit = dem.fit(here.model, rows, start=dem.starts.Given(here.mixture), max_iter=10)
    fresh = here.rows(5000, seed=9)
    ours = here.model.log_prob(here.model.prepare(fit.params), fresh).mean()
    assert ours == pytest.approx(here.log_prob(fresh).mean(), abs=0.01)


@pytest.mark.parametrize("name", [n for n in MISSING if n != "Product"])
def test_a_column_without_values_and_a_row_without_values(name: str) -> None:
    here = COMPONENTS[name]
    rows = here.rows(300)
    rows[:, 1] = np.nan
    rows[5] = np.nan
    fit = dem.fit(here.model, rows, max_iter=5, tol=0.0)
    assert np.isfinite(bounds(fit)).all()
    q = here.model.posterior(here.model.prepare(fit.params), rows[5:6])
    np.testing.assert_allclose(q[0], fit.params.weights, rtol=1e-9)


ZEROS = np.zeros((60, 3))
TWO = np.repeat([[1.0, 1.0, 2.0], [3.0, 1.0, 2.0]], 30, axis=0)
UNIT = np.repeat(np.eye(3)[:2], 30, axis=0)
LIMITS = {
    "Bernoulli": (Bernoulli(), np.minimum(TWO - 1, 1), None),
    "Categorical": (Categorical(7), TWO, None),
    "Multinomial": (Multinomial(), TWO, None),
    "Poisson zeros": (Poisson(), ZEROS, None),
    "Poisson": (Poisson(), TWO, None),
    "NegativeBinomial zeros": (NegativeBinomial(), ZEROS, None),
    "NegativeBinomial": (NegativeBinomial(), TWO, None),
    "Exponential": (Exponential(), np.where(TWO == 3, 0.0, TWO), "mean is at its floor"),
    "Exponential zeros": (Exponential(), ZEROS, "mean is at its floor"),
    "Gamma": (Gamma(), TWO, "shape is at its limit"),
    "LogNormal": (LogNormal(), TWO, "variance is at its floor"),
    "Normal": (Normal(), TWO, "variance is at its floor"),
    "Beta": (Beta(), TWO / 4, "shape is at its limit"),
    "VonMisesFisher": (VonMisesFisher(), UNIT, "concentration is at its limit"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_components_on_one_point_stay_finite_and_are_reported(name: str) -> None:
    family, rows, said = LIMITS[name]
    fit = dem.fit(Mixture(2, family), rows, max_iter=30, tol=0.0)
    assert np.isfinite(bounds(fit)).all()
    assert np.diff(bounds(fit)).min() >= -1e-6
    assert bool(fit.degenerate) == bool(said), fit.degenerate
    if said:
        assert said in fit.degenerate[0]


@pytest.mark.parametrize("name", [name for name in COMPONENTS if name != "Gaussian tied"])
def test_a_component_without_rows_keeps_its_parameters(name: str) -> None:
    here = COMPONENTS[name]
    rows = here.rows(400)
    tiles = here.family.tiles(here.family.prepare(here.params, np.zeros(K)), rows, None)
    for _, _, out in tiles:
        out[:] = 1.0
        out[1] = 0.0
        tiles.add(out)
    new = here.family.maximise(here.params, tiles.sums())
    before, after = (here.family.prepare(params, np.zeros(K)) for params in (here.params, new))
    for (_, old, _), (_, now, _) in zip(
        here.family.tiles(before, rows[:300], None),
        here.family.tiles(after, rows[:300], None),
        strict=True,
    ):
        np.testing.assert_array_equal(old[1], now[1])
        assert not np.allclose(old[0], now[0])


@pytest.mark.parametrize("name", COMPONENTS)
def test_acceleration_climbs_at_least_as_high(name: str) -> None:
    here = COMPONENTS[name]
    rows = here.rows(2000)
    rows = with_gaps(here, rows) if here.missing else rows
    begin = dem.starts.Given(here.mixture)
    plain, fast = (
        dem.fit(here.model, rows, start=begin, accelerate=how, max_iter=25, tol=0.0).lower_bound
        for how in (Plain(), QuasiNewton())
    )
    assert fast >= plain - 1e-9


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_normal_columns_far_from_zero(offset: float) -> None:
    rows = COMPONENTS["Normal"].rows(900)[:, [0, 3]]
    near, far = (
        dem.fit(Mixture(3, Normal()), rows + shift, max_iter=20, tol=0.0).lower_bound
        for shift in (0.0, offset)
    )
    assert far == pytest.approx(near, abs=1e-7)


def test_a_probability_of_zero_costs_a_finite_number_of_nats() -> None:
    model = Mixture(1, Bernoulli())
    fit = dem.fit(model, np.zeros((100, 1)))
    assert fit.lower_bound == pytest.approx(0.0, abs=2e-10)
    surprise = model.log_prob(model.prepare(fit.params), np.ones((1, 1)))[0]
    assert surprise == pytest.approx(np.log(1e-10), abs=1e-6)
