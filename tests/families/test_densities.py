"""Densities against SciPy's, component by component, and what is drawn from them."""

import numpy as np
import pytest

from components import COMPONENTS, MISSING, WEIGHTS, K, with_gaps
from dem.contract import Sample
from dem.models.mixture import MixtureParams


def log_prob(name: str, rows: np.ndarray) -> np.ndarray:
    here = COMPONENTS[name]
    with np.errstate(all="ignore"):
        return here.model.log_prob(here.model.prepare(here.mixture), rows)


@pytest.mark.parametrize("name", COMPONENTS)
def test_log_prob_is_that_of_scipy(name: str) -> None:
    here = COMPONENTS[name]
    rows = here.rows(3000, seed=4)  # several tiles
    np.testing.assert_allclose(log_prob(name, rows), here.log_prob(rows), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_value_drops_its_factor(name: str) -> None:
    here = COMPONENTS[name]
    rows = with_gaps(here, here.rows(3000, seed=4))
    assert np.isnan(rows).any()
    assert not np.isnan(rows[:1000]).any()
    np.testing.assert_allclose(log_prob(name, rows), here.log_prob(rows), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in MISSING if "Gaussian" not in name])
def test_a_complete_tile_has_the_same_bits_whatever_is_missing_elsewhere(name: str) -> None:
    here = COMPONENTS[name]
    rows = here.rows(30_000, seed=4)
    gaps = rows.copy()
    gaps[-1, 0] = np.nan
    np.testing.assert_array_equal(log_prob(name, rows)[:15_000], log_prob(name, gaps)[:15_000])


TYPES = {
    "Bernoulli": ("bool", "int8", "float32"),
    "Poisson": ("uint8", "int64", "float32"),
    "Categorical": ("uint8", "int64", "float32"),
    "Multinomial": ("int8", "int64", "float32"),
    "Gamma": ("float32",),
    "Normal": ("float32",),
    "StudentT full": ("float32",),
    "Product": ("float32",),
}


@pytest.mark.parametrize(("name", "dtype"), [(n, t) for n, types in TYPES.items() for t in types])
def test_rows_of_other_types(name: str, dtype: str) -> None:
    """As good as in float64, but for products of float32 in the Gaussian's kernel."""
    rows = COMPONENTS[name].rows(500).astype(dtype)
    rounded = 2e-6 if name in ("StudentT full", "Product") else 0.0
    np.testing.assert_allclose(
        log_prob(name, rows), log_prob(name, rows.astype(float)), rtol=rounded
    )


@pytest.mark.parametrize("name", COMPONENTS)
def test_draws_have_the_density_they_come_from(name: str) -> None:
    """No other parameters explain them better, on the average, than their own."""
    here = COMPONENTS[name]
    model, rng = here.model, np.random.default_rng(8)
    rows, labels = model.sample(here.mixture, 30_000, rng)
    counts = np.bincount(labels, minlength=K)
    assert (np.abs(counts / 30_000 - WEIGHTS) < 0.02).all()
    truth = here.log_prob(rows).mean()
    hard = (labels == np.arange(K)[:, None]).astype(float)
    fitted = here.family.start(Sample(rows, np.ones(len(rows)), True), hard)
    if name.startswith(("StudentT", "MixtureOf")):  # a start, and no maximum
        return
    best = model.log_prob(model.prepare(MixtureParams(counts / 30_000, fitted)), rows).mean()
    assert truth == pytest.approx(best, abs=5e-3)
