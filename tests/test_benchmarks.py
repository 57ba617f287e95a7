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
    few = ("--threads", "1", "--repeats", "1", "--least", "0.05", "--peers", "sklearn", "onedal")
    rows = {row["peer"]: row for row in run("peers.py", *how, *few, place=tmp_path)["results"]}
    assert {"dem", "sklearn", "onedal"} == set(rows)
    for row in rows.values():
        assert "refused" in row or row["score"] == pytest.approx(rows["dem"]["score"], abs=1e-9)
    assert rows["sklearn"]["exact"]
    assert rows["sklearn"]["ratio"] == rows["sklearn"]["seconds"] / rows["dem"]["seconds"]


def test_a_peer_that_fails_has_a_line_that_says_so(tmp_path: Path) -> None:
    # An interpreter that answers once, as if it had been warmed up, and then no more.
    dies = tmp_path / "dies"
    dies.write_text("#!/bin/sh\necho '{\"before\": 0}'\nread line\necho of this >&2\nexit 3\n")
    dies.chmod(0o755)
    how = ("--shapes", "3000x3x2", "--covariances", "diag", "--dtypes", "float64", "--threads", "1")
    few = ("--repeats", "1", "--least", "0.2", "--peers", "onedal", "sklearn")
    told = run("peers.py", *how, *few, "--python", f"onedal={dies}", place=tmp_path)
    rows = {row["peer"]: row for row in told["results"]}
    assert rows["onedal"]["error"] == "it died with exit code 3: of this"
    assert "ratio" in rows["sklearn"]


def test_disk(tmp_path: Path) -> None:
    small = ("--gigabytes", "0.02", "--columns", "8", "--components", "2", "--latency", "0.001")
    few = ("--covariances", "diag", "--workers", "1", "--repeats", "1")
    told = run("disk.py", *small, *few, place=tmp_path)
    assert told["bytes"] > told["stored"] > 0
    assert 0 < told["peak"] < told["budget"]
    steps = {f"{where} {what}" for where in ("warm", "cold", "far") for what in ("read", "diag")}
    assert steps | {"compute diag"} < set(told["seconds"])
    assert set(told["over"]) == {"warm diag", "cold diag", "far diag"}


def test_scaling(tmp_path: Path) -> None:
    picture = tmp_path / "curves.png"
    few = ("--quick", "--repeats", "1", "--covariances", "diag", "--plot", str(picture))
    rows = run("scaling.py", *few, place=tmp_path)
    assert {row["varies"] for row in rows} == {"n", "d", "k", "rows", "threads"}
    assert all(row["us"] > 0 for row in rows)
    assert picture.read_bytes()[:4] == b"\x89PNG"
