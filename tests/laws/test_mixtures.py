"""The laws for Gaussian mixtures: four forms, exact and hard posteriors, any small shape."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dem.families import Gaussian, Spherical
from dem.models.mixture import Mixture, MixtureParams
from dem.posteriors import Exact, Hard
from dem.testing import LAWS, Case, check_model
from dem.wrap import Frozen
from mixtures import FORMS, climb, problem, problems, start

# Those that start threads or write files, and so take long, get fewer cases below.
QUICK = [name for name in LAWS if name not in ("maximiser", "bitwise", "round trip")]
POSTERIORS = {"exact": Exact(), "hard": Hard()}
KEPT = ("weights", "components.covariances", "components.roots")
CALM = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def is_firm(case: Case) -> bool:
    """Whether each component has rows enough for a covariance, in both halves of the rows.

    How far a covariance without them collapses depends on where its sums are centred.
    """
    n, d = case.rows.shape
    labels = (case.model.posterior(case.model.prepare(p), case.rows).argmax(1) for p in case.probes)
    halves = (half for each in labels for half in (each[: n // 2], each[n // 2 :]))
    return min(np.bincount(half, minlength=case.model.k).min() for half in halves) >= 2 * d + 2


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("form", FORMS)
@settings(CALM, max_examples=10)
@given(data=st.data())
def test_laws(form: str, posterior: str, data: Any) -> None:
    here = data.draw(problems(form))
    weights = here.weights if data.draw(st.booleans()) else None
    case = Case(here.model, here.rows, weights, posteriors=(POSTERIORS[posterior],), turns=3)
    assume(is_firm(case))
    for name in QUICK:
        LAWS[name](case)


@pytest.mark.parametrize("form", FORMS)
@settings(CALM, max_examples=5)
@given(data=st.data())
def test_m_step_maximises(form: str, data: Any) -> None:
    here = data.draw(problems(form))
    LAWS["maximiser"](Case(here.model, here.rows, here.weights))


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("form", FORMS)
def test_every_law(form: str, weighted: bool) -> None:
    here = problem(form, 150, 3, 2, seed=4)
    check_model(here.model, here.rows, weights=here.weights if weighted else None)


def kmeans(k: int, rows: Any, weights: Any, seed: int) -> tuple[Frozen, MixtureParams]:
    """The model that `dem.KMeans` fits: equal spheres, of which only the means move."""
    params = start(Mixture(k, Gaussian(Spherical())), rows, weights, seed)
    c, ones = params.components, np.ones((k, 1))
    equal = replace(c, covariances=ones, roots=ones)
    model = Frozen(Mixture(k, Gaussian(Spherical())), KEPT)
    return model, MixtureParams(np.full(k, 1 / k), equal)


@settings(CALM, max_examples=10)
@given(problems("spherical"), st.booleans())
def test_laws_of_k_means(here: Any, weighted: bool) -> None:
    weights = here.weights if weighted else None
    model, params = kmeans(here.model.k, here.rows, weights, 0)
    case = Case(model, here.rows, weights, given=params, posteriors=(Hard(),), turns=3)
    for name in (*QUICK, "maximiser"):
        LAWS[name](case)


def test_every_law_of_k_means() -> None:
    here = problem("spherical", 150, 3, 4, seed=4)
    model, params = kmeans(4, here.rows, here.weights, 0)
    check_model(model, here.rows, weights=here.weights, params=params, posteriors=[Hard()])


@settings(CALM, max_examples=20)
@given(problems("spherical"))
def test_k_means_is_lloyds_algorithm(here: Any) -> None:
    """Its means, step by step; its bound is −½ of the inertia per row, plus a constant."""
    k, w = here.model.k, here.weights
    model, params = kmeans(k, here.rows, w, 0)
    frame = params.components.frame
    x, centres = frame.inward(here.rows), params.components.means
    for step in climb(model, params, here.rows, 4, w, Hard()):
        distances = ((x[:, None] - centres) ** 2).sum(axis=2)
        nearest = distances.argmin(axis=1)
        mass = np.bincount(nearest, w, k)
        sums = np.stack([np.bincount(nearest, w * column, k) for column in x.T], axis=1)
        centres = np.where(mass[:, None] > 0, sums / np.maximum(mass, 1e-300)[:, None], centres)
        np.testing.assert_allclose(step.params.components.means, centres, rtol=1e-9, atol=1e-12)
        constant = -np.log(k) - x.shape[1] * np.log(2 * np.pi) / 2 - frame.log_volume
        inertia = w @ distances.min(axis=1) / w.sum()
        assert step.bound_e == pytest.approx(constant - inertia / 2, rel=1e-10, abs=1e-10)


def affine(form: str, d: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A shift, and a linear map that the form is closed under."""
    shift = 1e3 * rng.normal(size=d)
    if form in ("full", "tied"):
        return shift, rng.normal(size=(d, d)) + 2 * np.eye(d)
    if form == "diag":
        return shift, np.diag(np.exp(3 * rng.normal(size=d)))
    return shift, 37.0 * np.linalg.qr(rng.normal(size=(d, d)))[0]


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("form", FORMS)
@settings(CALM, max_examples=10)
@given(data=st.data())
def test_affine_maps(form: str, posterior: str, data: Any) -> None:
    """From the start mapped by x → x A + b, the fit of mapped rows is the mapped fit."""
    here = data.draw(problems(form))
    d = here.rows.shape[1]
    shift, linear = affine(form, d, np.random.default_rng(data.draw(st.integers(0, 99))))
    mapped = here.rows @ linear + shift
    family, before = here.model.family, start(here.model, here.rows, here.weights)
    other = start(here.model, mapped, here.weights).components.frame
    means, covariances, _ = family.outward(before.components)
    if form in ("full", "tied"):
        covariances = linear.T @ covariances @ linear
    else:
        covariances = covariances * np.square(linear).sum(axis=0)[0 if form == "spherical" else ...]
    components = family.inward(means @ linear + shift, covariances, other)
    options = (3, here.weights, POSTERIORS[posterior])
    one = climb(here.model, before, here.rows, *options)
    # The floors under a component on its way to a point are in the units of the frame.
    last = one[-1].params.components
    assume(not family.covariance.collapsed(last.covariances, last.means.shape, 1e-6).any())
    two = climb(here.model, replace(before, components=components), mapped, *options)
    volume = np.log(abs(np.linalg.det(linear)))
    for a, b in zip(one, two, strict=True):
        assert b.bound == pytest.approx(a.bound - volume, abs=1e-7)
        np.testing.assert_allclose(b.params.weights, a.params.weights, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(
            family.outward(b.params.components)[0],
            family.outward(a.params.components)[0] @ linear + shift,
            rtol=1e-7,
            atol=1e-7 * np.abs(mapped).max(),
        )
