"""Values that make no sense are refused where they are made, in words that name them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dem
from dem.climb import Climb
from dem.starts import Given, KMeansParallel, RandomRows

X = np.random.default_rng(0).normal(size=(90, 2)) + np.repeat([[0, 0], [5, 0], [0, 9]], 30, axis=0)
MODEL = dem.Mixture(3, dem.Gaussian())


def fit(**how: Any) -> Any:
    return dem.fit(MODEL, X, **how)


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: dem.Mixture(0, dem.Gaussian()), ValueError, "k must be >= 1, got 0"),
    (lambda: dem.Mixture(-2, dem.Gaussian()), ValueError, "k must be >= 1, got -2"),
    (lambda: dem.Mixture(2.5, dem.Gaussian()), TypeError, "k must be int, got float"),
    (lambda: dem.Mixture(True, dem.Gaussian()), TypeError, "k must be int, got bool"),
    (lambda: dem.Mixture(2, "full"), TypeError, "family must be a Family .*got 'full', which has"),
    (lambda: dem.Mixture(2, dem.Gaussian), TypeError, r"family .*the class Gaussian.*Gaussian\("),
    (lambda: dem.Mixture(2, dem.Full()), TypeError, "family .*which has no frame, start"),
    (lambda: dem.Gaussian("full"), TypeError, "covariance must be a Covariance .*got 'full'"),
    (lambda: dem.Gaussian(dem.Full), TypeError, "covariance must be .*got the class Full"),
    (lambda: dem.Gaussian(reg_covar=-1.0), ValueError, r"reg_covar must be >= 0, got -1\.0"),
    (lambda: dem.Gaussian(reg_covar=np.inf), ValueError, "reg_covar must be finite, got inf"),
    (lambda: dem.Gaussian(reg_covar=np.nan), ValueError, "reg_covar must be >= 0, got nan"),
    (lambda: dem.Gaussian(reg_covar="a"), TypeError, "reg_covar must be float, got str"),
    (lambda: Climb(dem.Gaussian()), TypeError, "model must be a Model .*which has no e_step"),
    (lambda: Climb(dem.Mixture), TypeError, "model must be a Model .*got the class Mixture"),
    (lambda: fit(max_iter=-1), ValueError, "max_iter must be >= 0, got -1"),
    (lambda: fit(max_iter=2.0), TypeError, "max_iter must be int, got float"),
    (lambda: fit(tol=-5), ValueError, "tol must be >= 0, got -5"),
    (lambda: fit(tol=np.nan), ValueError, "tol must be >= 0, got nan"),
    (lambda: fit(tol=np.inf), ValueError, "tol must be finite, got inf"),
    (lambda: fit(n_init=0), ValueError, "n_init must be >= 1, got 0"),
    (lambda: fit(seed=-1), ValueError, "seed must be >= 0, got -1"),
    (lambda: fit(seed=None), TypeError, "seed must be int, got NoneType"),
    (lambda: fit(start="random"), TypeError, "start must be a Start .*got 'random'"),
    (lambda: fit(start=RandomRows), TypeError, "start must be a Start .*got the class RandomRows"),
    (
        lambda: fit(schedule=5),
        TypeError,
        "schedule must be a Schedule .*got 5, .*no groups, choose, merge",
    ),
    (lambda: fit(posterior=dem.Hard), TypeError, "posterior must be a Posterior .*the class Hard"),
    (lambda: fit(posterior=dem.FullBatch()), TypeError, "posterior must be .*has no respond"),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED, ids=[r[2][:40] for r in REFUSED])
def test_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_submit_names_what_it_takes() -> None:
    with pytest.raises(TypeError, match=r"unexpected argument 'covariance': .*takes start, .*tol"):
        dem.submit(MODEL, X, covariance="full")


def test_numbers_of_numpy_are_numbers() -> None:
    model = dem.Mixture(np.int64(3), dem.Gaussian(reg_covar=np.float32(0.5)))
    fitted = dem.fit(model, X, max_iter=np.int32(2), tol=0, seed=np.uint8(1))
    assert len(fitted.history) == 2


def test_more_components_than_distinct_rows() -> None:
    """Those that are left over have no rows and no weight; the others sit on the rows."""
    distinct = np.array([[0.0, 0], [1, 2], [3, 1]])
    for rows in (distinct, np.repeat(distinct, 20, axis=0)):
        fitted = dem.fit(dem.Mixture(5, dem.Gaussian()), rows, start=KMeansParallel())
        weights, components = fitted.params.weights, fitted.params.components
        np.testing.assert_allclose(np.sort(weights), [0, 0, 1 / 3, 1 / 3, 1 / 3], atol=1e-12)
        means = fitted.model.family.outward(components)[0][weights > 0.1]
        np.testing.assert_allclose(means[np.argsort(means[:, 0])], distinct, atol=1e-7)
        starved, at_floor = fitted.degenerate
        assert starved.startswith("no rows are left")
        assert "Use fewer components" in starved
        assert at_floor.startswith("variance is at its floor")


def test_values_whose_squares_vanish_are_named() -> None:
    (fault,) = dem.fit(MODEL, X * 1e-200).degenerate
    assert fault.startswith("the values of columns [0, 1] are below 1e-150")
    assert "Rescale" in fault
    constant = np.c_[X[:, 0], np.zeros(len(X))]  # is no such column
    (fault,) = dem.fit(dem.Mixture(1, dem.Gaussian()), constant).degenerate
    assert fault.startswith("variance is at its floor")


def test_a_start_that_knows_its_bound_may_stand_still_at_once() -> None:
    first = dem.fit(MODEL, X, tol=1e-9, max_iter=500)
    again = dem.fit(MODEL, X, start=Given(first.params, first.lower_bound), tol=1e-6)
    assert again.converged
    assert len(again.history) == 1
    assert len(dem.fit(MODEL, X, start=Given(first.params), tol=1e-6).history) == 2
