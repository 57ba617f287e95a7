"""From a `Fit` to an estimator, to disk and back; fits that go on; criteria by one pass."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

import dem
from dem.cli import main
from dem.engine.readers import arrays
from dem.starts import Given, KMeansPlusPlus
from dem.stats import leaves
from faults import Cut, CutAfter

FORMS = {form.name: form for form in (dem.Full(), dem.Tied(), dem.Diagonal(), dem.Spherical())}


def cut_off(estimator: Any, x: Any, turns: int = 2, weights: Any = None) -> None:
    with pytest.raises(Cut):
        estimator.set_params(verbose=CutAfter(turns)).fit(x, sample_weight=weights)


@pytest.mark.parametrize("form", FORMS)
def test_the_estimator_of_a_fit(x: np.ndarray, form: str) -> None:
    model = dem.Mixture(3, dem.Gaussian(FORMS[form], reg_covar=1e-6))
    fit = dem.fit(model, x + 1e3, start=KMeansPlusPlus(), seed=1)
    ours = dem.GaussianMixture.from_fit(fit)
    theirs = dem.GaussianMixture(
        3, covariance_type=form, init_params="k-means++", schedule="batch", random_state=1
    ).fit(x + 1e3)
    for name in ("weights_", "means_", "covariances_", "precisions_", "lower_bounds_"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert len(ours.history_) == ours.n_iter_ == theirs.n_iter_
    assert ours.converged_
    np.testing.assert_array_equal(ours.predict(x + 1e3), theirs.predict(x + 1e3))
    assert {n: ours.get_params()[n] for n in ("n_components", "covariance_type", "reg_covar")} == {
        "n_components": 3, "covariance_type": form, "reg_covar": 1e-6,
    }  # fmt: skip
    assert ours.fit(x).n_features_in_ == 3


def test_what_is_no_fit_of_a_gaussian_mixture(x: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"from_fit takes the Fit that dem\.fit returns, got Gauss"):
        dem.GaussianMixture.from_fit(dem.GaussianMixture())
    kmeans = dem.KMeans(2, random_state=0).fit(x)
    with pytest.raises(ValueError, match="not the fit of a Gaussian mixture"):
        dem.GaussianMixture.from_fit(kmeans._fitted)


def test_a_fit_is_saved_and_loaded(x: np.ndarray, tmp_path: Path) -> None:
    fit = dem.fit(dem.Mixture(2, dem.Gaussian()), x)
    dem.save(fit, tmp_path / "fit")
    back = dem.load(tmp_path / "fit")
    assert type(back) is type(fit)
    assert [a.tobytes() for a in leaves(back.params)] == [a.tobytes() for a in leaves(fit.params)]
    assert (back.model, back.history) == (fit.model, fit.history)
    means = dem.GaussianMixture.from_fit(back).means_
    np.testing.assert_array_equal(means, dem.GaussianMixture.from_fit(fit).means_)
    shown = CliRunner().invoke(main, ["show", str(tmp_path / "fit")])
    assert shown.exit_code == 0, shown.output
    assert "GaussianMixture" in shown.output


def test_a_fit_that_makes_no_sense_is_refused(x: np.ndarray, tmp_path: Path) -> None:
    fit = dem.fit(dem.Mixture(2, dem.Gaussian()), x)
    dem.save(replace(fit, model=dem.Mixture(3, dem.Gaussian())), tmp_path / "fit")
    with pytest.raises(dem.DataError, match=r"does not hold a valid Fit.*weights must be 3"):
        dem.load(tmp_path / "fit")


def test_a_fit_of_ones_own_model_must_be_known(x: np.ndarray, tmp_path: Path) -> None:
    class Own(dem.Mixture):
        """Not registered."""

    with pytest.raises(TypeError, match=r"register its class with the decorator dem\.store\.value"):
        dem.save(dem.fit(Own(2, dem.Gaussian()), x), tmp_path / "fit")


GIVEN = {"weights_init": [0.2, 0.3, 0.5], "precisions_init": np.ones((3, 3))}


@pytest.mark.parametrize(
    "options",
    [
        {"init_params": "random_from_data", "posterior": "hard", "n_init": 2},
        {"init_params": KMeansPlusPlus(lloyd=True), "covariance_type": "tied", "reg_covar": 1e-3},
        {"covariance_type": "diag", **GIVEN},
    ],
    ids=["words", "objects", "given"],
)
def test_resuming_restores_the_arguments(x: np.ndarray, options: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    weights = np.random.default_rng(0).random(len(x))
    options = {**options, "max_iter": 50, "tol": 1e-4, "random_state": 5}
    whole = dem.GaussianMixture(3, **options).fit(frame, sample_weight=weights)
    estimator = dem.GaussianMixture(3, **options, checkpoint=tmp_path / "kept")
    cut_off(estimator, frame, weights=weights)
    again = dem.GaussianMixture.resume(tmp_path / "kept", frame, weights)
    assert again.lower_bounds_ == whole.lower_bounds_
    np.testing.assert_array_equal(again.means_, whole.means_)
    assert again.feature_names_in_.tolist() == ["a", "b", "c"]
    expected = {**whole.get_params(), "checkpoint": tmp_path / "kept"}
    if options.get("covariance_type") == "tied":
        expected["init_params"] = "kmeans"  # which it is
    for name, value in again.get_params().items():
        np.testing.assert_equal(value, expected[name], err_msg=name)


def test_resuming_with_another_limit(x: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", x)
    options: dict[str, Any] = {"tol": 0, "random_state": 0}
    estimator = dem.GaussianMixture(3, **options, max_iter=9, checkpoint=tmp_path / "kept")
    cut_off(estimator, tmp_path / "x.npy")
    with pytest.warns(ConvergenceWarning, match="in 4 iterations"):
        again = dem.GaussianMixture.resume(tmp_path / "kept", max_iter=4)
    assert again.n_iter_ == again.max_iter == 4


def test_resuming_a_warm_start(x: np.ndarray, tmp_path: Path) -> None:
    warm = dem.GaussianMixture(3, warm_start=True, random_state=0).fit(x)
    cut_off(warm.set_params(tol=1e-9, max_iter=99, checkpoint=tmp_path / "kept"), x, 1)
    again = dem.GaussianMixture.resume(tmp_path / "kept", x)
    assert isinstance(again.init_params, Given)
    assert again.converged_


@pytest.mark.parametrize("init", ["k-means||", "random", "centres"])
@pytest.mark.parametrize("tol", [0, 1e-9])
def test_k_means_goes_on(x: np.ndarray, init: Any, tol: float, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", x)
    init = x[:6] if init == "centres" else init
    options: dict[str, Any] = {"init": init, "random_state": 3, "n_init": 1, "tol": tol}
    whole = dem.KMeans(6, **options).fit(x)
    cut_off(dem.KMeans(6, **options, checkpoint=tmp_path / "kept"), tmp_path / "x.npy", 1)
    again = dem.KMeans.resume(tmp_path / "kept")
    assert again.n_iter_ == whole.n_iter_ > 1
    np.testing.assert_array_equal(again.cluster_centers_, whole.cluster_centers_)
    np.testing.assert_array_equal(again.labels_.compute(), whole.labels_)
    assert again.inertia_ == whole.inertia_
    for name, value in again.get_params().items():
        if name != "checkpoint":
            np.testing.assert_equal(value, whole.get_params()[name], err_msg=name)


def test_the_checkpoint_of_another_estimator(x: np.ndarray, tmp_path: Path) -> None:
    cut_off(dem.KMeans(6, random_state=0, tol=0, checkpoint=tmp_path / "means"), x, 1)
    cut_off(dem.GaussianMixture(3, random_state=0, checkpoint=tmp_path / "mixture"), x, 1)
    with pytest.raises(ValueError, match="not the fit of a Gaussian mixture"):
        dem.GaussianMixture.resume(tmp_path / "means", x)
    with pytest.raises(ValueError, match="not the fit of k-means"):
        dem.KMeans.resume(tmp_path / "mixture", x)
    with pytest.raises(ValueError, match="not given by a path: pass them as X"):
        dem.KMeans.resume(tmp_path / "means")
    with pytest.raises(FileNotFoundError, match="no checkpoint is there"):
        dem.KMeans.resume(tmp_path / "nowhere")


def test_criteria_by_one_pass(x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    from dem.estimators import mixture as module

    mixture = dem.GaussianMixture(3, random_state=0).fit(x)
    passes, total = [], module.total
    monkeypatch.setattr(module, "total", lambda *a: passes.append(a) or total(*a))
    found = mixture.criteria(x, sample_weight=np.full(900, 2.0))
    assert len(passes) == 1
    assert found.n_samples == 1800
    assert found.n_parameters == mixture.n_parameters_ == mixture.to_sklearn()._n_parameters()
    assert found.log_likelihood == pytest.approx(2 * mixture.score_samples(x).sum(), rel=1e-12)
    plain = mixture.criteria(x)
    assert plain.bic == mixture.bic(x) == pytest.approx(mixture.to_sklearn().bic(x), rel=1e-12)
    assert plain.aic == mixture.aic(x) == pytest.approx(mixture.to_sklearn().aic(x), rel=1e-12)
    assert plain.log_likelihood / plain.n_samples == mixture.score(x)
    assert plain._asdict()["n_samples"] == 900
    with pytest.raises(dem.DataError, match="All sample weights are zero"):
        mixture.criteria(x, sample_weight=np.zeros(900))


def test_a_spent_budget_is_told_of(x: np.ndarray) -> None:
    model = dem.GaussianMixture(3, random_state=0, max_passes=3, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match=r"max_passes or max_time was spent \(3 passes"):
        model.fit(x)


def test_rows_with_weight_are_found_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """In few blocks of many, and few in a block."""
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
    rows = np.random.default_rng(0).normal(size=(410_000, 1))
    few, contiguous = np.zeros(len(rows)), np.zeros(len(rows))
    few[[7, 200_000, 300_000, 399_999]] = 1.0
    contiguous[130_000:130_500] = 1.0
    for weights in (few, contiguous):
        for seed in range(3):
            model = dem.GaussianMixture(1, random_state=seed).fit(rows, sample_weight=weights)
            assert model.means_[0, 0] == pytest.approx(weights @ rows[:, 0] / weights.sum())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_turn_by_turn_with_a_warm_start(x: np.ndarray) -> None:
    """As scikit-learn does: the last bound counts, so that single turns come to an end."""
    how = {"schedule": "batch", "random_state": 0}
    unbroken = dem.GaussianMixture(3, **how).fit(x)
    warm = dem.GaussianMixture(3, **how, warm_start=True, max_iter=1)
    turns = 0
    while not getattr(warm, "converged_", False):
        turns += warm.fit(x).n_iter_
        assert turns <= unbroken.n_iter_
    assert turns == unbroken.n_iter_
    np.testing.assert_array_equal(warm.means_, unbroken.means_)


def test_k_means_measures_in_the_units_of_the_data() -> None:
    """From k-means++ in units of each column's spread, one seed in eight ends in a bad optimum."""
    x = load_iris().data
    inertias = [dem.KMeans(3, random_state=seed).fit(x).inertia_ for seed in range(40)]
    assert min(inertias) == pytest.approx(78.8514, abs=1e-4)
    assert np.mean(np.array(inertias) < 78.86) >= 0.95


@pytest.mark.parametrize("form", ["full", "tied", "diag"])
def test_starts_do_not_depend_on_the_units_of_columns(x: np.ndarray, form: str) -> None:
    units = np.array([2.0**-9, 1.0, 2.0**14])
    one, other = (
        dem.GaussianMixture(4, covariance_type=form, random_state=2, reg_covar=0).fit(rows)
        for rows in (x, x * units)
    )
    np.testing.assert_allclose(other.means_, one.means_ * units, rtol=1e-6, atol=1e-9)
