"""Factor analysis, principal components, raters and matches on the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dem as library
from anaesthetists import TABLE

RNG = np.random.default_rng(0)
X = RNG.normal(size=(900, 2)) @ RNG.normal(size=(2, 5)) + RNG.normal(size=(900, 5))
GAPS = np.where(RNG.random(X.shape) < 0.1, np.nan, X)


@pytest.fixture(autouse=True)
def data(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "gaps.npy", GAPS)
    np.save(tmp_path / "ratings.npy", TABLE)
    np.save(tmp_path / "pairs.npy", (X > 0.5).astype(float))


FITS = [
    ("factor-analysis -k 2 --rotation varimax", library.FactorAnalysis(2, rotation="varimax"), "x"),
    ("factor-analysis -k 2 --missing", library.FactorAnalysis(2, missing=True), "gaps"),
    ("pca -k 2 --whiten", library.PCA(2, whiten=True), "x"),
    ("pca", library.PCA(), "x"),
]


@pytest.mark.parametrize(("words", "same", "name"), FITS)
def test_coordinates(dem: Any, words: str, same: Any, name: str) -> None:
    rows = {"x": X, "gaps": GAPS}[name]
    dem(f"fit {name}.npy --model {words} --out model -q")
    same.fit(rows)
    np.testing.assert_array_equal(library.load("model").components_, same.components_)
    scored = json.loads(dem(f"score model {name}.npy --json").output)
    assert scored["mean_log_likelihood"] == pytest.approx(same.score(rows), rel=1e-9)
    dem(f"predict model {name}.npy --out z.npy -q")
    np.testing.assert_allclose(np.load("z.npy"), same.transform(rows), rtol=1e-9)
    shown = dem("show model").output
    assert type(same).__name__ in shown
    assert f"{same.components_[0, 0]:.4g}" in shown
    found = json.loads(dem("show model --json").output)
    np.testing.assert_array_equal(found["components"], same.components_)


def test_mixtures_of_factor_analysers(dem: Any) -> None:
    dem("fit x.npy -k 2 --factors 1 --out model --checkpoint kept -q")
    model = library.load("model")
    assert model.covariance_type == library.Factors(1)
    dem("fit x.npy -k 2 --factors 1 --out model --checkpoint kept --resume --overwrite -q")
    np.testing.assert_array_equal(library.load("model").means_, model.means_)
    dem("score model x.npy")


def test_raters_and_matches(dem: Any) -> None:
    dem("fit ratings.npy --model dawid-skene --raters a,a,a,b,c,d,e --out model -q")
    model = library.load("model")
    assert model.raters_.tolist() == list("abcde")
    assert "DawidSkene" in dem("show model").output
    assert json.loads(dem("show model --json").output)["raters"] == list("abcde")
    dem("predict model ratings.npy --out classes.npy -q")
    np.testing.assert_array_equal(np.load("classes.npy"), model.predict(TABLE))
    dem("fit pairs.npy --model fellegi-sunter --levels 2 --out matches -q")
    assert library.load("matches").prevalence_ > 0
    assert "FellegiSunter" in dem("show matches").output


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("factor-analysis -k 2 --rotation varimax", "x"),
        ("pca --whiten", "x"),
        ("pca -k 2 --missing", "gaps"),
        ("dawid-skene --raters a,a,a,b,c,d,e", "ratings"),
    ],
)
def test_taken_up_again(dem: Any, words: str, name: str) -> None:
    line = f"fit {name}.npy --model {words} --out model --checkpoint kept -q"
    dem(line)
    first = library.load("model")
    dem(f"{line} --resume")
    again = library.load("model")
    for attribute in ("components_", "explained_variance_", "confusion_matrices_", "raters_"):
        if hasattr(first, attribute):
            np.testing.assert_array_equal(getattr(again, attribute), getattr(first, attribute))
    if name != "x":
        other = words.replace("-k 2", "-k 3").replace("a,a,a", "a,a,b")
        assert "another fit" in dem(f"{line.replace(words, other)} --resume", code=1).output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model pca -k 2 --labels x.npy", "pca takes no --labels"),
        ("--model factor-analysis", "Missing option '-k'"),
        ("", "Missing option '-k'"),
        ("--model pca -k 2 --rotation varimax", "pca has no --rotation"),
        ("--model pca -k 2 --init warm", "pca has no --init"),
        ("--model pca -k 2 --max-passes 3", "pca has no --max-passes"),
        ("--model dawid-skene -k 2", "dawid-skene has no -k"),
        ("-k 2 --covariance diag --factors 2", "only one of --covariance and --factors"),
    ],
)
def test_mistakes(dem: Any, words: str, message: str) -> None:
    assert message in dem(f"fit x.npy {words}", code=2).output
