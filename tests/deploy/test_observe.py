"""Logs that machines read, metrics for Prometheus, and workers that are retired in good order."""

from __future__ import annotations

import json
import logging
import math
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import numpy as np
import pytest
import yaml
from distributed import LocalCluster

import dem
from dem.observe.logs import Json, Told
from dem.observe.metrics import ENDED, HELP, Metrics, measures
from dem.observe.retire import retire
from machines import eventually
from manifests import DEPLOY
from processes import environment, python


def formatted(**told: Any) -> dict[str, Any]:
    record = logging.makeLogRecord({"name": "dem", "levelname": "INFO", "msg": "a", **told})
    return json.loads(Json().format(record))


def test_a_record_is_an_object_on_one_line() -> None:
    told = formatted(msg="a\nb %d", args=(3,), fields={"bound": -1.5, "at": Path("x")})
    assert told["message"] == "a\nb 3"
    assert (told["bound"], told["at"], told["level"]) == (-1.5, "x", "info")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", told["time"])
    assert formatted(fields={"bound": -math.inf})["bound"] is None


def test_a_traceback_is_a_field() -> None:
    try:
        raise ValueError("wrong")
    except ValueError as error:
        told = formatted(exc_info=(type(error), error, error.__traceback__))
    assert told["traceback"].endswith("ValueError: wrong")


def test_a_command_says_everything_as_json(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(500, 2)))
    words = ["-m", "dem.cli", "--log-json", "fit"]
    how = ["-k", "2", "--max-iter", "3", "--tol", "0"]
    done = python(*words, "x.npy", *how, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    events = [json.loads(line) for line in done.stderr.splitlines()]
    turns = [event for event in events if event["message"] == "turn"]
    assert [event["turn"] for event in turns] == [1, 2, 3]
    assert turns[0]["change"] is None
    assert turns[1]["change"] == turns[1]["bound"] - turns[0]["bound"]
    assert events[-1]["message"] == "fitted"
    assert events[-1]["rows"] == 500
    assert {event["level"] for event in events} <= {"info", "warning"}

    wrong = python(*words, "y.npy", *how, cwd=tmp_path)
    (told,) = map(json.loads, wrong.stderr.splitlines()[-1:])
    assert (wrong.returncode, told["exit_code"], told["level"]) == (1, 1, "error")
    assert "No such file" in told["message"]


def test_blocks_are_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    now = iter([0.0, 1.0, 31.0, 31.0, 32.0])
    told = Told(interval=30.0, clock=lambda: next(now))
    with caplog.at_level(logging.INFO, "dem"):
        for done in (1, 2, 3):
            told.on_blocks(done, 10)
    assert [record.fields for record in caplog.records] == [{"done": 2, "blocks": 10}]


def test_dask_takes_the_configuration_of_the_container(tmp_path: Path) -> None:
    code = (
        "import dask, logging, distributed; logging.getLogger('distributed.x').info('hello');"
        "print(dask.config.get('distributed.scheduler.preload'))"
    )
    (tmp_path / "dem.yaml").write_text((DEPLOY / "dask.yaml").read_text())
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(DASK_ROOT_CONFIG=str(tmp_path)), cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(done.stderr)["message"] == "hello"
    assert "dem.observe.metrics" in done.stdout


def test_what_python_says_is_logged_too(tmp_path: Path) -> None:
    """Once its module is preloaded, as the containers do."""
    code = (
        "import sys, threading, warnings; from dem.observe import logs;"
        "logs.log_to(sys.stderr); logs.dask_setup(None); warnings.warn('beware');"
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join();"
        "raise SystemError('the end')"
    )
    done = python("-c", code, cwd=tmp_path)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["warning", "critical", "critical"]
    assert "UserWarning: beware" in lines[0]["message"]
    assert lines[1]["traceback"].endswith("ZeroDivisionError: division by zero")
    assert lines[2]["message"] == "SystemError: the end"
    distributed = yaml.safe_load((DEPLOY / "dask.yaml").read_text())["distributed"]
    assert "dem.observe.logs" in distributed["scheduler"]["preload"]
    assert "dem.observe.logs" in distributed["worker"]["preload"]


def run(state: str, name: str = "a", **told: Any) -> Any:
    blank = {"turns": [], "vitals": [], "blocks": (0, 0), "max_iter": 9, "began": 100.0}
    return SimpleNamespace(name=name, state=state, **(blank | told))


def test_what_is_measured_of_a_run() -> None:
    assert measures(run("waiting"), 107.0)["turn_age_seconds"] == 7.0
    vitals = SimpleNamespace(
        at=150.0, read=1.0, compute=2.0, gather=0.5, m_step=0.5, rows=400, starved=2, kept=140.0
    )
    at_work = run("running", turns=[(1, -3.0, -2.0, 4.0)], vitals=[vitals], blocks=(3, 8))
    assert measures(at_work, 160.0) == {
        "turns": 1, "max_turns": 9, "bound": -2.0, "blocks_done": 3, "blocks": 8,
        "turn_age_seconds": 10.0, "rows_per_second": 100.0, "starved_components": 2,
        "checkpoint_age_seconds": 20.0,
    }  # fmt: skip
    at_work.state = "done"  # what it came to, and nothing that would alarm anybody
    assert measures(at_work, 160.0).keys() == {"turns", "max_turns", "bound"}


def test_not_all_that_ever_ended_are_shown() -> None:
    runs = {f"{i}": run("done", f"{i}") for i in range(3 * ENDED)} | {"z": run("running", "z")}
    plugin = SimpleNamespace(runs=runs)
    families = list(Metrics(SimpleNamespace(plugins={"dem": plugin})).collect())
    assert families[0].name == "dem_runs"
    assert {s.labels["state"]: s.value for s in families[0].samples}["done"] == 3 * ENDED
    (turns,) = [family for family in families if family.name == "dem_run_turns"]
    assert len(turns.samples) == ENDED + 1
    assert "z" in {sample.labels["run"] for sample in turns.samples}


def test_the_alerts_ask_for_metrics_that_there_are() -> None:
    text = (DEPLOY / "prometheus" / "alerts.yaml").read_text()
    asked = set(re.findall(r"\bdem_\w+", text))
    assert asked
    assert asked <= {"dem_runs", *(f"dem_run_{name}" for name in HELP)}


def test_a_scheduler_shows_its_fits_and_retires_its_workers() -> None:
    told = yaml.safe_load((DEPLOY / "dask.yaml").read_text())
    routes = told["distributed"]["scheduler"]["http"]["routes"]
    rows = np.random.default_rng(0).normal(size=(2000, 2))
    with (
        dask.config.set({"distributed.scheduler.http.routes": routes}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, host="127.0.0.1",
            protocol="tcp://", dashboard_address="127.0.0.1:0",
        ) as cluster,
        cluster.get_client() as client,
    ):  # fmt: skip
        job = dem.submit(dem.Mixture(2, dem.Gaussian()), rows, run="shown", max_iter=3, tol=0.0)
        job.result(60)
        port = cluster.scheduler.http_server.port
        eventually(lambda: 'dem_runs{state="done"} 1.0' in metrics(port), "its end", 10)
        shown = metrics(port)
        assert 'dem_run_turns{run="shown"} 3.0' in shown
        bound = float(re.search(r'dem_run_bound\{run="shown"\} (\S+)', shown)[1])
        assert bound == pytest.approx(job.history[-1].bound, rel=1e-12)
        assert "dem_run_rows_per_second{" not in shown

        address, worker = next(iter(client.scheduler_info()["workers"].items()))
        scheduler = cluster.scheduler_address
        assert retire(scheduler, str(worker["name"]), port)
        assert address not in client.scheduler_info()["workers"]
        assert not retire(scheduler, "nobody", port)


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()
