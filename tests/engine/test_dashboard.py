"""The page on the dashboard: what it shows is what the fits tell."""

import asyncio
import json
import logging
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client, Scheduler

import dem
from dem.dashboard import PATH, feed, serve
from dem.engine.drive import Limits
from dem.engine.plan import Seconds
from dem.engine.vitals import Clock, Vitals
from dem.records import Record, State, Turn
from dem.starts import RandomRows

page = pytest.importorskip("dem.dashboard.page", reason="the dashboard needs Bokeh")
TURNS = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    x = np.random.default_rng(0).normal(size=(4000, 2))
    x[:1000] += 5
    place = str(tmp_path_factory.mktemp("data") / "x.zarr")
    zarr.create_array(place, data=x, chunks=(500, 2))
    return place


@pytest.fixture(scope="module")
def job(client: Client, data: str, tmp_path_factory: pytest.TempPathFactory) -> dem.Job:
    """One that is done, and whose scheduler did not know of dem before."""
    kept = tmp_path_factory.mktemp("kept") / "fit"
    model = dem.Mixture(3, dem.Gaussian())
    how: dict[str, Any] = {"start": RandomRows(), "tol": 0.0, "max_iter": TURNS}
    job = dem.submit(model, data, client=client, run="<three>", checkpoint=kept, **how)
    job.result()
    return job


def seen(client: Client) -> Any:
    """The document as a browser would get it."""
    from bokeh.client import pull_session

    return pull_session(url=site(client) + PATH).document


def site(client: Client) -> str:
    return client.dashboard_link.removesuffix("/status")


def test_it_is_listed_for_jupyterlab(client: Client, job: dem.Job) -> None:
    with urllib.request.urlopen(f"{site(client)}/individual-plots.json") as reply:
        plots = json.load(reply)
    assert plots["Individual Dem Fits"] == PATH
    assert "/individual-task-stream" in plots.values()


def test_it_shows_what_the_fit_tells(client: Client, job: dem.Job) -> None:
    document, history, fit = seen(client), job.history, job.result()

    def shown(name: str) -> dict[str, list[Any]]:
        source = document.get_model_by_name(name)
        return {key: list(values) for key, values in source.data.items()}

    bounds = [record.bound for record in history]
    turns = list(range(1, TURNS + 1))
    assert shown("bounds")["run"] == ["<three>"]
    assert shown("bounds")["bounds"] == [bounds]
    assert shown("bounds")["turns"] == [turns]
    assert shown("rose")["change"] == pytest.approx(np.diff(bounds))
    assert shown("fell") == {"turn": [], "change": []}
    weights = shown("weights")
    order = [int(k) for k in weights["component"]]
    assert order == np.argsort(-fit.params.weights).tolist()
    assert weights["last"] == fit.params.weights[order].tolist()
    assert [len(line) for line in weights["weights"]] == [TURNS] * 3
    seconds = shown("seconds")
    assert seconds["turn"] == turns
    whole = np.sum([seconds[part] for part in feed.PARTS], axis=0)
    assert (np.array([seconds[part] for part in feed.PARTS]) >= 0).all()
    assert (whole <= [record.seconds + 0.1 for record in history]).all()
    assert seconds["rate"] == pytest.approx(4000 / whole)
    assert shown("components") == {"turn": turns, "alive": [3] * TURNS, "starved": [0] * TURNS}
    words = document.get_model_by_name("words").text
    assert "&lt;three&gt;" in words
    assert f"<td>done</td><td>{TURNS} of {TURNS}</td>" in words
    assert f"<td>{bounds[-1]:.6g}</td>" in words
    assert " ago</td>" in words


def test_a_fit_that_a_worker_drives_tells_as_much(
    client: Client, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dem.engine.scheduler.LIMITS", Limits(stats_bytes=1))
    how: dict[str, Any] = {"start": RandomRows(), "tol": 0.0, "max_iter": 3}
    job = dem.submit(dem.Mixture(2, dem.Gaussian()), data, client=client, run="moved", **how)
    fit = job.result()
    document = seen(client)  # the newest is shown
    seconds = document.get_model_by_name("seconds").data
    assert list(seconds["turn"]) == [1, 2, 3]
    assert min(seconds["compute"]) > 0
    weights = document.get_model_by_name("weights").data
    assert sorted(weights["last"]) == sorted(fit.params.weights)


def test_a_job_in_a_notebook(client: Client, job: dem.Job) -> None:
    shown = job._repr_html_()
    assert "&lt;three&gt;" in shown
    assert f"{TURNS} of at most {TURNS}" in shown
    assert f"{job.history[-1].bound:.6g}" in shown
    assert f'href="{site(client)}{PATH}"' in shown
    assert dem.Job("nobody", client)._repr_html_().count("no run") == 1


def test_without_a_dashboard_nothing_is_served() -> None:
    async def served(dashboard: bool) -> bool:
        async with Scheduler(dashboard=dashboard, dashboard_address=":0", port=0) as scheduler:
            return serve(scheduler)

    assert not asyncio.run(served(False))
    assert asyncio.run(served(True))


def test_a_preload_adds_it_before_any_fit_and_once() -> None:
    async def paths() -> list[str]:
        async with Scheduler(
            dashboard_address=":0", port=0, preload=["dem.dashboard"]
        ) as scheduler:
            serve(scheduler)
            apps = scheduler.http_application.applications
            return [path for app in apps for path in getattr(app, "app_paths", ())]

    found = asyncio.run(paths())
    assert found.count(PATH) == 2  # where it is listed, and where it is served


def test_what_goes_wrong_in_serving_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert not serve(SimpleNamespace())
    assert "could not be added to the dashboard" in caplog.text


class Run:
    """A run as a page reads it, with made-up turns."""

    def __init__(self, name: str, bounds: list[float], state: str = "running") -> None:
        self.name, self.state, self.max_iter, self.blocks = name, state, 10, (3, 8)
        self.turns = [(i, b, b, 2.0) for i, b in enumerate(bounds, 1)]
        self.vitals = [
            Vitals(i, 0.0, 1.0, 2.0, 0.5, 0.5, 4000, 3, 1, (0.75, 0.25, 0.0), 1000.0)
            for i, _ in enumerate(bounds, 1)
        ]


def scheduler_of(*runs: Run) -> Any:
    plugin = SimpleNamespace(runs={run.name: run for run in runs})
    return SimpleNamespace(plugins={"dem": plugin})


def test_rises_and_falls_are_told_apart() -> None:
    rose, fell = feed.changes(Run("a", [-4.0, -2.0, -2.5, -2.5, -2.0]))
    assert rose == {"turn": [2, 5], "change": [2.0, 0.5]}
    assert fell == {"turn": [3], "change": [0.5]}


def test_facts_of_a_run() -> None:
    facts = feed.facts(Run("a", [-4.0, -2.0]), now=1090.0)
    assert facts["turn"] == "2 of 10"
    assert facts["blocks"] == "3 of 8"
    assert facts["change"] == "+2"
    assert facts["at most left"] == "16 s"
    assert facts["rows per second"] == "1,000"
    assert facts["checkpoint"] == "1 min 30 s ago"
    nothing = feed.facts(Run("b", [], "waiting"))
    assert {nothing[name] for name in ("change", "at most left", "rows per second")} == {"–"}
    assert nothing["checkpoint"] == "none"
    assert feed.span(7500) == "2 h 5 min"


def test_starved_components_are_counted() -> None:
    assert feed.components(Run("a", [-1.0])) == {"turn": [1], "alive": [2], "starved": [1]}


def test_the_newest_run_is_shown_and_then_the_chosen_one() -> None:
    shown = page.Page(scheduler_of(Run("a", [-4.0, -2.0]), Run("b", [-3.0])))
    shown.update()
    assert shown.select.options == [page.NEWEST, "b", "a"]
    assert list(shown.sources["bounds"].data["run"]) == ["a", "b"]  # the thick line on top
    assert list(shown.sources["bounds"].data["width"]) == [1.5, 3]
    assert list(shown.sources["last"].data["bound"]) == [-3.0]
    shown.select.value = "a"
    shown.update()
    assert list(shown.sources["last"].data["bound"]) == [-2.0]
    assert list(shown.sources["rose"].data["change"]) == [2.0]


def test_a_page_without_runs_says_so() -> None:
    for scheduler in (scheduler_of(), SimpleNamespace(plugins={})):
        shown = page.Page(scheduler)
        shown.update()
        assert "No fit" in shown.words.text


def test_a_page_shows_its_own_failures() -> None:
    broken = Run("a", [-1.0])
    broken.turns = [("<not>", "a turn")]  # type: ignore[list-item]
    shown = page.Page(scheduler_of(broken))
    shown.update()
    assert "This page has failed" in shown.words.text
    assert "TypeError" in shown.words.text


def test_seconds_of_a_pass_add_up_to_its_wall_time() -> None:
    spent = {"a": (4, 6.0), "b": (4, 2.0)}
    seconds = Seconds.of(5.0, spent, 2.0, {"a": 2, "b": 1})
    assert seconds == Seconds(0.75, 2.25, 2.0)
    assert seconds + seconds == Seconds(1.5, 4.5, 4.0)
    assert Seconds.of(5.0, {}, 0.0, {}) == Seconds(0.0, 0.0, 5.0)
    late = Seconds.of(1.0, {"a": (1, 9.0)}, 9.0, {"a": 1})  # clocks of two machines
    assert late == Seconds(1.0, 0.0, 0.0)


def test_vitals_are_of_one_turn() -> None:
    clock = Clock(np.array([0, 10, 30]))
    clock.drove(1.0)
    clock.swept([[0, 1]], Seconds(1.0, 1.0, 1.0))
    clock.clear()  # the start is over
    clock.swept([[0], [1]], Seconds(1.0, 2.0, 3.0))
    clock.swept([[1]], Seconds(1.0, 0.0, 0.0))
    clock.drove(0.5)
    params = SimpleNamespace(weights=np.array([0.5, 0.48, 0.02]))
    state = State(0, params, None, (), None, ())
    vitals = clock.done(Turn(Record(1, -2.0, -1.0, 0.1), state), 7.0)
    assert (vitals.read, vitals.compute, vitals.gather, vitals.m_step) == (2.0, 2.0, 3.0, 0.5)
    assert (vitals.rows, vitals.weights, vitals.starved) == (50, (0.5, 0.48, 0.02), 1)
    assert vitals.components == 3
    assert vitals.kept == 7.0
    params.weights = np.full(100, 0.01)  # too many to be told one by one
    many = clock.done(Turn(Record(2, -2.0, -1.0, 0.1), state), 7.0)
    assert (many.components, many.starved, many.weights) == (100, 100, ())
    assert clock.done(Turn(Record(2, -2.0, -1.0, 0.1), state), 7.0).rows == 0


def test_checkpoints_say_when_they_were_written(tmp_path: Path) -> None:
    from dem.checkpoint import Keeper
    from dem.climb import Climb

    x = np.arange(40.0).reshape(20, 2)
    told: list[Vitals] = []

    class Hears(dem.report.Silent):  # type: ignore[name-defined]
        def on_vitals(self, vitals: Vitals) -> None:
            told.append(vitals)

    model = dem.Mixture(1, dem.Gaussian())
    dem.fit(model, x, max_iter=2, observer=Hears(), checkpoint=tmp_path / "kept")
    assert told[0].kept == pytest.approx(told[0].at, abs=60)
    assert Keeper(tmp_path / "other", Climb(model), dem.open_data(x)).kept == 0.0
