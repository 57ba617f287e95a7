"""Dawid and Skene's raters, and Fellegi and Sunter's matches: published and simulated results."""

from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import dem
from anaesthetists import RATERS, TABLE
from dem.families import Categorical, Ratings
from dem.families.ratings import RatingsParams
from dem.models.mixture import Mixture, MixtureParams
from dem.testing import check_model

Array = np.ndarray
# As they print them, in their tables 2 and 4: shares of the classes, and the first observer's.
SHARES = [0.40, 0.42, 0.11, 0.07]
FIRST = [[0.89, 0.11, 0, 0], [0.07, 0.88, 0.05, 0], [0, 0.34, 0.66, 0], [0, 0, 0.56, 0.44]]


def textbook(turns: int) -> tuple[Array, Array, float]:
    """Their EM, on counts of answers: shares, p(answer | rater, class), log-likelihood."""
    whose = (np.array(RATERS)[:, None] == np.arange(1, 6)).astype(float)
    answers = (TABLE[:, :, None] == np.arange(1, 5)).astype(float)
    counts = np.einsum("ndl,dr->nrl", answers, whose)
    q = counts.sum(axis=1) / counts.sum(axis=(1, 2))[:, None]
    for _ in range(turns):
        shares = q.mean(axis=0)
        rates = np.einsum("nk,nrl->rkl", q, counts)
        rates /= rates.sum(axis=2, keepdims=True)
        joint = shares * np.prod(rates[None] ** counts[:, :, None, :], axis=(1, 3))
        q = joint / joint.sum(axis=1, keepdims=True)
    return shares, rates, float(np.log(joint.sum(axis=1)).sum())


def test_anaesthetists() -> None:
    ours = dem.DawidSkene(RATERS, tol=1e-9).fit(TABLE)
    np.testing.assert_allclose(ours.weights_, SHARES, atol=0.005)
    np.testing.assert_allclose(ours.confusion_matrices_[0], FIRST, atol=0.005)
    shares, rates, likelihood = textbook(200)
    np.testing.assert_allclose(ours.weights_, shares, atol=1e-4)
    np.testing.assert_allclose(ours.confusion_matrices_, rates, atol=1e-3)
    assert ours.lower_bound_ * 45 == pytest.approx(likelihood, abs=1e-4)
    assert ours.classes_.tolist() == [1, 2, 3, 4]
    assert ours.raters_.tolist() == [1, 2, 3, 4, 5]
    assert ours.predict(TABLE)[:4].tolist() == [1, 4, 2, 2]
    assert ours.n_parameters_ == 3 + 5 * 4 * 3


def test_turn_by_turn_as_the_textbook() -> None:
    """The start is their first M-step, so that the turns are one ahead."""
    ours = dem.DawidSkene(RATERS, schedule="batch", tol=0.0, max_iter=6)
    with pytest.warns(UserWarning, match="did not converge in 6"):
        ours.fit(TABLE)
    shares, rates, _ = textbook(7)
    np.testing.assert_allclose(ours.weights_, shares, atol=1e-8)
    np.testing.assert_allclose(ours.confusion_matrices_, rates, atol=1e-8)


@pytest.mark.parametrize("missing", [False, True])
def test_every_law_of_ratings(missing: bool) -> None:
    family = Ratings(3, (0, 0, 1, 2))
    confusion = np.random.default_rng(0).dirichlet(np.ones(3), (2, 3)).reshape(2, 9)
    params = MixtureParams(np.array([0.3, 0.7]), RatingsParams(confusion))
    x = Mixture(2, family).sample(params, 300, np.random.default_rng(1))[0]
    x = np.random.default_rng(2).permutation(x)
    if missing:
        x = np.where(np.random.default_rng(3).random(x.shape) < 0.2, np.nan, x)
    check_model(Mixture(2, family), x, params=params)
    with pytest.raises(dem.DataError, match=r"whole numbers from 0 to below .*, which is 3"):
        dem.fit(Mixture(2, family), x + 1, max_iter=2)


def test_with_a_rater_for_each_column_ratings_are_categorical() -> None:
    codes = TABLE - 1
    bounds = []
    for family in (Ratings(4, tuple(range(7))), Categorical(4)):
        fit = dem.fit(Mixture(3, family), codes, max_iter=10, tol=0.0, seed=1)
        bounds.append([turn.bound for turn in fit.history])
    np.testing.assert_allclose(*bounds, rtol=1e-9)


def test_answers_of_all_kinds() -> None:
    words = np.array(["fit", "unwell", "ill", "dying"])
    kind = pd.CategoricalDtype(words)
    frame = pd.DataFrame(words[TABLE.astype(int) - 1], columns=list("abcdefg"))
    frame.iloc[3, 2] = frame.iloc[5, 0] = None
    ours = dem.DawidSkene(RATERS).fit(frame.astype(kind))
    assert ours.classes_.tolist() == words.tolist()
    assert ours.predict(frame.astype(kind))[:3].tolist() == ["fit", "dying", "unwell"]
    gaps = TABLE.copy()
    gaps[3, 2] = gaps[5, 0] = np.nan
    same = dem.DawidSkene(RATERS).fit(gaps)
    np.testing.assert_allclose(ours.confusion_matrices_, same.confusion_matrices_, atol=1e-9)
    lazy = same.predict(da.from_array(gaps, chunks=(20, 7)))
    assert lazy.compute().tolist() == same.predict(gaps).tolist()
    assert np.isfinite(same.impute(gaps)).all()
    fewer = pd.Categorical(frame["b"].where(frame["b"] != "dying"), categories=words[:3])
    one = frame.astype(kind).assign(a=fewer)
    with pytest.raises(dem.DataError, match="Columns have different categories"):
        dem.DawidSkene(RATERS).fit(one)
    with pytest.raises(ValueError, match="raters has 7 entries, X has 6 columns"):
        dem.DawidSkene(RATERS).fit(TABLE[:, :6])


@pytest.mark.parametrize("kind", ["array", "objects", "list", "frame", "Dask", "Parquet"])
def test_answers_are_strings_of_any_container(kind: str, tmp_path: Path) -> None:
    """Columns in which some answers never come have the answers of all columns."""
    table = TABLE.copy()
    table[:, 1] = np.minimum(table[:, 1], 3)
    words = np.array(["a", "b", "c", "d"])[table.astype(int) - 1]
    frame = pd.DataFrame(words, columns=list("abcdefg"))
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=10)
    ways = {
        "array": words,
        "objects": words.astype(object),
        "list": words.tolist(),
        "frame": frame,
        "Dask": dd.from_pandas(frame, npartitions=3),
        "Parquet": tmp_path / "x.parquet",
    }
    same = dem.DawidSkene(RATERS).fit(table)
    ours = dem.DawidSkene(RATERS).fit(ways[kind])
    assert ours.classes_.tolist() == ["a", "b", "c", "d"]
    np.testing.assert_allclose(ours.confusion_matrices_, same.confusion_matrices_, atol=1e-9)
    found = np.asarray(ours.predict(ways[kind]))
    assert found.tolist() == ["abcd"[int(k) - 1] for k in same.predict(table)]


def test_answers_that_lack_or_were_not_in_the_fit() -> None:
    words = np.array(["a", "b", "c", "d"], object)[TABLE.astype(int) - 1]
    words[3, 2], words[5, 0] = None, np.nan
    gaps = TABLE.copy()
    gaps[3, 2] = gaps[5, 0] = np.nan
    ours, same = dem.DawidSkene(RATERS).fit(words), dem.DawidSkene(RATERS).fit(gaps)
    np.testing.assert_allclose(ours.confusion_matrices_, same.confusion_matrices_, atol=1e-9)
    words[7, 1] = "e"
    with pytest.raises(dem.DataError, match="'e': row 7, column 1, which is not among the 4"):
        ours.predict(words)
    words[7, 1] = "d"
    with pytest.raises(ValueError, match="6 features, but DawidSkene is expecting 7"):
        ours.predict(words[:, :6])


def test_items_whose_class_is_known() -> None:
    known = np.full(45, -1)
    known[[1, 2]] = 2
    ours = dem.DawidSkene(RATERS).fit(TABLE, labels=known)
    plain = dem.DawidSkene(RATERS).fit(TABLE)
    np.testing.assert_allclose(plain.confusion_matrices_[1, 3, 3], 1, atol=1e-6)
    assert ours.weights_[2] > plain.weights_[2]
    assert ours.predict(TABLE)[[0, 10]].tolist() == [1, 4]


M = np.array([0.95, 0.9, 0.8, 0.99, 0.7])
U = np.array([0.02, 0.1, 0.05, 0.5, 0.01])


def pairs(n: int = 100_000, share: float = 0.02) -> tuple[Array, Array]:
    """Which fields agree, with some missing; and which pairs are matches."""
    rng = np.random.default_rng(0)
    match = rng.random(n) < share
    agree = (rng.random((n, 5)) < np.where(match[:, None], M, U)).astype(float)
    return np.where(rng.random((n, 5)) < 0.05, np.nan, agree), match


def test_matches_are_found() -> None:
    x, match = pairs()
    ours = dem.FellegiSunter().fit(x)
    assert ours.prevalence_ == pytest.approx(match.mean(), rel=0.02)
    np.testing.assert_allclose([m[1] for m in ours.m_], M, atol=0.02)
    np.testing.assert_allclose([u[1] for u in ours.u_], U, atol=0.005)
    for weight, m, u in zip(ours.match_weights_, ours.m_, ours.u_, strict=True):
        np.testing.assert_allclose(weight, np.log2(m / u))
    assert (ours.predict(x) == match).mean() > 0.997
    weight, proba = ours.match_weight(x), ours.predict_proba(x)[:, 1]
    odds = np.log2(ours.prevalence_ / (1 - ours.prevalence_)) + weight
    np.testing.assert_allclose(proba, 1 / (1 + 2.0**-odds), atol=1e-9)
    first = np.nan_to_num(x[0], nan=-1).astype(int)
    by_hand = sum(w[i] for w, i in zip(ours.match_weights_, first, strict=True) if i >= 0)
    assert weight[0] == pytest.approx(by_hand, rel=1e-9)
    lazy = ours.match_weight(da.from_array(x[:1000], chunks=(300, 5)))
    np.testing.assert_allclose(lazy.compute(), weight[:1000])
    assert ours.n_passes_ < 3  # as patterns


def test_degrees_of_agreement() -> None:
    """0, 1, 2: not at all, more or less, exactly."""
    rng = np.random.default_rng(0)
    match = rng.random(20_000) < 0.1
    p = np.where(match[:, None, None], [[0.05, 0.15, 0.8]] * 4, [[0.8, 0.15, 0.05]] * 4)
    x = (rng.random((20_000, 4, 1)) > p.cumsum(axis=2)).sum(axis=2).astype(float)
    ours = dem.FellegiSunter(levels=3).fit(x)
    np.testing.assert_allclose(np.stack(ours.m_), [[0.05, 0.15, 0.8]] * 4, atol=0.03)
    assert (np.diff(np.stack(ours.match_weights_), axis=1) > 0).all()


def test_pairs_that_are_known() -> None:
    x, match = pairs(5000, 0.1)
    known = np.where(np.arange(5000) < 500, match, -1).astype(int)
    ours = dem.FellegiSunter().fit(x, labels=known)
    assert (ours.predict(x) == match).mean() > 0.98


@pytest.mark.parametrize(
    ("estimator", "x"),
    [
        (dem.DawidSkene(RATERS, random_state=0), TABLE),
        (dem.DawidSkene(list("aaabcde"), random_state=0), TABLE),
        (dem.FellegiSunter(random_state=0), pairs(2000, 0.1)[0]),
    ],
    ids=["raters", "named", "matches"],
)
@pytest.mark.filterwarnings("ignore:Best performing:sklearn.exceptions.ConvergenceWarning")
def test_saved_and_resumed(estimator: Any, x: Array, tmp_path: Path) -> None:
    estimator.fit(x)
    dem.save(estimator, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    np.testing.assert_array_equal(back.predict_proba(x), estimator.predict_proba(x))
    np.testing.assert_array_equal(back.predict(x), estimator.predict(x))
    place = tmp_path / "kept"
    short = type(estimator)(**{**estimator.get_params(), "checkpoint": place, "max_iter": 2})
    short.fit(x)
    face = {name: getattr(estimator, name) for name in estimator.face}
    again = type(estimator).resume(place, x, max_iter=1000, **face)
    np.testing.assert_array_equal(again.predict_proba(x), estimator.predict_proba(x))
    if face:
        np.testing.assert_array_equal(again.raters_, estimator.raters_)
        np.testing.assert_array_equal(back.raters_, estimator.raters_)


def test_wrong_ratings() -> None:
    with pytest.raises(ValueError, match="numbered from 0 without gaps"):
        Ratings(3, (0, 2))
    with pytest.raises(ValueError, match="raters are given for 2 columns, there are 7"):
        dem.fit(Mixture(2, Ratings(5, (0, 1))), TABLE, max_iter=2)
