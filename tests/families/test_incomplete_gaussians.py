"""Gaussians where values are missing: published results, the textbook row by row, the estimator,
and what must not depend on how rows are grouped."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

import dem
from dem.contract import Sample
from dem.errors import SupportError
from dem.families import Diagonal, Full, Gaussian, Spherical, Tied, marginals
from dem.models.mixture import Mixture
from dem.posteriors import Exact
from dem.starts import Given

Array = np.ndarray
FORMS = {form.name: form for form in (Full(), Tied(), Diagonal(), Spherical())}
SIZE = [8, 6, 11, 22, 14, 17, 18, 24, 19, 23, 26, 40, 4, 4, 5, 6, 8, 10]
WORMS = [59, 58, 56, 53, 50, 45, 43, 42, 39, 38, 30, 27, *[np.nan] * 6]


def clusters(n: int, d: int, k: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    mixing = np.eye(d) + rng.normal(size=(k, d, d)) / 2
    labels, rows = rng.integers(k, size=n), rng.normal(size=(n, d))
    return 3 * rng.normal(size=(k, d))[labels] + np.einsum("nij,nj->ni", mixing[labels], rows)


def holed(rows: Array, share: float = 0.3) -> Array:
    return np.where(np.random.default_rng(1).random(rows.shape) < share, np.nan, rows)


def start(model: Mixture, rows: Array) -> Any:
    return model.start(Sample.of(rows, np.ones(len(rows)), True), np.random.default_rng(0))


def stats_of(model: Mixture, params: Any, rows: Array, weights: Array | None = None) -> Any:
    return model.e_step(model.prepare(params), rows, weights, Exact())


def by_hand(mean: Array, covariance: Array, row: Array) -> tuple[Array, Array, float, float]:
    """E[x | x_o], Cov[x | x_o], log p(x_o) and the entropy of what is missing."""
    seen = ~np.isnan(row)
    own, cross = covariance[np.ix_(seen, seen)], covariance[:, seen]
    expected = mean + cross @ np.linalg.solve(own, (row - mean)[seen])
    left = covariance - cross @ np.linalg.solve(own, cross.T)
    missing = left[np.ix_(~seen, ~seen)]
    log_p = stats.multivariate_normal(mean[seen], own).logpdf(row[seen]) if seen.any() else 0.0
    entropy = np.linalg.slogdet(2 * np.pi * np.e * missing)[1] / 2 if not seen.all() else 0.0
    return np.where(seen, row, expected), left, float(log_p), float(entropy)


def test_apples() -> None:
    """The maximum for a monotone pattern is known in closed form (Little and Rubin 2020, 7.2)."""
    rows = np.column_stack([SIZE, WORMS])
    ours = dem.GaussianMixture(1, missing=True, reg_covar=0, tol=1e-14, max_iter=500).fit(rows)
    np.testing.assert_allclose(ours.means_[0], [265 / 18, 148 / 3], rtol=1e-7)
    covariance = [[89.53395, -90.69673], [-90.69673, 114.69496]]
    np.testing.assert_allclose(ours.covariances_[0], covariance, rtol=1e-6)
    # Published without the constant of the 30 values.
    published = -74.217476 - 15 * np.log(2 * np.pi)
    assert ours.score(rows) * len(rows) == pytest.approx(published, abs=1e-6)
    slope = covariance[0][1] / covariance[0][0]
    filled = 148 / 3 + slope * (rows[12:, 0] - 265 / 18)
    np.testing.assert_allclose(ours.impute(rows)[12:, 1], filled, rtol=1e-5)
    np.testing.assert_array_equal(ours.impute(rows)[:12], rows[:12])


@pytest.mark.parametrize("tight", [False, True], ids=["loose", "tight"])
@pytest.mark.parametrize("name", ["full", "tied"])
def test_statistics_are_those_of_the_textbook(name: str, tight: bool) -> None:
    """Row by row; about the origin of the frame, and about the means where much would cancel."""
    model = Mixture(3, Gaussian(FORMS[name], missing=True))
    complete = clusters(300, 4, 3)
    if tight:
        complete[:, 1] = complete[:, 0] + 3e-4 * complete[:, 1]
    rows = holed(complete)
    rows[5], rows[:60] = np.nan, complete[:60]
    params = start(model, complete)
    params = model.m_step(params, stats_of(model, params, complete))
    assert model.prepare(params).tight.all() == tight
    means, covariances, _ = model.family.outward(params.components)
    covariances = np.broadcast_to(covariances, (3, 4, 4))
    each = [[by_hand(means[k], covariances[k], row) for k in range(3)] for row in rows]
    log_joint = np.log(params.weights) + np.array([[found[2] for found in row] for row in each])
    q = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1)[:, None])
    found = stats_of(model, params, rows).sums
    np.testing.assert_allclose(found.weight, q.sum(axis=0), rtol=1e-8)
    hidden = sum(q[i, k] * each[i][k][3] for i in range(len(rows)) for k in range(3))
    assert found.entropy == pytest.approx(hidden, rel=1e-6)
    new = model.m_step(params, stats_of(model, params, rows))
    centres, spreads, _ = model.family.outward(new.components)
    scatters = np.zeros((3, 4, 4))
    for k in range(3):
        filled = np.array([row[k][0] for row in each])
        np.testing.assert_allclose(centres[k], q[:, k] @ filled / q[:, k].sum(), rtol=1e-7)
        z = filled - centres[k]
        scatters[k] = (q[:, k, None] * z).T @ z + sum(q[i, k] * each[i][k][1] for i in range(300))
    mass = q.sum(axis=0)[:, None, None]
    wanted = scatters.sum(axis=0) / len(rows) if name == "tied" else scatters / mass
    scale = np.sqrt(np.einsum("...ii->...i", wanted))
    np.testing.assert_allclose(
        (spreads - wanted) / scale[..., None] / scale[..., None, :], 0.0, atol=1e-7
    )
    likely = sum(q[:, k, None] * np.array([row[k][0] for row in each]) for k in range(3))
    expected = model.family.expected(params.components, rows, q)
    lacking = np.isnan(rows)
    np.testing.assert_allclose(expected[lacking], likely[lacking], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", FORMS)
def test_nothing_missing_has_the_same_bits(name: str) -> None:
    rows = clusters(5000, 3, 2)
    fits = [
        dem.fit(Mixture(2, Gaussian(FORMS[name], missing=missing)), rows, max_iter=5, tol=0.0)
        for missing in (False, True)
    ]
    for one, other in zip(*(fit.history for fit in fits), strict=True):
        assert (one.bound_e, one.bound) == (other.bound_e, other.bound)
    np.testing.assert_array_equal(*(fit.params.components.means for fit in fits))


@pytest.mark.parametrize("name", ["full", "tied"])
def test_few_patterns_at_a_time_and_none_remembered(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rows = Mixture(2, Gaussian(FORMS[name], missing=True)), holed(clusters(2000, 5, 2))
    params = start(model, rows)
    found, q = stats_of(model, params, rows), model.posterior(model.prepare(params), rows)
    expected = model.family.expected(params.components, rows, q)
    monkeypatch.setattr(marginals, "WORKING", 1000)
    monkeypatch.setattr(marginals, "REMEMBERED", 5000)
    again = stats_of(model, params, rows)
    assert model.prepare(params).patterns.most < 10
    tiles = model.family.tiles(model.prepare(params), rows, None, 700)  # more patterns than that
    for here, _, out in tiles:
        out[:] = q.T[:, here]
        tiles.add(out)
    for sums in (again.sums, tiles.sums()):
        np.testing.assert_allclose(sums.second, found.sums.second, rtol=1e-9, atol=1e-9)
        assert sums.entropy == pytest.approx(found.sums.entropy, rel=1e-12)
    np.testing.assert_allclose(
        model.family.expected(params.components, rows, q), expected, rtol=1e-12
    )


def test_more_columns_than_a_word_of_a_pattern() -> None:
    model, rows = Mixture(1, Gaussian(missing=True)), clusters(400, 40, 1)
    gaps = rows.copy()
    gaps[::2, 3] = np.nan
    gaps[1::4, [17, 35]] = np.nan
    params = start(model, rows)
    mean, covariance, _ = (part[0] for part in model.family.outward(params.components))
    ours = model.log_prob(model.prepare(params), gaps)
    for i in (0, 1, 3):
        assert ours[i] == pytest.approx(by_hand(mean, covariance, gaps[i])[2], rel=1e-10)


def test_what_is_correlated_fills_in_better_than_means() -> None:
    rows = clusters(4000, 5, 2)
    gaps = holed(rows, 0.2)
    ours = dem.GaussianMixture(2, missing=True, random_state=0).fit(gaps)
    lacking = np.isnan(gaps)
    error = (ours.impute(gaps) - rows)[lacking].std()
    apart = dem.GaussianMixture(2, missing=True, covariance_type="diag", random_state=0).fit(gaps)
    assert error < 0.9 * (apart.impute(gaps) - rows)[lacking].std()
    assert ours.score(rows) > apart.score(rows)
    whole = dem.GaussianMixture(2, random_state=0).fit(rows)
    assert ours.score(rows) == pytest.approx(whole.score(rows), abs=0.01)


def test_from_the_estimator(tmp_path: Any) -> None:
    da = pytest.importorskip("dask.array")
    rows = holed(clusters(900, 3, 2))
    rows[4] = np.nan
    ours = dem.GaussianMixture(2, missing=True, random_state=0).fit(rows)
    lazy = da.from_array(rows, chunks=(200, 3))
    for name in ("predict", "predict_proba", "score_samples", "impute"):
        here = getattr(ours, name)(rows)
        np.testing.assert_allclose(getattr(ours, name)(lazy).compute(), here, rtol=1e-10)
        assert np.isfinite(here).all()
    assert ours.score_samples(rows)[4] == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(ours.predict_proba(rows)[4], ours.weights_, rtol=1e-12)
    np.testing.assert_allclose(ours.impute(rows)[4], ours.weights_ @ ours.means_, rtol=1e-10)
    dem.save(ours, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    assert back.missing
    np.testing.assert_array_equal(back.impute(rows), ours.impute(rows))
    strict = dem.GaussianMixture(2, random_state=0)
    with pytest.raises(dem.DataError, match="NaN"):
        strict.fit(rows)
    with pytest.raises(dem.DataError, match="NaN"):
        strict.fit(np.nan_to_num(rows)).impute(rows)


@pytest.mark.parametrize("name", ["full", "diag"])
def test_an_infinite_value_is_named_and_not_what_is_missing(name: str) -> None:
    rows = holed(clusters(300, 3, 2))
    rows[7], rows[8] = np.nan, [1.0, np.inf, np.nan]
    model = Mixture(2, Gaussian(FORMS[name], missing=True))
    begin = Given(start(model, rows[:7]))
    with pytest.raises(dem.DataError, match="infinity: row 8, column 1"):
        dem.fit(model, rows, start=begin, max_iter=2)
    with pytest.raises(SupportError, match="must be finite") as error, np.errstate(all="ignore"):
        stats_of(model, begin.params, rows)
    assert (error.value.row, error.value.column) == (8, 1)


def test_labels_beside_missing_values() -> None:
    rows = holed(clusters(600, 3, 2))
    known = 0 + (np.nan_to_num(rows[:, 0]) > 0)
    labels = np.where(np.arange(600) % 3, -1, known)
    ours = dem.GaussianMixture(2, missing=True, random_state=0, tol=1e-6, max_iter=500)
    ours.fit(rows, labels=labels)
    assert np.diff(ours.lower_bounds_).min() >= -1e-10
    assert (ours.predict(rows) == known).mean() > 0.6


def test_a_form_of_ones_own_must_say_how_values_may_be_missing() -> None:
    class Plain(Full):
        shared = property()

    with pytest.raises(TypeError, match="which has no shared"):
        Gaussian(Plain(), missing=True)
    with pytest.raises(TypeError, match="missing must be bool"):
        Gaussian(missing="yes")  # type: ignore[arg-type]
