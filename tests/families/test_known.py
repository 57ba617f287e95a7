"""Labels of some rows, sets of candidates, and a component for noise."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import dem
from dem.engine.readers import arrays
from dem.errors import DataError
from dem.families import (
    Candidates,
    Diagonal,
    Full,
    Gamma,
    Gaussian,
    Label,
    LogNormal,
    Normal,
    Poisson,
    Product,
    StudentT,
    Tied,
    WithNoise,
)
from dem.labelled import BesideNoise, FromLabels
from dem.models.mixture import Mixture
from dem.testing import check_model

RNG = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 3.0]])
N = 450
ORDER = RNG.permutation(N)
H = np.repeat([0, 1, 2], N // 3)[ORDER]
X = (RNG.normal(size=(N, 2)) + np.repeat(CENTRES, N // 3, axis=0))[ORDER]
WEIGHTS = RNG.gamma(2.0, size=N)


def labelled(*form) -> Mixture:
    return Mixture(3, Product(((Gaussian(*form), (0, 1)), (Label(), (2,)))))


def some_labels(share: float = 0.3) -> np.ndarray:
    """Those of a share of the rows, half of the others -1 and half NaN."""
    rng = np.random.default_rng(1)
    unknown = np.where(rng.random(N) < 0.5, -1.0, np.nan)
    return np.where(rng.random(N) < share, H, unknown)


def beside(labels: np.ndarray) -> np.ndarray:
    return np.column_stack([X, labels])


@pytest.mark.parametrize("form", [Full(), Tied(), Diagonal()])
def test_laws_with_labels(form) -> None:
    check_model(labelled(form), beside(some_labels()), weights=WEIGHTS)


def candidates() -> np.ndarray:
    """Columns of zeros and ones, with a one for the right component and some others."""
    return np.maximum(np.eye(3)[H], np.random.default_rng(2).random((N, 3)) < 0.3)


def test_laws_with_candidates() -> None:
    family = Product(((Gaussian(), (0, 1)), (Candidates(3), (2, 3, 4))))
    check_model(Mixture(3, family), np.column_stack([X, candidates()]), weights=WEIGHTS)


@pytest.mark.parametrize(
    "family",
    [Gaussian(), Gaussian(Diagonal()), Normal(), LogNormal(), Gamma(), StudentT(), Poisson()],
    ids=lambda family: repr(family)[:20],
)
def test_laws_with_noise(family) -> None:
    rows = np.abs(X) + 0.1
    rows = np.round(rows) if isinstance(family, Poisson) else rows
    check_model(Mixture(4, WithNoise(family)), rows, weights=WEIGHTS)


def test_with_all_labels_one_turn_is_the_closed_form() -> None:
    fitted = dem.fit(labelled(), beside(H.astype(float)), start=FromLabels(), max_iter=1)
    gaussian, params = Gaussian(), fitted.params
    means, covariances, _ = gaussian.outward(params.components.parts[0])
    for k in range(3):
        own = X[k == H]
        np.testing.assert_allclose(means[k], own.mean(axis=0), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(covariances[k], np.cov(own.T, bias=True), rtol=1e-10, atol=1e-13)
    again = dem.fit(labelled(), beside(H.astype(float)), start=FromLabels(), max_iter=3, tol=0.0)
    log_joint = [
        stats.multivariate_normal(means[k], covariances[k]).logpdf(X[k == H]).sum()
        for k in range(3)
    ]
    expected = (sum(log_joint) + N * np.log(1 / 3)) / N
    assert again.lower_bound == pytest.approx(expected, rel=1e-12)


def test_without_labels_it_is_the_mixture() -> None:
    plain, model = Mixture(3, Gaussian()), labelled()
    bare = dem.fit(plain, X, max_iter=5, tol=0.0)
    other = dem.fit(model, beside(np.full(N, -1.0)), max_iter=5, tol=0.0)
    assert other.lower_bound == pytest.approx(bare.lower_bound, rel=1e-12)
    assert model.n_parameters(other.params) == plain.n_parameters(bare.params)


def test_the_density_and_the_posterior() -> None:
    model, labels = labelled(), some_labels()
    params = dem.fit(model, beside(labels), start=FromLabels()).params
    prepared, rows = model.prepare(params), beside(labels)
    means, covariances, _ = Gaussian().outward(params.components.parts[0])
    log_joint = np.stack(
        [
            stats.multivariate_normal(means[k], covariances[k]).logpdf(X)
            + np.log(params.weights[k])
            for k in range(3)
        ],
        axis=1,
    )
    known = labels >= 0
    log_joint[known] = np.where(np.eye(3)[H[known]] > 0, log_joint[known], -np.inf)
    np.testing.assert_allclose(model.log_prob(prepared, rows), logsumexp(log_joint, axis=1))
    q = model.posterior(prepared, rows)
    np.testing.assert_allclose(q[known], np.eye(3)[H[known]], atol=1e-200)
    assert q[~known].min(axis=1).max() > 0.01


@pytest.mark.parametrize("small_blocks", [False, True])
def test_components_keep_their_numbers(small_blocks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of labels that few rows have, and one that none has, and none is in the sample."""
    if small_blocks:
        monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
        monkeypatch.setattr("dem.reading.SAMPLE_ROWS", 40)
    labels = some_labels(0.05)
    labels[labels == 1] = -1
    fitted = dem.fit(labelled(), beside(labels), start=FromLabels(), max_iter=100, tol=1e-6)
    means, _, _ = Gaussian().outward(fitted.params.components.parts[0])
    np.testing.assert_allclose(means, CENTRES, atol=0.5)


@pytest.mark.parametrize("bad", [3.0, 0.5, -2.0])
def test_a_label_that_is_none(bad: float) -> None:
    labels = some_labels()
    labels[217] = bad
    with pytest.raises(
        DataError, match=r"row 217, column 2, in block 0\. Labels are whole numbers from 0"
    ):
        dem.fit(labelled(), beside(labels), start=FromLabels())


def test_a_row_without_candidates() -> None:
    allowed = candidates()
    allowed[100] = 0.0
    family = Product(((Gaussian(), (0, 1)), (Candidates(3), (2, 3, 4))))
    with pytest.raises(
        DataError, match=r"row 100, column 2, in block 0\. A row must be allowed in some"
    ):
        dem.fit(Mixture(3, family), np.column_stack([X, allowed]))


def test_noise_is_kept_out_of_the_components() -> None:
    rng = np.random.default_rng(3)
    clusters = np.concatenate([0.3 * rng.normal(size=(500, 2)) + c for c in CENTRES])
    rows = rng.permutation(np.concatenate([clusters, rng.uniform(-8, 8, size=(150, 2))]))
    model = Mixture(4, WithNoise(Gaussian()))
    params = dem.fit(model, rows, start=BesideNoise(), max_iter=200, tol=1e-6).params
    assert params.weights[-1] == pytest.approx(150 / 1650, abs=0.02)
    found = Gaussian().outward(params.components.components)[1]
    np.testing.assert_allclose(found, np.tile(0.09 * np.eye(2), (3, 1, 1)), atol=0.03)
    box = np.log(np.ptp(rows, axis=0)).sum()
    assert params.components.log_volume == pytest.approx(box)
    far = model.log_prob(model.prepare(params), np.array([[100.0, -100.0]]))
    assert far == pytest.approx(np.log(params.weights[-1]) - box)
    drawn, h = model.sample(params, 1000, rng)
    assert drawn.shape == (1000, 2)
    assert np.bincount(h)[-1] > 50


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="must not have a tied covariance"):
        WithNoise(Gaussian(Tied()))
    with pytest.raises(ValueError, match="volume must be >="):
        WithNoise(Gaussian(), -1.0)
    with pytest.raises(TypeError, match="FromLabels is for a Product"):
        dem.fit(Mixture(2, Gaussian()), X, start=FromLabels())
    with pytest.raises(TypeError, match="BesideNoise is for a family WithNoise"):
        dem.fit(Mixture(2, Gaussian()), X, start=BesideNoise())
    with pytest.raises(ValueError, match="share must be between 0 and 1"):
        BesideNoise(share=1.5)


def test_a_fit_with_labels_goes_on_from_its_checkpoint(tmp_path) -> None:
    rows, how = beside(some_labels()), {"start": FromLabels(), "tol": 0.0}
    dem.fit(labelled(), rows, checkpoint=tmp_path / "kept", max_iter=3, **how)
    resumed = dem.resume(tmp_path / "kept", rows, max_iter=6)
    whole = dem.fit(labelled(), rows, max_iter=6, **how)
    assert [r.bound for r in resumed.history] == [r.bound for r in whole.history]
