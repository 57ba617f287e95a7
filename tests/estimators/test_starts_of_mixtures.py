"""Where a fit of dem.GaussianMixture begins: words, given parts, seeds, several starts."""

from typing import Any

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Theirs

import dem
from dem.estimators.inputs import STARTS
from dem.starts import RandomRows

FORMS = ["full", "tied", "diag", "spherical"]
PRECISIONS = {
    "full": np.stack([np.eye(3) * s for s in (1.0, 2.0, 0.5)]),
    "tied": np.eye(3) + 0.1,
    "diag": np.array([[1.0, 0.5, 2.0]] * 3),
    "spherical": np.array([1.0, 0.5, 2.0]),
}


@pytest.mark.parametrize("word", sorted(STARTS.keys() - {"random"}))
@pytest.mark.parametrize("form", FORMS)
def test_every_start_finds_three_clusters(x: np.ndarray, word: str, form: str) -> None:
    if (word, form) == ("annealed", "tied"):
        pytest.skip("components that coincide stay so under a covariance that covers all the rows")
    options = {"covariance_type": form, "random_state": 0, "max_iter": 1000, "n_init": 3}
    mixture = dem.GaussianMixture(3, init_params=word, tol=1e-5, **options).fit(x)
    assert mixture.lower_bound_ == pytest.approx(_best(x, form), abs=2e-3)


@pytest.mark.parametrize("form", FORMS)
def test_random_responsibilities_are_blurred_but_break_the_tie(x: np.ndarray, form: str) -> None:
    options: dict[str, Any] = {"init_params": "random", "covariance_type": form, "random_state": 0}
    start = dem.GaussianMixture(3, max_iter=0, **options).fit(x)
    np.testing.assert_allclose(start.means_, np.tile(x.mean(axis=0), (3, 1)), atol=0.5)
    end = dem.GaussianMixture(3, tol=1e-7, max_iter=2000, **options).fit(x)
    assert end.lower_bound_ > dem.GaussianMixture(1, covariance_type=form).fit(x).lower_bound_


def _best(x: np.ndarray, form: str) -> float:
    theirs = Theirs(3, covariance_type=form, n_init=3, tol=1e-6, random_state=0, max_iter=1000)
    return theirs.fit(x).lower_bound_


def test_an_object_for_a_start(x: np.ndarray) -> None:
    word = dem.GaussianMixture(3, init_params="random_from_data", random_state=0).fit(x)
    thing = dem.GaussianMixture(3, init_params=RandomRows(), random_state=0).fit(x)
    np.testing.assert_array_equal(word.means_, thing.means_)


def test_more_starts_are_never_worse(x: np.ndarray) -> None:
    options: dict[str, Any] = {"init_params": "random_from_data", "random_state": 3, "tol": 1e-4}
    bounds = [dem.GaussianMixture(5, n_init=n, **options).fit(x).lower_bound_ for n in range(1, 7)]
    assert (np.diff(bounds) >= 0).all()
    assert bounds[-1] > bounds[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("parts", ["w", "m", "p", "wm", "wp", "mp", "wmp"])
def test_given_parts_are_taken_as_they_are(x: np.ndarray, form: str, parts: str) -> None:
    options: dict[str, Any] = {"covariance_type": form, "random_state": 0}
    if "w" in parts:
        options["weights_init"] = np.array([0.2, 0.3, 0.5])
    if "m" in parts:
        options["means_init"] = x[:3]
    if "p" in parts:
        options["precisions_init"] = PRECISIONS[form]
    start = dem.GaussianMixture(3, max_iter=0, **options).fit(x)
    for name, value in options.items():
        if name.endswith("_init"):
            attribute = name.replace("init", "")
            np.testing.assert_allclose(getattr(start, attribute), value, rtol=1e-10, atol=1e-12)
    assert start.weights_.sum() == pytest.approx(1.0)
    assert start.covariances_.shape == PRECISIONS[form].shape
    assert dem.GaussianMixture(3, tol=0.1, **options).fit(x).converged_


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"means_init": np.zeros((2, 3))}, r"means_init should have the shape \(3, 3\), but got"),
        ({"means_init": [["a"] * 3] * 3}, "means_init cannot be turned into an array of numbers"),
        ({"means_init": np.full((3, 3), np.nan)}, "means_init contains NaN or infinity"),
        ({"weights_init": [0.5, 0.5]}, r"weights_init should have the shape \(3,\)"),
        ({"weights_init": [0.5, 0.5, 0.5]}, "weights_init must be non-negative and sum to 1"),
        ({"weights_init": [-0.5, 0.5, 1.0]}, "weights_init must be non-negative and sum to 1"),
        ({"precisions_init": np.eye(3)}, r"precisions_init should have the shape \(3, 3, 3\)"),
        ({"precisions_init": -PRECISIONS["full"]}, "symmetric and positive definite"),
        (
            {"precisions_init": PRECISIONS["full"] + [0.0, 0.5, 0.0]},
            "symmetric and positive definite",
        ),
        (
            {"precisions_init": -PRECISIONS["diag"], "covariance_type": "diag"},
            "precisions_init should be positive",
        ),
    ],
)
def test_wrong_parts_are_refused(x: np.ndarray, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dem.GaussianMixture(3, **options).fit(x)


def test_random_states(x: np.ndarray) -> None:
    def means(state: Any) -> np.ndarray:
        mixture = dem.GaussianMixture(
            4, init_params="random_from_data", random_state=state, max_iter=0
        )
        return mixture.fit(x).means_

    for make in (lambda: 7, lambda: np.int64(7), np.random.default_rng, np.random.RandomState):
        seeded = (make(7) if make in (np.random.default_rng, np.random.RandomState) else make()
                  for _ in range(2))  # fmt: skip
        np.testing.assert_array_equal(*map(means, seeded))
    np.testing.assert_array_equal(means(7), means(np.int64(7)))
    rng = np.random.default_rng(7)
    assert (means(rng) != means(rng)).any()  # a generator goes on
    assert (means(None) != means(None)).any()
    assert (means(7) != means(8)).any()


def test_the_global_generator_is_left_alone(x: np.ndarray) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    dem.GaussianMixture(2).fit(x)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_goes_on(x: np.ndarray) -> None:
    options: dict[str, Any] = {"tol": 0, "random_state": 0, "schedule": "batch"}
    warm = dem.GaussianMixture(3, warm_start=True, max_iter=5, **options)
    bounds = [b for _ in range(3) for b in warm.fit(x).lower_bounds_]
    unbroken = dem.GaussianMixture(3, max_iter=15, **options).fit(x)
    np.testing.assert_array_equal(bounds, unbroken.lower_bounds_)
    np.testing.assert_array_equal(warm.means_, unbroken.means_)
    cold = dem.GaussianMixture(3, max_iter=5, **options)
    assert cold.fit(x).lower_bounds_ == cold.fit(x).lower_bounds_


@pytest.mark.parametrize("change", [{"n_components": 3}, {"covariance_type": "diag"}, {}])
def test_warm_start_from_another_shape(x: np.ndarray, change: Any) -> None:
    mixture = dem.GaussianMixture(2, warm_start=True, random_state=0).fit(x)
    with pytest.raises(ValueError, match="warm_start cannot go on from the last fit: it had 2 com"):
        mixture.set_params(**change).fit(x if change else x[:, :2])
