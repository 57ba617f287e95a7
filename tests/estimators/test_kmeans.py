"""dem.KMeans looks and behaves like scikit-learn's."""

import inspect
import pickle
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.cluster import KMeans as Theirs
from sklearn.exceptions import ConvergenceWarning

import dem
from dem.report.progress import Silent
from dem.starts import RandomRows


def both(x: np.ndarray, k: int = 4, weights: Any = None, **options: Any) -> tuple[Any, Any]:
    options = {"init": x[:k], "tol": 0, "n_init": 1, **options}
    ours = dem.KMeans(k, **options).fit(x, sample_weight=weights)
    theirs = Theirs(k, algorithm="lloyd", **options).fit(x, sample_weight=weights)
    return ours, theirs


def test_arguments_and_defaults() -> None:
    theirs = inspect.signature(Theirs).parameters
    ours = inspect.signature(dem.KMeans).parameters
    assert set(ours) - set(theirs) == {"checkpoint"}
    for name in set(theirs) - {"init"}:
        assert ours[name].default == theirs[name].default
        assert ours[name].kind == theirs[name].kind
    arguments = Theirs(5, init="random").get_params()
    assert dem.KMeans(**arguments).get_params() == {**arguments, "checkpoint": None}


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("max_iter", [1, 3, 300])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_same_centres_give_the_same_fit(
    x: np.ndarray, offset: float, weighted: bool, max_iter: int
) -> None:
    weights = np.random.default_rng(2).random(len(x)) if weighted else None
    rows = x + offset
    ours, theirs = both(rows, weights=weights, max_iter=max_iter)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-8)
    assert ours.n_iter_ == max_iter or ours.n_iter_ - theirs.n_iter_ in (0, 1)
    np.testing.assert_array_equal(ours.predict(rows), ours.labels_)
    distances = cdist(rows, theirs.cluster_centers_)  # theirs.transform loses digits far from 0
    np.testing.assert_allclose(ours.transform(rows), distances, atol=1e-8)
    assert ours.score(rows, sample_weight=weights) == pytest.approx(-ours.inertia_, rel=1e-12)
    assert ours.score(rows) == pytest.approx(-(distances.min(axis=1) ** 2).sum(), rel=1e-8)


@pytest.mark.parametrize("init", ["k-means||", "k-means++", "random"])
def test_every_start(x: np.ndarray, init: str) -> None:
    ours = dem.KMeans(3, init=init, n_init=3, random_state=0).fit(x)
    best = Theirs(3, n_init=10, random_state=0).fit(x).inertia_
    assert ours.inertia_ == pytest.approx(best, rel=1e-2)


def test_tol_is_about_inertia(x: np.ndarray) -> None:
    rough = dem.KMeans(4, init=x[:4], tol=0.05).fit(x)
    fine = dem.KMeans(4, init=x[:4], tol=0).fit(x)
    assert rough.n_iter_ < fine.n_iter_
    assert rough.inertia_ > fine.inertia_


def test_output_names_and_frames(x: np.ndarray) -> None:
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    means = dem.KMeans(2, random_state=0).fit(frame)
    assert means.feature_names_in_.tolist() == ["a", "b", "c"]
    assert means.get_feature_names_out().tolist() == ["kmeans0", "kmeans1"]
    out = means.set_output(transform="pandas").transform(frame)
    assert out.columns.tolist() == ["kmeans0", "kmeans1"]
    assert clone(means).fit_transform(frame).shape == (900, 2)
    np.testing.assert_array_equal(clone(means).fit_predict(frame), means.labels_)
    back = pickle.loads(pickle.dumps(means))  # noqa: S301
    np.testing.assert_array_equal(back.predict(frame), means.labels_)


def test_labels_are_lazy_for_lazy_data(x: np.ndarray) -> None:
    lazy = da.from_array(x, chunks=(250, -1))
    means = dem.KMeans(3, init=x[:3]).fit(lazy)
    assert isinstance(means.labels_, da.Array)
    assert means.labels_.chunks == (lazy.chunks[0],)
    whole = dem.KMeans(3, init=x[:3]).fit(x)
    np.testing.assert_array_equal(means.labels_.compute(), whole.labels_)


def test_few_rows_keep_their_clusters() -> None:
    """Ten single rows in ten clusters: no start may blur them into one another."""
    rows = np.random.default_rng(0).normal(size=(10, 2))
    means = dem.KMeans(10, random_state=0).fit(rows)
    assert means.inertia_ == pytest.approx(0.0, abs=1e-20)
    assert sorted(means.labels_) == list(range(10))


def test_fewer_distinct_rows_than_clusters() -> None:
    rows = np.repeat(np.random.default_rng(0).normal(size=(2, 3)), 50, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(2\) found smaller than n_cl"):
        means = dem.KMeans(4, random_state=0).fit(rows)
    assert means.inertia_ == pytest.approx(0.0, abs=1e-12)


def test_an_empty_cluster_keeps_its_centre(x: np.ndarray) -> None:
    far = np.concatenate([x[:2], [[1e3, 1e3, 1e3]]])
    with pytest.warns(ConvergenceWarning, match=r"no row is nearest to \[2\]"):
        means = dem.KMeans(3, init=far).fit(x)
    np.testing.assert_allclose(means.cluster_centers_[2], far[2])


@pytest.mark.parametrize(
    ("tol", "asked"), [(0, "tol=0 asks for none at all"), (1e-9, "tol=1e-09 asks for a smaller ch")]
)
def test_not_converged(x: np.ndarray, tol: float, asked: str) -> None:
    message = f"did not converge in 2 iterations.* last changed by .*, and {asked}"
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        means = dem.KMeans(4, init=x[:4], max_iter=2, tol=tol).fit(x)
    assert caught[0].filename == __file__
    assert not means.converged_


def test_history(x: np.ndarray) -> None:
    """A bound is a constant minus half the inertia per row, in units of the fit."""
    means = dem.KMeans(4, init=x[:4], tol=0).fit(x)
    assert means.converged_
    assert len(means.history_) == means.n_iter_
    bounds = [record.bound_e for record in means.history_]
    assert (np.diff(bounds) >= 0).all()
    first = cdist(x, x[:4]).min(axis=1) @ cdist(x, x[:4]).min(axis=1)
    scale = means._frame.scale[0] ** 2
    gained = (first - means.inertia_) / len(x) / scale / 2
    assert bounds[-1] - bounds[0] == pytest.approx(gained, rel=1e-9)


def test_n_init(x: np.ndarray) -> None:
    """ "auto" is scikit-learn's: ten random starts, one of any other kind."""

    def starts(**options: Any) -> int:
        seen = []

        class Watch(Silent):
            def on_start(self, description: str, total_steps: int | None) -> None:
                seen.append(description)

        dem.KMeans(3, random_state=0, verbose=Watch(), **options).fit(x)
        return len(seen)

    assert starts() == starts(init="k-means++") == starts(init=x[:3]) == 1
    assert starts(init="random") == 10
    assert starts(init="random", n_init=3) == 3
    with pytest.warns(RuntimeWarning, match="they are used once and not n_init=4 times"):
        assert starts(init=x[:3], n_init=4) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"init": np.zeros((2, 3))}, ValueError, r"init should have the shape \(3, 3\)"),
        ({"init": "best"}, ValueError, "init must be one of"),
        ({"init": None}, TypeError, "init must be one of .* or a Start .*got None"),
        ({"init": RandomRows}, TypeError, "init must be one of .* got the class RandomRows"),
        ({"algorithm": "fast"}, ValueError, r"algorithm must be one of \('lloyd', 'elkan'\)"),
        ({"n_init": "best"}, TypeError, "n_init must be int, got str"),
        ({"max_iter": 0}, ValueError, "max_iter must be >= 1, got 0"),
        ({"n_init": 0}, ValueError, "n_init must be >= 1, got 0"),
        ({"tol": -1.0}, ValueError, "tol must be >= 0"),
        ({"n_clusters": 2.5}, TypeError, "n_clusters must be int, got float"),
    ],
)
def test_wrong_arguments(x: np.ndarray, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        dem.KMeans(**{"n_clusters": 3, **options}).fit(x)
