"""dem.BayesianGaussianMixture looks and behaves like scikit-learn's."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture as Theirs

import dem
from dem.starts import NO_PASS

FORMS = ["full", "tied", "diag", "spherical"]
MIXINGS = ["dirichlet_process", "dirichlet_distribution"]
FITTED = [
    *("weights_", "weight_concentration_", "means_", "mean_precision_", "covariances_"),
    *("precisions_", "precisions_cholesky_", "degrees_of_freedom_", "weight_concentration_prior_"),
    *("mean_precision_prior_", "mean_prior_", "degrees_of_freedom_prior_", "covariance_prior_"),
    *("n_iter_", "n_features_in_"),
]
SCATTERS = {
    "full": np.diag([1.0, 2.0, 3.0]) + 0.4,
    "tied": np.diag([1.0, 2.0, 3.0]) + 0.4,
    "diag": [1.0, 2.0, 3.0],
    "spherical": 1.7,
}
forms = pytest.mark.parametrize("form", FORMS)
mixings = pytest.mark.parametrize("mixing", MIXINGS)
unfinished = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def near(rows: np.ndarray) -> np.ndarray:
    """Responsibilities (n, 4), which go by the first column."""
    r = np.exp(-((rows[:, :1] - np.array([-1.0, 1.0, 3.0, 5.0])) ** 2))
    return r / r.sum(axis=1, keepdims=True)


class Begun(Theirs):
    def _initialize_parameters(self, X: Any, random_state: Any, xp: Any = None) -> None:
        self._initialize(X, near(X))


@dataclass(frozen=True)
class Near:
    def __call__(self, model: Any, sample: Any, seed: int) -> Any:
        yield from NO_PASS
        return model.start_from(sample, near(sample.rows).T)


def test_arguments_and_defaults() -> None:
    theirs = inspect.signature(Theirs).parameters
    ours = inspect.signature(dem.BayesianGaussianMixture).parameters
    assert set(theirs) - set(ours) == {"verbose_interval"}
    for name in set(theirs) - {"verbose_interval", "init_params"}:
        assert ours[name].default == theirs[name].default, name


@unfinished
@mixings
@forms
def test_the_same_start_gives_the_same_fit(x: np.ndarray, form: str, mixing: str) -> None:
    how = {"covariance_type": form, "weight_concentration_prior_type": mixing, "max_iter": 9}
    prior = {
        "weight_concentration_prior": 0.7, "mean_precision_prior": 2.0, "mean_prior": [1, 0, 2],
        "degrees_of_freedom_prior": 5.5, "covariance_prior": SCATTERS[form],
    }  # fmt: skip
    for more in ({}, prior):
        arguments: dict[str, Any] = {**how, **more, "tol": 0.0}
        ours = dem.BayesianGaussianMixture(4, schedule="batch", init_params=Near(), **arguments)
        theirs = Begun(n_components=4, **arguments).fit(x)
        for each in (ours.fit(x), ours.to_sklearn()):
            for name in FITTED:
                a, b = getattr(each, name), getattr(theirs, name)
                assert np.shape(a) == np.shape(b), name
                np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8, err_msg=name)
            for name in ("predict", "predict_proba", "score_samples", "score"):
                a, b = getattr(each, name)(x), getattr(theirs, name)(x)
                np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8, err_msg=name)
        assert ours.to_sklearn().weight_concentration_prior_type == mixing


def test_it_stops_where_scikit_learn_does(x: np.ndarray) -> None:
    """tol is for the bound of all rows, or components that are not needed would stay."""
    how: dict[str, Any] = {"n_components": 4, "max_iter": 900, "tol": 1e-2}
    ours = dem.BayesianGaussianMixture(schedule="batch", init_params=Near(), **how).fit(x)
    theirs = Begun(**how).fit(x)
    assert ours.converged_
    assert abs(ours.n_iter_ - theirs.n_iter_) <= 2
    np.testing.assert_allclose(ours.weights_, theirs.weights_, atol=1e-3)
    with pytest.warns(ConvergenceWarning, match=r"tol=0\.009 asks for a change below 1e-05\."):
        ours.set_params(tol=9e-3, max_iter=2).fit(x)


def test_it_needs_no_more_components_than_there_are(x: np.ndarray) -> None:
    model = dem.BayesianGaussianMixture(10, random_state=0, max_iter=1000).fit(x)
    assert (model.weights_ > 0.05).sum() == 3
    assert model.converged_
    bounds = [
        dem.BayesianGaussianMixture(
            k, random_state=0, weight_concentration_prior_type="dirichlet_distribution",
        ).fit(x).lower_bound_
        for k in (1, 2, 3, 5)
    ]  # fmt: skip
    assert int(np.argmax(bounds)) == 2  # the evidence counts what a component costs


def test_the_bound_rises(x: np.ndarray) -> None:
    for schedule in ("auto", "batch"):
        model = dem.BayesianGaussianMixture(
            6, reg_covar=0.0, tol=1e-9, max_iter=2000, random_state=0, schedule=schedule,
            init_params="k-means++",
        ).fit(x)  # fmt: skip
        halves = [b for r in model.history_ for b in (r.bound_e, r.bound)]
        assert (np.diff(halves) >= -1e-12).all()
        assert model.lower_bound_ < model.score(x)


def test_lazy_data_with_weights_and_names(x: np.ndarray) -> None:
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    counts = np.arange(len(x)) % 3
    ours = dem.BayesianGaussianMixture(3, random_state=0, init_params="kmeans")
    plain = ours.fit(np.repeat(x, counts, axis=0)).lower_bound_
    assert ours.fit(frame, sample_weight=counts).lower_bound_ == pytest.approx(plain, abs=1e-6)
    assert ours.feature_names_in_.tolist() == ["a", "b", "c"]
    lazy = da.from_array(x, chunks=(100, 3))
    before = ours.fit(x).predict(x)
    found = ours.fit(lazy).predict(lazy)
    assert isinstance(found, da.Array)
    np.testing.assert_array_equal(found.compute(), before)


def test_labels(x: np.ndarray) -> None:
    labels = np.full(len(x), -1)
    low, high = np.argsort(x.sum(axis=1))[[0, -1]]
    labels[[low, high]] = [2, 0]
    model = dem.BayesianGaussianMixture(3, random_state=0).fit(x, labels=labels)
    assert model.predict(x[[low, high]]).tolist() == [2, 0]
    assert model.means_[0].sum() > model.means_[1].sum() > model.means_[2].sum()
    assert len(model.weight_concentration_) == 2


@unfinished
def test_going_on(x: np.ndarray) -> None:
    model = dem.BayesianGaussianMixture(
        4, max_iter=3, init_params=Near(), warm_start=True, tol=1e-12
    ).fit(x)
    halfway = model.history_[-1].bound
    assert model.fit(x).history_[0].bound_e >= halfway
    once = dem.BayesianGaussianMixture(4, max_iter=6, init_params=Near(), tol=1e-12).fit(x)
    assert model.history_[-1].bound == pytest.approx(once.history_[-1].bound, abs=1e-3)


def test_of_a_model(x: np.ndarray) -> None:
    """One that has been fitted without the estimator, and one that is no such mixture."""
    model = dem.VariationalMixture(3, dem.BayesianGaussian(dem.Diagonal()), dem.StickBreaking(2.0))
    face = dem.BayesianGaussianMixture.from_fit(dem.fit(model, x))
    assert face.covariance_type == "diag"
    assert face.weight_concentration_prior == face.weight_concentration_prior_ == 2.0
    assert face.weight_concentration_prior_type == "dirichlet_process"
    np.testing.assert_allclose(face.covariance_prior_, np.var(x, axis=0, ddof=1), rtol=1e-10)
    with pytest.raises(ValueError, match="not the fit of a Bayesian Gaussian mixture"):
        dem.BayesianGaussianMixture.from_fit(dem.fit(dem.Mixture(2, dem.Gaussian()), x))
    with pytest.raises(ValueError, match="not the fit of a Gaussian mixture"):
        dem.GaussianMixture.from_fit(dem.fit(model, x))


@forms
def test_saved_with_its_prior(x: np.ndarray, form: str, tmp_path: Path) -> None:
    arguments = {"covariance_type": form, "covariance_prior": SCATTERS[form], "mean_prior": x[0]}
    model = dem.BayesianGaussianMixture(2, random_state=0, **arguments).fit(x)
    dem.save(model, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    for name in FITTED:
        np.testing.assert_array_equal(getattr(back, name), getattr(model, name), err_msg=name)
    np.testing.assert_array_equal(back.score_samples(x), model.score_samples(x))
    bound = back.set_params(warm_start=True, tol=1.0).fit(x).lower_bound_
    assert bound >= model.lower_bound_ - 1e-6
    with pytest.raises(ValueError, match="cannot go on from the last fit"):
        back.set_params(mean_prior=x[1]).fit(x)


WRONG = [
    ({"mean_prior": [1.0]}, ValueError, "mean_prior should have the shape"),
    ({"covariance_prior": 1.0}, ValueError, "covariance_prior should have the shape"),
    ({"covariance_prior": -np.eye(3)}, ValueError, "covariance_prior should be symmetric and pos"),
    ({"degrees_of_freedom_prior": 1.5}, ValueError, "'degrees_of_freedom_prior' should be gr"),
    ({"mean_precision_prior": 0.0}, ValueError, "mean_precision must be positive"),
    ({"weight_concentration_prior": -1}, ValueError, "concentration must be >= 0"),
    ({"weight_concentration_prior_type": "stick"}, ValueError, "must be one of .*dirichlet_proc"),
    ({"covariance_type": "ful"}, ValueError, "covariance_type must be one of"),
    ({"reg_covar": -1.0}, ValueError, "reg_covar must be >= 0"),
]


@pytest.mark.parametrize(("how", "error", "said"), WRONG, ids=[w[2][:20] for w in WRONG])
def test_arguments_that_cannot_be(x: np.ndarray, how: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        dem.BayesianGaussianMixture(2, **how).fit(x)


def test_the_prior_holds_what_the_rows_do_not(x: np.ndarray) -> None:
    """A constant column; no more rows than components; fewer than columns."""
    flat = np.hstack([x[:60], np.full((60, 1), 3.0)])
    for rows in (flat, x[:3], np.hstack([x[:4], x[4:8]])):
        for form in FORMS:
            model = dem.BayesianGaussianMixture(
                3, covariance_type=form, reg_covar=0.0, max_iter=500, random_state=0
            ).fit(rows)
            assert np.isfinite(model.lower_bound_)
            halves = [b for r in model.history_ for b in (r.bound_e, r.bound)]
            assert (np.diff(halves) >= -1e-6).all()
