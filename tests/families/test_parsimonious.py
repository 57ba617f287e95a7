"""Covariances that share volume, shape or orientation: laws, mclust's results, numerical maxima."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import minimize
from sklearn.datasets import load_iris

import dem
from dem.contract import Sample
from dem.families import Aligned, Diagonal, Full, Gaussian, Oriented, Spherical, Tied, parsimonious
from dem.families.parsimonious import FORMS
from dem.kernels.normal import pack
from dem.models.mixture import Mixture
from dem.testing import check_model
from mixtures import problem

Array = np.ndarray
OWN = [name for name in FORMS if name not in ("VII", "VVI", "EEE", "VVV")]  # these are others
# Of Fisher's irises with two components, by mclust: BIC in its sign.
MCLUST = {
    "EII": -1123.4117, "VII": -1012.2352, "EEI": -1042.9679, "VEI": -956.2823, "EVI": -1007.3082,
    "VVI": -857.5515, "EEE": -688.0972, "VEE": -656.3270, "EVE": -657.2263, "VVE": -605.1841,
    "EEV": -644.5997, "VEV": -561.7285, "EVV": -658.3306, "VVV": -574.0178,
}  # fmt: skip
# By mclust's nVarParams(name, d = 4, G = 3).
FREE = {
    "EII": 1, "VII": 3, "EEI": 4, "VEI": 6, "EVI": 10, "VVI": 12, "EEE": 10, "VEE": 12, "EVE": 16,
    "VVE": 18, "EEV": 22, "VEV": 24, "EVV": 28, "VVV": 30,
}  # fmt: skip


def scatters(name: str, k: int = 3, d: int = 3) -> tuple[Array, Array, Array]:
    """Weights (K,), scatter matrices (K, D, D), and these as the form packs them."""
    rng = np.random.default_rng(4)
    mixing = np.eye(d) + rng.normal(size=(k, d, d)) / 2
    weight = np.array([40.0, 90.0, 20.0])[:k]
    found = weight[:, None, None] * (mixing @ mixing.swapaxes(1, 2))
    if not FORMS[name].correlated:  # type: ignore[attr-defined]
        packed = np.einsum("kii->ki", found)
        return weight, found, packed if name[1] != "I" else packed.sum(axis=1, keepdims=True)
    return weight, found, pack(found)


def cost(weight: Array, scatter: Array, covariances: Array) -> float:
    """Σ n log |Σ| + tr(W Σ⁻¹)."""
    traces = np.einsum("kij,kji->k", scatter, np.linalg.inv(covariances))
    return float(weight @ np.linalg.slogdet(covariances)[1] + traces.sum())


def as_matrices(covariances: Array, d: int) -> Array:
    if covariances.ndim == 3:
        return covariances
    return np.stack([np.diag(np.broadcast_to(own, d)) for own in covariances])


def built(name: str, vector: Array, k: int, d: int) -> Array:
    """Σₖ = λₖ Dₖ Aₖ Dₖᵀ from numbers without constraints, shared as the name says."""
    turn, parts, at = d * (d - 1) // 2, [], 0
    for letter, size in zip(name, (1, d, turn), strict=True):
        rows = 1 if letter == "E" else k
        part = vector[at : at + rows * size].reshape(rows, size)
        at += rows * size
        parts.append(np.broadcast_to(0 * part[:1] if letter == "I" else part, (k, size)))
    volumes, shapes, turns = parts
    every = []
    for volume, shape, angles in zip(volumes, shapes, turns, strict=True):
        skew = np.zeros((d, d))
        skew[np.tril_indices(d, -1)] = angles
        axes = expm(skew - skew.T)
        every.append((axes * np.exp(volume + shape - shape.mean())) @ axes.T)
    return np.stack(every)


@pytest.mark.parametrize("name", OWN)
def test_every_law(name: str) -> None:
    here = problem("full", 150, 3, 2, seed=4)
    check_model(Mixture(2, Gaussian(FORMS[name])), here.rows, weights=here.weights)


@pytest.mark.parametrize("name", ["EII", "VEI", "EVV", "VEE"])
def test_every_law_with_missing_values(name: str) -> None:
    rows = problem("full", 200, 3, 2, seed=4).rows
    gaps = np.where(np.random.default_rng(0).random(rows.shape) < 0.2, np.nan, rows)
    check_model(Mixture(2, Gaussian(FORMS[name], missing=True)), gaps)


@pytest.mark.parametrize("name", FORMS)
def test_irises_as_mclust_has_them(name: str) -> None:
    x = load_iris().data
    ours = dem.GaussianMixture(2, covariance_type=name, reg_covar=0, tol=1e-9, max_iter=2000)
    bic = -ours.set_params(random_state=0).fit(x).bic(x)
    if name == "VVE":  # its orientation is found by turns of which mclust makes fewer
        assert MCLUST[name] - 1e-3 <= bic <= MCLUST[name] + 1
    else:
        assert bic == pytest.approx(MCLUST[name], abs=1e-3)


@pytest.mark.parametrize("name", OWN)
def test_an_m_step_is_a_maximum(name: str) -> None:
    """No numerical minimiser finds less, from near it or (but for several minima) from anywhere."""
    k, d = 3, 2
    weight, scatter, packed = scatters(name, k, d)
    ours = cost(weight, scatter, as_matrices(FORMS[name].covariances(weight, packed, d), d))
    rng, size = np.random.default_rng(0), k * (1 + d + d * (d - 1) // 2)

    def of(vector: Array) -> float:
        return cost(weight, scatter, built(name, vector, k, d))

    best = min(minimize(of, rng.normal(size=size)).fun for _ in range(3))
    assert ours == pytest.approx(best, abs=1e-4)
    assert ours <= best + 1e-7


@pytest.mark.parametrize("name", OWN)
def test_what_is_shared(name: str) -> None:
    k, d = 3, 3
    weight, _, packed = scatters(name, k, d)
    found = as_matrices(FORMS[name].covariances(weight, packed, d), d)
    volumes = np.linalg.det(found) ** (1 / d)
    values = np.linalg.eigvalsh(found) if name[2] != "I" else np.einsum("kii->ki", found)
    shapes = values / volumes[:, None]
    apart = [np.abs(a @ b - b @ a).max() for a, b in pairwise(found / volumes[:, None, None])]
    assert (np.ptp(volumes) <= 1e-9 * volumes.max()) == (name[0] == "E")
    assert (np.ptp(shapes, axis=0).max() <= 1e-9) == (name[1] != "V")
    assert (max(apart) <= 1e-9) == (name[2] != "V")


@pytest.mark.parametrize(
    ("form", "other"),
    [
        (Aligned(one_volume=False, one_shape=False), Diagonal()),
        (Oriented(), Full()),
        (Oriented(one_volume=True, one_shape=True, one_orientation=True), Tied()),
    ],
)
def test_with_nothing_and_all_shared_they_are_others(form: Any, other: Any) -> None:
    rows = problem("full", 300, 3, 3, seed=2).rows
    one, two = (
        dem.fit(Mixture(3, Gaussian(which)), rows, max_iter=20, tol=0.0) for which in (form, other)
    )
    assert one.lower_bound == pytest.approx(two.lower_bound, abs=1e-8)
    for name, kind in (("VII", Spherical), ("VVI", Diagonal), ("EEE", Tied), ("VVV", Full)):
        assert parsimonious(name) == kind()


@pytest.mark.parametrize("name", FORMS)
def test_the_number_of_free_parameters(name: str) -> None:
    assert FORMS[name].n_parameters(3, 4) == FREE[name]
    assert FORMS[name].name == name or name in ("VII", "VVI", "EEE", "VVV")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["VEI", "EVI", "VEE", "EEV", "EVE"])
def test_a_component_without_rows_counts_for_nothing(name: str) -> None:
    weight, _, packed = scatters(name)
    form: Any = FORMS[name]
    alone = form.improved(weight[:2], packed[:2], 3, None)
    weight[2], packed[2] = 0.0, 0.0
    with_it = form.improved(weight, packed, 3, None)
    np.testing.assert_allclose(with_it[:2], alone, rtol=1e-8)
    np.testing.assert_array_equal(with_it[2], with_it[1])


@pytest.mark.parametrize("name", ["EII", "VEI", "EVI", "VEE", "EVE", "VEV"])
def test_a_component_on_one_point_is_reported(name: str) -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(200, 2)), np.full((50, 2), 40.0)])
    rows[200:, 1] += 0.0 if name[0] == "V" else rng.normal(size=50)
    fit = dem.fit(Mixture(2, Gaussian(FORMS[name])), rows, max_iter=50, tol=0.0)
    bounds = np.array([(turn.bound_e, turn.bound) for turn in fit.history]).ravel()
    assert np.isfinite(bounds).all()
    assert bool(fit.degenerate) == (name[0] == "V")


def test_words_and_stores(tmp_path: Any) -> None:
    x = load_iris().data
    for word, name in (("tied_diag", "EEI"), ("tied_spherical", "EII"), ("VEE", "VEE")):
        ours = dem.GaussianMixture(2, covariance_type=word, random_state=0).fit(x)
        same = dem.GaussianMixture(2, covariance_type=FORMS[name], random_state=0).fit(x)
        np.testing.assert_array_equal(ours.covariances_, same.covariances_)
        dem.save(ours, tmp_path / word)
        back = dem.load(tmp_path / word)
        assert FORMS.get(back.covariance_type) == FORMS[name] or back.covariance_type == word
        np.testing.assert_array_equal(back.predict(x), ours.predict(x))
        with pytest.raises(ValueError, match="scikit-learn has no covariance_type"):
            ours.to_sklearn()
    assert dem.GaussianMixture(2, covariance_type="EVE").fit(x).covariances_.shape == (2, 4, 4)
    with pytest.raises(ValueError, match="covariance_type must be one of"):
        dem.GaussianMixture(2, covariance_type="VIE").fit(x)
    with pytest.raises(ValueError, match="name must be one of EII, VII"):
        parsimonious("VIE")


def test_reg_covar_is_added_before_anything_is_shared() -> None:
    x = load_iris().data[:, :3]
    for name in OWN:
        family, sample = Gaussian(FORMS[name], 0.5), Sample(x, np.ones(150), True)
        started = family.outward(family.start(sample, np.ones((1, 150))))[1]
        plain = Gaussian(FORMS[name])
        without = plain.outward(plain.start(sample, np.ones((1, 150))))[1]
        if name == "EII":
            np.testing.assert_allclose(started, without + 0.5, rtol=1e-10)
        else:
            diagonal = np.eye(3) if started.ndim == 3 else np.ones(3)
            np.testing.assert_allclose(started, without + 0.5 * diagonal, rtol=1e-8, atol=1e-9)
