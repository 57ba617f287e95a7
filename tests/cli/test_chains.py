"""Hidden Markov models on the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dem as library

RNG = np.random.default_rng(0)
STATES = np.repeat(RNG.integers(0, 2, 60), 20)
X = 3.0 * STATES[:, None] + RNG.normal(size=(1200, 2))
LENGTHS = np.full(12, 100)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "n.npy", LENGTHS)
    np.save(tmp_path / "counts.npy", np.where(X[:, :1] > 1.5, 4, 0) + RNG.poisson(1.0, (1200, 1)))
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(who=np.repeat(np.arange(12), 100))
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=250)
    return tmp_path


def test_fit_score_predict_and_show(dem: Any, place: Path) -> None:
    same = library.GaussianHMM(2, random_state=0).fit(X, LENGTHS)
    ways = {"x.npy": "--lengths n.npy", "x.parquet": "--groups who"}
    for data, given in ways.items():
        dem(f"fit {data} --model gaussian-hmm -k 2 {given} --out model --overwrite -q")
        model = library.load("model")
        np.testing.assert_allclose(model.transmat_, same.transmat_, atol=1e-8)
        scored = json.loads(dem(f"score model {data} {given} --json").output)
        assert scored["mean_log_likelihood"] * 1200 == pytest.approx(same.score(X, LENGTHS))
        for option, method in (("", "predict"), ("--proba ", "predict_proba")):
            dem(f"predict model {data} {given} {option}--out out.npy --overwrite -q")
            np.testing.assert_allclose(
                np.load("out.npy"), getattr(same, method)(X, LENGTHS), atol=1e-7
            )
    assert "GaussianHMM" in dem("show model").output
    shown = json.loads(dem("show model --json").output)
    np.testing.assert_allclose(shown["transmat"], model.transmat_)


@pytest.mark.parametrize("model", ["poisson-hmm", "categorical-hmm"])
def test_counts_and_codes(dem: Any, place: Path, model: str) -> None:
    dem(f"fit counts.npy --model {model} -k 2 --topology ergodic --out model -q")
    assert library.load("model").transmat_.diagonal().min() > 0.8
    assert "weight" in dem("show model").output


def test_mixtures_as_states(dem: Any, place: Path) -> None:
    line = "fit x.npy --model gmm-hmm -k 2 --n-mix 2 --covariance diag --lengths n.npy"
    dem(f"{line} --out model -q")
    model = library.load("model")
    assert model.means_.shape == (2, 2, 2)
    shown = dem("show model").output
    assert all(f"\n{number} " in shown for number in ("0.0", "0.1", "1.0", "1.1"))
    np.testing.assert_allclose(json.loads(dem("show model --json").output)["means"], model.means_)
    dem("predict model x.npy --lengths n.npy --out out.npy -q")
    np.testing.assert_array_equal(np.load("out.npy"), model.predict(X, LENGTHS))
    assert "gaussian-hmm has no --n-mix" in dem(
        "fit x.npy --model gaussian-hmm -k 2 --n-mix 2", code=2
    ).output  # fmt: skip


def test_resume(dem: Any, place: Path) -> None:
    line = "fit x.npy --model gaussian-hmm -k 2 --schedule batch --lengths n.npy --checkpoint c -q"
    dem(f"{line} --max-iter 2 --tol 0 --out model --resume")
    dem(f"{line} --max-iter 4 --tol 0 --out model --resume")
    assert library.load("model").n_iter_ == 4
    dem(f"{line} --topology left-right --out model --resume", code=1)


def test_mistakes(dem: Any, place: Path) -> None:
    for line, message in (
        ("fit x.npy -k 2 --lengths n.npy", "gaussian-mixture takes no --lengths"),
        ("fit x.npy -k 2 --topology ergodic", "gaussian-mixture has no --topology"),
        ("fit x.npy -k 2 --model gaussian-hmm --lengths n.npy --groups a", "Give only one of"),
        ("fit x.npy -k 2 --model gaussian-hmm --labels n.npy", "takes no --labels"),
    ):
        assert message in dem(line, code=2).output
