"""Closed forms with one component, published results, and other people's code."""

from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.mixture import GaussianMixture

import dem
from components import CLUSTERS, COMPONENTS, LEVELS, UNITS, holed
from dem.contract import Sample
from dem.families import (
    Bernoulli,
    Beta,
    Categorical,
    Diagonal,
    Full,
    Gamma,
    Gaussian,
    LogNormal,
    Multinomial,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
    VonMisesFisher,
)
from dem.families.counts import PoissonParams
from dem.families.normal import NormalParams
from dem.models.mixture import Mixture, MixtureParams
from dem.starts import Given
from mixtures import climb, start


def fitted(family: Any, rows: np.ndarray, weights: np.ndarray | None, turns: int = 1) -> Any:
    """The parameters of one component after some turns from the model's own start."""
    model = Mixture(1, family)
    return climb(model, start(model, rows, weights), rows, turns, weights)[-1].params.components


def weights_of(rows: np.ndarray, weighted: bool) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.integers(1, 4, len(rows)).astype(float) if weighted else np.ones(len(rows))


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(
    ("name", "field"),
    [("Bernoulli", "probabilities"), ("Poisson", "rates"), ("Exponential", "means")],
)
def test_one_component_has_the_means(name: str, field: str, weighted: bool, missing: bool) -> None:
    rows = COMPONENTS[name].rows(900)
    rows = holed(rows) if missing else rows
    w = weights_of(rows, weighted)
    there = ~np.isnan(rows)
    expected = np.nansum(rows * w[:, None], axis=0) / (there * w[:, None]).sum(axis=0)
    params = fitted(COMPONENTS[name].family, rows, w)
    np.testing.assert_allclose(getattr(params, field)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
def test_one_component_has_the_shares(missing: bool) -> None:
    rows = COMPONENTS["Categorical"].rows(900)
    rows = holed(rows) if missing else rows
    w = weights_of(rows, True)
    params = fitted(Categorical(LEVELS), rows, w)
    parts = np.split(params.probabilities[0], np.cumsum(LEVELS)[:-1])
    for part, column in zip(parts, rows.T, strict=True):
        counts = np.array([w[column == level].sum() for level in range(len(part))])
        np.testing.assert_allclose(part, counts / counts.sum(), rtol=1e-12)
    words = COMPONENTS["Multinomial"].rows(900)
    shares = (w @ words) / (w @ words).sum()
    np.testing.assert_allclose(fitted(Multinomial(), words, w).probabilities[0], shares, rtol=1e-12)


@pytest.mark.parametrize("logs", [False, True], ids=["Normal", "LogNormal"])
def test_one_component_has_the_moments(logs: bool) -> None:
    rows, w = (
        holed(COMPONENTS["LogNormal" if logs else "Normal"].rows(900)),
        weights_of(CLUSTERS, True),
    )
    w = np.resize(w, len(rows))
    family: Any = LogNormal() if logs else Normal()
    means, variances = family.outward(fitted(family, rows, w))
    y = np.log(rows) if logs else rows
    for d, column in enumerate(y.T):
        there = ~np.isnan(column)
        mean = np.average(column[there], weights=w[there])
        assert means[0, d] == pytest.approx(mean, rel=1e-10)
        variance = np.average((column[there] - mean) ** 2, weights=w[there])
        assert variances[0, d] == pytest.approx(variance, rel=1e-10)


def test_shapes_are_those_that_scipy_fits() -> None:
    rows = COMPONENTS["Gamma"].rows(900)
    params = fitted(Gamma(), rows, np.ones(900))
    for d, column in enumerate(rows.T):
        shape, _, scale = stats.gamma.fit(column / UNITS[d], floc=0)
        assert params.shapes[0, d] == pytest.approx(shape, rel=1e-4)
        assert params.means[0, d] == pytest.approx(shape * scale * UNITS[d], rel=1e-4)
    rows = COMPONENTS["Beta"].rows(900)
    shapes = fitted(Beta(), rows, np.ones(900))
    for d, column in enumerate(rows.T):
        a, b, _, _ = stats.beta.fit(column, floc=0, fscale=1)
        np.testing.assert_allclose([shapes.a[0, d], shapes.b[0, d]], [a, b], rtol=1e-4)
    rows = COMPONENTS["VonMisesFisher"].rows(900)
    directions = fitted(VonMisesFisher(), rows, np.ones(900))
    mean, kappa = stats.vonmises_fisher.fit(rows)
    np.testing.assert_allclose(directions.means[0], mean, rtol=1e-9)
    assert directions.concentrations[0] == pytest.approx(kappa, rel=1e-6)


def test_one_student_t_is_what_an_optimiser_finds() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_t(3.0, size=(400, 1)) * 5 + 100

    def loss(theta: np.ndarray) -> float:
        return -stats.t.logpdf(x, np.exp(theta[2]), theta[0], np.exp(theta[1])).mean()

    best = optimize.minimize(loss, [100.0, 1.5, 1.0], method="Nelder-Mead", tol=1e-12)
    fit = dem.fit(Mixture(1, StudentT(Full())), x, tol=1e-13, max_iter=3000)
    assert fit.lower_bound == pytest.approx(-best.fun, abs=1e-9)
    assert fit.params.components.df[0] == pytest.approx(np.exp(best.x[2]), rel=1e-3)


def test_negative_binomials_are_what_an_optimiser_finds() -> None:
    rows = COMPONENTS["NegativeBinomial"].rows(500)
    fit = dem.fit(Mixture(1, NegativeBinomial()), rows, tol=1e-13, max_iter=3000)
    for d, column in enumerate(rows.T):

        def loss(log_size: float, x: np.ndarray = column) -> float:
            size = np.exp(log_size)
            return -float(stats.nbinom.logpmf(x, size, size / (size + x.mean())).sum())

        best = optimize.minimize_scalar(loss, bounds=(-5, 5), options={"xatol": 1e-9})
        assert fit.params.components.means[0, d] == pytest.approx(column.mean(), rel=1e-12)
        assert np.log(fit.params.components.sizes[0, d]) == pytest.approx(best.x, abs=1e-3)


@pytest.mark.parametrize("form", [Full(), Diagonal()])
def test_student_t_of_many_degrees_is_a_gaussian(form: Any) -> None:
    model, normal = Mixture(2, StudentT(form, df=1e8)), Mixture(2, Gaussian(form))
    ours, theirs = (climb(m, start(m, CLUSTERS), CLUSTERS, 5) for m in (model, normal))
    assert [s.bound for s in ours] == pytest.approx([s.bound for s in theirs], abs=1e-5)


def test_outliers_hardly_move_a_student_t() -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 1, (400, 2)), rng.uniform(50, 200, (20, 2))])
    robust, plain = (
        dem.fit(Mixture(1, family), x, max_iter=300, tol=1e-9).params.components
        for family in (StudentT(), Gaussian())
    )
    assert np.abs(robust.gaussian.frame.outward(robust.gaussian.means)).max() < 0.3
    assert np.abs(plain.frame.outward(plain.means)).min() > 3


def test_deaths_of_women_are_two_poissons() -> None:
    """Hasselblad (1969): ten weighted rows."""
    rows = np.arange(10.0)[:, None]
    counts = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0])
    near = MixtureParams(np.array([0.4, 0.6]), PoissonParams(np.array([[1.2], [2.7]])))
    fit = dem.fit(
        Mixture(2, Poisson()), rows, weights=counts, start=Given(near), tol=0.0, max_iter=2500
    )
    order = np.argsort(fit.params.components.rates[:, 0])
    np.testing.assert_allclose(
        fit.params.components.rates[order, 0], [1.2560951, 2.6634044], rtol=2e-5
    )
    assert fit.params.weights[order[0]] == pytest.approx(0.3598854, rel=5e-5)
    assert counts.sum() * fit.lower_bound == pytest.approx(-1989.946, abs=5e-4)


VALUES = {
    "1111": 20, "1112": 2, "1121": 9, "1122": 2, "1211": 6, "1212": 1, "1221": 4, "1222": 1,
    "2111": 38, "2112": 7, "2121": 24, "2122": 6, "2211": 25, "2212": 6, "2221": 23, "2222": 42,
}  # fmt: skip


@pytest.mark.parametrize("family", [Bernoulli(), Categorical(2)], ids=["Bernoulli", "Categorical"])
def test_values_of_polca(family: Any) -> None:
    """The latent class models of poLCA's data set `values` (Goodman 1974)."""
    rows = np.array([[int(c) - 1 for c in pattern] for pattern in VALUES])
    counts = np.array(list(VALUES.values()), dtype=float)

    def best(k: int) -> Any:
        return dem.fit(
            Mixture(k, family), rows, weights=counts, n_init=3, tol=1e-10, max_iter=1500,
            start=dem.starts.RandomResponsibilities(), seed=1,
        )  # fmt: skip

    for k, expected in ((1, -543.6498), (2, -504.4677), (3, -503.3011)):
        fit = best(k)
        assert counts.sum() * fit.lower_bound == pytest.approx(expected, abs=1e-3)
        if k == 2:
            order = np.argsort(-fit.params.weights)
            np.testing.assert_allclose(fit.params.weights[order], [0.7208, 0.2792], atol=2e-4)
            p = fit.params.components.probabilities[order]
            first = 1 - p if isinstance(family, Bernoulli) else p[:, ::2]
            published = [[0.2864, 0.6704, 0.6460, 0.8676], [0.0068, 0.0602, 0.0735, 0.2309]]
            np.testing.assert_allclose(first, published, atol=3e-4)


def test_normal_columns_are_scikit_learns_diagonal() -> None:
    rows, k, turns = CLUSTERS, 3, 8
    theirs = GaussianMixture(
        k, covariance_type="diag", tol=0.0, max_iter=turns, reg_covar=0.0,
        means_init=rows[[0, 60, 110]], weights_init=np.full(k, 1 / k),
        precisions_init=np.tile(1 / rows.var(axis=0), (k, 1)),
    )  # fmt: skip
    with pytest.warns(match="converge"):
        theirs.fit(rows)
    blank = Normal().blank(k, Sample(rows, np.ones(len(rows)), True))
    frame = blank.frame
    first = NormalParams(
        frame.inward(rows[[0, 60, 110]]), np.tile(rows.var(0) / frame.scale**2, (k, 1)), frame
    )
    ours = dem.fit(
        Mixture(k, Normal()), rows, tol=0.0, max_iter=turns,
        start=Given(MixtureParams(np.full(k, 1 / k), first)),
    )  # fmt: skip
    assert ours.lower_bound == pytest.approx(theirs.lower_bound_, rel=1e-10)
    means, variances = Normal().outward(ours.params.components)
    np.testing.assert_allclose(means, theirs.means_, rtol=1e-8)
    np.testing.assert_allclose(variances, theirs.covariances_, rtol=1e-8)
