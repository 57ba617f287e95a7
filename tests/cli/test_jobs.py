"""Fits that outlive the command that began them."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from distributed import LocalCluster

import dem
from dem.cli import main

X = np.random.default_rng(2).normal(size=(30_000, 2)) + np.repeat([[0], [5], [9]], 10_000, axis=0)
HOW = ["-k", "3", "--tol", "0", "--seed", "1"]
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    options: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(n_workers=2, host="127.0.0.1", **options) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "x.npy"
    np.save(path, X)
    return str(path)


def run(*arguments: str, code: int = 0) -> str:
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == code, outcome.output
    return outcome.output


def test_submit_attach_runs_cancel(scheduler: str, data: str, tmp_path: Path) -> None:
    at = ["--scheduler", scheduler]
    assert run("submit", data, *HOW, "--max-iter", "7", "--run", "mine", *at).strip() == "mine"
    out = str(tmp_path / "model")
    figures = run("attach", "mine", "--out", out, "-q", *at)
    assert re.search(r"turns +7\n", figures)
    here = dem.GaussianMixture(3, random_state=1, tol=0.0, max_iter=7)
    with pytest.warns(match="converge"):
        here.fit(data)
    fitted = dem.GaussianMixture.from_fit(dem.load(out))
    assert fitted.means_.tobytes() == here.means_.tobytes()
    assert "components" in run("show", out)

    listed = json.loads(run("runs", "--json", *at))
    assert [(r["run"], r["state"], r["turns"]) for r in listed] == [("mine", "done", 7)]
    assert re.search(r"mine +done +7/7", run("runs", *at))

    name = run("submit", data, *HOW, "--max-iter", "1000000", *at).strip()
    while not json.loads(run("runs", "--json", *at))[-1]["turns"]:
        time.sleep(0.05)
    assert re.fullmatch(rf"{name} cancelled after \d+ turns\n", run("cancel", name, *at))


def test_mistakes(scheduler: str, data: str, tmp_path: Path) -> None:
    at = ["--scheduler", scheduler]
    assert "no run 'nobody'" in run("attach", "nobody", *at, code=1)
    assert "no run 'nobody'" in run("cancel", "nobody", *at, code=1)
    assert "--scheduler" in run("runs", code=2)
    assert "k-means needs the data" in run("submit", data, "--model", "k-means", *HOW, *at, code=2)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    there = ["--out", str(tmp_path / "there")]
    assert "not saved by dem" in run("attach", "anything", *there, *at, code=1)


def test_leaving_does_not_cancel(scheduler: str, data: str) -> None:
    at = ["--scheduler", scheduler]
    name = run("submit", data, *HOW, "--max-iter", "1000000", *at).strip()
    command = [sys.executable, "-m", "dem.cli", "attach", name, *at]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "iteration" in line:
                break
        process.send_signal(2)
        assert f"Interrupted: {name} goes on." in process.stderr.read()
    assert process.returncode == 130
    assert json.loads(run("runs", "--json", *at))[-1]["state"] == "running"
    run("cancel", name, *at)
