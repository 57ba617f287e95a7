"""Mixtures of regressions on the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dem as library

RNG = np.random.default_rng(0)
X = RNG.normal(size=(900, 2))
H = RNG.integers(2, size=900)
Y = np.where(H, 2 + 3 * X[:, 0], -1 - X[:, 1]) + 0.3 * RNG.normal(size=900)

FRAME = pd.DataFrame(X, columns=["a", "b"])


@pytest.fixture
def table(tmp_path: Path) -> str:
    FRAME.assign(y=Y)[["a", "y", "b"]].to_parquet(tmp_path / "rows.parquet")
    return "rows.parquet"


def test_fit_score_predict_and_show(dem: Any, table: str) -> None:
    fit = f"fit {table} -k 2 --model mixture-of-regressions --response y"
    dem(f"{fit} --out model -q")
    model = library.load("model")
    same = library.MixtureOfRegressions(2, random_state=0).fit(table, "y")
    np.testing.assert_array_equal(model.coef_, same.coef_)
    order = np.argsort(model.intercept_)
    np.testing.assert_allclose(model.coef_[order], [[0, -1], [3, 0]], atol=0.1)
    for more in ("", " --response y"):
        scored = json.loads(dem(f"score model {table}{more} --json").output)
        assert scored["mean_log_likelihood"] == pytest.approx(same.score(FRAME, Y), rel=1e-12)
    dem(f"predict model {table} --out means.npy -q")
    np.testing.assert_allclose(np.load("means.npy"), model.predict(FRAME), rtol=1e-12)
    shown = dem("show model").output
    assert "intercept" in shown
    assert json.loads(dem("show model --json").output)["coef"] == model.coef_.tolist()
    failed = dem(f"predict model {table} --out q.npy --proba -q", code=2)
    assert "MixtureOfRegressions has no probabilities" in failed.output


def test_numbers_of_columns_and_paths(dem: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.column_stack([X, Y]))
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    fit = "--model mixture-of-regressions -k 2 --concomitant -q"
    dem(f"fit rows.npy --response -1 {fit} --out one")
    dem(f"fit x.npy --response y.npy {fit} --out two")
    one, two = library.load("one"), library.load("two")
    np.testing.assert_allclose(one.coef_, two.coef_, rtol=1e-9)
    assert one.concomitant
    assert (one.response_, two.response_) == (-1, None)


def test_mistakes(dem: Any, table: str) -> None:
    for line, said in (
        (f"fit {table} -k 2 --response y", "gaussian-mixture takes no --response"),
        (f"fit {table} -k 2 --concomitant", "gaussian-mixture has no --concomitant"),
        (f"fit {table} -k 2 --model mixture-of-regressions", "needs --response"),
        (
            f"fit {table} -k 2 --model mixture-of-regressions --response y --labels h.npy",
            "mixture-of-regressions takes no --labels",
        ),
        (
            f"fit {table} -k 2 --model mixture-of-regressions --response y --covariance full",
            "mixture-of-regressions has no --covariance",
        ),
    ):
        assert said in dem(line, code=2).output
    failed = dem(f"fit {table} -k 2 --model mixture-of-regressions --response z -q", code=1)
    assert "y is the column 'z'; those of X have: 'a', 'y', 'b'" in failed.output
    poisson = f"fit {table} -k 2 --model mixture-of-regressions --response y --regression poisson"
    assert "A response is a count" in dem(f"{poisson} -q", code=1).output
