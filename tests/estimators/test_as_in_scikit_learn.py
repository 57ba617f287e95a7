"""What scikit-learn's own tests have shown to be missing (see docs/scikit-learn.md)."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification

import dem
from dem.kernels.factors import dimension

Array = np.ndarray
ROWS = np.random.default_rng(0).normal([5e6, 0, 1], 1, (300, 3))


def first(rows: Array, k: int, random_state: np.random.RandomState) -> Array:
    return rows[random_state.permutation(len(rows))[:k]]


def test_centres_may_be_chosen_by_a_function() -> None:
    by_function = dem.KMeans(4, init=first, n_init=1, random_state=7).fit(ROWS)
    assert by_function.inertia_ < dem.KMeans(1, n_init=1).fit(ROWS).inertia_ / 1.5
    best_of_ten = dem.KMeans(4, init=first, random_state=7).fit(ROWS)
    assert best_of_ten.inertia_ <= by_function.inertia_


@pytest.mark.parametrize("found", [ROWS[:2], None, ROWS[:4] * np.nan])
def test_centres_of_a_function_that_are_none(found: Any) -> None:
    with pytest.raises(ValueError, match=r"init\(X, n_clusters, random_state\)"):
        dem.KMeans(4, init=lambda *_: found).fit(ROWS)


def test_a_checkpoint_cannot_hold_a_function(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="init as a function"):
        dem.KMeans(4, init=first, checkpoint=tmp_path / "kept").fit(ROWS)


def test_distances_to_centres_do_not_cancel() -> None:
    model = dem.KMeans(3, random_state=0).fit(ROWS)
    own = model.transform(model.cluster_centers_)
    assert (np.diag(own) == 0).all()
    apart = model.cluster_centers_[:, None] - model.cluster_centers_
    np.testing.assert_allclose(own, np.linalg.norm(apart, axis=2), rtol=1e-12)


def test_axes_of_no_variance_are_no_components() -> None:
    rows, _ = make_classification(
        n_features=20, n_informative=1, n_repeated=18, n_redundant=1, n_clusters_per_class=1,
        random_state=42,
    )  # fmt: skip
    assert dem.PCA("mle").fit(rows).n_components_ == 1
    assert dimension(np.zeros(4), 10.0) == 1


def test_too_few_rows_for_the_number_of_components() -> None:
    with pytest.raises(ValueError, match="only supported if n_samples >= n_features, got 20 rows"):
        dem.PCA("mle").fit(np.random.default_rng(0).normal(size=(20, 21)))


def test_a_leap_to_where_nothing_is_finite_warns_of_nothing() -> None:
    rows = np.random.RandomState(0).randn(50, 5)  # five starts, of which one leaps too far
    dem.GaussianMixture(2, covariance_type="diag", random_state=0, n_init=5).fit(rows)
