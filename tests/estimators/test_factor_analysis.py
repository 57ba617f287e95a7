"""Factor analysis and principal components: scikit-learn's results, missing values, laziness."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import sklearn.decomposition as sk
import zarr
from scipy.stats import multivariate_normal
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning

import dem
from dem.families import Factors, Gaussian
from dem.fitting import Fit
from dem.models.factor import LinearGaussian
from dem.models.mixture import Mixture
from dem.schedules import Once

Array = np.ndarray
ROTATIONS = ["varimax", "quartimax"]


def rows(n: int = 600, d: int = 8, q: int = 2, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n, q)) @ rng.normal(size=(q, d))
    return np.asarray(signal + rng.normal(size=(n, d)) * rng.gamma(3.0, 0.3, d) + 5)


def gaps(x: Array, share: float = 0.15) -> Array:
    return np.where(np.random.default_rng(1).random(x.shape) < share, np.nan, x)


@pytest.mark.parametrize("method", ["moments", "em"])
@pytest.mark.parametrize("q", [1, 2])
def test_factors_are_scikit_learns(method: str, q: int) -> None:
    x = rows()
    ours = dem.FactorAnalysis(q, method=method, tol=1e-9).fit(x)
    theirs = sk.FactorAnalysis(q, tol=1e-9, max_iter=20_000, svd_method="lapack").fit(x)
    assert ours.score(x) == pytest.approx(theirs.score(x), abs=1e-6)
    assert ours.loglike_[-1] == pytest.approx(theirs.loglike_[-1], abs=1e-6 * len(x))
    assert ours.lower_bound_ == pytest.approx(ours.score(x), rel=1e-9)
    close = {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose(ours.get_covariance(), theirs.get_covariance(), **close)
    np.testing.assert_allclose(ours.get_precision(), theirs.get_precision(), **close)
    np.testing.assert_allclose(ours.noise_variance_, theirs.noise_variance_, **close)
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-6)
    np.testing.assert_allclose(ours.score_samples(x), theirs.score_samples(x), **close)
    assert ours.components_.shape == theirs.components_.shape
    z, other = ours.transform(x), theirs.transform(x)  # but for a rotation
    np.testing.assert_allclose(z @ z.T, other @ other.T, atol=0.02)
    assert ours.n_parameters_ == 8 + 8 + q * 8 - q * (q - 1) // 2
    assert (ours.n_iter_ < 5) == (method == "moments")


@pytest.mark.filterwarnings("ignore:FactorAnalysis did not:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("q", [3, 8])
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_digits])
def test_no_worse_than_scikit_learns_on_what_has_several_maxima(load: Any, q: int) -> None:
    x = load().data
    x = x[:, x.std(axis=0) > 0.5]
    x = x / x.std(axis=0)
    ours = dem.FactorAnalysis(q).fit(x)
    theirs = sk.FactorAnalysis(q, tol=1e-4).fit(x)
    assert ours.score(x) >= theirs.score(x) - 1e-6


def test_the_start_may_be_given() -> None:
    x = rows()
    given = dem.FactorAnalysis(2, noise_variance_init=np.ones(8)).fit(x)
    assert given.score(x) == pytest.approx(dem.FactorAnalysis(2).fit(x).score(x), abs=1e-9)
    for values in (np.ones(7), np.zeros(8)):
        with pytest.raises(ValueError, match="noise_variance_init should be 8 positive"):
            dem.FactorAnalysis(2, noise_variance_init=values).fit(x)


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_rotations_are_scikit_learns(rotation: str) -> None:
    x = rows(2000, 10, 3)
    ours = dem.FactorAnalysis(3, rotation=rotation).fit(x)
    theirs = sk.FactorAnalysis(3, rotation=rotation, tol=1e-9, max_iter=10_000).fit(x)
    both = [np.sort(np.abs(m.components_).sum(axis=1)) for m in (ours, theirs)]
    np.testing.assert_allclose(*both, rtol=2e-3)
    plain = dem.FactorAnalysis(3).fit(x)
    np.testing.assert_allclose(ours.get_covariance(), plain.get_covariance(), rtol=1e-9)


@pytest.mark.parametrize("n_components", [None, 2, 0.9, "mle"])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_principal_components_are_scikit_learns(load: Any, whiten: bool, n_components: Any) -> None:
    x = load().data
    ours = dem.PCA(n_components, whiten=whiten).fit(x)
    theirs = sk.PCA(n_components, whiten=whiten, svd_solver="full").fit(x)
    assert ours.n_components_ == theirs.n_components_
    for name in (
        "components_", "explained_variance_", "explained_variance_ratio_", "singular_values_",
        "mean_", "noise_variance_",
    ):  # fmt: skip
        a, b = getattr(ours, name), getattr(theirs, name)
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9, err_msg=name)
    z = theirs.transform(x)
    np.testing.assert_allclose(ours.transform(x), z, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ours.inverse_transform(z), theirs.inverse_transform(z), rtol=1e-9)
    plain = sk.PCA(n_components, svd_solver="full").fit(x)  # whitened, theirs is no density
    assert ours.score(x) == pytest.approx(plain.score(x), abs=1e-6)
    np.testing.assert_allclose(ours.get_covariance(), plain.get_covariance(), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ours.get_precision(), plain.get_precision(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["moments", "em"])
def test_principal_axes_by_em_are_the_same(method: str) -> None:
    x = load_wine().data
    x = x / x.std(axis=0)
    ours = dem.PCA(3, missing=method == "moments", method=method, tol=1e-12).fit(x)
    theirs = sk.PCA(3).fit(x)
    np.testing.assert_allclose(ours.components_, theirs.components_, atol=1e-4)
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-4)
    for name in ("explained_variance_ratio_", "noise_variance_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-3)
    assert ours.score(x) == pytest.approx(theirs.score(x), abs=1e-6)


@pytest.mark.parametrize("estimator", [dem.FactorAnalysis, dem.PCA])
def test_missing_values(estimator: Any) -> None:
    """Both methods come to one maximum; densities, coordinates and what is filled in are exact."""
    x = gaps(rows())
    one, two = (estimator(2, missing=True, method=m, tol=1e-11).fit(x) for m in ("moments", "em"))
    assert one.score(x) == pytest.approx(two.score(x), abs=1e-6)
    sigma, mean = one.get_covariance(), one.mean_
    density, filled, z = one.score_samples(x), one.impute(x), one.transform(x)
    if estimator is dem.FactorAnalysis:
        axes = np.linalg.solve(sigma, one.components_.T)  # E[z | x] = Wᵀ Σ⁻¹ (x − μ)
    else:
        axes = one.components_.T
    for i in range(50):
        o = ~np.isnan(x[i])
        part = sigma[np.ix_(o, o)]
        assert density[i] == pytest.approx(multivariate_normal(mean[o], part).logpdf(x[i, o]))
        likely = mean + sigma[:, o] @ np.linalg.solve(part, x[i, o] - mean[o])
        np.testing.assert_allclose(filled[i], np.where(o, x[i], likely), rtol=1e-3)
        np.testing.assert_allclose(z[i], (filled[i] - mean) @ axes, rtol=1e-6, atol=1e-8)
    with pytest.raises(dem.DataError, match="NaN"):
        estimator(2).fit(x)


@pytest.mark.parametrize("estimator", [dem.FactorAnalysis(2), dem.PCA(2), dem.PCA(0.8)])
def test_one_read_and_weights(estimator: Any) -> None:
    x = rows(100_000, 5)
    counts = np.random.default_rng(2).integers(0, 4, len(x)).astype(float)
    ours = estimator.fit(x, sample_weight=counts)
    turns = {phase.name: phase.rows for phase in ours.phases_}
    assert turns["turns"] == len(x)
    assert ours.n_samples_ == counts.sum()
    covariance = ours.get_covariance()
    same = estimator.fit(np.repeat(x, counts.astype(int), axis=0))
    np.testing.assert_allclose(covariance, same.get_covariance(), rtol=1e-6)


@pytest.mark.parametrize("estimator", [dem.FactorAnalysis(2), dem.PCA(2, whiten=True)])
def test_all_kinds_of_data(estimator: Any, tmp_path: Path) -> None:
    x = rows()
    stored = zarr.create_array(str(tmp_path / "x.zarr"), data=x, chunks=(100, 8))
    frame = pd.DataFrame(x, columns=list("abcdefgh"))
    expected = estimator.fit(x).transform(x)
    for data in (da.from_array(x, chunks=(150, 8)), stored, str(tmp_path / "x.zarr"), frame):
        z = estimator.fit(data).transform(data)
        assert isinstance(z, np.ndarray) == isinstance(data, pd.DataFrame)
        np.testing.assert_allclose(np.asarray(z), expected, rtol=1e-6, atol=1e-8)
    names = estimator.set_output(transform="pandas").fit_transform(frame).columns
    assert names.tolist() == estimator.get_feature_names_out().tolist()
    estimator.set_output(transform="default")
    coordinates = da.from_array(expected, chunks=(200, 2))
    if isinstance(estimator, dem.PCA):
        back = estimator.inverse_transform(coordinates)
        assert isinstance(back, da.Array)
        np.testing.assert_allclose(back.compute(), estimator.inverse_transform(expected))


SAVED = [
    (dem.FactorAnalysis(2, rotation="varimax"), False),
    (dem.FactorAnalysis(2, method="em", noise_variance_init=np.ones(8)), False),
    (dem.FactorAnalysis(2, missing=True), True),
    (dem.PCA(0.8, whiten=True), False),
    (dem.PCA(2, method="em"), False),
    (dem.PCA(2, missing=True), True),
]


@pytest.mark.parametrize(("estimator", "missing"), SAVED)
@pytest.mark.filterwarnings("ignore:Best performing:sklearn.exceptions.ConvergenceWarning")
def test_saved_and_resumed(estimator: Any, missing: bool, tmp_path: Path) -> None:
    """To the same bits."""
    x = gaps(rows()) if missing else rows()
    estimator.fit(x)
    dem.save(estimator, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    assert type(back) is type(estimator)
    for name in ("components_", "mean_", "noise_variance_", "n_iter_", "loglike_", "n_samples_"):
        np.testing.assert_array_equal(getattr(back, name), getattr(estimator, name), err_msg=name)
    np.testing.assert_array_equal(back.transform(x), estimator.transform(x))
    assert back.score(x) == estimator.score(x)
    face = {name: getattr(estimator, name) for name in estimator.face}
    assert {name: getattr(back, name) for name in face} == face
    for name in ("method", "tol", "max_iter", "missing"):
        assert getattr(back, name) == getattr(estimator, name)
    place = tmp_path / "kept"
    short = type(estimator)(**{**estimator.get_params(), "checkpoint": place, "max_iter": 1})
    short.fit(x)
    again = type(estimator).resume(place, x, max_iter=1000, **face)
    np.testing.assert_array_equal(again.components_, estimator.components_)
    assert again.n_passes_ == estimator.n_passes_


def test_fits_by_hand() -> None:
    x, names = rows(), list("abcdefgh")
    for model, how in (
        (Mixture(1, Gaussian(Factors(2))), {"schedule": Once()}),
        (LinearGaussian(2), {"tol": 1e-6}),
    ):
        fit: Fit = dem.fit(model, x, max_iter=500, **how)
        own = dem.FactorAnalysis.from_fit(fit, pd.DataFrame(x, columns=names))
        likelihood = dem.FactorAnalysis(2).fit(x).score(x)
        assert own.score(pd.DataFrame(x, columns=names)) == pytest.approx(likelihood, abs=1e-2)
        assert own.feature_names_in_.tolist() == names
        with pytest.raises(ValueError, match="not the fit of PCA"):
            dem.PCA.from_fit(fit)
    with pytest.raises(ValueError, match="not the fit of FactorAnalysis"):
        dem.FactorAnalysis.from_fit(dem.fit(Mixture(2, Gaussian()), x, max_iter=2))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (dem.FactorAnalysis(9), "n_components=9 must be at most n_features=8"),
        (dem.FactorAnalysis(0), "n_components must be >= 1"),
        (dem.FactorAnalysis(2, rotation="oblimin"), "rotation must be None or one of"),
        (dem.FactorAnalysis(2, method="svd"), "method must be one of"),
        (dem.PCA(9), "must be between 1 and min"),
        (dem.PCA(1.5), "as a share must be between 0 and 1"),
        (dem.PCA(0.5, missing=True), "must be an int below n_features=8"),
        (dem.PCA(8, method="em"), "must be an int below n_features=8"),
    ],
)
def test_arguments_that_cannot_be(estimator: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimator.fit(rows())


def test_what_a_user_is_told() -> None:
    x = rows()
    x[:, 2] = 1.0
    with pytest.warns(dem.DegenerateComponentWarning, match="columns are constant"):
        dem.FactorAnalysis(2).fit(x)
    dem.PCA(2).fit(x)
    with pytest.warns(ConvergenceWarning, match="did not converge in 2 iterations"):
        dem.FactorAnalysis(2, method="em", max_iter=2).fit(rows())


def test_the_number_of_axes_is_not_estimated_from_fewer_rows_than_columns() -> None:
    x = rows(6, 8)
    with pytest.raises(ValueError, match="n_samples >= n_features"):
        sk.PCA("mle").fit(x)
    with pytest.raises(ValueError, match="n_samples >= n_features, got 6 rows of 8 columns"):
        dem.PCA("mle").fit(x)
    assert (
        dem.PCA("mle").fit(rows(9, 8)).n_components_ == sk.PCA("mle").fit(rows(9, 8)).n_components_
    )


@pytest.mark.parametrize("lazy", [False, True])
def test_coordinates_of_other_axes_are_refused(lazy: bool) -> None:
    x = rows()
    model = dem.PCA(3).fit(x)
    wrong = da.from_array(x[:, :4], chunks=(100, 4)) if lazy else x[:, :4]
    with pytest.raises(ValueError, match="X has 4 columns, but there are 3 components"):
        model.inverse_transform(wrong)
