"""Continuous h: laws, and the same likelihood as by other ways."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import dem
from dem.accelerate import QuasiNewton
from dem.families import Diagonal, Factors, Full, Gaussian, Principal, Spherical
from dem.models.factor import LinearGaussian
from dem.models.mixture import Mixture
from dem.posteriors import Exact, Hard
from dem.stats import leaves
from dem.stopping import Aitken
from dem.testing import check_model

Array = np.ndarray
HOW: dict[str, Any] = {
    "accelerate": QuasiNewton(), "stop": Aitken(), "tol": 1e-10, "max_iter": 2000
}  # fmt: skip


def rows(n: int = 300, d: int = 6, q: int = 2, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(q, d))
    noise = rng.normal(size=(n, d)) * rng.gamma(3.0, 0.3, d)
    return np.asarray(rng.normal(size=(n, q)) @ loadings + noise + 10 * np.arange(d))


def gaps(x: Array, share: float = 0.25) -> Array:
    """Values missing at random; none in the first third, and all in one row."""
    holes = np.random.default_rng(1).random(x.shape) < share
    holes[: len(x) // 3], holes[-7] = False, True
    return np.where(holes, np.nan, x)


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
@pytest.mark.parametrize("q", [1, 2])
@pytest.mark.parametrize("noise", [Diagonal(), Spherical()], ids=["factors", "principal"])
def test_every_law(noise: Any, q: int, missing: bool) -> None:
    x = gaps(rows()) if missing else rows()
    weights = np.random.default_rng(5).gamma(2.0, size=len(x))
    check_model(LinearGaussian(q, noise, missing), x, weights=weights, posteriors=(Exact(),))


@pytest.mark.parametrize("noise", [Diagonal(), Spherical()], ids=["factors", "principal"])
def test_densities_are_those_of_a_gaussian(noise: Any) -> None:
    x = gaps(rows())
    model = LinearGaussian(2, noise, missing=True)
    params = dem.fit(model, x, max_iter=3, tol=0.0).params
    means, loadings, own = model.outward(params)
    covariance = loadings @ loadings.T + np.diag(own)
    found = model.log_prob(model.prepare(params), x)
    filled = model.expected(params, x)
    for row, density, likely in zip(x, found, filled, strict=True):
        o = ~np.isnan(row)
        if not o.any():
            assert density == pytest.approx(0, abs=1e-12)
            continue
        part = covariance[np.ix_(o, o)]
        assert density == pytest.approx(
            multivariate_normal(means[o], part).logpdf(row[o]), rel=1e-9
        )
        regression = covariance[:, o] @ np.linalg.solve(part, row[o] - means[o])
        np.testing.assert_allclose(likely[~o], (means + regression)[~o], rtol=1e-9)


@pytest.mark.parametrize(
    ("noise", "form"), [(Diagonal(), Factors(3)), (Spherical(), Principal(3))], ids=["fa", "ppca"]
)
@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
def test_the_same_maximum_as_with_second_moments(noise: Any, form: Any, missing: bool) -> None:
    x = gaps(rows(500, 9, 3), 0.1) if missing else rows(500, 9, 3)
    one = dem.fit(LinearGaussian(3, noise, missing), x, **HOW)
    two = dem.fit(Mixture(1, Gaussian(form, missing=missing)), x, **HOW)
    assert one.lower_bound == pytest.approx(two.lower_bound, abs=1e-6)
    free = [fit.model.n_parameters(fit.params) for fit in (one, two)]
    assert free[0] == free[1]


def test_statistics_do_not_grow_with_the_square_of_the_columns() -> None:
    sizes = []
    for d in (50, 100):
        x = rows(40, d)
        model = LinearGaussian(3)
        stats = model.e_step(
            model.prepare(dem.fit(model, x, max_iter=1, tol=0.0).params), x, None, Exact()
        )
        sizes.append(sum(leaf.size for leaf in leaves(stats)))
    assert sizes[1] < 2 * sizes[0]


def test_columns_that_are_far_more_than_rows() -> None:
    x = rows(60, 3000, 3)
    fit = dem.fit(LinearGaussian(3), x, **{**HOW, "tol": 1e-3})
    bounds = np.array([(turn.bound_e, turn.bound) for turn in fit.history]).ravel()
    assert (np.diff(bounds) > -1e-9 * np.abs(bounds[1:])).all()


def test_a_column_without_values_is_left_alone() -> None:
    x = rows()
    x[:, 3] = np.nan
    fit = dem.fit(LinearGaussian(2, missing=True), x, max_iter=20, tol=0.0)
    assert all(np.isfinite(leaf).all() for leaf in leaves(fit.params))


def test_rows_that_are_drawn_come_from_the_model() -> None:
    x = rows()
    model = LinearGaussian(2)
    fit = dem.fit(model, x, **HOW)
    drawn, z = model.sample(fit.params, 200_000, np.random.default_rng(0))
    means, loadings, noise = model.outward(fit.params)
    np.testing.assert_allclose(drawn.mean(axis=0), means, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), loadings @ loadings.T + np.diag(noise), atol=0.1)
    found = model.posterior(model.prepare(fit.params), drawn)
    assert np.corrcoef(found[:, 0], z[:, 0])[0, 1] > 0.8


def test_what_cannot_be() -> None:
    with pytest.raises(TypeError, match=r"noise must be Diagonal\(\) or Spherical\(\)"):
        LinearGaussian(2, Full())
    with pytest.raises(TypeError, match=r"z is continuous"):
        dem.fit(LinearGaussian(2), rows(), posterior=Hard())
