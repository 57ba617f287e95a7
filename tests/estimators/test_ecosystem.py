"""At home among scikit-learn, pandas, Dask and xarray."""

from collections.abc import Iterator
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dem

xr = pytest.importorskip("xarray")
callback = pytest.importorskip("sklearn.callback")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3)) + 6 * RNG.integers(3, size=(400, 1)) * [1.0, 0.0, 1.0]


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_in_a_pipeline() -> None:
    steps = make_pipeline(StandardScaler(), dem.GaussianMixture(3, random_state=0))
    alone = dem.GaussianMixture(3, random_state=0).fit(StandardScaler().fit_transform(X))
    np.testing.assert_array_equal(steps.fit(X).predict(X), steps.fit_predict(X))
    assert steps.score(X) == pytest.approx(alone.score(StandardScaler().fit_transform(X)))
    reduced = make_pipeline(dem.KMeans(4, random_state=0), StandardScaler()).fit_transform(X)
    assert reduced.shape == (400, 4)


def test_a_grid_search_finds_the_number_of_components() -> None:
    grid = {"n_components": [1, 2, 3], "covariance_type": ["full", "spherical"]}
    search = GridSearchCV(dem.GaussianMixture(random_state=0), grid, cv=3).fit(X)
    assert search.best_params_ == {"n_components": 3, "covariance_type": "spherical"}
    assert search.score(X) == search.best_estimator_.score(X)


@pytest.mark.usefixtures("routing")
def test_weights_and_labels_are_routed() -> None:
    """A weight of 0 is as good as a row less, through a pipeline and a search."""
    weight = np.repeat([0.0, 1.0, 2.0, 1.0], 100)
    labels = np.where(np.arange(400) % 7 == 0, 0, -1)
    model = dem.GaussianMixture(2, random_state=0, max_iter=5, tol=1.0)
    asking = clone(model).set_fit_request(sample_weight=True, labels=True)
    routed = make_pipeline(asking).fit(X, sample_weight=weight, labels=labels)[-1]
    whole = model.fit(X, sample_weight=weight, labels=labels)
    np.testing.assert_array_equal(routed.means_, whole.means_)

    scored = dem.KMeans(2, random_state=0).set_fit_request(sample_weight=True)
    scored.set_score_request(sample_weight=True)
    search = GridSearchCV(scored, {"n_clusters": [2]}, cv=2).fit(X, sample_weight=weight)
    first = dem.KMeans(2, random_state=0).fit(X[200:], sample_weight=weight[200:])
    mean = search.cv_results_["split0_test_score"][0]
    assert mean == pytest.approx(first.score(X[:200], sample_weight=weight[:200]))


def test_names_go_in_and_come_out() -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=np.arange(400) + 7)
    model = dem.KMeans(2, random_state=0).fit(frame)
    assert model.get_feature_names_out().tolist() == ["kmeans0", "kmeans1"]
    distances = model.transform(frame)
    out = model.set_output(transform="pandas").transform(frame)
    assert isinstance(out, pd.DataFrame)
    assert out.columns.tolist() == ["kmeans0", "kmeans1"]
    assert out.index.equals(frame.index)
    np.testing.assert_array_equal(out.to_numpy(), distances)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["b", "a", "c"]])


def test_categoricals_of_pandas_and_dask() -> None:
    colours = pd.Categorical(list("rgb") * 60, categories=["r", "g", "b", "unseen"])
    frame = pd.DataFrame({"colour": colours, "size": list("sl") * 90})
    model = dem.CategoricalMixture(2, random_state=0).fit(frame)
    assert [levels.tolist() for levels in model.levels_] == [["r", "g", "b", "unseen"], ["l", "s"]]
    lazy = dd.from_pandas(frame, npartitions=3)
    again = dem.CategoricalMixture(2, random_state=0).fit(lazy)
    np.testing.assert_allclose(again.probabilities_[0], model.probabilities_[0], atol=1e-6)
    labels = model.predict(lazy)
    assert isinstance(labels, da.Array)
    np.testing.assert_array_equal(labels.compute(), model.predict(frame))


def image() -> Any:
    coords = {
        "time": pd.date_range("2024", periods=400), "band": list("rgb"),
        "site": ("time", np.arange(400) % 5), "sensor": "A",
    }  # fmt: skip
    return xr.DataArray(X, dims=("time", "band"), coords=coords)


@pytest.mark.parametrize("chunks", [None, 150])
def test_coordinates_of_xarray_are_kept(chunks: int | None) -> None:
    data = image() if chunks is None else image().chunk(time=chunks)
    model = dem.GaussianMixture(3, random_state=0, missing=True).fit(data)
    held = np.ndarray if chunks is None else da.Array
    for method, dims in (
        ("predict", ("time",)), ("score_samples", ("time",)),
        ("predict_proba", ("time", "component")), ("impute", ("time", "band")),
    ):  # fmt: skip
        out = getattr(model, method)(data)
        assert isinstance(out.data, held)
        assert out.dims == dims
        assert set(out.coords) == {"time", "site", "sensor"} | ({"band"} & set(dims))
        xr.testing.assert_equal(out.time, data.time)
        np.testing.assert_allclose(out, getattr(model, method)(X), rtol=1e-12)
    by_site = model.predict_proba(data).compute().groupby("site").mean()
    assert by_site.dims == ("site", "component")
    k_means = dem.KMeans(2, random_state=0).fit(data)
    assert k_means.labels_.dims == ("time",)
    assert k_means.transform(data).dims == ("time", "component")


def test_sparse_rows_are_refused_and_sparse_chunks_made_dense() -> None:
    model = dem.GaussianMixture(2, random_state=0)
    with pytest.raises(TypeError, match="dense data is required"):
        model.fit(scipy.sparse.csr_array(X))
    sparse = da.from_array(X, chunks=(100, 3)).map_blocks(
        scipy.sparse.csr_array, meta=scipy.sparse.csr_array((0, 3))
    )
    model.fit(sparse)
    np.testing.assert_array_equal(model.predict(sparse).compute(), model.predict(X))


class OnGpu:
    """A chunk that answers as CuPy's arrays do."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.shape, self.dtype, self.ndim = rows, rows.shape, rows.dtype, rows.ndim

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def get(self) -> np.ndarray:
        return self.rows


def test_chunks_on_a_gpu_are_fetched() -> None:
    """An array there is CuPy's to refuse, in its own words."""
    with pytest.raises(TypeError, match=r"use `\.get\(\)`"):
        dem.GaussianMixture(2).fit(OnGpu(X))
    chunks = da.from_array(X, chunks=(100, 3)).map_blocks(OnGpu, meta=X[:0])
    model = dem.GaussianMixture(2, random_state=0).fit(chunks)
    proba = model.predict_proba(chunks).compute()
    np.testing.assert_allclose(proba, model.predict_proba(X), rtol=1e-9)


def test_parameters_as_a_tidy_frame() -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = dem.GaussianMixture(2, random_state=0).fit(frame)
    table = model.to_frame()
    assert list(table) == ["parameter", "component", "column", "other", "value"]
    wide = table[table.parameter == "means"].pivot(index="component", columns="column",
                                                   values="value")  # fmt: skip
    np.testing.assert_array_equal(wide[["a", "b", "c"]].to_numpy(), model.means_)
    one = table.query("parameter == 'covariances' and component == 1")
    assert len(one) == 6
    assert one.query("column == 'c' and other == 'a'").value.item() == model.covariances_[1, 2, 0]
    assert table[table.parameter == "weights"].value.tolist() == model.weights_.tolist()
    assert set(dem.KMeans(2, random_state=0).fit(X).to_frame().parameter) == {"means"}
    levels = dem.CategoricalMixture(1, random_state=0).fit(pd.DataFrame({"c": list("xyyy")}))
    told = levels.to_frame().query("parameter == 'probabilities'")
    assert list(zip(told.column, told.other, strict=True)) == [("c", "x"), ("c", "y")]
    assert told.value.tolist() == pytest.approx([0.25, 0.75], abs=0.01)


class Hears:
    """A callback that is told all there is to tell, and may ask to stop."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.told: list[str] = []
        self.scores: list[float] = []

    def setup(self, estimator: Any, context: Any) -> None:
        self.told.append("setup")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.told.append(f"begin {context.task_name}")

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> bool:
        self.told.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score(X))
        return context.task_name == f"turn {self.stop_at}"

    def teardown(self, estimator: Any, context: Any) -> None:
        self.told.append("teardown")


def test_callbacks_hear_of_each_turn_with_an_estimator_as_of_then() -> None:
    hears = Hears()
    model = dem.GaussianMixture(2, schedule="batch", random_state=0).set_callbacks(hears).fit(X)
    turns = [f"{what} turn {i}" for i in range(1, model.n_iter_ + 1) for what in ("begin", "end")]
    assert hears.told == ["setup", "begin fit", *turns, "end fit", "teardown"]
    bounds = model.lower_bounds_
    assert hears.scores[:-2] == pytest.approx(bounds[1:], rel=1e-9)
    assert not hasattr(model, "_callback_fit_ctx")


def test_a_callback_may_end_a_fit() -> None:
    model = dem.GaussianMixture(2, schedule="batch", tol=0.0, random_state=0)
    with pytest.warns(ConvergenceWarning, match="Interrupted: kept the parameters of turn 2"):
        model.set_callbacks(Hears(stop_at=2)).fit(X)
    assert model.n_iter_ == 2


def test_callbacks_of_a_pipeline_are_handed_on() -> None:
    pytest.importorskip("rich")
    steps = make_pipeline(StandardScaler(), dem.KMeans(2, random_state=0))
    steps.set_callbacks(callback.ProgressBar()).fit(X)  # warns of steps that have none
    assert not hasattr(steps[-1], "_skl_callbacks")


def test_scikit_learn_takes_over() -> None:
    """The density is the same in scikit-learn's hands, and in SciPy's."""
    model = dem.GaussianMixture(3, random_state=0).fit(X)
    np.testing.assert_allclose(model.to_sklearn().score_samples(X), model.score_samples(X))
    parts = [multivariate_normal(*own).logpdf(X)
             for own in zip(model.means_, model.covariances_, strict=True)]  # fmt: skip
    log_prob = logsumexp(np.transpose(parts) + np.log(model.weights_), axis=1)
    np.testing.assert_allclose(model.score_samples(X), log_prob)


def test_a_notebook_shows_fitted_attributes() -> None:
    page = dem.GaussianMixture(2, random_state=0).fit(X)._repr_html_()
    for name in ("means_", "covariances_", "converged_", "lower_bound_", "n_passes_"):
        assert name in page
