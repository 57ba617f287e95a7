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
