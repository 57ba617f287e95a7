"""Estimators of mixtures of other families than the Gaussian."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import dem
from dem.starts import Given, KMeansPlusPlus
from faults import Cut, CutAfter

RNG = np.random.default_rng(5)
Z = RNG.integers(2, size=1_200)


def gaps(x: np.ndarray, share: float = 0.1) -> np.ndarray:
    return np.where(np.random.default_rng(1).random(x.shape) < share, np.nan, x)


BINARY = (RNG.random((1_200, 6)) < np.where(Z[:, None], 0.8, 0.25)).astype(float)
COUNTS = RNG.poisson(np.where(Z[:, None], [8.0, 1.0, 3.0], [2.0, 5.0, 3.0])).astype(float)
CODES = (RNG.binomial(3, np.where(Z[:, None], 0.8, 0.3), (1_200, 5)) + 1).astype(float)
NUMBERS = RNG.standard_t(4, (1_200, 3)) + 6 * Z[:, None]
CASES: dict[str, tuple[Any, np.ndarray]] = {
    "BernoulliMixture": (dem.BernoulliMixture, gaps(BINARY)),
    "binarize": (lambda k, **how: dem.BernoulliMixture(k, binarize=3.5, **how), gaps(COUNTS)),
    "CategoricalMixture": (dem.CategoricalMixture, gaps(CODES)),
    "levels": (lambda k, **how: dem.CategoricalMixture(k, levels=7, **how), gaps(CODES)),
    "PoissonMixture": (dem.PoissonMixture, gaps(COUNTS)),
    "StudentTMixture": (dem.StudentTMixture, NUMBERS),
    "BayesianGaussianMixture": (dem.BayesianGaussianMixture, NUMBERS),
    "MixedMixture": (
        lambda k, **how: dem.MixedMixture(
            k, families={0: "categorical", (3, 4): dem.Gaussian(dem.Full())}, **how
        ),
        np.hstack([gaps(CODES[:, :1]), gaps(NUMBERS[:, :2]), NUMBERS[:, 1:]]),
    ),
}
each = pytest.mark.parametrize("name", CASES)


def attributes(estimator: Any) -> dict[str, Any]:
    """What is fitted and tells of the data, in comparable form."""
    own = {name: value for name, value in vars(estimator).items() if name.endswith("_")}
    return {name: repr(value) for name, value in own.items() if name not in ("phases_", "history_")}


@each
def test_what_they_say_is_what_the_model_says(name: str) -> None:
    make, x = CASES[name]
    estimator = make(2, random_state=0).fit(x)
    fit = estimator._fitted
    assert max((estimator.predict(x) == Z).mean(), (estimator.predict(x) != Z).mean()) > 0.8
    proba = estimator.predict_proba(x)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(proba.argmax(axis=1), estimator.predict(x))
    assert estimator.score(x) == pytest.approx(estimator.score_samples(x).mean(), rel=1e-12)
    assert estimator.score(x) >= estimator.lower_bound_ - 1e-9
    assert estimator.weights_ is fit.params.weights
    assert estimator.n_parameters_ == fit.model.n_parameters(fit.params)
    rows, labels = estimator.sample(50)
    assert rows.shape == (50, x.shape[1])
    assert np.isfinite(estimator.score_samples(rows)).all()
    assert labels.shape == (50,)
    found = estimator.criteria(x)
    assert found.bic == estimator.bic(x)
    assert found.n_samples == len(x)
    lazy = da.from_array(x, chunks=(500, -1))
    np.testing.assert_array_equal(estimator.predict(lazy).compute(), estimator.predict(x))


@each
def test_the_same_as_by_hand(name: str) -> None:
    make, x = CASES[name]
    estimator = make(2, random_state=0, schedule="batch", init_params="k-means++").fit(x)
    model = estimator._fitted.model
    codes = x - 1 if name == "CategoricalMixture" else x
    if name == "MixedMixture":
        codes = np.hstack([x[:, :1] - 1, x[:, 1:]])
    tol = 1e-3 / len(x) if name == "BayesianGaussianMixture" else 1e-3  # of all rows
    by_hand = dem.fit(model, codes, start=KMeansPlusPlus(), tol=tol)
    assert estimator.lower_bounds_ == [turn.bound_e for turn in by_hand.history]


@each
def test_saved_and_loaded(name: str, tmp_path: Path) -> None:
    make, x = CASES[name]
    estimator = make(2, random_state=0).fit(x)
    dem.save(estimator, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    assert type(back) is type(estimator)
    assert attributes(back) == attributes(estimator)
    np.testing.assert_array_equal(back.score_samples(x), estimator.score_samples(x))
    assert back.fit(x).n_features_in_ == x.shape[1]
    with pytest.raises(NotFittedError):
        dem.save(make(2), tmp_path / "other")


@each
def test_from_a_fit(name: str) -> None:
    make, x = CASES[name]
    estimator = make(2, random_state=0).fit(x)
    back = type(estimator).from_fit(estimator._fitted, x)
    assert attributes(back) == attributes(estimator)
    np.testing.assert_array_equal(back.predict(x), estimator.predict(x))
    other = next(cls for cls in (dem.PoissonMixture, dem.StudentTMixture) if cls is not type(back))
    with pytest.raises(ValueError, match=f"not the fit of {other.what} but of"):
        other.from_fit(estimator._fitted)


@each
def test_cut_off_and_resumed(name: str, tmp_path: Path) -> None:
    make, x = CASES[name]
    how: dict[str, Any] = {"random_state": 0, "schedule": "batch", "tol": 1e-6, "max_iter": 500}
    whole = make(2, **how).fit(x)
    estimator = make(2, **how, checkpoint=tmp_path / "kept", verbose=CutAfter(2))
    with pytest.raises(Cut):
        estimator.fit(x)
    again = type(estimator).resume(tmp_path / "kept", x)
    assert again.lower_bounds_ == whole.lower_bounds_
    assert attributes(again) == attributes(whole)


@each
def test_warm_start(name: str) -> None:
    make, x = CASES[name]
    estimator = make(2, random_state=0, warm_start=True).fit(x)
    before = estimator.lower_bound_
    assert estimator.fit(x).lower_bounds_[0] >= before - 1e-9
    with pytest.raises(ValueError, match="warm_start cannot go on from the last fit"):
        estimator.set_params(n_components=3).fit(x)


def test_student_t() -> None:
    estimator = dem.StudentTMixture(2, random_state=0).fit(NUMBERS)
    assert estimator.means_.shape == (2, 3)
    assert estimator.scales_.shape == (2, 3, 3)
    assert estimator.df_.shape == (2,)
    assert ((estimator.df_ > 2.5) & (estimator.df_ < 8)).all()
    np.testing.assert_allclose(np.sort(estimator.means_, axis=0), [[0] * 3, [6] * 3], atol=0.3)
    fixed = dem.StudentTMixture(2, covariance_type="diag", df=4.0, random_state=0).fit(NUMBERS)
    assert fixed.scales_.shape == (2, 3)
    assert fixed.df_.tolist() == [4.0, 4.0]
    with pytest.raises(ValueError, match=r"must be one of .*spherical"):
        dem.StudentTMixture(2, covariance_type="tied").fit(NUMBERS)
    with pytest.raises(ValueError, match="contains NaN: row 3, column 1"):
        dem.StudentTMixture(2).fit(
            np.where(np.arange(3_600).reshape(1_200, 3) == 10, np.nan, NUMBERS)
        )


def test_one_component_is_the_mean() -> None:
    """Of what is there, column by column."""
    x = gaps(BINARY, 0.3)
    np.testing.assert_allclose(
        dem.BernoulliMixture().fit(x).probabilities_[0], np.nanmean(x, axis=0), rtol=1e-12
    )
    np.testing.assert_allclose(
        dem.PoissonMixture().fit(gaps(COUNTS)).rates_[0],
        np.nanmean(gaps(COUNTS), axis=0),
        rtol=1e-12,
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_binarize_is_a_comparison() -> None:
    other = dem.BernoulliMixture(2, random_state=0).fit((COUNTS > 3.5).astype(float))
    begin = Given(other._fitted.params)
    one = dem.BernoulliMixture(2, binarize=3.5, init_params=begin, max_iter=1, tol=1.0).fit(COUNTS)
    other.set_params(init_params=begin, max_iter=1, tol=1.0).fit((COUNTS > 3.5).astype(float))
    np.testing.assert_array_equal(one.probabilities_, other.probabilities_)
    np.testing.assert_array_equal(one.predict(COUNTS), other.predict((COUNTS > 3.5).astype(float)))
    with pytest.raises(ValueError, match=r"has the value 2: row 0, column \d.*hold 0 and 1"):
        other.predict(np.full((3, 3), 2.0))
    with pytest.raises(ValueError, match="impute needs binarize=None"):
        one.impute(COUNTS)
    with pytest.raises(ValueError, match="the value inf: row 7, column 1"):
        one.predict(np.where(np.arange(3_600).reshape(1_200, 3) == 22, np.inf, COUNTS))


def test_latent_classes_of_a_published_table() -> None:
    """poLCA's `values`: log-likelihoods of one and two classes, as weighted patterns."""
    patterns = {
        "1111": 20, "1112": 2, "1121": 9, "1122": 2, "1211": 6, "1212": 1, "1221": 4, "1222": 1,
        "2111": 38, "2112": 7, "2121": 24, "2122": 6, "2211": 25, "2212": 6, "2221": 23, "2222": 42,
    }  # fmt: skip
    frame = pd.DataFrame([list(p) for p in patterns], columns=list("ABCD"))
    weights = list(patterns.values())
    options: dict[str, Any] = {"tol": 1e-10, "max_iter": 2_000, "n_init": 5, "random_state": 0}
    scores = {}
    for k in (1, 2):
        model = dem.CategoricalMixture(k, **options).fit(frame, sample_weight=weights)
        scores[k] = model.criteria(frame, sample_weight=weights).log_likelihood
    assert scores == pytest.approx({1: -543.6498, 2: -504.4677}, abs=1e-3)
    large = model.weights_.argmax()
    assert model.weights_[large] == pytest.approx(0.7208, abs=2e-3)
    assert [levels.tolist() for levels in model.levels_] == [["1", "2"]] * 4
    found = [part[large, 0] for part in model.probabilities_]
    assert found == pytest.approx([0.2864, 0.6704, 0.6460, 0.8676], abs=2e-3) or found == (
        pytest.approx([0.0068, 0.0602, 0.0735, 0.2309], abs=2e-3)
    )


def test_impute_numbers() -> None:
    """What is expected is the mean over components, weighted by how likely they are."""
    x = gaps(COUNTS, 0.2)
    model = dem.PoissonMixture(2, random_state=0).fit(x)
    expected = np.where(np.isnan(x), model.predict_proba(x) @ model.rates_, x)
    np.testing.assert_allclose(model.impute(x), expected, rtol=1e-12)
    lazy = model.impute(da.from_array(x, chunks=(500, -1)))
    assert isinstance(lazy, da.Array)
    np.testing.assert_array_equal(lazy.compute(), model.impute(x))
    gone = np.isnan(x) & (np.random.default_rng(0).random(x.shape) < 2)
    column = np.where(np.isnan(x), np.nanmean(x, axis=0), x)
    assert ((model.impute(x) - COUNTS)[gone] ** 2).mean() < ((column - COUNTS)[gone] ** 2).mean()


@each
def test_impute_leaves_what_is_there(name: str) -> None:
    make, x = CASES[name]
    estimator = make(2, random_state=0).fit(x)
    if name in ("StudentTMixture", "BayesianGaussianMixture", "binarize"):
        return
    filled = estimator.impute(x)
    there = ~np.isnan(x)
    assert not np.isnan(filled).any()
    np.testing.assert_array_equal(filled[there], x[there])
    assert np.isfinite(estimator.score_samples(np.where(there, filled, np.nan))).all()
    if name == "CategoricalMixture":
        assert set(np.unique(filled)) == {1.0, 2.0, 3.0, 4.0}


def test_impute_the_commonest() -> None:
    x = gaps(BINARY)
    model = dem.BernoulliMixture(2, random_state=0).fit(x)
    filled = model.impute(x)
    likely = model.predict_proba(x) @ model.probabilities_ > 0.5
    np.testing.assert_array_equal(filled, np.where(np.isnan(x), likely, x))
    assert not hasattr(dem.StudentTMixture, "impute")


def test_arguments_that_cannot_be() -> None:
    for wrong, said in (
        (dem.PoissonMixture(0), "n_components must be >= 1"),
        (dem.CategoricalMixture(levels=0), "levels must be >= 1"),
        (dem.BernoulliMixture(binarize="0"), "binarize must be float"),
        (dem.StudentTMixture(df=-1.0), "df must be >= 0.001"),
        (dem.MixedMixture(numbers="gausian"), "numbers must be one of"),
    ):
        with pytest.raises((TypeError, ValueError), match=said):
            wrong.fit(COUNTS)
    assert isinstance(dem.PoissonMixture(2, init_params=Given(None)).init_params, Given)
