"""Standard errors against closed forms, SciPy's densities, simulation, and each other."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr

import dem
from components import COMPONENTS, with_gaps
from dem.families import Diagonal, Tied
from dem.inference.scores import Directions, Scores, directions
from dem.models.mixture import MixtureParams
from dem.records import Fit
from dem.starts import Given
from dem.wrap import Frozen

Array = np.ndarray
RNG = np.random.default_rng(8)


def fitted(model: Any, rows: Any, **how: Any) -> Fit:
    return dem.fit(model, rows, tol=1e-13, max_iter=2000, **how)


def fit_at(name: str) -> Fit:
    """A fit that came to the parameters that rows are drawn from."""
    component = COMPONENTS[name]
    return Fit(component.model, component.mixture, (), True, False, 0.0)


@dataclasses.dataclass(frozen=True)
class Whole:
    """A model that does not tell of its components."""

    inner: Any

    def __getattr__(self, name: str) -> Any:
        if name in ("family", "posterior", "k") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.inner, name)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", COMPONENTS)
def test_fishers_identity(name: str) -> None:
    """E_q of the components' scores is the score of the rows: ∂ log p(v) along each coordinate."""
    component = COMPONENTS[name]
    rows = component.rows(60)
    rows = with_gaps(component, rows) if component.missing else rows
    model, params = component.model, component.mixture
    along = directions(model, params, rows, np.ones(60))
    alone = Directions(
        along.scales,
        np.ones((len(along.scales), 1), bool),
        tuple((j,) for j in range(len(along.scales))),
    )
    mine, whole = Scores(model, params, along), Scores(Whole(model), params, alone)
    scores = mine.of(mine.prepare(), rows)
    np.testing.assert_allclose(scores, whole.of(whole.prepare(), rows), atol=1e-7)
    assert np.abs(scores).max() > 0.1
    # Coordinates of the three components share their evaluations, but for a tied covariance.
    tied = 10 if name == "Gaussian tied" else 0
    assert len(along.colours) == tied + (len(along.scales) - 3 - tied) // 3


def scores_of_normals(x: Array, pi: Array, mu: Array, var: Array) -> Array:
    """∂ log p/∂(π₀, μ₀, μ₁, σ²₀, σ²₁) of two normal components, (5, n), on paper."""
    joint = pi[:, None] * np.exp(-((x - mu[:, None]) ** 2) / 2 / var[:, None])
    joint /= np.sqrt(2 * np.pi * var[:, None])
    q = joint / joint.sum(axis=0)
    z = x - mu[:, None]
    by_mean = q * z / var[:, None]
    by_variance = q * (z**2 / var[:, None] - 1) / (2 * var[:, None])
    return np.vstack([q[0] / pi[0] - q[1] / pi[1], by_mean, by_variance])


@pytest.mark.parametrize("family", [dem.Gaussian(), dem.Gaussian(Diagonal()), dem.Normal()])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_normals_on_paper(family: Any, weighted: bool) -> None:
    x = np.concatenate([RNG.normal(size=700), 1e3 + 5 * RNG.normal(size=300)]) + 100
    x[:300] += 4 * RNG.normal(size=300)
    w = RNG.integers(0, 3, 1000) if weighted else np.ones(1000)
    fit = fitted(dem.Mixture(2, family), x[:, None], weights=w)
    found = dem.standard_errors(fit, x[:, None], weights=w)
    names = ("weights", "means", "variances" if isinstance(family, dem.Normal) else "covariances")
    pi, mu, var = (found.estimates[name].ravel() for name in names)
    s = scores_of_normals(x, pi, mu, var)
    expected = np.sqrt(np.diag(np.linalg.inv((s * w) @ s.T)))
    errors = [found.errors[name].ravel() for name in names]
    np.testing.assert_allclose(np.concatenate(errors)[1:], expected, rtol=1e-6)
    assert errors[0][0] == pytest.approx(errors[0][1])
    assert (found.rank, found.n_parameters, found.n_samples) == (5, 5, w.sum())
    assert found.distance < 1e-3
    assert found.notes == ()


def test_one_component_in_closed_form() -> None:
    x = (RNG.random((400, 3)) < [0.2, 0.5, 0.9]).astype(float)
    found = dem.standard_errors(fitted(dem.Mixture(1, dem.Bernoulli()), x), x)
    p = x.mean(axis=0)
    off = np.linalg.inv((d := (x - p) / (p * (1 - p))).T @ d)
    np.testing.assert_allclose(found.errors["probabilities"][0], np.sqrt(np.diag(off)), rtol=1e-7)
    assert np.isnan(found.errors["weights"]).all()  # it is 1
    one = dem.standard_errors(fitted(dem.Mixture(1, dem.Bernoulli()), x[:, :1]), x[:, :1])
    expected = np.sqrt(p[0] * (1 - p[0]) / 400)
    assert one.errors["probabilities"][0, 0] == pytest.approx(expected, rel=1e-8)
    counts = RNG.poisson(3.0, (500, 1))
    rate = dem.standard_errors(fitted(dem.Mixture(1, dem.Poisson()), counts), counts)
    mean = counts.mean()
    expected = mean / np.sqrt(((counts - mean) ** 2).sum())
    assert rate.errors["rates"][0, 0] == pytest.approx(expected, rel=1e-8)


def test_large_samples_have_the_textbooks_errors() -> None:
    """Of a mean σ/√n, of a variance σ² √(2/n), of a covariance √((σ₁²σ₂² + σ₁₂²)/n)."""
    n, covariance = 40_000, np.array([[4.0, 0.6], [0.6, 1e-6 + 0.25]])
    x = RNG.multivariate_normal([1e4, -3.0], covariance, n)
    found = dem.standard_errors(fitted(dem.Mixture(1, dem.Gaussian()), x), x)
    variances = np.diag(covariance)
    np.testing.assert_allclose(found.errors["means"][0], np.sqrt(variances / n), rtol=0.03)
    expected = np.sqrt((np.outer(variances, variances) + covariance**2) / n)
    np.testing.assert_allclose(found.errors["covariances"][0], expected, rtol=0.03)
    scaled = dem.standard_errors(fitted(dem.Mixture(1, dem.Gaussian()), x * [1e3, 1]), x * [1e3, 1])
    factor = np.array([1e3, 1.0])
    np.testing.assert_allclose(
        scaled.errors["covariances"][0],
        found.errors["covariances"][0] * np.outer(factor, factor),
        rtol=1e-6,
    )


@pytest.mark.filterwarnings("ignore:The fit is some")
@pytest.mark.parametrize(
    "name", [name for name in COMPONENTS if name not in ("Bernoulli", "StudentT fixed")]
)
def test_every_parameter_is_told(name: str) -> None:
    """As many directions as there are parameters, all errors finite, for each family."""
    component = COMPONENTS[name]
    rows = component.rows(3_000)
    found = dem.standard_errors(fit_at(name), rows)
    assert found.rank == found.n_parameters == component.model.n_parameters(component.mixture)
    for errors in found.errors.values():
        assert np.isfinite(errors).all()
        assert (errors > 0).all()


def test_tied_covariances_and_frozen_parameters() -> None:
    x = np.concatenate([RNG.normal(size=(300, 2)), RNG.normal(size=(300, 2)) + 4])
    model = dem.Mixture(2, dem.Gaussian(Tied()))
    fit = fitted(model, x)
    found = dem.standard_errors(fit, x)
    assert found.errors["covariances"].shape == (2, 2)
    assert found.rank == 1 + 4 + 3
    rows = [row for row in found.table() if row.name == "covariances"]
    assert [row.place for row in rows] == [(0, 0), (1, 0), (1, 1)]
    assert {row.component for row in rows} == {None}
    frozen: Any = Frozen(model, ("components.means",))
    kept = dem.standard_errors(dem.fit(frozen, x, start=Given(fit.params), tol=1e-12), x)
    assert np.isnan(kept.errors["means"]).all()
    assert kept.rank == 1 + 3
    assert (kept.errors["weights"] <= found.errors["weights"]).all()


def test_noise_beside_a_product() -> None:
    x = np.concatenate([RNG.normal(size=(400, 2)), RNG.uniform(-10, 10, (100, 2))])
    family = dem.WithNoise(dem.Product(((dem.Normal(), (0,)), (dem.Gaussian(), (1,)))))
    found = dem.standard_errors(fitted(dem.Mixture(2, family), x), x)
    assert found.errors["weights"].shape == (2,)
    assert found.errors["means[0]"].shape == found.errors["means[1]"].shape == (1, 1)
    assert found.rank == found.n_parameters == 1 + 4


def test_functions_of_the_parameters() -> None:
    """The difference of two means, whose errors are correlated."""
    x = np.concatenate([RNG.normal(size=500), RNG.normal(size=300) + 3])
    fit = fitted(dem.Mixture(2, dem.Normal()), x[:, None])
    found = dem.standard_errors(fit, x[:, None])

    def apart(params: MixtureParams) -> Any:
        means = dem.Normal().outward(params.components)[0]
        return np.array([means[0, 0] - means[1, 0], 2 * means[0, 0]])

    s = scores_of_normals(
        x, *(found.estimates[n].ravel() for n in ("weights", "means", "variances"))
    )
    covariance = np.linalg.inv(s @ s.T)
    difference = np.array([0.0, 1.0, -1.0, 0.0, 0.0])
    expected = np.sqrt([difference @ covariance @ difference, 4 * covariance[1, 1]])
    np.testing.assert_allclose(found.of(apart), expected, rtol=1e-6)
    assert found.of(lambda params: params.weights[0]) == pytest.approx(found.errors["weights"][0])


def test_a_model_of_ones_own() -> None:
    """One that says nothing of components, or how to describe its parameters."""
    x = np.concatenate([RNG.normal(size=(300, 2)), RNG.normal(size=(200, 2)) + 3])
    fit = fitted(dem.Mixture(2, dem.Normal()), x)
    expected = dem.standard_errors(fit, x)
    found = dem.standard_errors(dataclasses.replace(fit, model=Whole(fit.model)), x)
    np.testing.assert_allclose(found.errors["weights"], expected.errors["weights"], rtol=1e-6)
    scale = fit.params.components.frame.scale
    mine = found.errors["components.means"] * scale
    np.testing.assert_allclose(mine, expected.errors["means"], rtol=1e-6)
    assert np.isnan(found.errors["components.frame.scale"]).all()  # it is not fitted
    assert found.rank == expected.rank
    means = [row.place for row in found.table() if row.name == "components.means"]
    assert means == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_intervals_and_names() -> None:
    x = RNG.normal(size=(200, 2))
    codes = RNG.integers(0, 3, (200, 1))
    product = dem.Product(((dem.Normal(), (0, 2)), (dem.Categorical(3), (1,))))
    rows = np.hstack([x[:, :1], codes, x[:, 1:]])
    found = dem.standard_errors(fitted(dem.Mixture(1, product), rows), rows)
    assert [(row.name, row.place) for row in found.table()] == [
        ("weights", ()),
        ("means[0, 2]", (0,)),
        ("means[0, 2]", (2,)),
        ("variances[0, 2]", (0,)),
        ("variances[0, 2]", (2,)),
        ("probabilities[1]", (1, 0)),
        ("probabilities[1]", (1, 1)),
        ("probabilities[1]", (1, 2)),
    ]
    row = found.table(0.9)[1]
    assert row.upper - row.value == pytest.approx(1.6448536 * row.error)
    assert row.value - row.lower == pytest.approx(row.upper - row.value)
    assert "information of rank 6 of 6" in repr(found)


def test_data_anywhere(tmp_path: Path) -> None:
    x = COMPONENTS["Gamma"].rows(1500)
    fit = fit_at("Gamma")
    zarr.create_array(str(tmp_path / "x"), data=x, chunks=(170, 4))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The fit is some")
        whole = dem.standard_errors(fit, x)
        for data in (da.from_array(x, chunks=(301, 4)), str(tmp_path / "x")):
            found = dem.standard_errors(fit, data)
            for name, errors in whole.errors.items():
                np.testing.assert_allclose(found.errors[name], errors, rtol=1e-6)


def test_an_estimator_with_missing_values_and_names() -> None:
    pandas = pytest.importorskip("pandas")
    rows = COMPONENTS["Categorical"].rows(800)
    rows[::7, 1] = np.nan
    frame = pandas.DataFrame(rows, columns=list("abcd"))
    model = dem.CategoricalMixture(1).fit(frame)
    found = model.standard_errors(frame)
    p = model.probabilities_[1][0]
    there = np.isfinite(rows[:, 1]).sum()
    expected = np.sqrt(p * (1 - p) / there)
    mine = found.errors["probabilities"][0, 4:6]
    np.testing.assert_allclose(mine, expected, rtol=0.05)
    places = [row.place for row in found.table() if row.name == "probabilities"]
    assert places[4] == ("b", 0)


def test_what_the_rows_do_not_tell() -> None:
    """Three classes of four binary items are not identified: 14 parameters, rank 13 (Goodman)."""
    rows = COMPONENTS["Bernoulli"].rows(3_000)
    fit = fitted(COMPONENTS["Bernoulli"].model, rows, start=Given(COMPONENTS["Bernoulli"].mixture))
    with pytest.warns(UserWarning, match="information is singular"):
        found = dem.standard_errors(fit, rows)
    assert (found.rank, found.n_parameters) == (13, 14)
    assert np.isinf(found.errors["probabilities"]).any()


@pytest.mark.filterwarnings("ignore:The fit is some")
def test_fewer_rows_than_parameters() -> None:
    x = RNG.normal(size=(5, 3))
    fit = fitted(dem.Mixture(1, dem.Gaussian()), RNG.normal(size=(50, 3)))
    with pytest.warns(UserWarning, match="information is singular"):
        found = dem.standard_errors(fit, x)
    assert found.rank == 5
    assert np.isinf(found.errors["means"]).all()


def test_a_probability_at_its_edge_is_fixed() -> None:
    x = (RNG.random((500, 2)) < 0.3).astype(float)
    x[:, 1] = 1.0
    fit = fitted(dem.Mixture(1, dem.Bernoulli()), x)
    with pytest.warns(UserWarning, match="1 coordinates are at the edge"):
        found = dem.standard_errors(fit, x)
    p = x[:, 0].mean()
    assert found.errors["probabilities"][0, 0] == pytest.approx(np.sqrt(p * (1 - p) / 500))
    assert np.isnan(found.errors["probabilities"][0, 1])


def test_a_fit_that_stopped_too_early() -> None:
    x = np.concatenate([RNG.normal(size=(3000, 1)), RNG.normal(size=(3000, 1)) + 2])
    early = dem.fit(dem.Mixture(2, dem.Normal()), x, max_iter=2, tol=0.0)
    with pytest.warns(UserWarning, match="standard errors from the maximum"):
        assert dem.standard_errors(early, x).distance > 1


def test_mistakes() -> None:
    x = RNG.normal(size=(60, 2))
    variational = dem.BayesianGaussianMixture(2, random_state=0, max_iter=500, tol=1e-2).fit(x)
    with pytest.raises(TypeError, match="posterior of its parameters"):
        variational.standard_errors(x)
    with pytest.raises(TypeError, match="has no flatten"):
        dem.standard_errors(dataclasses.replace(fit_at("Gamma"), model=Bare()), x)


class Bare:
    """A model that cannot be flattened."""

    def n_parameters(self, params: Any) -> int:
        return 1


def test_intervals_cover() -> None:
    """Of 200 samples from a mixture, 95 % intervals hold the truth in 95 % ± 4 standard errors."""
    model = dem.Mixture(2, dem.Poisson())
    truth = MixtureParams(np.array([0.4, 0.6]), type(COMPONENTS["Poisson"].params)(
        np.array([[2.0, 9.0], [7.0, 3.0]])
    ))  # fmt: skip
    inside = []
    for seed in range(200):
        x = model.sample(truth, 500, np.random.default_rng(seed))[0]
        fit = dem.fit(model, x, start=Given(truth), tol=1e-9, max_iter=100)
        for row in dem.standard_errors(fit, x).table():
            values = truth.weights if row.name == "weights" else truth.components.rates
            value = values[(row.component, *row.place)]
            inside.append(row.lower <= value <= row.upper)
    share = np.reshape(inside, (200, -1)).mean(axis=0)
    assert (np.abs(share - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 200)).all()


def test_one_regression_has_the_errors_of_least_squares() -> None:
    x = RNG.normal(size=(5_000, 2)) * [1, 30] + [0, 200]
    y = x @ [1.0, 0.02] + 3 + 0.5 * RNG.normal(size=len(x))
    model = dem.MixtureOfRegressions(1, random_state=0, tol=1e-10).fit(x, y)
    found = dem.standard_errors(model, x, y=y)
    design = np.column_stack([np.ones(len(x)), x])
    expected = 0.5 * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
    np.testing.assert_allclose(found.errors["coef"][0], expected[1:], rtol=0.06)
    np.testing.assert_allclose(found.errors["intercept"], expected[:1], rtol=0.06)
    assert dem.summarise(model, x, y=y).criteria == model.criteria(x, y=y)
    several = dem.bootstrap(model, x, y=y, n_replicates=100)
    np.testing.assert_allclose(several.errors["coef"][0], expected[1:], rtol=0.3)


def test_weights_that_depend_on_covariates() -> None:
    """Concomitant variables: as many directions as parameters, and the errors of the bootstrap."""
    x = RNG.normal(size=(3_000, 1))
    first = RNG.random(3_000) < 1 / (1 + np.exp(-2 * x[:, 0]))
    y = np.where(first, 3.0 + x[:, 0], -3.0 - x[:, 0]) + 0.5 * RNG.normal(size=3_000)
    model = dem.MixtureOfRegressions(2, concomitant=True, random_state=0, tol=1e-11, max_iter=500)
    model.fit(x, y)
    found = dem.standard_errors(model, x, y=y)
    assert found.rank == found.n_parameters == 2 + 2 * 2 + 2
    several = dem.bootstrap(model, x, y=y, n_replicates=100)
    for name, errors in found.errors.items():
        there = np.isfinite(errors)
        np.testing.assert_allclose(several.errors[name][there], errors[there], rtol=0.4)
