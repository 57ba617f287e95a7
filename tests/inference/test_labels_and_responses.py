"""What estimators were fitted with beside X, labels or responses, counts afterwards as well."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dem
from components import COMPONENTS
from dem.families.known import Label
from dem.inference import Bootstrap, Simulated, StandardErrors
from dem.labelled import FromLabels
from dem.records import Fit
from dem.starts import Given

Array = np.ndarray
RNG = np.random.default_rng(5)
H = RNG.integers(0, 2, 1000)
X = (1.5 * H + RNG.normal(size=1000))[:, None]
LABELS = np.where(RNG.random(1000) < 0.3, H, -1)
BOTH = np.column_stack([X, LABELS])
EXACT: Any = {"tol": 1e-12, "max_iter": 3000, "random_state": 0}
LACKING = "GaussianMixture was fitted with labels, .* give them here"


@pytest.fixture(scope="module")
def labelled() -> dem.GaussianMixture:
    return dem.GaussianMixture(2, reg_covar=0, **EXACT).fit(X, labels=LABELS)


@pytest.fixture(scope="module")
def by_hand() -> Fit:
    family = dem.Product(((dem.Gaussian(), (0,)), (Label(), (1,))))
    return dem.fit(dem.Mixture(2, family), BOTH, start=FromLabels(), tol=1e-12, max_iter=3000)


def same(found: StandardErrors | Bootstrap, expected: StandardErrors | Bootstrap) -> None:
    assert found.errors.keys() == expected.errors.keys()
    for name, errors in expected.errors.items():
        np.testing.assert_allclose(found.errors[name], errors, rtol=1e-4)
        np.testing.assert_allclose(found.estimates[name], expected.estimates[name], atol=1e-4)


def test_all_labels_are_a_sample_of_each_component() -> None:
    model = dem.GaussianMixture(2, reg_covar=0, **EXACT).fit(X, labels=H)
    found = model.standard_errors(X, labels=H)
    for k in range(2):
        rows = X[k == H]
        alone = dem.standard_errors(dem.fit(dem.Mixture(1, dem.Gaussian()), rows), rows)
        for name in ("means", "covariances"):
            np.testing.assert_allclose(found.errors[name][k], alone.errors[name][0], rtol=1e-6)
    expected = np.sqrt(np.bincount(H).prod() / 1000**3)
    np.testing.assert_allclose(found.errors["weights"], expected, rtol=1e-6)
    assert model.summarise(X, labels=H).relative_entropy == 1.0


def test_labels_are_those_of_a_product(labelled: dem.GaussianMixture, by_hand: Fit) -> None:
    same(labelled.standard_errors(X, labels=LABELS), dem.standard_errors(by_hand, BOTH))
    weights = RNG.integers(1, 3, 1000)
    same(
        dem.standard_errors(labelled, X, weights=weights, labels=LABELS),
        dem.standard_errors(by_hand, BOTH, weights=weights),
    )
    how: Any = {"n_replicates": 20, "tol": 1e-6}
    same(
        dem.bootstrap(labelled, X, labels=LABELS, **how),
        dem.bootstrap(by_hand, BOTH, **how),
    )
    criteria = labelled.summarise(X, labels=LABELS).criteria
    assert criteria.log_likelihood == pytest.approx(1000 * labelled.lower_bound_)
    assert labelled.summarise(X).criteria == labelled.criteria(X)  # of rows without


def test_labels_are_not_forgotten(labelled: dem.GaussianMixture, tmp_path: Path) -> None:
    dem.save(labelled, tmp_path / "model")
    for model in (labelled, dem.load(tmp_path / "model")):
        with pytest.raises(ValueError, match=LACKING):
            model.standard_errors(X)
        with pytest.raises(ValueError, match=LACKING):
            dem.bootstrap(model, X)
        with pytest.raises(ValueError, match="rows without labels; this GaussianMixture was"):
            dem.likelihood_ratio_test(model, X)
        assert model.standard_errors(X, labels=LABELS).distance < 1e-2
    again = dem.GaussianMixture(2, **EXACT).fit(X, labels=LABELS).fit(X)
    again.standard_errors(X)
    with pytest.raises(ValueError, match="GaussianMixture was fitted without labels"):
        dem.summarise(again, X, labels=LABELS)


def test_labels_are_not_simulated(labelled: dem.GaussianMixture, by_hand: Fit) -> None:
    message = "Rows with labels cannot be simulated"
    with pytest.raises(ValueError, match=message):
        dem.bootstrap(labelled, X, labels=LABELS, replicate=Simulated())
    with pytest.raises(ValueError, match=message):
        dem.likelihood_ratio_test(by_hand, BOTH)
    with pytest.raises(ValueError, match="has them in a column of its data"):
        dem.standard_errors(by_hand, BOTH, labels=LABELS)


def test_other_estimators_with_labels() -> None:
    component = COMPONENTS["Categorical"]
    rows, h = component.model.sample(component.mixture, 2000, np.random.default_rng(1))
    labels = np.where(np.arange(2000) % 3 == 0, h, np.nan)
    k = component.model.k
    discrete = dem.CategoricalMixture(k, **EXACT).fit(rows, labels=labels)
    found = discrete.standard_errors(rows, labels=labels)
    assert found.errors["weights"].shape == (k,)
    assert found.rank == found.n_parameters
    agree = RNG.random((2000, 3)) < np.where(h[:, None] == 0, 0.9, 0.2)
    pairs = np.where(np.arange(2000) % 2 == 0, h == 0, -1)
    matches = dem.FellegiSunter(tol=1e-12).fit(agree, labels=pairs)
    with pytest.raises(ValueError, match="FellegiSunter was fitted with labels"):
        matches.standard_errors(agree)
    assert matches.standard_errors(agree, labels=pairs).distance < 1e-2
    variational = dem.BayesianGaussianMixture(2, random_state=0).fit(X, labels=LABELS)
    assert np.isfinite(variational.summarise(X, labels=LABELS).entropy)


def test_regressions_are_those_of_dem_fit() -> None:
    x = RNG.normal(size=(600, 2))
    first = RNG.random(600) < 0.4
    y = np.where(first, x @ [1.0, 2.0], 3 - x @ [1.0, 2.0]) + 0.3 * RNG.normal(size=600)
    w = RNG.integers(1, 3, 600)
    model = dem.MixtureOfRegressions(2, **EXACT).fit(x, y, w)
    rows = np.column_stack([x, y])
    start = Given(model._fitted.params)
    fit = dem.fit(model._fitted.model, rows, weights=w, start=start, tol=1e-12, max_iter=100)
    same(model.standard_errors(x, y, w), dem.standard_errors(fit, rows, weights=w))
    same(
        dem.bootstrap(model, x, y=y, weights=w, n_replicates=5, tol=1e-6),
        dem.bootstrap(fit, rows, weights=w, n_replicates=5, tol=1e-6),
    )
    found, expected = model.summarise(x, y, w), dem.summarise(fit, rows, weights=w)
    np.testing.assert_allclose(found.posterior, expected.posterior, rtol=1e-6)
    assert found.criteria == model.criteria(x, w, y=y)
    column = dem.MixtureOfRegressions(2, **EXACT).fit(rows, 2)  # then y is where it was
    assert column.standard_errors(rows).rank == column.n_parameters_
    with pytest.raises(ValueError, match="requires y to be passed"):
        model.standard_errors(x)
    with pytest.raises(ValueError, match="MixtureOfRegressions was fitted without labels"):
        dem.summarise(model, x, y=y, labels=first)


@pytest.mark.parametrize("level", [95, 1.0, 0.0, float("nan")])
def test_levels(level: float, by_hand: Fit) -> None:
    several = dem.bootstrap(by_hand, BOTH, n_replicates=2)
    for interval in (several.intervals, several.table, dem.standard_errors(by_hand, BOTH).table):
        with pytest.raises(ValueError, match=r"level must be (between 0 and 1|>= 0)"):
            interval(level)
