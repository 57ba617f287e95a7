"""Priors: closed forms, SciPy's densities and optimiser, and what they do without rows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

import dem
from dem.contract import Sample
from dem.models import Mixture, VariationalMixture
from dem.posteriors import Exact
from dem.priors import (
    BackgroundPrior,
    BetaPrior,
    DirichletMode,
    DirichletPrior,
    GammaPrior,
    NormalInverseGammaPrior,
    NormalInverseWishartPrior,
    WithPrior,
    relevance,
)
from dem.starts import Given
from dem.testing import check_model
from mixtures import FORMS, climb, problem, start

RNG = np.random.default_rng(3)
N = 90
BINARY = (RNG.random((N, 2)) < [0.2, 0.97]).astype(float)
COUNTS = RNG.poisson([0.3, 4.0], (N, 2)).astype(float)
WAITS = RNG.exponential([2.0, 0.1], (N, 2))
CODES = RNG.integers(0, [2, 3], (N, 2)).astype(float)
NUMBERS = RNG.normal(size=(N, 2)) @ [[1.0, 0.7], [0.0, 30.0]] + [5.0, -100.0]
SCALES = {
    "full": np.array([[2.0, 3.0], [3.0, 900.0]]),
    "tied": np.array([[2.0, 3.0], [3.0, 900.0]]),
    "diag": np.array([2.0, 900.0]),
    "spherical": 500.0,
}


def wishart(form: str) -> NormalInverseWishartPrior:
    return NormalInverseWishartPrior([4.0, -90.0], 2.0, 5.0, SCALES[form])


def gaussian(form: str) -> WithPrior:
    return WithPrior(dem.Gaussian(FORMS[form]), wishart(form))


CASES: dict[str, tuple[WithPrior, np.ndarray]] = {
    "beta": (WithPrior(dem.Bernoulli(), BetaPrior(2.0, (3.0, 1.5))), BINARY),
    "poisson": (WithPrior(dem.Poisson(), GammaPrior((1.0, 3.0), 2.0)), COUNTS),
    "exponential": (WithPrior(dem.Exponential(), GammaPrior(3.0, (1.0, 0.2))), WAITS),
    "categorical": (WithPrior(dem.Categorical((2, 3)), DirichletPrior((1, 2, 3, 1, 5))), CODES),
    "multinomial": (WithPrior(dem.Multinomial(), DirichletPrior(2.5)), COUNTS),
    "normal": (
        WithPrior(dem.Normal(), NormalInverseGammaPrior((4.0, -90.0), 2.0, 3.0, (2.0, 900.0))),
        NUMBERS,
    ),
    "log-normal": (WithPrior(dem.LogNormal(), NormalInverseGammaPrior(0.0, 1, 2.0, 0.5)), WAITS),
    **{form: (gaussian(form), NUMBERS) for form in FORMS},
}
cases = pytest.mark.parametrize("name", CASES)


def one(name: str, rows: Any = None) -> tuple[WithPrior, Any, Any]:
    """The family, and the parameters and statistics after an M-step with one component."""
    family, own = CASES[name]
    model = Mixture(1, family)
    params = start(model, own)
    found = model.e_step(model.prepare(params), own if rows is None else rows, None, Exact())
    return family, family.maximise(params.components, found.sums), found.sums


@cases
def test_every_law(name: str) -> None:
    family, rows = CASES[name]
    w = np.random.default_rng(0).gamma(2.0, size=N)
    model = VariationalMixture(2, family, DirichletMode(1.5))
    check_model(model, rows, weights=w, posteriors=[Exact()], turns=3, skip=["bitwise"])


def expected(name: str) -> dict[str, np.ndarray]:
    """The modes of the posterior, from the textbook."""
    x, n = CASES[name][1], N
    if name == "beta":
        a, b = 2.0, np.array([3.0, 1.5])
        return {"probabilities": (x.sum(0) + a - 1) / (n + a + b - 2)}
    if name == "poisson":
        return {"rates": (x.sum(0) + np.array([1.0, 3.0]) - 1) / (n + 2.0)}
    if name == "exponential":
        return {"means": (x.sum(0) + np.array([1.0, 0.2])) / (n + 3.0 - 1)}
    if name == "categorical":
        seen = np.concatenate([np.bincount(c.astype(int)) for c in x.T])
        counts = seen + np.array([0, 1, 2, 0, 4])
        return {"probabilities": counts / np.repeat([n + 1, n + 6], [2, 3])}
    if name == "multinomial":
        return {"probabilities": (x.sum(0) + 1.5) / (x.sum() + 3.0)}
    if name in ("normal", "log-normal"):
        m, kappa, a, b = (
            (np.array([4.0, -90.0]), 2.0, 3.0, np.array([2.0, 900.0]))
            if name == "normal"
            else (0.0, 1.0, 2.0, 0.5)
        )
        y = x if name == "normal" else np.log(x)
        mean = (kappa * m + y.sum(0)) / (kappa + n)
        scatter = ((y - mean) ** 2).sum(0) + kappa * (mean - m) ** 2
        return {"means": mean, "variances": (scatter / 2 + b) / (n / 2 + a + 1.5)}
    m, kappa, df = np.array([4.0, -90.0]), 2.0, 5.0
    mean = (kappa * m + x.sum(0)) / (kappa + n)
    scatter = (x - mean).T @ (x - mean) + kappa * np.outer(mean - m, mean - m)
    if name in ("full", "tied"):
        return {"means": mean, "covariances": (scatter + SCALES[name]) / (n + df + 4)}
    diagonal = (np.diag(scatter) + SCALES[name]) / (n + df + 4)
    return {"means": mean, "covariances": diagonal if name == "diag" else diagonal.mean()}


@cases
def test_the_mode_of_one_component(name: str) -> None:
    family, params, _ = one(name)
    found = family.described(params)
    for key, value in expected(name).items():
        own = found[key] if name == "tied" and key == "covariances" else found[key][0]
        np.testing.assert_allclose(own, value, rtol=1e-9, atol=1e-12, err_msg=key)


@cases
def test_no_optimiser_finds_more(name: str) -> None:
    """SciPy's, from a little way off: in coordinates without bounds, up to rounding."""
    family, params, sums = one(name)
    flat = family.flatten(params)

    def loss(vector: np.ndarray) -> float:
        return -family.expected_log_density(family.unflatten(vector, params), sums)

    found = optimize.minimize(loss, flat + 0.05 * RNG.normal(size=flat.shape), method="BFGS")
    assert loss(flat) <= found.fun + 1e-9 * abs(found.fun)
    assert found.fun == pytest.approx(loss(flat), abs=1e-5)


@cases
def test_without_rows_there_is_the_mode_of_the_prior(name: str) -> None:
    family, params, sums = one(name, CASES[name][1][:0])
    value = family.expected_log_density(params, sums)
    assert value == family.prior.log_density(family.family, params)
    for _ in range(20):
        flat = family.flatten(params) + 0.3 * RNG.normal(size=family.flatten(params).shape)
        other = family.prior.log_density(family.family, family.unflatten(flat, params))
        assert other <= value + 1e-6


def test_log_densities_are_scipys() -> None:
    found = {name: one(name)[:2] for name in CASES}
    values = {name: family.described(params) for name, (family, params) in found.items()}
    p = values["categorical"]["probabilities"][0]
    covariance, mean = values["full"]["covariances"][0], values["full"]["means"][0]
    variances, means = values["normal"]["variances"][0], values["normal"]["means"][0]
    m = np.array([4.0, -90.0])
    scipys = {
        "beta": stats.beta.logpdf(values["beta"]["probabilities"], 2.0, [3.0, 1.5]).sum(),
        "poisson": stats.gamma.logpdf(values["poisson"]["rates"], [1.0, 3.0], scale=0.5).sum(),
        "exponential": stats.gamma.logpdf(
            1 / values["exponential"]["means"], 3.0, scale=[1.0, 5.0]
        ).sum(),
        "categorical": stats.dirichlet.logpdf(p[:2], [1, 2])
        + stats.dirichlet.logpdf(p[2:], [3, 1, 5]),
        "multinomial": stats.dirichlet.logpdf(
            values["multinomial"]["probabilities"][0], [2.5, 2.5]
        ),
        "normal": stats.invgamma.logpdf(variances, 3.0, scale=[2.0, 900.0]).sum()
        + stats.norm.logpdf(means, m, np.sqrt(variances / 2)).sum(),
        "full": stats.invwishart.logpdf(covariance, 5.0, SCALES["full"])
        + stats.multivariate_normal.logpdf(mean, m, covariance / 2),
    }
    for name, value in scipys.items():
        family, params = found[name]
        ours = family.prior.log_density(family.family, params)
        assert ours == pytest.approx(value, rel=1e-9), name
    weights = np.array([0.2, 0.5, 0.3])
    ours = -DirichletMode(2.5).divergence(2 * weights)
    assert ours == pytest.approx(stats.dirichlet.logpdf(weights, [2.5] * 3), rel=1e-12)


@pytest.mark.parametrize(
    ("family", "prior", "rows"),
    [
        (dem.Bernoulli(), BetaPrior(1.0, 1.0), BINARY),
        (dem.Categorical((2, 3)), DirichletPrior(1.0), CODES),
        (dem.Multinomial(), DirichletPrior(1.0), COUNTS),
    ],
    ids=["bernoulli", "categorical", "multinomial"],
)
def test_flat_priors_change_no_bit(family: Any, prior: Any, rows: np.ndarray) -> None:
    plain = Mixture(2, family)
    flat = VariationalMixture(2, WithPrior(family, prior), DirichletMode())
    first = start(plain, rows)
    begin = flat._params(first.weights, first.components)
    a, b = climb(plain, first, rows, 5)[-1], climb(flat, begin, rows, 5)[-1]
    np.testing.assert_array_equal(a.params.weights, b.params.weights)
    np.testing.assert_array_equal(
        a.params.components.probabilities, b.params.components.probabilities
    )


def test_missing_values_and_a_product() -> None:
    """A column that nobody has seen is as the prior has it; a part of a product has its own."""
    rows = np.hstack([BINARY, NUMBERS])
    rows[:, 1] = np.nan
    normal = CASES["normal"][0]
    parts = ((WithPrior(dem.Bernoulli(), BetaPrior(3.0, 2.0)), (0, 1)), (normal, (2, 3)))
    model = Mixture(1, dem.Product(parts))
    assert model.missing
    fitted = dem.fit(model, rows)
    first = fitted.params.components.parts[0].probabilities[0]
    np.testing.assert_allclose(first, [(BINARY[:, 0].sum() + 2) / (N + 3), 2 / 3], rtol=1e-9)
    halves = [b for r in fitted.history for b in (r.bound_e, r.bound)]
    assert (np.diff(halves) >= -1e-12).all()


def test_a_prior_keeps_a_component_from_collapsing() -> None:
    here = problem("full", 12, 3, 4, seed=0)
    bare = dem.fit(here.model, here.rows, max_iter=300)
    prior = NormalInverseWishartPrior(np.zeros(3), 0.01, 5.0, np.eye(3))
    held = dem.fit(Mixture(4, WithPrior(here.model.family, prior)), here.rows, max_iter=300)
    assert any("floor" in fault for fault in bare.degenerate)
    assert held.degenerate == ()


def background() -> tuple[Mixture, Any, np.ndarray]:
    here = problem("full", 300, 2, 3, seed=2)
    return here.model, dem.fit(here.model, here.rows).params, here.rows[:80] * 1.3 + 1.0


def test_relevance_adaptation() -> None:
    """The formulas of Reynolds, Quatieri and Dunn, for means alone and with covariances."""
    model, params, rows = background()
    r = model.posterior(model.prepare(params), rows)
    n, (old, covariances, _) = r.sum(0), model.family.outward(params.components)
    alpha = (n / (n + 16.0))[:, None]
    means = alpha * (r.T @ rows / n[:, None]) + (1 - alpha) * old
    fitted = dem.fit(relevance(model, params), rows, start=Given(params), max_iter=1)
    got, same, _ = model.family.outward(fitted.params.components)
    np.testing.assert_allclose(got, means, rtol=1e-9)
    np.testing.assert_array_equal(same, covariances)
    np.testing.assert_array_equal(fitted.params.weights, params.weights)

    every = dem.fit(relevance(model, params, 16.0, ()), rows, start=Given(params), max_iter=1)
    seconds = np.einsum("nk,ni,nj->kij", r, rows, rows) / n[:, None, None]
    before = covariances + np.einsum("ki,kj->kij", old, old)
    a = alpha[:, :, None]
    both = a * seconds + (1 - a) * before - np.einsum("ki,kj->kij", means, means)
    _, new, _ = model.family.outward(every.params.components)
    np.testing.assert_allclose(new, both, rtol=1e-8, atol=1e-9)


def test_relevance_without_rows_or_without_a_factor() -> None:
    model, params, rows = background()
    for form in FORMS:
        own = Mixture(3, dem.Gaussian(FORMS[form]))
        first = dem.fit(own, rows, max_iter=5).params
        adapted: Any = relevance(own, first, 1e9, ())
        blank = own.e_step(own.prepare(first), rows[:0], None, Exact())
        stays = adapted.model.family.maximise(first.components, blank.sums)
        np.testing.assert_allclose(stays.means, first.components.means, rtol=1e-9)
        np.testing.assert_allclose(stays.covariances, first.components.covariances, rtol=1e-9)
    free, plain = (
        dem.fit(m, rows, start=Given(params), max_iter=5, tol=0.0)
        for m in (relevance(model, params, 0.0, ()), model)
    )
    np.testing.assert_allclose(free.params.components.means, plain.params.components.means, 1e-9)


def test_every_law_of_adaptation() -> None:
    model, params, rows = background()
    for frozen in ((), ("weights", "components.covariances", "components.roots")):
        check_model(
            relevance(model, params, 5.0, frozen), rows, params=params, posteriors=[Exact()],
            turns=3, skip=["bitwise"],
        )  # fmt: skip


def test_saved_and_loaded(tmp_path: Path) -> None:
    for i, (family, rows) in enumerate(CASES.values()):
        model = VariationalMixture(2, family, DirichletMode(2.0))
        fitted = dem.fit(model, rows, max_iter=2)
        dem.save(fitted, tmp_path / str(i))
        back: Any = dem.load(tmp_path / str(i))
        assert back.model == model
    model, params, rows = background()
    fitted = dem.fit(relevance(model, params), rows, start=Given(params), max_iter=2)
    dem.save(fitted, tmp_path / "adapted")
    back = dem.load(tmp_path / "adapted")
    assert back.model.model.family.prior.rows == 16.0


def of_rows(family: Any, rows: np.ndarray = NUMBERS) -> Any:
    return family.maximise(*_one_step(family, rows))


def _one_step(family: Any, rows: np.ndarray) -> tuple[Any, Any]:
    sample = Sample.of(rows, np.ones(len(rows)), complete=True)
    params = family.start(sample, np.ones((1, len(rows))))
    prepared = family.prepare(params, np.zeros(1))
    return params, Mixture(1, family).e_step(prepared, rows, None, Exact()).sums


REFUSED: list[tuple[Any, type[Exception], str]] = [
    (lambda: WithPrior(dem.Gaussian(), BetaPrior(1, 1)), TypeError, "a BetaPrior is a prior for B"),
    (lambda: WithPrior(dem.Gamma(), GammaPrior(1, 1)), TypeError, "Poisson and Exponential, not f"),
    (lambda: WithPrior(dem.Gaussian(), 1.0), TypeError, "prior must be a Prior"),
    (lambda: WithPrior("x", BetaPrior(1, 1)), TypeError, "family must be a Family"),
    (lambda: BetaPrior(0.5, 1), ValueError, r"a must be >= 1\.0, got 0\.5"),
    (lambda: GammaPrior(2.0, 0.0), ValueError, r"rate must be positive, got 0\.0"),
    (lambda: DirichletPrior((2.0, "a")), TypeError, "concentration must be float, got str"),
    (lambda: DirichletMode(0.9), ValueError, "concentration must be >= 1"),
    (lambda: NormalInverseGammaPrior(np.nan, 1, 1, 1), ValueError, "mean must be"),
    (lambda: BackgroundPrior(one("full")[1], -1.0), ValueError, "rows must be >= 0"),
    (
        lambda: of_rows(WithPrior(dem.Bernoulli(), BetaPrior((1, 2, 3), 1)), BINARY),
        ValueError,
        "numbers for 3 columns, there are 2",
    ),
    (
        lambda: of_rows(replace(CASES["full"][0], prior=wishart("diag"))),
        ValueError,
        r"covariance has the shape \(2,\), not \(2, 2\)",
    ),
    (
        lambda: of_rows(replace(CASES["full"][0], prior=replace(wishart("full"), mean=[1.0]))),
        ValueError,
        r"mean has the shape \(1,\), not \(2,\)",
    ),
    (
        lambda: of_rows(
            replace(CASES["full"][0], prior=replace(wishart("full"), degrees_of_freedom=0.5))
        ),
        ValueError,
        "degrees_of_freedom must be greater than 1",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED, ids=[r[2][:40] for r in REFUSED])
def test_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
