"""Estimators come back from dem.save and dem.load, to the last bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import dem

ATTRIBUTES = [
    *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"),
    *("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_"),
    *("n_passes_", "history_"),
]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("form", ["full", "tied", "diag", "spherical"])
def test_mixture(x: np.ndarray, form: str, named: bool, tmp_path: Path) -> None:
    data: Any = pd.DataFrame(x, columns=["a", "b", "c"]) if named else x
    options: dict[str, Any] = {"covariance_type": form, "tol": 1e-4, "reg_covar": 1e-5}
    options["random_state"] = 0
    mixture = dem.GaussianMixture(3, **options).fit(data)
    dem.save(mixture, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    assert type(back) is dem.GaussianMixture
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(getattr(back, name), getattr(mixture, name), err_msg=name)
    assert {name: back.get_params()[name] for name in options} == options
    assert back.n_components == 3
    assert hasattr(back, "feature_names_in_") == named
    for name in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_array_equal(getattr(back, name)(data), getattr(mixture, name)(data))
    assert back.bic(data) == mixture.bic(data)
    np.testing.assert_array_equal(back.to_sklearn().predict(data), mixture.predict(data))
    warm = back.set_params(warm_start=True, tol=10.0).fit(data)
    assert warm.lower_bounds_[0] >= mixture.lower_bound_ - 1e-4


@pytest.mark.parametrize("named", [False, True])
def test_k_means(x: np.ndarray, named: bool, tmp_path: Path) -> None:
    data: Any = pd.DataFrame(x, columns=["a", "b", "c"]) if named else x
    means = dem.KMeans(3, random_state=0).fit(data)
    dem.save(means, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    assert type(back) is dem.KMeans
    for name in ("cluster_centers_", "inertia_", "n_iter_", "n_passes_", "n_features_in_"):
        np.testing.assert_array_equal(getattr(back, name), getattr(means, name), err_msg=name)
    assert hasattr(back, "feature_names_in_") == named
    np.testing.assert_array_equal(back.predict(data), means.labels_)
    np.testing.assert_array_equal(back.transform(data), means.transform(data))
    assert back.get_feature_names_out().tolist() == ["kmeans0", "kmeans1", "kmeans2"]


@pytest.mark.parametrize("estimator", [dem.GaussianMixture, dem.KMeans])
def test_only_what_is_fitted(estimator: Any, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        dem.save(estimator(2), tmp_path / "model")
    assert not (tmp_path / "model").exists()
