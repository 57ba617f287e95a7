"""Mixtures as states of a hidden Markov model: hmmlearn's results, files, other families."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import chains
import dem
from dem.em import bound
from dem.models import HMMParams
from dem.posteriors import Exact
from dem.starts import Given

RNG = np.random.default_rng(2)
N, LENGTHS = 2000, [1200, 3, 797]
FOLLOW = np.array([[0.95, 0.05], [0.1, 0.9]])
STATES = [0]
for _ in range(N - 1):
    STATES.append(int(RNG.choice(2, p=FOLLOW[STATES[-1]])))
# Two bumps each: a state is no one Gaussian, and its bumps lie on both sides of the other's.
PLACES = np.array([[[-4.0, 0.0], [4.0, 0.0]], [[0.0, -3.0], [0.0, 3.0]]])
X = PLACES[STATES, RNG.integers(0, 2, N)] + RNG.normal(size=(N, 2))
CHAIN: dict[str, Any] = {
    "startprob_init": np.array([0.6, 0.4]),
    "transmat_init": np.array([[0.7, 0.3], [0.4, 0.6]]),
    "weights_init": np.array([[0.3, 0.7], [0.5, 0.5]]),
    "means_init": PLACES + 0.7,
}
SHAPES = {"full": (2, 2, 2, 2), "diag": (2, 2, 2), "spherical": (2, 2)}


def covariances(form: str) -> np.ndarray:
    shape = SHAPES[form]
    return 1.5 * (np.broadcast_to(np.eye(2), shape).copy() if form == "full" else np.ones(shape))


def moved(form: str, step: np.ndarray) -> np.ndarray:
    """What hmmlearn's covariances have too much: they are about the means before the M-step."""
    if form == "full":
        return step[..., :, None] * step[..., None, :]
    return step**2 if form == "diag" else (step**2).mean(axis=-1)


@pytest.mark.parametrize(
    ("form", "lengths"), [("full", None), ("diag", [120, 3, 77]), ("spherical", None)]
)
def test_as_hmmlearn(form: str, lengths: Any) -> None:
    few = X[:200]
    hmmlearn = pytest.importorskip("hmmlearn.hmm")
    theirs = hmmlearn.GMMHMM(
        2, 2, covariance_type=form, n_iter=1, tol=-np.inf, init_params="", min_covar=0
    )
    theirs.startprob_, theirs.transmat_, theirs.weights_, theirs.means_ = CHAIN.values()
    theirs.n_features, theirs.covars_ = 2, covariances(form)
    for _ in range(3):
        before = theirs.means_
        theirs.fit(few, lengths)
        theirs.covars_ = theirs.covars_ - moved(form, theirs.means_ - before)
    ours = dem.GMMHMM(
        2, 2, covariance_type=form, reg_covar=0.0, covars_init=covariances(form), schedule="batch",
        max_iter=3, tol=0.0, **CHAIN,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning):
        ours.fit(few, lengths)
    for name in ("startprob_", "transmat_", "weights_", "means_", "covars_"):
        found, expected = getattr(ours, name), getattr(theirs, name)
        np.testing.assert_allclose(found, expected, atol=1e-8, err_msg=name)
    assert ours.score(few, lengths) == pytest.approx(theirs.score(few, lengths), rel=1e-10)
    proba = theirs.predict_proba(few, lengths)
    np.testing.assert_allclose(ours.predict_proba(few, lengths), proba, atol=1e-8)
    np.testing.assert_array_equal(ours.predict(few, lengths), theirs.predict(few, lengths))


def test_finds_the_bumps_of_each_state() -> None:
    """From the usual start; and two Gaussians alone cannot."""
    model = dem.GMMHMM(2, 2, random_state=0).fit(X, LENGTHS)
    assert model.weights_.shape == (2, 2)
    truth = dem.HMM(2, dem.MixtureOf(2, dem.Gaussian(dem.Diagonal())))
    assert (
        model.n_parameters_
        == 1 + 2 + 2 + 4 * 4
        == model._fitted.model.n_parameters(model._fitted.params)
    )
    assert model._fitted.model.family.m == truth.family.m
    found = model.means_[np.argsort(abs(model.means_[:, 0, 0]))[::-1]]  # the wide one first
    order = np.argsort(found.sum(axis=2), axis=1)
    found = np.take_along_axis(found, order[..., None], axis=1)
    np.testing.assert_allclose(found, PLACES, atol=0.25)
    assert len(model.plot()[1].patches) == 4 * 2  # the ellipses of each Gaussian
    one = dem.GaussianHMM(2, random_state=0).fit(X, LENGTHS)
    assert model.score(X, LENGTHS) > one.score(X, LENGTHS) + 500


def test_all_paths_and_parts() -> None:
    """log p(v) as a sum over all states and all of their components, of a short sequence."""
    rows = X[:5]
    model = dem.HMM(2, dem.MixtureOf(2, dem.Poisson()))
    counts = np.abs(np.rint(rows))
    params = chains.start(model, np.abs(np.rint(X[:100])))
    weights, rates = params.components.weights, params.components.components.rates
    # A chain of pairs (state, component), whose emissions are Poisson's own.
    wide = dem.HMM(4, dem.Poisson())
    pairs = HMMParams(
        (params.startprob[:, None] * weights).ravel(),
        np.repeat(np.einsum("ij,jm->ijm", params.transmat, weights).reshape(2, 4), 2, axis=0),
        type(params.components.components)(rates),
    )
    data = chains.beginning(counts, [5])
    ours = chains.statistics(model, params, data, Exact(), (2,))
    theirs = chains.statistics(wide, pairs, data, Exact())
    assert bound(model, params, ours) == pytest.approx(bound(wide, pairs, theirs), abs=1e-10)
    np.testing.assert_allclose(
        ours.sums.emissions.components.features, theirs.sums.emissions.features, atol=1e-10
    )
    np.testing.assert_allclose(
        ours.sums.transitions,
        theirs.sums.transitions.reshape(2, 2, 2, 2).sum(axis=(1, 3)),
        atol=1e-10,
    )


def test_the_bound_rises_and_parts_may_be_given() -> None:
    for given in ({"means_init": PLACES}, {"weights_init": CHAIN["weights_init"]}, {}):
        model = dem.GMMHMM(2, 2, random_state=0, schedule="batch", max_iter=6, tol=0.0, **given)
        with pytest.warns(ConvergenceWarning):
            model.fit(X, LENGTHS)
        bounds = np.ravel([(r.bound_e, r.bound) for r in model.history_])
        assert all(b >= a - 1e-9 for a, b in pairwise(bounds))


@pytest.mark.parametrize("form", ["tied", "diag"])
def test_saved_and_resumed(form: str, tmp_path: Path) -> None:
    how: dict[str, Any] = {**CHAIN, "covariance_type": form, "tol": 0.0, "random_state": 0}
    part = dem.GMMHMM(2, 2, max_iter=3, checkpoint=str(tmp_path / "c"), **how)
    whole = dem.GMMHMM(2, 2, max_iter=6, **how)
    for model in (part, whole):
        with pytest.warns(ConvergenceWarning):
            model.fit(X, LENGTHS)
    with pytest.warns(ConvergenceWarning):
        ours = dem.GMMHMM.resume(str(tmp_path / "c"), X, max_iter=6, lengths=LENGTHS)
    for name in ("startprob_", "transmat_", "weights_", "means_", "covars_"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(whole, name))
    assert ours.n_mix == 2
    np.testing.assert_array_equal(ours.means_init, CHAIN["means_init"])
    dem.save(whole, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    np.testing.assert_array_equal(back.predict(X, LENGTHS), whole.predict(X, LENGTHS))
    assert (back.n_mix, back.covariance_type) == (2, form)


def test_other_mixtures_by_hand() -> None:
    """The library's fit of mixtures of Student-t as states; parts of it given."""
    model = dem.HMM(2, dem.MixtureOf(2, dem.StudentT(dem.Diagonal(), 5.0)))
    fit = dem.fit(
        model, dem.sequences(X, LENGTHS), start=Given(chains.start(model, X)), max_iter=30
    )
    bounds = np.ravel([(r.bound_e, r.bound) for r in fit.history])
    assert (np.diff(bounds) > -1e-9).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_mix": 0}, "n_mix must be >= 1"),
        ({"means_init": PLACES[0]}, r"means_init should have the shape \(2, 2, 2\)"),
        ({"weights_init": [[0.5, 0.6], [1, 0]]}, "weights_init must be non-negative and sum to 1"),
        ({"covars_init": -np.ones((2, 2, 2))}, "covars_init"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dem.GMMHMM(**{"n_components": 2, "n_mix": 2, **arguments}).fit(X)
