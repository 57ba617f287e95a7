"""A form of covariance that is not in the package: one diagonal for all components."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dem
from dem.families.covariance import Covariance
from dem.kernels.sweep import Second
from dem.models.mixture import Mixture
from dem.posteriors import Exact, Hard
from dem.store import value
from dem.testing import check_model
from mixtures import problem

Array = np.ndarray


@value
@dataclass(frozen=True)
class Shared:
    """A variance per column, the same for all components: covariances (D,)."""

    pooled = True
    uniform = False
    second = Second.NOTHING

    def packed(self, matrices: Array) -> Array:
        return np.einsum("...ii->...i", matrices)

    def cross(self, a: Array, b: Array) -> Array:
        return (a * b).sum(axis=0)

    def outer(self, z: Array, r: Array | None) -> Array:
        return (z * z if r is None else z * z * r).sum(axis=1)

    def covariances(self, weight: Array, scatter: Array, size: int) -> Array:
        return scatter / weight.sum()

    def widen(self, covariances: Array, extra: Array) -> Array:
        return covariances + extra

    def at_least(self, covariances: Array, floors: Array) -> tuple[Array, Array]:
        raised = np.maximum(covariances, floors.max(axis=0))
        return raised, np.full(len(floors), (raised > covariances).any())

    def collapsed(self, covariances: Array, shape: tuple[int, int], floor: float) -> Array:
        return np.full(shape[0], covariances.min() <= floor)

    def keep(self, alive: Array, new: Array, old: Array) -> Array:
        return new

    def roots(self, covariances: Array) -> Array:
        return 1 / np.sqrt(covariances)

    def flatten(self, covariances: Array) -> Array:
        return np.log(covariances)

    def unflatten(self, vector: Array, shape: tuple[int, ...]) -> Array:
        return np.exp(vector)

    def precisions(self, roots: Array) -> Array:
        return roots**2

    def natural(self, roots: Array, means: Array) -> tuple[Array, Array]:
        return means * roots**2, np.empty((len(means), 0))

    def log_det(self, roots: Array, shape: tuple[int, int]) -> Array:
        return np.full(shape[0], np.log(roots).sum())

    def magnitude(self, roots: Array, m: Array) -> Array:
        return np.square(roots * m).sum(axis=1)

    def variances(self, covariances: Array, shape: tuple[int, int]) -> Array:
        return np.broadcast_to(covariances, shape)

    def whiten(self, roots: Array, k: int, z: Array) -> Array:
        return roots[:, None] * z

    def unwhiten(self, roots: Array, k: int, y: Array) -> Array:
        return y / roots[:, None]

    def trace(self, roots: Array, scatter: Array) -> float:
        return float(roots**2 @ scatter)

    def n_parameters(self, k: int, d: int) -> int:
        return d

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (d,)

    def check(self, name: str, values: Array) -> None:
        if (values <= 0).any():
            raise ValueError(f"{name} must be above zero.")

    def inverse(self, values: Array) -> Array:
        return 1 / values

    def inward(self, covariances: Array, scale: Array) -> Array:
        return covariances / scale**2

    def outward(self, covariances: Array, scale: Array) -> Array:
        return covariances * scale**2

    def roots_outward(self, roots: Array, scale: Array) -> Array:
        return roots / scale


@value
@dataclass(frozen=True)
class Misnamed(dem.Diagonal):
    """The package's own under another name; nothing may go by that."""

    name = "tied"


SHARED: Covariance = Shared()


@pytest.fixture
def x() -> Array:
    """Clusters whose columns have standard deviations of about 0.1, 1 and 30."""
    return problem("diag", 400, 3, 3, seed=3).rows * [0.1, 1, 30]


@pytest.mark.parametrize("posterior", [Exact(), Hard()], ids=["exact", "hard"])
@pytest.mark.parametrize("weighted", [False, True])
def test_laws(posterior: Any, weighted: bool) -> None:
    here = problem("diag", 150, 3, 2, seed=4)
    model = Mixture(2, dem.Gaussian(SHARED))
    weights = here.weights if weighted else None
    check_model(model, here.rows, weights=weights, posteriors=[posterior])


def test_through_the_estimator(x: Array) -> None:
    """It is the textbook's: pooled variances of the columns within components."""
    ours = dem.GaussianMixture(3, covariance_type=SHARED, reg_covar=0, tol=1e-10, max_iter=999)
    ours.set_params(random_state=0).fit(x)
    proba = ours.predict_proba(x)
    scatter = sum(r @ (x - mean) ** 2 for r, mean in zip(proba.T, ours.means_, strict=True))
    np.testing.assert_allclose(ours.covariances_, scatter / len(x), rtol=1e-3)
    np.testing.assert_allclose(ours.precisions_, 1 / ours.covariances_, rtol=1e-12)
    np.testing.assert_allclose(ours.precisions_cholesky_**2, ours.precisions_, rtol=1e-12)
    assert ours.n_parameters_ == 2 + 9 + 3
    assert ours.score(x) == pytest.approx(ours.lower_bound_, abs=1e-8)
    more, fewer = (
        dem.GaussianMixture(
            3, covariance_type=form, means_init=ours.means_, precisions_init=precisions,
            weights_init=ours.weights_, reg_covar=0, tol=1e-10, max_iter=999,
        ).fit(x)
        for form, precisions in (("tied", np.diag(ours.precisions_)), (SHARED, ours.precisions_))
    )  # fmt: skip
    assert fewer.lower_bound_ == pytest.approx(ours.lower_bound_, abs=1e-8)
    assert more.lower_bound_ >= ours.lower_bound_ - 1e-9
    rows, _ = ours.sample(40_000)
    spread = np.sqrt((ours.weights_ @ (ours.means_ - rows.mean(0)) ** 2) + ours.covariances_)
    np.testing.assert_allclose(rows.std(axis=0), spread, rtol=0.03)
    again = ours.set_params(warm_start=True, tol=1.0).fit(x)
    assert again.n_iter_ == 1
    with pytest.raises(ValueError, match=r"covariance_type Shared\(\), now there are 3, 3 and Ful"):
        again.set_params(covariance_type="full").fit(x)


def test_its_own_check_of_what_is_given(x: Array) -> None:
    wrong = dem.GaussianMixture(3, covariance_type=SHARED, precisions_init=np.array([1.0, 1, -1]))
    with pytest.raises(ValueError, match="precisions_init must be above zero"):
        wrong.fit(x)
    wrong.set_params(precisions_init=np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"precisions_init should have the shape \(3,\)"):
        wrong.fit(x)


@pytest.mark.parametrize("form", [SHARED, Misnamed()], ids=["shared", "another name"])
def test_saved_and_handed_over(x: Array, form: Any, tmp_path: Path) -> None:
    ours = dem.GaussianMixture(3, covariance_type=form, random_state=0).fit(x)
    dem.save(ours, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    assert back.covariance_type == form
    for name in ("covariances_", "precisions_", "means_"):
        np.testing.assert_array_equal(getattr(back, name), getattr(ours, name))
    message = f"scikit-learn has no covariance_type for {form!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        ours.to_sklearn()


def test_a_name_means_nothing(x: Array) -> None:
    ours, same = (
        dem.GaussianMixture(3, covariance_type=form, random_state=0).fit(x)
        for form in (Misnamed(), "diag")
    )
    for name in ("covariances_", "precisions_", "precisions_cholesky_", "lower_bounds_"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(same, name))
