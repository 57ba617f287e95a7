"""The recipe for a family of one's own, as it is printed in CONTRIBUTING.md."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import dem
from components import holed
from dem.models.mixture import Mixture, MixtureParams
from dem.testing import check_model

CODE = (
    (Path(__file__).parents[2] / "CONTRIBUTING.md")
    .read_text()
    .partition("## Add a family")[2]
    .partition("```python\n")[2]
    .partition("```")[0]
)
SCALES = np.array([[1.0, 5.0, 0.1], [3.0, 1.0, 0.5]])


@pytest.fixture(scope="module")
def recipe() -> Iterator[ModuleType]:
    module = ModuleType("rayleigh_recipe")
    sys.modules[module.__name__] = module  # dataclasses look there
    exec(compile(CODE, "CONTRIBUTING.md", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


@pytest.fixture
def truth(recipe: Any) -> MixtureParams:
    return MixtureParams(np.array([0.4, 0.6]), recipe.RayleighParams(SCALES**2))


def rows_of(recipe: Any, truth: MixtureParams, n: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.permutation(Mixture(2, recipe.Rayleigh()).sample(truth, n, rng)[0])


def test_it_is_short() -> None:
    assert len(CODE.splitlines()) < 60


def test_the_laws(recipe: Any, truth: MixtureParams) -> None:
    rows, model = rows_of(recipe, truth, 300), Mixture(2, recipe.Rayleigh())
    weights = np.random.default_rng(5).gamma(2.0, size=300)
    check_model(model, rows, weights=weights)
    check_model(model, holed(rows), weights=weights)


def test_the_density(recipe: Any, truth: MixtureParams) -> None:
    rows, model = rows_of(recipe, truth, 2000), Mixture(2, recipe.Rayleigh())
    parts = [stats.rayleigh.logpdf(rows, scale=scale).sum(axis=1) for scale in SCALES]
    expected = logsumexp(np.stack(parts, axis=1) + np.log(truth.weights), axis=1)
    np.testing.assert_allclose(model.log_prob(model.prepare(truth), rows), expected, rtol=1e-10)


def test_a_fit_an_error_and_a_store(recipe: Any, truth: MixtureParams, tmp_path: Path) -> None:
    rows, model = rows_of(recipe, truth, 20_000), Mixture(2, recipe.Rayleigh())
    fit = dem.fit(model, rows, tol=1e-9, max_iter=500, seed=1)
    order = np.argsort(fit.params.weights)
    np.testing.assert_allclose(fit.params.components.squares[order], SCALES**2, rtol=0.1)
    dem.save(fit, tmp_path / "fit")
    back = dem.load(tmp_path / "fit")
    assert back.model == model
    rows[123, 2] = -1
    with pytest.raises(dem.DataError, match=r"row 123, column 2.*Rayleigh columns hold"):
        dem.fit(model, rows)
    both = dem.Product(((recipe.Rayleigh(), (0, 1)), (dem.Normal(), (2,))))
    assert np.isfinite(dem.fit(Mixture(2, both), holed(rows), max_iter=5).lower_bound)
