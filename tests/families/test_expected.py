"""What families expect in the place of missing values, and columns that count above a threshold."""

import numpy as np
import pytest

import dem
from components import COMPONENTS, MISSING, Component, K
from dem.families import Bernoulli
from dem.testing import check_model


def nothing(here: Component) -> np.ndarray:
    """A row all of whose values are missing."""
    return np.full((1, here.rows(1).shape[1]), np.nan)


MODES = ("Bernoulli", "Categorical", "Categorical many")


@pytest.mark.parametrize("name", [name for name in MISSING if name not in (*MODES, "Product")])
def test_the_mean_of_a_component(name: str) -> None:
    """Within seven standard errors of the mean of 40 000 rows of it."""
    here, n = COMPONENTS[name], 40_000
    for k in range(K):
        counts = np.zeros(K, int)
        counts[k] = n
        rows = here.family.sample(here.params, counts, np.random.default_rng(k))
        found = here.family.expected(here.params, nothing(here), np.eye(K)[k : k + 1])[0]
        error = 7 * rows.std(axis=0) / np.sqrt(n)
        assert (np.abs(rows.mean(axis=0) - found) <= error + 1e-12).all()


@pytest.mark.parametrize("name", MODES)
def test_the_mode_of_a_component(name: str) -> None:
    here = COMPONENTS[name]
    for k in range(K):
        counts = np.zeros(K, int)
        counts[k] = 40_000
        rows = here.family.sample(here.params, counts, np.random.default_rng(k)).astype(int)
        shares = [np.bincount(column) / len(rows) for column in rows.T]
        found = here.family.expected(here.params, nothing(here), np.eye(K)[k : k + 1])[0].astype(
            int
        )
        for share, code in zip(shares, found, strict=True):
            assert share[code] >= share.max() - 0.02


def test_a_product_expects_what_its_parts_do() -> None:
    here = COMPONENTS["Product"]
    q, empty = np.full((2, K), 1 / K), np.repeat(nothing(here), 2, axis=0)
    rows = here.family.expected(here.params, empty, q)
    for (family, columns), part in zip(here.family.parts, here.params.parts, strict=True):
        own = rows[:, columns]
        if getattr(family, "missing", False):
            np.testing.assert_array_equal(own, family.expected(part, empty[:, columns], q))
        else:
            assert np.isnan(own).all()


def test_columns_above_a_threshold() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3)) + rng.integers(2, size=(400, 1))
    model = dem.Mixture(2, Bernoulli(0.5))
    check_model(model, rows)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    fit = dem.fit(model, rows, tol=1e-8, max_iter=300)
    codes = np.where(np.isnan(rows), np.nan, rows > 0.5)
    begin = dem.starts.Given(fit.params)
    same = dem.fit(dem.Mixture(2, Bernoulli()), codes, start=begin, max_iter=1)
    again = dem.fit(model, rows, start=begin, max_iter=1)
    assert same.lower_bound == again.lower_bound
