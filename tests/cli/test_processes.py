"""The command line as a process of its own: start-up, clusters, Ctrl-C."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster

import dem

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(dem.__file__).parents[1])}
COMMAND = (sys.executable, "-m", "dem.cli")


def run(line: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *line.split()],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import json, sys\nfrom dem.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert "click" in loaded
    assert not loaded & {"dask", "distributed", "numpy", "scipy", "sklearn", "zarr", "matplotlib"}


def test_results_and_progress_go_different_ways(data, tmp_path) -> None:
    done = run(f"fit {data['zarr']} -k 3 --out model", tmp_path)
    assert "bound per row" in done.stdout
    assert "iteration" not in done.stdout
    assert "iteration" in done.stderr
    wrong = run("show nowhere", tmp_path, 1)
    assert wrong.stdout == ""
    assert wrong.stderr.startswith("Error: ")
    assert len(wrong.stderr.splitlines()) == 1


def test_workers_give_the_same_bits_and_are_gone_afterwards(data, tmp_path) -> None:
    run(f"fit {data['zarr']} -k 3 --out here", tmp_path)
    done = run(f"fit {data['zarr']} -k 3 --out there --workers 2", tmp_path)
    told = re.match(r"Cluster of 2 workers at tcp://(127\.0\.0\.1):(\d+), dashboard", done.stderr)
    assert told, done.stderr
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((told[1], int(told[2])), timeout=5)
    here, there = dem.load(tmp_path / "here"), dem.load(tmp_path / "there")
    np.testing.assert_array_equal(there.means_, here.means_)


def test_what_fails_on_a_worker_is_told_once(rows, tmp_path) -> None:
    bad = rows.copy()
    bad[1234, 1] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    told = run("fit bad.npy -k 3 --out model --workers 1", tmp_path, 1).stderr.splitlines()
    assert [line.partition(" ")[0] for line in told] == ["Cluster", "Error:"]
    assert "row 1234, column 1" in told[1]
    assert not (tmp_path / "model").exists()


def test_a_cluster_that_was_there_already(in_process, data, rows, tmp_path) -> None:
    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
    ) as cluster:
        there = f"--scheduler {cluster.scheduler_address}"
        told = in_process(f"fit {data['npy']} -k 3 --out model {there}").output
        assert f"Cluster of 1 worker at {cluster.scheduler_address}" in told
        in_process(f"predict model {data['zarr']} --out labels.npy {there}")
        scored = in_process(f"score model {data['parquet']} --json {there}").output
        assert len(cluster.scheduler.workers) == 1  # it is left as it was
    model = dem.load(tmp_path / "model")
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), model.predict(rows))
    assert json.loads(scored)["mean_log_likelihood"] == pytest.approx(model.score(rows))


@contextmanager
def deaf_no_more() -> Iterator[None]:
    """Processes started within the block hear Ctrl-C, even if this one was told not to."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("place", ["", "--workers 2"])
def test_ctrl_c_keeps_the_last_turn(place: str, data, rows, tmp_path) -> None:
    line = f"fit {data['npy']} -k 3 --tol 0 --max-iter 1000000 --out model {place}"
    with deaf_no_more():
        process = subprocess.Popen(
            [*COMMAND, *line.split()],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    with process:
        try:
            assert process.stderr is not None
            for told in process.stderr:
                if "iteration 3 " in told:
                    break
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the workers too
            output, rest = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, rest
    model = dem.load(tmp_path / "model")
    assert model.n_iter_ >= 3
    assert not model.converged_
    assert f"turns          {model.n_iter_}\n" in output
    last = [told for told in rest.splitlines() if not told.startswith("EM: ")]
    assert last[0].startswith("Warning: Interrupted")
    assert last[1:] == [f"Interrupted: the model of turn {model.n_iter_} was written to model."]
    assert np.isfinite(model.score(rows))


def test_a_killed_fit_is_taken_up_again(tmp_path: Path) -> None:
    """The same command, after SIGKILL in mid-fit, ends with the model of an unbroken fit."""
    rows = np.random.default_rng(0).normal(size=(200_000, 4))
    np.save(tmp_path / "rows.npy", rows)
    line = "fit rows.npy -k 3 --tol 0 --max-iter 15 --quiet --checkpoint kept --resume --out model"
    first = subprocess.Popen([*COMMAND, *line.split()], cwd=tmp_path, env=ENVIRONMENT)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("kept/at-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    first.kill()
    first.wait()
    run(line, tmp_path)
    run(line.replace(" --checkpoint kept --resume --out model", " --out whole"), tmp_path)
    model, whole = dem.load(tmp_path / "model"), dem.load(tmp_path / "whole")
    assert model.n_iter_ == whole.n_iter_ == 15
    assert model.means_.tobytes() == whole.means_.tobytes()


def test_resuming_needs_a_place(tmp_path: Path) -> None:
    done = run("fit rows.npy -k 3 --resume", tmp_path, code=2)
    assert "--resume needs --checkpoint" in done.stderr
