"""Regressions as components, and mixing weights that depend on covariates."""

from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn.linear_model import LogisticRegression

import dem
from dem.accelerate import QuasiNewton
from dem.contract import Sample
from dem.elemental import ElementalSets
from dem.errors import SupportError
from dem.families import (
    BinomialResponse,
    Label,
    NormalResponse,
    PoissonResponse,
    Product,
    Regression,
)
from dem.families.minorisers import Corners, Minoriser
from dem.families.regression import RegressionParams
from dem.models import Concomitant, Mixture
from dem.posteriors import Exact
from dem.starts import Given
from dem.testing import check_model
from mixtures import climb, largest_fall

RESPONSES = {
    "gaussian": NormalResponse(),
    "poisson": PoissonResponse(),
    "logistic": BinomialResponse(),
    "binomial": BinomialResponse(5),
}
each = pytest.mark.parametrize("name", RESPONSES)
UNITS, OFFSETS = np.array([1.0, 100.0, 0.01]), np.array([0.0, 1000.0, 5.0])
SLOPES = np.array([[0.5, 1.0, 0.5, -0.3], [1.5, -1.0, 0.2, 0.4], [0.0, 0.2, -0.8, 0.1]])


def rows_of(response: Any, n: int = 300, k: int = 2, seed: int = 0) -> np.ndarray:
    """Rows (x, y) of k regressions on three covariates in different units."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(n, 3)), rng.integers(0, k, n)
    eta = SLOPES[z, 0] + np.vecdot(SLOPES[z, 1:], x)
    return np.column_stack([x * UNITS + OFFSETS, response.draw(eta, np.full(n, 0.3), rng)])


def begun(model: Any, rows: np.ndarray, weights: np.ndarray | None = None, seed: int = 1) -> Any:
    """Parameters from random responsibilities."""
    r = np.random.default_rng(seed).random((model.k, len(rows)))
    weights = np.ones(len(rows)) if weights is None else weights
    return model.start_from(Sample(rows, weights, True), r / r.sum(axis=0))


@pytest.mark.parametrize("intercept", [True, False])
@each
def test_every_law(name: str, intercept: bool) -> None:
    rows = rows_of(RESPONSES[name])
    model = Mixture(2, Regression(RESPONSES[name], intercept))
    weights = np.random.default_rng(5).gamma(2.0, size=len(rows))
    check_model(model, rows, weights=weights, params=begun(model, rows, weights))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", ["gaussian", "poisson"])
def test_every_law_where_weights_depend_on_covariates(name: str, k: int) -> None:
    rows = rows_of(RESPONSES[name])
    model = Concomitant(Mixture(k, Regression(RESPONSES[name])), (0, 2))
    check_model(model, rows, params=begun(model, rows))


@each
def test_what_adds_up_is_below_the_likelihood_and_touches_it(name: str) -> None:
    response, rng = RESPONSES[name], np.random.default_rng(3)
    rows = rows_of(response)
    x = np.column_stack([np.ones(len(rows)), rng.standard_t(3, size=(len(rows), 3))])
    for scale in (0.1, 1.0, 3.0):
        centre, other = rng.normal(size=(2, 1, 4)) * 0.5
        form = response.form(True)
        value, slope, curvature = response.local(centre @ x.T, rows[:, -1])
        buffer = np.zeros((form.size(4), len(rows)))
        features = form.features(x.T, buffer)
        for i in range(0, len(rows), 7):
            own = np.zeros((1, form.size(4)))
            c = curvature if isinstance(curvature, float) else curvature[0, i]
            own[0, : len(features)] = c * features[:, i]
            below = Minoriser(
                np.ones(1), value[:, i], slope[:, i : i + 1] * x[i], own, centre, form
            )
            at = centre + scale * (other - centre)
            truth = response.local(at @ x[i][:, None], rows[i : i + 1, -1])[0]
            assert below.at(centre)[0] == pytest.approx(value[0, i], rel=1e-12)
            assert below.at(at)[0] <= truth.item() + 1e-9 * abs(truth.item())
            moved = below.about(at)
            near = 1e-8 + 1e-12 * abs(moved.value[0])  # there and back again
            assert moved.at(centre)[0] == pytest.approx(value[0, i], abs=near)


def test_a_row_is_in_between_of_the_points() -> None:
    rng = np.random.default_rng(0)
    x = np.vstack([np.ones(500), rng.standard_t(1, size=(3, 500)) * 10])
    x[1:, 0] = 0.0
    form = Corners()
    features = form.features(x, np.empty((form.size(4), 500)))
    assert (features >= 0).all()
    np.testing.assert_allclose(features.sum(axis=0), 1.0, rtol=1e-12)
    inside = form.points(4)[: len(features)].T @ features
    np.testing.assert_allclose(inside, x, rtol=1e-12, atol=1e-12)
    with pytest.raises(SupportError, match="must be within 1048576 standard deviations"):
        form.features(x * 1e7, np.empty((form.size(4), 500)))


@pytest.mark.parametrize("weighted", [False, True])
@each
def test_one_component_is_the_generalised_linear_model(name: str, weighted: bool) -> None:
    response = RESPONSES[name]
    rows = rows_of(response, k=1)
    w = np.random.default_rng(1).integers(0, 4, len(rows)) if weighted else np.ones(len(rows))
    x = np.column_stack([np.ones(len(rows)), (rows[:, :3] - OFFSETS) / UNITS])

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope, _ = response.local((x @ beta)[None], rows[:, -1])
        return -float(value[0] @ w), -x.T @ (w * slope[0])

    best = optimize.minimize(loss, np.zeros(4), jac=True, method="BFGS", options={"gtol": 1e-8})
    model = Mixture(1, Regression(response))
    fit = dem.fit(
        model, rows, weights=w.astype(float), tol=1e-13, max_iter=200,
        accelerate=QuasiNewton(),
    )  # fmt: skip
    slopes, intercepts, sigma = model.family.outward(fit.params.components)
    np.testing.assert_allclose(slopes[0] * UNITS, best.x[1:], atol=2e-6)
    assert intercepts[0] + slopes[0] @ OFFSETS == pytest.approx(best.x[0], abs=2e-6)
    if name == "gaussian":
        assert sigma[0] ** 2 == pytest.approx(2 * best.fun / w.sum(), rel=1e-9)


def densities_of(name: str, eta: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> Any:
    """log p(y | eta), (K, n), by SciPy."""
    match name:
        case "gaussian":
            return stats.norm.logpdf(y, eta, sigma[:, None])
        case "poisson":
            return stats.poisson.logpmf(y, np.exp(eta))
    return stats.binom.logpmf(y, RESPONSES[name].trials, special.expit(eta))


def test_log_likelihoods_are_those_of_scipy() -> None:
    rng = np.random.default_rng(2)
    for name, response in RESPONSES.items():
        rows = rows_of(response, 50)
        model = Mixture(2, Regression(response))
        params = begun(model, rows)
        slopes, intercepts, sigma = model.family.outward(params.components)
        eta, y = intercepts[:, None] + slopes @ rows[:, :3].T, rows[:, -1]
        log_joint = densities_of(name, eta, y, sigma) + np.log(params.weights)[:, None]
        found = model.log_prob(model.prepare(params), rows)
        np.testing.assert_allclose(found, special.logsumexp(log_joint, axis=0), rtol=1e-9)
        gated = Concomitant(model, (1,))
        theirs = gated.start_from(Sample(rows, np.ones(50), True), rng.random((2, 50)))
        theirs.coefficients[:] = rng.normal(size=(2, 2))
        own = gated.described(theirs)
        logits = own["intercept"][:, None] + own["coef"] @ rows[:, 1:2].T
        mixing = special.log_softmax(logits, axis=0)
        log_joint = log_joint - np.log(params.weights)[:, None] + mixing
        theirs = type(theirs)(theirs.coefficients, theirs.frame, theirs.weights, params.components)
        found = gated.log_prob(gated.prepare(theirs), rows)
        np.testing.assert_allclose(found, special.logsumexp(log_joint, axis=0), rtol=1e-9)


I = np.arange(1, 201)  # noqa: E741


def quasi(a: int) -> np.ndarray:
    """200 numbers in (0, 1), the same on every machine."""
    return (I * np.sqrt(a)) % 1.0


X, Z = 10 * quasi(2), I > 100
NUMBERS = np.where(Z, 15 + 10 * X - X**2, 5 * X) + 3 * stats.norm.ppf(quasi(3))
COUNTS = stats.poisson.ppf(quasi(5), np.exp(np.where(Z, 1 + 0.1 * X, 2 - 0.2 * X)))
TRIALS = stats.binom.ppf(quasi(7), 20, special.expit(np.where(Z, -2 + 0.3 * X, 2 - 0.5 * X)))
GATED = quasi(13) < special.expit(-2 + 4 * quasi(11))
GATED_NUMBERS = np.where(GATED, 15 + 10 * X - X**2, 5 * X) + 3 * stats.norm.ppf(quasi(3))


def best_of(model: Any, rows: np.ndarray, tries: int = 6) -> Any:
    fits = (
        dem.fit(
            model, rows, start=ElementalSets(), seed=seed, tol=1e-12, max_iter=2000,
            accelerate=QuasiNewton(),
        )
        for seed in range(tries)
    )  # fmt: skip
    return max(fits, key=lambda fit: fit.lower_bound)


def test_as_flexmix() -> None:
    """flexmix 2.3-18, the best of 8 starts, to 1e-12, on data like its NPreg.

    Its variances are divided by the rows less the coefficients, so that ours are a little more
    likely; the others are the same.
    """
    fit = best_of(Mixture(2, Regression(PoissonResponse())), np.column_stack([X, COUNTS]))
    assert 200 * fit.lower_bound == pytest.approx(-438.9847179, abs=2e-6)
    slopes, intercepts, _ = fit.model.family.outward(fit.params.components)
    order = np.argsort(intercepts)
    np.testing.assert_allclose(intercepts[order], [1.0074021952, 1.9532090482], atol=2e-4)
    np.testing.assert_allclose(slopes[order, 0], [0.1004660719, -0.1861283333], atol=2e-5)
    fit = best_of(Mixture(2, Regression(BinomialResponse(20))), np.column_stack([X, TRIALS]))
    assert 200 * fit.lower_bound == pytest.approx(-511.046986, abs=2e-6)
    slopes, intercepts, _ = fit.model.family.outward(fit.params.components)
    order = np.argsort(intercepts)
    np.testing.assert_allclose(intercepts[order], [-2.10204305, 2.1543774006], atol=2e-5)
    fit = best_of(Mixture(2, Regression()), np.column_stack([X, X**2, NUMBERS]))
    assert -616.4067355 <= 200 * fit.lower_bound <= -616.4067355 + 0.02
    gated = Concomitant(Mixture(2, Regression()), (0, 1))
    fit = best_of(gated, np.column_stack([X, X**2, GATED_NUMBERS]))
    assert -612.3964874 <= 200 * fit.lower_bound <= -612.3964874 + 0.02
    gate = gated.described(fit.params)
    turned = np.sign(gate["intercept"][1])
    assert turned * gate["intercept"][1] == pytest.approx(0.473, abs=5e-3)
    np.testing.assert_allclose(turned * gate["coef"][1], [-0.2816, 0.0292], atol=2e-3)


def test_the_gate_is_multinomial_logistic_regression() -> None:
    """Of the labels, where components are so far apart that there is no doubt of them."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(600, 2)) * [1, 30] + [5, 0]
    logits = (x - [5, 0]) / [1, 30] @ [[1.5, -1.0, 0.0], [0.0, 1.0, -0.5]] + [0.0, -1.0, -2.5]
    z = (logits + rng.gumbel(size=(600, 3))).argmax(axis=1)
    rows = np.column_stack([x, 1e4 * z + rng.normal(size=600)])
    model = Concomitant(Mixture(3, Regression()), (0, 1))
    start = model.start_from(Sample(rows, np.ones(600), True), np.eye(3)[:, z] + 1e-6)
    fit = dem.fit(
        model, rows, start=Given(start), tol=1e-13, max_iter=500, accelerate=QuasiNewton()
    )
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit((x - [5, 0]) / [1, 30], z)
    found = model.mixing(fit.params, x)
    np.testing.assert_allclose(found, theirs.predict_proba((x - [5, 0]) / [1, 30]), atol=2e-4)
    assert len(fit.history) < 60
    rows, labels = model.sample(fit.params, 3000, rng)
    assert np.bincount(labels) / 3000 == pytest.approx(fit.params.weights, abs=0.1)


@each
def test_collinear_and_constant_covariates(name: str) -> None:
    """Predictions are as without them, and nothing blows up."""
    rows = rows_of(RESPONSES[name])
    x, y = rows[:, :1], rows[:, -1:]
    more = np.hstack([x, 2 * x + 1, np.full_like(x, 7.0), y])
    fits = [
        dem.fit(
            Mixture(1, Regression(RESPONSES[name])), data, tol=1e-13, max_iter=300,
            accelerate=QuasiNewton(),
        )
        for data in (np.hstack([x, y]), more)
    ]  # fmt: skip
    assert fits[1].lower_bound == pytest.approx(fits[0].lower_bound, abs=1e-7)
    few, many = (
        fit.model.family.means(fit.params.components, data[:, :-1])
        for fit, data in zip(fits, (np.hstack([x, y]), more), strict=True)
    )
    np.testing.assert_allclose(many, few, rtol=1e-3)
    assert np.abs(fits[1].params.components.coefficients).max() < 100


@each
def test_a_component_without_rows_keeps_its_coefficients(name: str) -> None:
    rows = rows_of(RESPONSES[name])
    for model in (
        Mixture(2, Regression(RESPONSES[name])),
        Concomitant(Mixture(2, Regression(RESPONSES[name])), (0, 1)),
    ):
        r = np.stack([np.ones(len(rows)), np.zeros(len(rows))])
        params = model.start_from(Sample(rows, np.ones(len(rows)), True), r)
        after = climb(model, params, rows, 3)
        kept = after[-1].params.components.coefficients[1]
        np.testing.assert_array_equal(kept, params.components.coefficients[1])
        assert largest_fall(after) < 1e-9
        assert any("no rows are left" in text for text in model.diagnose(after[-1].params))


def test_huge_counts_and_counts_that_are_all_zero() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    huge = rng.poisson(np.exp(20 + 2 * x)).astype(float)
    model = Mixture(1, Regression(PoissonResponse()))
    steps = climb(model, begun(model, np.hstack([x, huge])), np.hstack([x, huge]), 30)
    slopes, intercepts, _ = model.family.outward(steps[-1].params.components)
    assert [slopes[0, 0], intercepts[0]] == pytest.approx([2.0, 20.0], abs=1e-4)
    assert largest_fall(steps) < 1e-6
    none = np.hstack([x, np.zeros_like(x)])
    steps = climb(model, begun(model, none), none, 5)
    assert steps[-1].bound == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(steps[-1].params.components.coefficients).all()


def test_covariates_that_tell_the_response_for_sure() -> None:
    x = np.linspace(-3, 3, 100)
    rows = np.column_stack([x, x > 0.1])
    model = Mixture(1, Regression(BinomialResponse()))
    steps = climb(model, begun(model, rows), rows, 200)
    assert largest_fall(steps) < 1e-12
    assert -0.03 < steps[-1].bound < 0


def test_residuals_far_smaller_than_the_response() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2)) + 1e3
    noise = rng.normal(size=500)
    design = np.column_stack([np.ones(500), x - 1e3])
    noise -= design @ np.linalg.lstsq(design, noise, rcond=None)[0]
    rows = np.column_stack([x, 1e6 * (x @ [1.0, -2.0]) + 1e8 + noise])
    model = Mixture(1, Regression())
    params = climb(model, begun(model, rows), rows, 4)[-1].params
    sigma = model.family.outward(params.components)[2]
    assert sigma[0] == pytest.approx(noise.std(), rel=1e-3)


def test_a_line_through_all_rows_of_a_component() -> None:
    x = np.arange(20.0)
    rows = np.column_stack([x, 3 * x + 1])
    model = Mixture(1, Regression())
    steps = climb(model, begun(model, rows), rows, 5)
    assert np.isfinite(steps[-1].bound)
    assert "variance is at its floor" in model.diagnose(steps[-1].params)[0]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("poisson", -1.0, "a count, a whole number from 0 on"),
        ("poisson", 1.5, "a count"),
        ("logistic", 2.0, "a whole number from 0 to 1"),
        ("binomial", 6.0, "a whole number from 0 to 5"),
    ],
)
def test_values_that_cannot_be(name: str, value: float, said: str) -> None:
    rows = rows_of(RESPONSES[name])
    model = Mixture(2, Regression(RESPONSES[name]))
    rows[17, 3] = value
    with pytest.raises(dem.DataError, match=rf"row 17, column 3.*{said}"):
        dem.fit(model, rows, start=ElementalSets())
    for bad in (np.nan, np.inf):
        rows = rows_of(RESPONSES[name])
        rows[33, 1] = bad
        with pytest.raises(dem.DataError, match="row 33, column 1"):
            dem.fit(model, rows, start=Given(begun(model, rows_of(RESPONSES[name]))))


def test_arguments_that_cannot_be() -> None:
    with pytest.raises(TypeError, match="response must be a Response"):
        Regression("poisson")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="intercept must be bool"):
        Regression(intercept=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="trials must be >= 1"):
        BinomialResponse(0)
    with pytest.raises(ValueError, match="columns must be"):
        Concomitant(Mixture(2, Regression()), (1, 1))
    with pytest.raises(ValueError, match="rows must be >= 1"):
        ElementalSets(0)
    family, rows = Regression(), rows_of(NormalResponse())
    params = begun(Mixture(2, family), rows).components
    family.check(params, 2)
    other = RegressionParams(params.coefficients[:, 1:], params.variances, params.frame)
    with pytest.raises(ValueError, match="coefficients have the shape"):
        family.check(other, 2)


def test_rows_that_a_model_draws_are_fitted_by_it() -> None:
    rows = rows_of(NormalResponse(), 2000)
    model = Mixture(2, Regression())
    fit = dem.fit(model, rows, start=ElementalSets(), tol=1e-9, accelerate=QuasiNewton())
    drawn, _ = model.sample(fit.params, 20_000, np.random.default_rng(0))
    stats_of = model.e_step(model.prepare(fit.params), drawn, None, Exact())
    again = model.m_step(fit.params, stats_of)
    for a, b in zip(
        model.family.outward(again.components), model.family.outward(fit.params.components),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(a, b, rtol=0.1, atol=0.05)


@each
def test_no_covariates_and_no_intercept(name: str) -> None:
    """A mean alone; and covariates that are far from 0, where nothing can be shifted."""
    response = RESPONSES[name]
    rows = rows_of(response, k=1)
    model = Mixture(1, Regression(response))
    fit = dem.fit(model, rows[:, 3:], tol=1e-12)
    means = model.family.means(fit.params.components, np.empty((1, 0)))
    assert means.item() == pytest.approx(rows[:, 3].mean(), rel=1e-5)
    far = np.column_stack([np.full(300, 1e9) + rows[:, 0], rows[:, 3]])
    model = Mixture(1, Regression(response, intercept=False))
    fit = dem.fit(model, far, tol=1e-12)
    means = model.family.means(fit.params.components, far[:, :1])
    assert means.mean() == pytest.approx(rows[:, 3].mean(), rel=1e-4)


def test_labels_beside_a_regression() -> None:
    """Any family does as a part of a product."""
    rows = rows_of(NormalResponse())
    labels = np.where(np.arange(300) % 5 == 0, rows[:, 0] > 0, -1.0)
    both = np.column_stack([rows, labels])
    family = Product(((Regression(), (0, 1, 2, 3)), (Label(), (4,))))
    check_model(Mixture(2, family), both, params=begun(Mixture(2, family), both))
