"""The estimator of mixtures of regressions."""

from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import zarr
from distributed import Client, LocalCluster
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression, PoissonRegressor

import dem
from dem.elemental import ElementalSets
from dem.models import Concomitant
from dem.starts import Given
from dem.warm import WarmStart
from faults import Cut, CutAfter

RNG = np.random.default_rng(7)
N = 1_200
X = RNG.normal(size=(N, 2)) * [1.0, 50.0] + [0.0, 300.0]
Z = (RNG.random(N) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
ETA = np.where(Z, 3 - X[:, 0] + 0.01 * X[:, 1], 2 * X[:, 0] - 0.02 * X[:, 1])
Y = ETA + 0.5 * RNG.normal(size=N)
COUNTS = RNG.poisson(np.exp(np.where(Z, 3 - 0.5 * X[:, 0], 0.5 + 0.8 * X[:, 0]))).astype(float)
WINS = RNG.binomial(10, 1 / (1 + np.exp(-np.where(Z, 2 - X[:, 0], -2 + 0.5 * X[:, 0]))))
CASES: dict[str, tuple[dict[str, Any], np.ndarray]] = {
    "gaussian": ({}, Y),
    "through the origin": ({"fit_intercept": False}, Y),
    "concomitant": ({"concomitant": True}, Y),
    "poisson": ({"family": "poisson"}, COUNTS),
    "binomial": ({"family": dem.BinomialResponse(10), "concomitant": True}, WINS),
}
each = pytest.mark.parametrize("name", CASES)


def fitted(name: str, **how: Any) -> dem.MixtureOfRegressions:
    arguments, y = CASES[name]
    return dem.MixtureOfRegressions(2, **arguments, random_state=0, **how).fit(X, y)


def attributes(estimator: Any) -> dict[str, Any]:
    """What is fitted and tells of the data, in comparable form."""
    own = {name: value for name, value in vars(estimator).items() if name.endswith("_")}
    return {name: repr(value) for name, value in own.items() if name not in ("phases_", "history_")}


@each
def test_what_it_says_is_what_the_model_says(name: str) -> None:
    estimator, y = fitted(name), CASES[name][1]
    agreed = (estimator.assign(X, y) == Z).mean()
    assert max(agreed, 1 - agreed) > 0.8
    proba = estimator.assign_proba(X, y)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(proba.argmax(axis=1), estimator.assign(X, y))
    assert estimator.score(X, y) == pytest.approx(estimator.log_prob(X, y).mean(), rel=1e-12)
    assert estimator.score(X, y) >= estimator.lower_bound_ - 1e-9
    assert estimator.criteria(X, y=y).bic == estimator.bic(X, y) > estimator.aic(X, y)
    assert estimator.coef_.shape == (2, 2)
    assert estimator.intercept_.shape == (2,)
    assert hasattr(estimator, "sigma_") is (estimator.family == "gaussian")
    assert hasattr(estimator, "concomitant_coef_") is estimator.concomitant
    assert estimator.n_features_in_ == 2
    eta = estimator.intercept_ + X @ estimator.coef_.T
    means = {"poisson": np.exp, "binomial": lambda e: 10 / (1 + np.exp(-e))}
    weights = estimator.weights_
    if estimator.concomitant:
        logits = estimator.concomitant_intercept_ + X @ estimator.concomitant_coef_.T
        weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(weights.mean(axis=0), estimator.weights_, atol=5e-3)
    expected = (weights * means.get(name, lambda e: e)(eta)).sum(axis=1)
    np.testing.assert_allclose(estimator.predict(X), expected, rtol=1e-9)


def test_what_the_rows_came_from() -> None:
    one = fitted("concomitant", tol=1e-7)
    order = np.argsort(one.intercept_)
    np.testing.assert_allclose(one.intercept_[order], [0.0, 3.0], atol=0.4)
    np.testing.assert_allclose(one.coef_[order], [[2.0, -0.02], [-1.0, 0.01]], atol=0.06)
    np.testing.assert_allclose(one.sigma_, 0.5, atol=0.05)
    slope = one.concomitant_coef_[order]
    assert slope[1, 0] - slope[0, 0] == pytest.approx(1.0, abs=0.2)
    assert one.score(X, Y) > fitted("gaussian").score(X, Y) + 0.05


def test_one_component_is_a_regression() -> None:
    weights = RNG.integers(0, 3, N)
    ours = dem.MixtureOfRegressions().fit(X, Y, sample_weight=weights)
    theirs = LinearRegression().fit(X, Y, sample_weight=weights)
    np.testing.assert_allclose(ours.coef_[0], theirs.coef_, rtol=1e-9)
    assert ours.intercept_[0] == pytest.approx(theirs.intercept_, rel=1e-9)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    counts = dem.MixtureOfRegressions(family="poisson", tol=1e-12).fit(X, COUNTS)
    other = PoissonRegressor(alpha=0, tol=1e-10, max_iter=10_000, solver="newton-cholesky")
    np.testing.assert_allclose(counts.predict(X), other.fit(X, COUNTS).predict(X), rtol=1e-4)


@each
def test_saved_and_loaded(name: str, tmp_path: Path) -> None:
    estimator, y = fitted(name), CASES[name][1]
    dem.save(estimator, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    assert type(back) is dem.MixtureOfRegressions
    assert attributes(back) == attributes(estimator)
    assert back.family == estimator.family
    np.testing.assert_array_equal(back.log_prob(X, y), estimator.log_prob(X, y))
    again = dem.MixtureOfRegressions.from_fit(estimator._fitted, X, y)
    assert attributes(again) == attributes(estimator)
    with pytest.raises(ValueError, match="not the fit of a Poisson mixture but of"):
        dem.PoissonMixture.from_fit(estimator._fitted)
    with pytest.raises(NotFittedError):
        dem.MixtureOfRegressions().predict(X)


@pytest.mark.parametrize("name", ["concomitant", "poisson"])
def test_cut_off_and_resumed(name: str, tmp_path: Path) -> None:
    arguments, y = CASES[name]
    how: dict[str, Any] = {"random_state": 0, "schedule": "batch", "tol": 1e-6, "max_iter": 500}
    whole = dem.MixtureOfRegressions(2, **arguments, **how).fit(X, y)
    kept = dem.MixtureOfRegressions(
        2, **arguments, **how, checkpoint=tmp_path / "kept", verbose=CutAfter(2)
    )
    with pytest.raises(Cut):
        kept.fit(X, y)
    again = dem.MixtureOfRegressions.resume(tmp_path / "kept", X, y=y)
    assert again.lower_bounds_ == whole.lower_bounds_
    assert attributes(again) == attributes(whole)
    assert again.init_params == "auto"


def test_warm_start_and_starts() -> None:
    one = fitted("gaussian", warm_start=True)
    assert one.fit(X, Y).lower_bounds_[0] >= one.lower_bound_ - 1e-9
    assert one.n_iter_ <= 2
    with pytest.raises(ValueError, match="warm_start cannot go on from the last fit"):
        one.set_params(concomitant=True).fit(X, Y)
    for word, start in (("warm", WarmStart), ("elemental", ElementalSets)):
        found = fitted("gaussian", init_params=word)._start(None, 3)
        assert isinstance(found, start)
    textbook = dem.MixtureOfRegressions(2, schedule="batch")
    assert isinstance(textbook._start(None, 3), ElementalSets)
    given = fitted("gaussian", init_params=Given(one._fitted.params))
    assert given.lower_bounds_[0] == pytest.approx(one.lower_bounds_[0])


def frame(**more: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": X[:, 0], "y": Y, "b": X[:, 1], **more})


@pytest.fixture
def places(tmp_path: Path) -> dict[str, tuple[Any, Any]]:
    """The same covariates and responses in many forms."""
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    frame().to_parquet(tmp_path / "all.parquet", row_group_size=500)
    store = zarr.create_array(tmp_path / "x.zarr", shape=X.shape, chunks=(500, 2), dtype=float)
    store[:] = X
    both = np.column_stack([X[:, 0], Y, X[:, 1]])
    return {
        "lists": (X.tolist(), Y.tolist()),
        "dask": (da.from_array(X, chunks=(500, 1)), da.from_array(Y, chunks=300)),
        "dask and numpy": (da.from_array(X, chunks=(500, 2)), Y),
        "dask and a path": (da.from_array(X, chunks=(500, 2)), str(tmp_path / "y.npy")),
        "numpy and dask": (X, da.from_array(Y, chunks=300)),
        "paths": (str(tmp_path / "x.npy"), str(tmp_path / "y.npy")),
        "zarr": (store, Y),
        "pandas": (frame()[["a", "b"]], frame()["y"]),
        "a column of pandas": (frame(), "y"),
        "a column of numpy": (both, 1),
        "a column of dask": (da.from_array(both, chunks=(500, 3)), -2),
        "a column of a dask frame": (dd.from_pandas(frame(), npartitions=3), "y"),
        "a column of parquet": (str(tmp_path / "all.parquet"), "y"),
    }


def test_every_kind_of_data(places: dict[str, tuple[Any, Any]]) -> None:
    start = Given(fitted("gaussian")._fitted.params)
    make = dem.MixtureOfRegressions(2, init_params=start, tol=1e-9)
    expected = make.fit(X, Y)
    ours = {
        "assign": expected.assign(X, Y), "predict": expected.predict(X),
        "log_prob": expected.log_prob(X, Y), "coef": expected.coef_,
    }  # fmt: skip
    for kind, (x, y) in places.items():
        one = dem.MixtureOfRegressions(2, init_params=start, tol=1e-9).fit(x, y)
        np.testing.assert_allclose(one.coef_, ours["coef"], rtol=1e-9, err_msg=kind)
        named = isinstance(y, (str, int)) and not str(y).endswith(".npy")
        assert one.response_ == (y if named else None), kind
        again = None if named else y
        lazy = not isinstance(x, (list, np.ndarray, pd.DataFrame))
        found = {
            "assign": one.assign(x, again), "predict": one.predict(x),
            "log_prob": one.log_prob(x, again),
        }  # fmt: skip
        for name, values in found.items():
            assert isinstance(values, da.Array) is lazy, (kind, name)
            np.testing.assert_allclose(
                np.asarray(values), ours[name], rtol=1e-9, err_msg=f"{kind}, {name}"
            )
        assert one.score(x, again) == pytest.approx(expected.score(X, Y), rel=1e-12)
        if named and hasattr(x, "columns"):
            assert one.feature_names_in_.tolist() == ["a", "b"]


def test_a_column_that_was_the_response_may_be_gone(places: dict[str, tuple[Any, Any]]) -> None:
    x, y = places["a column of parquet"]
    one = dem.MixtureOfRegressions(2, random_state=0).fit(x, y)
    expected = one.predict(frame()[["a", "b"]])
    np.testing.assert_allclose(one.predict(x).compute(), expected, rtol=1e-12)
    np.testing.assert_allclose(one.predict(frame()), expected, rtol=1e-12)
    np.testing.assert_array_equal(one.assign(frame()), one.assign(frame()[["a", "b"]], Y))
    with pytest.raises(ValueError, match="The feature names should match"):
        one.predict(frame()[["b", "a"]])
    with pytest.raises(ValueError, match="y is the column 'y'; those of X have: 'a', 'b'"):
        one.assign(frame()[["a", "b"]])


def test_on_a_cluster(places: dict[str, tuple[Any, Any]]) -> None:
    here = {
        kind: dem.MixtureOfRegressions(2, random_state=0).fit(*places[kind])
        for kind in ("paths", "a column of parquet")
    }
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster),
    ):
        for kind, one in here.items():
            there = dem.MixtureOfRegressions(2, random_state=0).fit(*places[kind])
            np.testing.assert_array_equal(there.coef_, one.coef_)
        x = da.from_array(X, chunks=(400, 2)).persist()
        y = da.from_array(Y, chunks=400).persist()
        start = Given(here["paths"]._fitted.params)
        one = dem.MixtureOfRegressions(2, init_params=start).fit(x, y)
        np.testing.assert_allclose(one.coef_, here["paths"].coef_, rtol=1e-2)
        labels = one.assign(x, y).compute()
        np.testing.assert_array_equal(labels, one.assign(X, Y))
        job = dem.MixtureOfRegressions(2, random_state=0).submit(places["paths"][0], y=Y)
        back = dem.MixtureOfRegressions.from_fit(job.result(), X, Y)
        np.testing.assert_array_equal(back.coef_, here["paths"].coef_)


def test_responses_keep_their_precision() -> None:
    large = 1e8 + np.round(Y, 1)
    one = dem.MixtureOfRegressions(1).fit(X.astype(np.float32), large)
    other = dem.MixtureOfRegressions(1).fit(X.astype(np.float32).astype(float), large)
    assert one.sigma_[0] == pytest.approx(other.sigma_[0], rel=1e-9)
    assert one.sigma_[0] == pytest.approx((Y - LinearRegression().fit(X, Y).predict(X)).std(), 0.01)


def test_what_cannot_be() -> None:
    for wrong, said in (
        (dem.MixtureOfRegressions(0), "n_components must be >= 1"),
        (dem.MixtureOfRegressions(family="normal"), r"family must be one of \['gaussian', "),
        (dem.MixtureOfRegressions(concomitant="yes"), "concomitant must be bool"),
        (dem.MixtureOfRegressions(fit_intercept=2), "fit_intercept must be bool"),
        (dem.MixtureOfRegressions(init_params="kmean"), "init_params must be one of"),
    ):
        with pytest.raises((TypeError, ValueError), match=said):
            wrong.fit(X, Y)
    make = dem.MixtureOfRegressions(2, random_state=0)
    for y, said in (
        (None, "requires y to be passed"),
        (Y[:-1], "inconsistent numbers of samples"),
        (np.where(np.arange(N) == 5, np.nan, Y), "Input y contains NaN"),
        ("target", "y is the column 'target'; those of X have: no names"),
        (7, "y is the column 7; X has columns 0 to 1"),
        (np.array(["a"] * N), "y cannot be turned into numbers"),
    ):
        with pytest.raises(ValueError, match=said):
            make.fit(X, y)
    with pytest.raises(FileNotFoundError):
        make.fit(X, "nowhere/y.npy")
    with pytest.raises(dem.DataError, match=r"row 7, column 2.*a count"):
        make.set_params(family="poisson").fit(X, np.where(np.arange(N) == 7, -1, COUNTS))
    with pytest.raises(ValueError, match="There are no columns beside the response"):
        make.fit(da.from_array(Y[:, None], chunks=(100, 1)), 0)
    with pytest.warns(ConvergenceWarning, match="did not converge in 1 iterations"):
        fitted("poisson", max_iter=1, tol=1e-12, init_params="elemental")
    assert isinstance(fitted("concomitant")._fitted.model, Concomitant)
