"""The benchmarks run, on tiny data, and say what they are meant to say."""

import json
from pathlib import Path
from typing import Any

import pytest

from processes import python

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(name: str, *arguments: str, place: Path) -> Any:
    told = place / "told.json"
    done = python(str(BENCHMARKS / name), *arguments, "--json", str(told), cwd=place)
    assert done.returncode == 0, done.stderr
    return json.loads(told.read_text())


@pytest.mark.parametrize("covariance", ["full", "kmeans"])
def test_peers_come_to_the_same(covariance: str, tmp_path: Path) -> None:
    how = ("--shapes", "3000x3x2", "--covariances", covariance, "--dtypes", "float64")
    few = ("--threads", "1", "--repeats", "1", "--peers", "sklearn", "onedal")
    rows = {row["peer"]: row for row in run("peers.py", *how, *few, place=tmp_path)["results"]}
    for row in rows.values():
        assert "error" in row or row["score"] == pytest.approx(rows["dem"]["score"], abs=1e-9)
    assert {"dem", "sklearn", "onedal"} == set(rows)
    assert rows["sklearn"]["exact"]


def test_disk(tmp_path: Path) -> None:
    small = ("--gigabytes", "0.02", "--columns", "8", "--components", "2", "--latency", "0.001")
    told = run("disk.py", *small, "--workers", "1", "--repeats", "1", place=tmp_path)
    assert told["bytes"] > told["stored"] > 0
    assert {
        f"{where} {what}" for where in ("warm", "cold", "far") for what in ("read", "pass")
    } < set(told["seconds"])


def test_scaling(tmp_path: Path) -> None:
    picture = tmp_path / "curves.png"
    few = ("--quick", "--repeats", "1", "--covariances", "diag", "--plot", str(picture))
    rows = run("scaling.py", *few, place=tmp_path)
    assert {row["varies"] for row in rows} == {"n", "d", "k", "rows", "threads"}
    assert all(row["us"] > 0 for row in rows)
    assert picture.read_bytes()[:4] == b"\x89PNG"
