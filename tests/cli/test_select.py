"""`dem select` on the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import dem
from dem.cli import main

RNG = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data") / "x.npy"
    np.save(place, CENTRES[RNG.integers(0, 3, 5000)] + RNG.normal(size=(5000, 2)))
    return place


def invoke(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["select", *map(str, arguments)])


def test_the_table_and_the_best(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "best"
    done = invoke(data, "-k", "1-4", "--covariance", "spherical,diag", "--out", out, "--quiet")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + 8 + 2
    (winner,) = (line for line in lines if line.endswith("best"))
    assert "spherical K=3" in winner
    assert "spherical K=3 is the best by bic" in lines[-1]
    best = dem.load(out)
    assert (best.n_components, best.covariance_type) == (3, "spherical")


def test_json_and_resuming(data: Path, tmp_path: Path) -> None:
    options = ("-k", "2,3", "--checkpoint", tmp_path / "kept", "--json", "--held-out", "0.2")
    first = invoke(data, *options)
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    assert found["best"] == "full K=3"
    assert [row["name"] for row in found["table"]] == ["full K=2", "full K=3"]
    again = invoke(data, *options, "--resume")
    assert json.loads(again.stdout)["table"] == found["table"]
    other = CliRunner().invoke(
        main, ["fit", str(data), "-k", "2", "--resume", "--checkpoint", str(tmp_path / "kept")]
    )
    assert other.exit_code == 1
    assert "fit of another kind" in other.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-k", "0-3"), "no numbers from 1 on"),
        (("-k", "x"), "is not like 3, 1-20"),
        (("-k", "3-"), "is not like 3, 1-20"),
        (("-k", "5-2"), "no numbers"),
        (("-k", "2", "--covariance", "full,round"), "'round' is none of"),
        (("-k", "2", "--criterion", "held_out"), "held_out must be a share"),
        (("-k", "2", "--resume"), "--resume needs --checkpoint"),
        (("-k", "2", "--held-out", "1"), "not in the range"),
    ],
)
def test_mistakes(data: Path, arguments: Any, message: str) -> None:
    done = invoke(data, *arguments)
    assert done.exit_code in (1, 2)
    assert message in done.output
    assert "Traceback" not in done.output


def test_a_checkpoint_of_a_fit_is_refused(data: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    dem.fit(dem.Mixture(2, dem.Gaussian()), data, checkpoint=kept)
    done = invoke(data, "-k", "2", "--checkpoint", kept, "--resume")
    assert done.exit_code == 1
    assert "is the checkpoint of a fit" in done.output


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chains of two states, rows of two factors, and documents of three topics."""
    here, rng = tmp_path_factory.mktemp("structured"), np.random.default_rng(4)
    state = np.cumsum(rng.random((40, 60)) < 0.1, axis=1).ravel() % 2
    np.save(here / "chains.npy", state[:, None] * 3.0 + rng.normal(size=(2400, 2)))
    np.save(here / "lengths.npy", np.full(40, 60))
    loadings = 2.0 * rng.normal(size=(2, 6))
    np.save(
        here / "factors.npy", rng.normal(size=(1500, 2)) @ loadings + rng.normal(size=(1500, 6))
    )
    words = np.kron(np.eye(3), np.full(8, 1 / 8))
    shares = rng.dirichlet(np.full(3, 0.2), 200)
    np.save(here / "words.npy", np.array([rng.multinomial(40, s @ words) for s in shares]))
    return here


@pytest.mark.parametrize(
    ("data", "options", "winner", "kind"),
    [
        ("chains", "--model gaussian-hmm -k 1-3 --covariance diag", "diag K=2", "GaussianHMM"),
        ("factors", "--model factor-analysis -k 1-3", "K=2", "FactorAnalysis"),
        ("factors", "--model pca -k 1-3", "K=2", "PCA"),
        ("factors", "-k 1 --factors 1-3", "factors=2 K=1", "GaussianMixture"),
        ("words", "--model latent-dirichlet-allocation -k 2-4", "K=3", "LatentDirichletAllocation"),
    ],
)
def test_other_models(
    places: Path, tmp_path: Path, data: str, options: str, winner: str, kind: str
) -> None:
    out, more = tmp_path / "best", []
    if data == "chains":
        more = ["--lengths", places / "lengths.npy", "--held-out", "0.2"]
    done = invoke(places / f"{data}.npy", *options.split(), *more, "--json", "--out", out)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["best"] == winner
    assert (found["table"][0]["bound"] is None) == (data != "words")
    best = dem.load(out)
    assert type(best).__name__ == kind


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (
            "words",
            "--model latent-dirichlet-allocation -k 2 --criterion bic",
            "averages over topics",
        ),
        ("factors", "--model factor-analysis -k 2 --covariance full", "has no --covariance"),
        ("factors", "-k 2 --criterion bound", "parameters are points"),
        ("factors", "-k 2 --groups a", "takes no --groups"),
        ("factors", "--model k-means -k 2", "Invalid value for '--model'"),
    ],
)
def test_what_makes_no_sense(places: Path, data: str, options: str, message: str) -> None:
    done = invoke(places / f"{data}.npy", *options.split())
    assert done.exit_code in (1, 2)
    assert message in done.output
    assert "Traceback" not in done.output
