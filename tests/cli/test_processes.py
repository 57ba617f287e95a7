"""The command line as a process of its own: start-up, clusters, Ctrl-C."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import LocalCluster

import dem
from processes import environment, python

COMMAND = (sys.executable, "-m", "dem.cli")


def run(line: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = python("-m", "dem.cli", *line.split(), cwd=cwd, timeout=100)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import json, sys\nfrom dem.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = python("-c", code, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
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
    line = "fit bad.npy -k 3 --out model --workers 1"
    told = run(line, tmp_path, 1).stderr.splitlines()
    assert told[1:-1] == ["EM: sampling rows", told[-2]]
    assert re.match(r"EM: failed \(iteration 0, ", told[-2])
    told = [told[0], told[-1]]
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


@contextmanager
def started(line: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A command in a process group of its own, of which nothing is left in the end."""
    with deaf_no_more():
        process = subprocess.Popen(
            [*COMMAND, *line.split()],
            cwd=cwd,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()
    deadline = time.monotonic() + 10
    while (left := group_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def group_of(leader: int) -> list[str]:
    """The command lines of the processes in a group; those which are dead do not count."""
    members = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(" ".join(process.cmdline()))
    return members


def until(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process tells on standard error up to a line with this text."""
    assert process.stderr is not None
    for told in process.stderr:
        if text in told:
            return
    raise AssertionError(f"never said {text!r}")


ENDINGS = {
    "Ctrl-C": (signal.SIGINT, 1, 130, "Interrupted"),
    "Ctrl-C, again and again": (signal.SIGINT, 20, 130, "Interrupted"),
    "SIGTERM": (signal.SIGTERM, 1, 143, "Terminated"),
}


@pytest.mark.parametrize(
    ("place", "ending"),
    [
        *(("", ending) for ending in ENDINGS),
        ("--workers 2", "Ctrl-C"),
        pytest.param("--workers 2", "Ctrl-C, again and again", marks=pytest.mark.faults),
        ("--workers 2", "SIGTERM"),
    ],
)
def test_the_last_turn_is_kept(place: str, ending: str, data, rows, tmp_path) -> None:
    line = f"fit {data['npy']} -k 3 --tol 0 --max-iter 1000000 --out model {place}"
    number, times, code, word = ENDINGS[ending]
    with started(f"{line} --checkpoint kept", tmp_path) as process:
        until(process, "iteration 3 ")
        for _ in range(times):
            os.killpg(process.pid, number)  # as a terminal does it: to the workers too
            time.sleep(0.05)
            if process.poll() is not None:
                break
        output, rest = process.communicate(timeout=60)
    assert process.returncode == code, rest
    model = dem.load(tmp_path / "model")
    assert model.n_iter_ >= 3
    assert not model.converged_
    assert f"turns          {model.n_iter_}\n" in output
    last = [told for told in rest.splitlines() if not told.startswith("EM: ")]
    assert last[0].startswith("Warning: Interrupted")
    assert last[1:] == [f"{word}: the model of turn {model.n_iter_} was written to model."]
    assert np.isfinite(model.score(rows))
    # The checkpoint is that of the last turn too, and the model may be replaced by what follows.
    more = f"--checkpoint kept --resume --max-iter {model.n_iter_ + 1}"
    run(f"fit {data['npy']} -k 3 --out model {more}", tmp_path)
    assert dem.load(tmp_path / "model").n_iter_ == model.n_iter_ + 1


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.5])
def test_ctrl_c_while_workers_are_starting(seconds: float, data, tmp_path) -> None:
    line = f"fit {data['npy']} -k 3 --tol 0 --max-iter 1000000 --out model --workers 2"
    with started(line, tmp_path) as process:
        deadline = time.monotonic() + 60
        while not workers_of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(seconds - 0.5)
        os.killpg(process.pid, signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "Interrupted: " in rest.splitlines()[-1]
    assert "Traceback" not in rest


def workers_of(leader: int) -> list[str]:
    return [line for line in group_of(leader) if "spawn_main" in line]


def test_a_killed_fit_is_taken_up_again(tmp_path: Path) -> None:
    """The same command, after SIGKILL in mid-fit, ends with the model of an unbroken fit."""
    rows = np.random.default_rng(0).normal(size=(200_000, 4))
    np.save(tmp_path / "rows.npy", rows)
    line = "fit rows.npy -k 3 --tol 0 --max-iter 15 --quiet --checkpoint kept --resume --out model"
    first = subprocess.Popen([*COMMAND, *line.split()], cwd=tmp_path, env=environment())
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


def test_two_resuming_commands_do_not_share_a_fit(data, tmp_path: Path) -> None:
    """The second takes over before the first has kept anything; the first then stops."""
    line = f"fit {data['npy']} -k 3 --tol 0 --max-iter 1000000 --checkpoint kept --resume"
    with started(line, tmp_path) as process:
        until(process, "iteration 3 ")
        for name in list((tmp_path / "kept").glob("at-*")):
            shutil.rmtree(name)  # as if it had kept none yet
        run(f"fit {data['npy']} -k 2 --checkpoint kept --resume --out model", tmp_path)
        os.kill(process.pid, signal.SIGTERM)
        _, rest = process.communicate(timeout=60)
    assert "taken over by a fit that was resumed" in rest.splitlines()[-1]
    assert len(dem.GaussianMixture.resume(tmp_path / "kept").weights_) == 2


def test_resuming_needs_a_place(tmp_path: Path) -> None:
    done = run("fit rows.npy -k 3 --resume", tmp_path, code=2)
    assert "--resume needs --checkpoint" in done.stderr
