"""What the observers print, with a clock that the tests turn."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import dem
from dem.report import Bars, Lines, Progress, Silent
from dem.starts import KMeansParallel


@dataclass(frozen=True)
class Step:
    turn: int
    bound: float
    seconds: float = 0.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fit(observer, *, bounds=(-3.0, -2.5, -2.25), total=10, tick=lambda: None, seconds=0.0) -> None:
    observer.on_start("mixture", total)
    for turn, bound in enumerate(bounds, start=1):
        for done in range(1, 5):
            tick()
            observer.on_blocks(done, 4)
        observer.on_step(Step(turn, bound, seconds))
    observer.on_end("converged")


def last_lines(terminal: io.StringIO) -> list[str]:
    return [line.split("\r")[-1] for line in terminal.getvalue().split("\n")]


def test_silent_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    fit(Silent())
    assert capsys.readouterr() == ("", "")


def test_lines_tell_the_bound_its_change_and_the_time_left() -> None:
    stream, clock = io.StringIO(), Clock()

    def tick() -> None:
        clock.now += 0.5

    fit(Lines(stream, clock=clock), tick=tick, seconds=2.0)
    assert stream.getvalue().splitlines() == [
        "mixture: started, at most 10 iterations",
        "mixture: iteration 1 of 10: bound -3 (2.0 s each, 18.0 s left)",
        "mixture: iteration 2 of 10: bound -2.5, change +5.0e-01 (2.0 s each, 16.0 s left)",
        "mixture: iteration 3 of 10: bound -2.25, change +2.5e-01 (2.0 s each, 14.0 s left)",
        "mixture: converged (iteration 3, 6.0 s)",
    ]


def test_lines_of_a_fit_that_is_over() -> None:
    """It is told in a moment, but that is not how long it took."""
    stream = io.StringIO()
    fit(Lines(stream, clock=Clock()), bounds=[-3.0], seconds=2.0)
    assert stream.getvalue().splitlines()[1:] == [
        "mixture: iteration 1 of 10: bound -3 (2.0 s each, 18.0 s left)",
        "mixture: converged (iteration 1, 2.0 s)",
    ]


def with_phases(observer, tick=lambda: None) -> None:
    for phase in ("sampling rows", "k-means|| round 1"):
        observer.on_phase(phase)
        for done in range(1, 5):
            tick()
            observer.on_blocks(done, 4)
    fit(observer, bounds=[-1.0])


def test_lines_tell_of_phases_before_the_first_iteration() -> None:
    stream, clock = io.StringIO(), Clock()

    def tick() -> None:
        clock.now += 20.0

    with_phases(Lines(stream, clock=clock, interval=30.0), tick)
    assert stream.getvalue().splitlines() == [
        "EM: sampling rows",
        "EM: sampling rows: 2 of 4 blocks",
        "EM: sampling rows: 4 of 4 blocks",
        "EM: k-means|| round 1",
        "EM: k-means|| round 1: 2 of 4 blocks",
        "EM: k-means|| round 1: 4 of 4 blocks",
        "mixture: started, at most 10 iterations",
        "mixture: iteration 1 of 10: bound -1 (0 ms each, 0 ms left)",
        "mixture: converged (iteration 1, 0 ms)",
    ]


def test_bars_of_phases_are_there_at_once_and_gone_afterwards() -> None:
    terminal, clock = Terminal(), Clock()

    def tick() -> None:
        clock.now += 1.0

    bars = Bars(terminal, clock=clock)
    bars.on_phase("sampling rows")
    assert "sampling rows" in terminal.getvalue()
    bars.on_blocks(1, 4)
    assert bars._blocks.total == 4
    assert bars._blocks.n == 1
    with_phases(bars, tick)
    assert "k-means|| round 1" in terminal.getvalue()
    shown = [line for line in last_lines(terminal) if line.strip()]
    assert len(shown) == 1
    assert shown[0].startswith("mixture:  10%")


def test_bars_of_a_phase_in_which_the_fit_fails_are_closed() -> None:
    terminal = Terminal()
    bars = Bars(terminal, clock=Clock())
    bars.on_phase("sampling rows")
    bars.on_end("failed")
    assert bars._blocks is None
    assert not [line for line in last_lines(terminal) if line.strip()]


def test_a_fit_tells_its_phases() -> None:
    told: list[str] = []

    class Hears(Silent):
        def on_phase(self, description: str) -> None:
            told.append(description)

        def on_start(self, description: str, total_steps: int | None) -> None:
            told.append("started")

    x = np.random.default_rng(0).normal(size=(70_000, 1))
    model = dem.Mixture(2, dem.Gaussian())
    dem.fit(model, x, start=KMeansParallel(), max_iter=1, observer=Hears())
    assert told == [
        "sampling rows",
        *(f"k-means|| round {i}" for i in range(1, 5)),
        "counting the rows nearest to each centre",
        "started",
    ]


class WithoutPhases:
    """An observer as they were before there were phases."""

    def on_start(self, description: str, total_steps: int | None) -> None: ...
    def on_blocks(self, done: int, total: int) -> None: ...
    def on_step(self, step: Step) -> None: ...
    def on_end(self, reason: str) -> None: ...


def test_an_observer_may_have_no_phases() -> None:
    model = dem.Mixture(2, dem.Gaussian())
    dem.fit(model, np.arange(20.0)[:, None], max_iter=1, observer=WithoutPhases())


def test_lines_without_a_limit_foretell_nothing() -> None:
    stream = io.StringIO()
    fit(Lines(stream, clock=Clock()), total=None, bounds=[-1.0])
    assert stream.getvalue().splitlines() == [
        "mixture: started",
        "mixture: iteration 1: bound -1 (0 ms each)",
        "mixture: converged (iteration 1, 0 ms)",
    ]


def test_lines_tell_of_blocks_at_intervals() -> None:
    stream, clock = io.StringIO(), Clock()

    def tick() -> None:
        clock.now += 20.0

    fit(Lines(stream, clock=clock, interval=30.0), tick=tick, bounds=[-1.0])
    assert [line for line in stream.getvalue().splitlines() if "blocks" in line] == [
        "mixture: iteration 1: 2 of 4 blocks",
        "mixture: iteration 1: 4 of 4 blocks",
    ]


def test_an_observer_watches_one_fit_after_another() -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=Clock())
    fit(lines)
    first = stream.getvalue()
    fit(lines)
    assert stream.getvalue() == first + first


def test_bars_show_iterations_and_why_it_ended() -> None:
    terminal = Terminal()
    fit(Bars(terminal, clock=Clock()))
    assert "blocks" not in terminal.getvalue()
    shown = [line for line in last_lines(terminal) if line.strip()]
    assert len(shown) == 1
    assert shown[0].startswith("mixture:  30%")
    assert "3/10" in shown[0]
    assert "bound -2.25, change +2.5e-01, converged" in shown[0]


def test_bars_show_blocks_only_of_a_slow_iteration() -> None:
    terminal, clock = Terminal(), Clock()
    bars = Bars(terminal, clock=clock, slow=1.0)
    bars.on_start("mixture", 10)
    bars.on_blocks(1, 100)
    assert "blocks" not in terminal.getvalue()
    clock.now = 1.5
    bars.on_blocks(7, 100)
    assert "7/100" in terminal.getvalue() or "0/100" in terminal.getvalue()
    bars.on_step(Step(1, -1.0))
    seen = len(terminal.getvalue())
    bars.on_blocks(1, 100)  # the next iteration has just begun
    assert "blocks" not in terminal.getvalue()[seen:]
    bars.on_end("stopped")


def test_bars_survive_threads_that_report_out_of_order() -> None:
    terminal, clock = Terminal(), Clock()
    bars = Bars(terminal, clock=clock, slow=0.0)
    bars.on_start("mixture", None)
    order = [*range(500, 0, -1), *range(1, 1001)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda done: bars.on_blocks(done, 1000), order))
    assert bars._blocks.n == 1000
    bars.on_step(Step(1, -1.0))
    bars.on_end("stopped")


def test_late_reports_after_the_end_are_ignored() -> None:
    terminal = Terminal()
    bars = Bars(terminal, clock=Clock(), slow=0.0)
    fit(bars)
    seen = terminal.getvalue()
    bars.on_blocks(3, 4)
    bars.on_step(Step(9, 0.0))
    bars.on_end("again")
    assert terminal.getvalue() == seen


def test_lines_are_silent_about_blocks_between_fits() -> None:
    # The passes of the next start, for one.
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock=clock, interval=30.0)
    clock.now = 100.0
    lines.on_blocks(1, 4)
    assert stream.getvalue() == ""
    fit(lines)
    seen = stream.getvalue()
    clock.now = 200.0
    lines.on_blocks(1, 4)
    assert stream.getvalue() == seen


def test_progress_chooses_by_where_it_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, terminal = io.StringIO(), Terminal()
    fit(Progress(pipe))
    assert "iteration 3 of 10" in pipe.getvalue()
    fit(Progress(terminal))
    assert "3/10" in terminal.getvalue()
    late = Progress()
    standard_error = io.StringIO()
    monkeypatch.setattr("sys.stderr", standard_error)
    fit(late)
    assert standard_error.getvalue().splitlines()[0] == pipe.getvalue().splitlines()[0]
    monkeypatch.setattr("sys.stderr", None)
    fit(Progress())


def test_progress_before_any_fit_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.on_blocks(1, 2)
    progress.on_end("nothing to do")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0123, "12 ms"),
        (3.44, "3.4 s"),
        (750.0, "12 min 30 s"),
        (59 * 60 + 59.9, "1 h 0 min"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_durations_as_a_person_says_them(seconds: float, said: str) -> None:
    from dem.report.progress import _span

    assert _span(seconds) == said


@pytest.mark.parametrize(("reason", "total"), [("converged", 3), ("failed", 10)])
def test_a_notebook_bar_is_red_only_if_the_fit_failed(reason: str, total: int) -> None:
    """It is red where it ends before it is full, whatever the reason."""
    pytest.importorskip("ipywidgets")
    from tqdm.notebook import tqdm

    class Notebook(Bars):
        def _bar(self, **options: Any) -> Any:
            self.bar = tqdm(display=False, **options)
            return self.bar

    bars = Notebook(Terminal(), clock=Clock())
    bars.on_start("mixture", 10)
    for turn in (1, 2, 3):
        bars.on_step(Step(turn, -1.0))
    bars.on_end(reason)
    shown = bars.bar.container.children[1]
    assert (shown.value, shown.max) == (3, total)
    assert shown.bar_style == ("success" if reason == "converged" else "danger")
