"""dem.GaussianMixture looks and behaves like scikit-learn's."""

import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as Theirs
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dem
from dem.cli import recipe
from dem.engine.readers import arrays
from dem.estimators import inputs
from dem.report.progress import Silent

FORMS = ["full", "tied", "diag", "spherical"]
FITTED = [
    *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"),
    *("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_"),
]
forms = pytest.mark.parametrize("form", FORMS)


def given(x: np.ndarray, form: str) -> dict[str, Any]:
    """A start that both implementations take as it is."""
    eye = np.eye(3)
    precisions = {
        "full": np.stack([eye, 2 * eye, eye]),
        "tied": eye,
        "diag": np.array([[1.0, 0.5, 2.0]] * 3),
        "spherical": np.array([1.0, 0.5, 2.0]),
    }
    return {
        "weights_init": [0.2, 0.3, 0.5],
        "means_init": x[:3],
        "precisions_init": precisions[form],
    }


def test_arguments_and_defaults() -> None:
    theirs = inspect.signature(Theirs).parameters
    ours = inspect.signature(dem.GaussianMixture).parameters
    missing = {"verbose_interval"}
    other_defaults = {"init_params"}
    assert set(theirs) - set(ours) == missing
    for name in set(theirs) - missing - other_defaults:
        assert ours[name].default == theirs[name].default, name
        assert ours[name].kind == theirs[name].kind, name


@forms
def test_the_same_start_gives_the_same_fit(x: np.ndarray, form: str) -> None:
    options = {"covariance_type": form, "max_iter": 200, "tol": 1e-6, **given(x, form)}
    ours = dem.GaussianMixture(3, schedule="batch", **options).fit(x)
    theirs = Theirs(3, **options).fit(x)
    assert ours.converged_
    for name in FITTED:
        a, b = getattr(ours, name), getattr(theirs, name)
        assert np.shape(a) == np.shape(b), name
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8, err_msg=name)
    for name in ("predict", "predict_proba", "score_samples", "score", "bic", "aic"):
        a, b = getattr(ours, name)(x), getattr(theirs, name)(x)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8, err_msg=name)


@forms
def test_to_sklearn(x: np.ndarray, form: str) -> None:
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    ours = dem.GaussianMixture(3, covariance_type=form, random_state=0).fit(frame)
    theirs = ours.to_sklearn()
    assert type(theirs) is Theirs
    assert theirs.covariance_type == form
    assert theirs.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(theirs.predict(frame), ours.predict(frame))
    np.testing.assert_allclose(theirs.predict_proba(frame), ours.predict_proba(frame), atol=1e-10)
    np.testing.assert_allclose(theirs.score(frame), ours.score(frame), rtol=1e-10)
    assert theirs.lower_bounds_ == ours.lower_bounds_


@forms
def test_sample(x: np.ndarray, form: str) -> None:
    mixture = dem.GaussianMixture(3, covariance_type=form, random_state=0).fit(x)
    rows, labels = mixture.sample(20_000)
    assert rows.shape == (20_000, 3)
    assert (np.diff(labels) >= 0).all()
    np.testing.assert_allclose(np.bincount(labels) / 20_000, mixture.weights_, atol=0.02)
    covariances = mixture.to_sklearn().covariances_
    for k in range(3):
        mine = rows[labels == k]
        np.testing.assert_allclose(mine.mean(axis=0), mixture.means_[k], atol=0.15)
        whole = {
            "full": lambda k: covariances[k],
            "tied": lambda k: covariances,
            "diag": lambda k: np.diag(covariances[k]),
            "spherical": lambda k: covariances[k] * np.eye(3),
        }[form](k)
        np.testing.assert_allclose(np.cov(mine.T), whole, atol=0.3)


def test_weights_are_repetitions(x: np.ndarray) -> None:
    counts = np.random.default_rng(1).integers(0, 4, size=len(x))
    options = given(x, "full")
    weighted = dem.GaussianMixture(3, **options).fit(x, sample_weight=counts)
    repeated = dem.GaussianMixture(3, **options).fit(np.repeat(x, counts, axis=0))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-10)
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-9)
    np.testing.assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, rtol=1e-12)
    for score in ("score", "bic", "aic"):
        a = getattr(weighted, score)(x, sample_weight=counts)
        b = getattr(repeated, score)(np.repeat(x, counts, axis=0))
        assert a == pytest.approx(b, rel=1e-10), score


def test_one_weight_for_all(x: np.ndarray) -> None:
    plain = dem.GaussianMixture(3, **given(x, "full")).fit(x)
    doubled = dem.GaussianMixture(3, **given(x, "full")).fit(x, sample_weight=2.0)
    np.testing.assert_allclose(doubled.means_, plain.means_, rtol=1e-10)
    assert doubled.aic(x, sample_weight=2.0) - plain.aic(x) == pytest.approx(
        -2 * plain.score(x) * len(x), rel=1e-8
    )
    with pytest.raises(dem.DataError, match=r"weight of row 0 is -2\.0"):
        dem.GaussianMixture(2).fit(x, sample_weight=-2.0)


def test_params_clone_and_pickle(x: np.ndarray) -> None:
    mixture = dem.GaussianMixture(3, covariance_type="tied", random_state=4).fit(x)
    copy = clone(mixture)
    assert copy.get_params() == mixture.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(x)
    np.testing.assert_array_equal(copy.fit(x).means_, mixture.means_)
    back = pickle.loads(pickle.dumps(mixture))  # noqa: S301
    np.testing.assert_array_equal(back.predict_proba(x), mixture.predict_proba(x))
    assert mixture.set_params(n_components=2).fit(x).means_.shape == (2, 3)


def test_in_a_pipeline_and_a_grid_search(x: np.ndarray) -> None:
    pipeline = make_pipeline(StandardScaler(), dem.GaussianMixture(3, random_state=0))
    assert pipeline.fit(x).predict(x).shape == (900,)
    assert np.isfinite(pipeline.score(x))
    search = GridSearchCV(
        dem.GaussianMixture(random_state=0, covariance_type="diag"),
        {"n_components": [1, 2, 3]},
        cv=3,
    ).fit(x)
    assert search.best_params_ == {"n_components": 3}


def test_feature_names(x: np.ndarray) -> None:
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    mixture = dem.GaussianMixture(2, random_state=0).fit(frame)
    assert mixture.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(mixture.predict(frame), mixture.predict_proba(frame).argmax(1))
    with pytest.raises(ValueError, match="feature names should match"):
        mixture.predict(frame[["b", "a", "c"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        mixture.predict(x)
    mixture.fit(x)
    assert not hasattr(mixture, "feature_names_in_")


@pytest.mark.parametrize(
    ("tol", "asked"),
    [
        (0, "tol=0 asks for all of them. Give tol > 0 for a fit that stops by itself."),
        (1e-9, "tol=1e-09 asks for a smaller change. Try different init parameters, or increase"),
    ],
)
@pytest.mark.parametrize("max_iter", [1, 2])
def test_not_converged(x: np.ndarray, max_iter: int, tol: float, asked: str) -> None:
    mixture = dem.GaussianMixture(3, max_iter=max_iter, tol=tol, random_state=0)
    with pytest.warns(ConvergenceWarning) as caught:
        mixture.fit(x)
    (message,) = [str(w.message) for w in caught]
    assert message.startswith(f"Best performing initialization did not converge in {max_iter} ite")
    assert ("last changed by" in message) == (max_iter == 2)
    assert asked in message
    assert caught[0].filename == __file__
    assert not mixture.converged_
    assert mixture.n_iter_ == len(mixture.lower_bounds_) == max_iter


def test_no_iteration(x: np.ndarray) -> None:
    """The start itself, without a warning, as in scikit-learn."""
    mixture = dem.GaussianMixture(3, max_iter=0, **given(x, "full")).fit(x)
    np.testing.assert_allclose(mixture.means_, x[:3], rtol=1e-12)
    np.testing.assert_allclose(mixture.precisions_, given(x, "full")["precisions_init"], rtol=1e-12)
    np.testing.assert_array_equal(mixture.weights_, [0.2, 0.3, 0.5])
    assert (mixture.n_iter_, mixture.lower_bounds_, mixture.converged_) == (0, [], False)
    assert mixture.lower_bound_ == -np.inf


def test_bounds_per_row_rise(x: np.ndarray) -> None:
    options: dict[str, Any] = {"max_iter": 500, "reg_covar": 0, "schedule": "batch"}
    mixture = dem.GaussianMixture(3, tol=1e-9, random_state=0, **options).fit(x)
    halves = [b for r in mixture.history_ for b in (r.bound_e, r.bound)]
    assert (np.diff(halves) >= -1e-12).all()
    assert mixture.lower_bound_ == mixture.lower_bounds_[-1] == mixture.history_[-1].bound_e
    assert mixture.lower_bound_ == pytest.approx(mixture.score(x), abs=1e-8)
    assert abs(np.diff(mixture.lower_bounds_)[-1]) < 1e-9 <= abs(np.diff(mixture.lower_bounds_)[-2])


def test_verbose(x: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    dem.GaussianMixture(2, random_state=0).fit(x)
    assert capsys.readouterr() == ("", "")
    dem.GaussianMixture(2, random_state=0, verbose=1).fit(x)
    said = capsys.readouterr().err
    assert "iteration 1 of 100: bound -" in said
    assert "converged" in said

    class Counts(Silent):
        steps = 0

        def on_step(self, step: Any) -> None:
            self.steps += 1

    counts = Counts()
    mixture = dem.GaussianMixture(2, random_state=0, verbose=counts).fit(x)
    assert counts.steps == mixture.n_iter_


def test_posteriors_and_schedules_by_word_or_object(x: np.ndarray) -> None:
    words = dem.GaussianMixture(3, posterior="hard", schedule="batch", random_state=0).fit(x)
    objects = dem.GaussianMixture(
        3, posterior=dem.Hard(), schedule=dem.FullBatch(), covariance_type=dem.Full(),
        random_state=0,
    ).fit(x)  # fmt: skip
    np.testing.assert_array_equal(words.means_, objects.means_)
    assert words.lower_bound_ <= words.score(x)


@pytest.mark.parametrize("word", inputs.SCHEDULES)
def test_every_schedule_by_word(
    x: np.ndarray, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(recipe.SCHEDULES) == set(inputs.SCHEDULES)
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
    rows = np.tile(x, (10_000 // len(x), 1))  # some blocks
    how: dict[str, Any] = {"tol": 1e-5, "max_iter": 300, "means_init": x[:3]}
    limit = dem.GaussianMixture(3, schedule="batch", **how).fit(rows).score(rows)
    ours = dem.GaussianMixture(3, schedule=word, checkpoint=tmp_path / "kept", **how).fit(rows)
    assert ours.score(rows) > limit - 1e-3
    assert dem.GaussianMixture.resume(tmp_path / "kept", rows).schedule == word


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.longdouble, np.int64, np.int8, bool])
def test_other_numbers(x: np.ndarray, dtype: Any) -> None:
    """As exact as if they were converted to float64 first; results are float64.

    Short floating-point numbers are multiplied in float32, where that is enough.
    """
    rows = (x * 8).astype(dtype) if dtype is not bool else x > 2
    exact = rows.astype(np.float64)
    options = {**given(x, "full"), "means_init": exact[[0, 1, 2]] + np.eye(3)}
    ours, wide = (dem.GaussianMixture(3, **options).fit(r) for r in (rows, exact))
    rounded = 1e-4 if dtype in (np.float32, np.float16) else 1e-10
    np.testing.assert_allclose(ours.means_, wide.means_, rtol=rounded, atol=rounded)
    assert ours.score_samples(rows).dtype == np.float64
    assert ours.predict(rows).dtype == np.int64
    np.testing.assert_array_equal(ours.predict(rows), wide.predict(exact))
