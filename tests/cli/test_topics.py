"""Topics of sparse documents on the command line."""

import json
from typing import Any

import numpy as np
import pytest

import dem as library
from corpora import corpus

ROWS = corpus(200, 40, 3, 30.0)


@pytest.fixture
def counts(tmp_path: Any) -> str:
    library.write_csr(str(tmp_path / "counts.zarr"), [ROWS[:120], ROWS[120:]], 40)
    return "counts.zarr"


def test_fit_score_predict_and_show(dem: Any, counts: str) -> None:
    fit = f"fit {counts} -k 3 --model latent-dirichlet-allocation --max-iter 5"
    done = dem(f"{fit} --out model -q --checkpoint kept").output
    assert "200" in done
    model = library.load("model")
    same = library.LatentDirichletAllocation(3, max_iter=5, random_state=0).fit(counts)
    np.testing.assert_array_equal(model.components_, same.components_)
    scored = json.loads(dem(f"score model {counts} --json").output)
    assert scored["perplexity"] == pytest.approx(same.bound_, rel=1e-12)
    assert scored["completion_perplexity"] == same.completion_perplexity(counts)
    dem(f"predict model {counts} --out shares.npy -q")
    np.testing.assert_allclose(np.load("shares.npy"), same.transform(ROWS), rtol=1e-9)
    shown = dem("show model").output
    assert f"perplexity  {same.bound_:.8g}" in " ".join(shown.split(" ")).replace("   ", "  ")
    assert json.loads(dem("show model --json").output)["top_words"] == same.top_words(12)
    dem(f"{fit} --out model -q --checkpoint kept --resume --max-iter 7".replace("--max-iter 5", ""))
    again = library.LatentDirichletAllocation(3, max_iter=7, random_state=0).fit(counts)
    np.testing.assert_array_equal(library.load("model").components_, again.components_)
    library.save(library.fit(library.LDA(3), ROWS, max_iter=2), "bare")
    assert "perplexity" in dem(f"score bare {counts}").output


def test_online(dem: Any, counts: str) -> None:
    how = "--model latent-dirichlet-allocation --learning online --max-iter 2"
    dem(f"fit {counts} -k 3 {how} --out model -q")
    assert library.load("model").n_features_in_ == 40


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-k 3 --model latent-dirichlet-allocation --schedule batch", "has no --schedule"),
        ("-k 3 --model latent-dirichlet-allocation --tol 1", "has no --tol"),
        ("-k 3 --model k-means --learning online", "k-means has no --learning"),
        ("--model latent-dirichlet-allocation", "Missing option '-k'"),
    ],
)
def test_options_of_others(dem: Any, counts: str, line: str, message: str) -> None:
    assert message in dem(f"fit {counts} {line}", code=2).output


def test_dense_models_say_what_they_take(dem: Any, counts: str) -> None:
    said = dem(f"fit {counts} -k 3 --model poisson-mixture", code=1).output
    assert "counts.zarr holds sparse rows (CSR), and dense ones are required" in said
