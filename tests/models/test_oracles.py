"""Gaussian mixtures against scikit-learn, closed forms, enumeration and published numbers."""

import warnings
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Theirs

import dem
from dem.families import Gaussian
from dem.models.mixture import Mixture, MixtureParams
from dem.posteriors import Hard
from mixtures import FORMS, climb, problem, start

RNG = np.random.default_rng(8)
BLOBS = np.concatenate(
    [
        RNG.normal(size=(250, 4)) @ RNG.normal(size=(4, 4)),
        RNG.normal(size=(350, 4)) @ RNG.normal(size=(4, 4)) + 3,
    ]
)
DATA = {
    "blobs": BLOBS,
    "iris": load_iris().data,
    "wine": load_wine().data[:, [0, 5, 12]],  # columns of scales 1 and 1 000
    "digits": load_digits().data[:, [20, 28, 36, 43]],
}
TYPES = ("full", "tied", "diag", "spherical")


def dense(form: str, values: np.ndarray, k: int, d: int) -> np.ndarray:
    """Covariances or precisions as K matrices (K, D, D)."""
    if form in ("full", "tied"):
        return np.broadcast_to(values, (k, d, d))
    return np.stack([np.diag(np.broadcast_to(v, d)) for v in values])


def given(form: str, rows: np.ndarray, k: int) -> dict[str, Any]:
    """A start of rough weights, means and precisions, as both estimators take it."""
    d, rng = rows.shape[1], np.random.default_rng(3)
    variances = rows.var(axis=0) * np.exp(0.3 * rng.normal(size=(k, d)))
    precisions = {
        "full": np.stack([np.diag(1 / v) for v in variances]),
        "tied": np.diag(1 / variances[0]),
        "diag": 1 / variances,
        "spherical": 1 / variances.mean(axis=1),
    }[form]
    return {
        "weights_init": np.arange(1.0, k + 1) / np.arange(1.0, k + 1).sum(),
        "means_init": rows[rng.choice(len(rows), k, replace=False)],
        "precisions_init": precisions,
    }


def fitted(kind: Any, form: str, rows: Any, k: int, turns: int, **options: Any) -> Any:
    weight = options.pop("sample_weight", None)
    options = {**given(form, rows, k), **options}
    if kind is dem.GaussianMixture:
        options["schedule"] = "batch"
    model = kind(k, covariance_type=form, max_iter=turns, tol=0.0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows) if weight is None else model.fit(rows, sample_weight=weight)


def same(ours: Any, theirs: Any, rows: np.ndarray, rtol: float = 1e-8) -> None:
    """Equal to 1e-8: weights absolutely, means and covariances in units of the data's spread."""
    spread = rows.std(axis=0)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=rtol, atol=rtol)
    assert (np.abs(ours.means_ - theirs.means_) <= rtol * spread).all()
    k, d = ours.means_.shape
    ours_, theirs_ = (dense(m.covariance_type, m.covariances_, k, d) for m in (ours, theirs))
    assert (np.abs(ours_ - theirs_) <= rtol * np.outer(spread, spread)).all()
    ours_, theirs_ = (dense(m.covariance_type, m.precisions_, k, d) for m in (ours, theirs))
    size = np.sqrt(np.einsum("kii->ki", theirs_))
    assert (np.abs(ours_ - theirs_) <= 100 * rtol * size[:, :, None] * size[:, None, :]).all()
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=rtol, atol=rtol)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=rtol, abs=rtol)


@pytest.mark.parametrize("turns", [1, 2, 10])
@pytest.mark.parametrize("form", TYPES)
@pytest.mark.parametrize("name", DATA)
def test_scikit_learn_from_the_same_start(name: str, form: str, turns: int) -> None:
    rows, k = DATA[name], 3
    ours, theirs = (fitted(kind, form, rows, k, turns) for kind in (dem.GaussianMixture, Theirs))
    assert ours.n_iter_ == theirs.n_iter_ == len(ours.lower_bounds_) == turns
    same(ours, theirs, rows)
    np.testing.assert_allclose(ours.score_samples(rows), theirs.score_samples(rows), atol=1e-7)
    np.testing.assert_allclose(ours.predict_proba(rows), theirs.predict_proba(rows), atol=1e-7)
    for criterion in ("bic", "aic", "score"):
        value = getattr(theirs, criterion)(rows)
        assert getattr(ours, criterion)(rows) == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize("form", TYPES)
@pytest.mark.parametrize("name", ["blobs", "wine"])
def test_weights_are_repetition(name: str, form: str) -> None:
    """Of scikit-learn's rows too: it knows no weights."""
    rows = DATA[name]
    counts = np.random.default_rng(2).integers(0, 4, len(rows))
    counts[0] = 0
    start = given(form, rows, 2)
    ours = fitted(dem.GaussianMixture, form, rows, 2, 10, sample_weight=counts, **start)
    repeated = np.repeat(rows, counts, axis=0)
    for kind in (Theirs, dem.GaussianMixture):
        same(ours, fitted(kind, form, repeated, 2, 10, **start), rows)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("form", TYPES)
def test_one_component_is_the_closed_form(form: str, weighted: bool) -> None:
    rows = DATA["wine"]
    w = np.random.default_rng(0).gamma(1.0, size=len(rows)) if weighted else None
    mean = np.average(rows, axis=0, weights=w)
    covariance = np.cov(rows.T, aweights=w, ddof=0)
    variances = np.diag(covariance)
    expected = {
        "full": covariance[None],
        "tied": covariance,
        "diag": variances[None],
        "spherical": variances.mean(keepdims=True),
    }[form]
    ours = dem.GaussianMixture(1, covariance_type=form, reg_covar=0.0).fit(rows, sample_weight=w)
    np.testing.assert_allclose(ours.weights_, [1.0], rtol=1e-14)
    np.testing.assert_allclose(ours.means_, mean[None], rtol=1e-12)
    np.testing.assert_allclose(ours.covariances_, expected, rtol=1e-10)
    # −½ (D log 2π + log |Σ| + D) per row, for any form at its maximum.
    log_det = np.linalg.slogdet(dense(form, expected, 1, 3)[0])[1]
    best = -(3 * np.log(2 * np.pi) + log_det + 3) / 2
    assert ours.lower_bound_ == pytest.approx(best, rel=1e-12)
    assert ours.score(rows, sample_weight=w) == pytest.approx(best, rel=1e-12)


def enumerated(
    form: str, model: Any, params: Any, rows: np.ndarray, w: np.ndarray
) -> tuple[float, float, np.ndarray]:
    """(E_q[log p(h, v)], H(q), Σ w q) from the joint probability of every assignment h of rows."""
    k, d = params.components.means.shape
    means, covariances, _ = model.family.outward(params.components)
    covariances = dense(form, covariances, k, d)
    density = np.stack(
        [
            p * multivariate_normal(m, c).pdf(rows)
            for p, m, c in zip(params.weights, means, covariances, strict=True)
        ],
        axis=1,
    )
    every = np.array(list(product(range(k), repeat=len(rows))))
    at = density[np.arange(len(rows)), every]
    q = at.prod(axis=1) / at.prod(axis=1).sum()  # p(h | v) of whole assignments
    marginals = np.stack([q @ (every == j) for j in range(k)], axis=1)
    log_q = np.log(np.stack([marginals[i, every[:, i]] for i in range(len(rows))], axis=1))
    return q @ np.log(at) @ w, -(q @ log_q @ w), marginals.T @ w


@pytest.mark.parametrize("form", TYPES)
def test_enumeration_of_every_assignment(form: str) -> None:
    """Five rows, three components: 243 assignments of the whole data."""
    here = problem(form, 60, 2, 3, seed=1)
    params = start(here.model, here.rows)
    rows, w = here.rows[:5], here.weights[:5]
    stats = here.model.e_step(here.model.prepare(params), rows, w, dem.Exact())
    joint, entropy, shares = enumerated(form, here.model, params, rows, w)
    assert here.model.expected_log_joint(params, stats) == pytest.approx(joint, rel=1e-10)
    assert stats.entropy == pytest.approx(entropy, rel=1e-10)
    np.testing.assert_allclose(stats.sums.weight, shares, rtol=1e-10)
    log_prob = here.model.log_prob(here.model.prepare(params), rows)
    assert w @ log_prob == pytest.approx(joint + entropy, rel=1e-10)


@pytest.mark.parametrize("form", TYPES)
def test_hard_posterior_is_the_best_assignment(form: str) -> None:
    """Of all 243, the one with the largest log p(h, v)."""
    here = problem(form, 60, 2, 3, seed=2)
    params = start(here.model, here.rows)
    rows, k = here.rows[:5], 3
    stats = here.model.e_step(here.model.prepare(params), rows, None, Hard())
    means, covariances, _ = here.model.family.outward(params.components)
    logs = np.stack(
        [
            np.log(p) + multivariate_normal(m, c).logpdf(rows)
            for p, m, c in zip(params.weights, means, dense(form, covariances, k, 2), strict=True)
        ]
    )
    best = max(logs[list(h), range(5)].sum() for h in product(range(k), repeat=5))
    assert here.model.expected_log_joint(params, stats) == pytest.approx(best, rel=1e-10)


@pytest.mark.parametrize("form", TYPES)
def test_samples_have_the_moments(form: str) -> None:
    here = problem(form, 500, 3, 3, seed=5)
    model, n = here.model, 60_000
    params = climb(model, start(model, here.rows), here.rows, 5)[-1].params
    rows, labels = model.sample(params, n, np.random.default_rng(0))
    assert rows.shape == (n, 3)
    assert (np.diff(labels) >= 0).all()
    means, covariances, _ = model.family.outward(params.components)
    matrices = dense(form, covariances, 3, 3)
    np.testing.assert_allclose(np.bincount(labels) / n, params.weights, atol=5 * 0.5 / n**0.5)
    for j, (mean, covariance) in enumerate(zip(means, matrices, strict=True)):
        mine = rows[labels == j]
        z = np.linalg.solve(np.linalg.cholesky(covariance), (mine - mean).T)
        m = len(mine)
        assert np.abs(z.mean(axis=1)).max() < 5 / m**0.5
        assert np.abs(z @ z.T / m - np.eye(3)).max() < 5 * (2 / m) ** 0.5
    # The mean of −log p over samples is the entropy, and log p that of the generating parameters.
    mean, other = (
        model.log_prob(model.prepare(p), rows).mean()
        for p in (params, climb(model, params, rows, 1)[-1].params)
    )
    assert mean <= other <= mean + 50 / n


@pytest.mark.parametrize("form", TYPES)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 2), (2, 5)])
def test_n_parameters(form: str, k: int, d: int) -> None:
    """As scikit-learn counts, and as the dimension of what the parameters can be."""
    rows = np.random.default_rng(0).normal(size=(40, d))
    theirs = fitted(Theirs, form, rows, k, 1)
    model = Mixture(k, Gaussian(FORMS[form]))
    count = model.n_parameters(start(model, rows))
    assert count == theirs._n_parameters()
    covariances = {
        "full": k * d * (d + 1) // 2, "tied": d * (d + 1) // 2, "diag": k * d, "spherical": k,
    }[form]  # fmt: skip
    assert count == k - 1 + k * d + covariances


# Log-likelihoods behind the BIC of mclust (VVV −574.0178 and −580.8396, EEE −632.9647).
IRIS = {
    ("full", 2): -214.3547,
    ("full", 3): -180.1855,
    ("tied", 3): -256.3545,
}


@pytest.mark.parametrize(("form", "k"), IRIS)
def test_published_iris(form: str, k: int) -> None:
    rows = load_iris().data
    fit = dem.GaussianMixture(
        k, covariance_type=form, reg_covar=0.0, tol=1e-9, max_iter=2000, random_state=0, n_init=5
    ).fit(rows)
    assert fit.score(rows) * 150 == pytest.approx(IRIS[form, k], abs=2e-3)


def test_public_parameters_come_back() -> None:
    for name, form in FORMS.items():
        here = problem(name, 80, 3, 2, seed=9)
        params = start(here.model, 50 * here.rows + 1e4)
        family, frame = here.model.family, params.components.frame
        means, covariances, _ = family.outward(params.components)
        again = MixtureParams(params.weights, family.inward(means, covariances, frame))
        for ours, back in zip(
            (params.components.means, params.components.covariances, params.components.roots),
            (again.components.means, again.components.covariances, again.components.roots),
            strict=True,
        ):
            np.testing.assert_allclose(back, ours, rtol=1e-9, atol=1e-12, err_msg=form.name)
