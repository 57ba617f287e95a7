"""Covariances of few factors: laws, closed forms, numerical maxima, mixtures."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.decomposition import PCA

import dem
from dem.contract import Sample
from dem.families import Factors, Full, Gaussian, Principal
from dem.kernels.factors import Profile, best_common_factors, common_factors, principal_axes
from dem.kernels.normal import pack
from dem.models.mixture import Mixture
from dem.posteriors import Exact
from dem.schedules import Incremental, Once
from dem.testing import check_model
from mixtures import problem

Array = np.ndarray
RNG = np.random.default_rng(3)
FORMS: list[Any] = [Factors(1), Factors(2), Principal(1), Principal(3)]


def scatter(d: int = 6, seed: int = 0) -> Array:
    """A covariance that is of no few factors."""
    mixing = np.random.default_rng(seed).normal(size=(d, d)) / 2
    return np.asarray(np.eye(d) + mixing @ mixing.T)


def cost(matrix: Array, w: Array, noise: Array | float) -> float:
    """log |Σ| + tr(S Σ⁻¹)."""
    sigma = w @ w.T + noise * np.eye(len(matrix))
    return float(np.linalg.slogdet(sigma)[1] + np.trace(np.linalg.solve(sigma, matrix)))


@pytest.mark.parametrize(
    ("form", "k"), [(Factors(1), 1), (Factors(2), 2), (Principal(1), 2), (Principal(3), 1)]
)
def test_every_law(form: Any, k: int) -> None:
    here = problem("full", 120, 5, 2, seed=4)
    check_model(Mixture(k, Gaussian(form)), here.rows, weights=here.weights, posteriors=(Exact(),))


@pytest.mark.parametrize("form", [Factors(1), Principal(2)], ids=lambda form: form.name)
def test_every_law_with_missing_values(form: Any) -> None:
    rows = problem("full", 120, 4, 2, seed=4).rows
    gaps = np.where(np.random.default_rng(0).random(rows.shape) < 0.2, np.nan, rows)
    check_model(Mixture(2, Gaussian(form, missing=True)), gaps, posteriors=(Exact(),))


def test_slopes_of_the_profile_are_those_of_its_cost() -> None:
    matrix, theta, step = scatter(), RNG.normal(size=6) / 3, 1e-5

    def at(change: Array) -> Profile:
        return Profile.of(matrix, np.exp(theta + change), 2)

    here, apart = at(np.zeros(6)), step * np.eye(6)
    slopes = [(at(v).cost - at(-v).cost) / (2 * step) for v in apart]
    bends = [(at(v).gradient - at(-v).gradient) / (2 * step) for v in apart]
    np.testing.assert_allclose(here.gradient, slopes, atol=1e-8)
    np.testing.assert_allclose(here.curvature, bends, atol=1e-7)
    assert here.cost == pytest.approx(cost(matrix, here.w, np.exp(theta)), rel=1e-12)


@pytest.mark.parametrize("q", [1, 2, 3])
def test_no_numerical_minimiser_finds_better_factors(q: int) -> None:
    matrix = scatter()

    def of(vector: Array) -> float:
        return cost(matrix, vector[6:].reshape(6, q), np.exp(vector[:6]))

    best = min(minimize(of, RNG.normal(size=6 + 6 * q)).fun for _ in range(3))
    w, noise = best_common_factors(matrix, q, 100)
    assert cost(matrix, w, noise) <= best + 1e-9
    assert cost(matrix, w, noise) == pytest.approx(best, abs=1e-5)


def test_common_factors_are_never_worse_than_those_to_begin_with() -> None:
    """Whatever the noise to begin with, in data that have columns without noise (Heywood)."""
    matrix = np.cov(load_iris().data.T)
    for _ in range(30):
        noise = np.diag(matrix) * np.exp(RNG.normal(size=4) * 4 - 4)
        before = Profile.of(matrix, noise, 2)
        for turns in (1, 3, 50):
            w, found = common_factors(matrix, noise, 2, turns)
            assert cost(matrix, w, found) <= before.cost + 1e-9 * abs(before.cost)


def test_two_starts_find_what_one_does_not() -> None:
    """A maximum 0.9 nats per row above that which EM comes to from equal variances."""
    x = load_breast_cancer().data
    matrix = np.corrcoef(x.T)
    one = cost(matrix, *common_factors(matrix, np.ones(30), 3, 200))
    best = cost(matrix, *best_common_factors(matrix, 3, 200))
    assert best < one - 1


@pytest.mark.parametrize("q", [1, 2, 4])
def test_principal_axes_have_a_closed_form(q: int) -> None:
    """σ² is the mean of the eigenvalues left out, and so is the likelihood known."""
    matrix, d = scatter(), 6
    values = np.sort(np.linalg.eigvalsh(matrix))[::-1]
    w, left = principal_axes(matrix, q)
    assert left == pytest.approx(values[q:].mean(), rel=1e-12)
    known = np.log(values[:q]).sum() + (d - q) * np.log(left) + d
    assert cost(matrix, w, left) == pytest.approx(known, rel=1e-12)


def test_one_component_is_probabilistic_pca() -> None:
    x, q = load_breast_cancer().data, 3
    fit = dem.fit(Mixture(1, Gaussian(Principal(q))), x, schedule=Once(), tol=0.0, max_iter=3)
    theirs = PCA(q).fit(x)
    n = len(x)
    theirs.explained_variance_ *= (n - 1) / n  # by maximum likelihood
    theirs.noise_variance_ *= (n - 1) / n
    assert fit.lower_bound == pytest.approx(theirs.score(x), rel=1e-9)
    assert fit.n_passes == 2  # the sample, which is all of the rows, and one read


def test_mixtures_climb_and_find_flat_clusters() -> None:
    """Three planes in eight dimensions."""
    rng = np.random.default_rng(0)
    planes = rng.normal(size=(3, 2, 8)) * 2
    means = rng.normal(size=(3, 8)) * 4
    h = rng.integers(3, size=3000)
    z = rng.normal(size=(3000, 2))
    x = means[h] + np.einsum("nq,nqd->nd", z, planes[h]) + rng.normal(size=(3000, 8)) * 0.3
    for form in (Factors(2), Principal(2)):
        own = dem.GaussianMixture(3, covariance_type=form, random_state=0, reg_covar=0).fit(x)
        full = dem.GaussianMixture(3, random_state=0, reg_covar=0).fit(x)
        assert own.n_parameters_ < full.n_parameters_
        assert own.bic(x) < full.bic(x)
        bounds = [b for turn in own.history_ for b in (turn.bound_e, turn.bound)]
        assert (np.diff(bounds) > -1e-9).all()
        shared = np.array([[(own.predict(x) == k) & (h == j) for j in range(3)] for k in range(3)])
        assert shared.sum(axis=2).max(axis=1).sum() > 2990


def test_group_by_group_as_well() -> None:
    here = problem("full", 4000, 5, 3, seed=1)
    fits = [
        dem.fit(Mixture(3, Gaussian(Factors(2))), here.rows, schedule=schedule, seed=2,
                max_iter=60, tol=1e-8)
        for schedule in (Incremental(4), dem.FullBatch())
    ]  # fmt: skip
    assert fits[0].lower_bound == pytest.approx(fits[1].lower_bound, abs=0.05)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_free_parameters(form: Any) -> None:
    """As many as the rank of what θ does to Σ, which rotations do not change."""
    d, q, step = 7, form.q, 1e-6
    own = 1 if isinstance(form, Principal) else d
    theta = RNG.normal(size=d * q + own)

    def sigma(vector: Array) -> Array:
        w = vector[: d * q].reshape(d, q)
        return pack(w @ w.T + np.exp(vector[d * q :]) * np.eye(d))

    jacobian = [
        (sigma(theta + v) - sigma(theta - v)) / (2 * step) for v in step * np.eye(len(theta))
    ]
    assert form.n_parameters(3, d) == 3 * np.linalg.matrix_rank(np.array(jacobian), tol=1e-5)


def test_never_more_free_parameters_than_full_covariances_have() -> None:
    assert Factors(4).n_parameters(2, 5) == Full().n_parameters(2, 5)


@pytest.mark.parametrize("form", [Factors(2), Principal(2)], ids=lambda form: form.name)
def test_given_covariances_are_taken_as_near_as_may_be(form: Any) -> None:
    """Those that are of the form come back as they were."""
    w, noise = RNG.normal(size=(5, 2)), np.full(5, 0.3)
    matrix = (w @ w.T + np.diag(noise))[None]
    scale = np.ones(5) if form.uniform else np.array([1.0, 4.0, 0.5, 1.0, 8.0])
    inside = form.inward(matrix, scale)
    np.testing.assert_allclose(form.outward(inside, scale), matrix, rtol=1e-6)
    loadings, left = form.split(inside, scale)
    np.testing.assert_allclose(left[0], noise, rtol=1e-5)
    np.testing.assert_allclose(loadings[0] @ loadings[0].T, w @ w.T, atol=1e-5)


def test_what_cannot_be() -> None:
    sample, r = Sample(RNG.normal(size=(50, 3)), np.ones(50), True), np.ones((1, 50))
    for form, most in ((Factors(4), 3), (Principal(3), 2)):
        with pytest.raises(ValueError, match=f"q is at most {most} with 3 columns"):
            Gaussian(form).start(sample, r)
    with pytest.raises(ValueError, match="q must be >= 1"):
        Factors(0)
    with pytest.raises(TypeError, match="for models with fixed statistics"):
        dem.fit(Mixture(2, Gaussian()), RNG.normal(size=(50, 3)), schedule=Once())
    with pytest.raises(TypeError, match="for models with fixed statistics"):
        dem.fit(Mixture(1, Gaussian(missing=True)), RNG.normal(size=(50, 3)), schedule=Once())


def test_a_component_on_one_point_is_reported() -> None:
    rows = np.concatenate([RNG.normal(size=(200, 3)), np.full((50, 3), 40.0)])
    for form in (Factors(1), Principal(1)):
        fit = dem.fit(Mixture(2, Gaussian(form)), rows, max_iter=50, tol=0.0)
        assert np.isfinite([turn.bound for turn in fit.history]).all()
        assert "variance is at its floor" in fit.degenerate[0]
