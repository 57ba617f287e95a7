"""What a notebook shows of fits, histories and selections."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd

import dem
from dem import html
from dem.history import History
from dem.records import Record

X = np.random.default_rng(0).normal(size=(300, 2)) * [1, 3] + [[0, 0], [9, 0], [0, 9]] * 100
VOID = {"polyline", "circle"}


class Text(HTMLParser):
    """The words of a page, and whether its tags are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def test_a_fit() -> None:
    fit = dem.fit(dem.Mixture(3, dem.Gaussian()), X, max_iter=50)
    words = Text(fit._repr_html_()).words
    assert words[:2] == ["Fit", " "]
    facts = dict(zip(words[2::2], words[3::2], strict=False))
    assert facts["model"] == repr(fit.model)
    assert facts["bound, nats per row"] == f"{fit.lower_bound:.6g}"
    assert facts["turns"] == f"{len(fit.history)}, converged"
    assert facts["passes over the data"] == f"{fit.n_passes:.3g}"


def test_a_fit_without_turns_and_with_a_fault() -> None:
    fit = dem.fit(dem.Mixture(1, dem.Gaussian()), X, max_iter=0)
    assert "0, stopped" in Text(fit._repr_html_()).words
    x = np.repeat([[0.0], [1.0], [5.0]], 30, axis=0)
    collapsed = dem.fit(dem.Mixture(3, dem.Gaussian()), x)
    assert collapsed.degenerate
    assert f"⚠ {collapsed.degenerate[0]}" in Text(collapsed._repr_html_()).words


def test_a_history_is_a_tuple_with_a_table() -> None:
    fit = dem.fit(dem.Mixture(2, dem.Gaussian()), X, max_iter=4, tol=0.0)
    history = fit.history
    assert isinstance(history, tuple)
    assert history == tuple(history)
    words = Text(history._repr_html_()).words
    assert words[0] == "4 turns"
    assert words[2:6] == ["turn", "bound", "change", "seconds"]
    assert words[6:9] == ["1", f"{history[0].bound:.6g}", "–"]
    assert f"{history[3].bound - history[2].bound:+.2g}" in words
    frame = history.to_frame()
    assert frame["bound"].tolist() == [record.bound for record in history]
    assert frame.index.tolist() == [1, 2, 3, 4]


def test_of_many_turns_the_first_and_the_last_are_shown() -> None:
    history = History(Record(i, -1.0 / i, -1.0 / i, 0.1) for i in range(1, 101))
    words = Text(history._repr_html_()).words
    assert words.count("…") == 1
    assert {"1", "10", "91", "100"} <= set(words)
    assert not {"11", "90"} & set(words)


def test_a_selection() -> None:
    models = {"<one>": dem.Mixture(1, dem.Gaussian()), "three": dem.Mixture(3, dem.Gaussian())}
    found = dem.select(models, X)
    page = found._repr_html_()
    words = Text(page).words
    assert words[:4] == ["Selection", "best", "three", "passes over the data"]
    assert "held out" not in words
    row = words[words.index("three", 4) :]
    best = found.table[1]
    assert row[1:6] == [f"{best.log_likelihood:.6g}", str(best.n_parameters), f"{best.bic:.6g}",
                        f"{best.aic:.6g}", f"{best.icl:.6g}"]  # fmt: skip
    assert page.count('class="best"') == 1
    assert "held out" in Text(dem.select(models, X, held_out=0.2)._repr_html_()).words
    frame = found.to_frame()
    pd.testing.assert_series_equal(frame.loc["three"], pd.Series(best[1:], best._fields[1:],
                                   name="three", dtype=object))  # fmt: skip


def test_words_are_escaped_and_numbers_are_short() -> None:
    page = html.table(["<a>"], [["<b>"], [1234567], [1.23456789], [True], [float("nan")]])
    assert Text(page).words == ["<a>", "<b>", "1,234,567", "1.23457", "yes", "–"]
    assert "<b>" not in page


def test_a_curve_goes_from_the_lowest_to_the_highest() -> None:
    curve = html.curve([0.0, 1.0, 4.0], width=100, height=40)
    assert 'points="0.0,40.0 50.0,30.0 100.0,0.0"' in curve
    assert html.curve([1.0]) == ""
    assert 'points="0.0,10.0 10.0,10.0"' in html.curve([2.0, 2.0], width=10, height=10)
