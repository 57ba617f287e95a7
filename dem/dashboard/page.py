"""The page itself, in Bokeh: the runs in words, and how the chosen one and the others get on.

Colours are those of Okabe and Ito (2008), told apart by the colour-blind; what a line is shows in
its dashes as well, and what a bar is in its hatching.
"""

from __future__ import annotations

import traceback
from html import escape
from typing import Any

from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, CustomJSTickFormatter, Div, HoverTool, Legend, Select
from bokeh.plotting import figure

from dem.dashboard import feed

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
DASHES = ("solid", "dashed", "dotted", "dotdash", "dashdot")
PARTS = {  # label, colour, hatching
    "read": ("waiting for reads", "#56B4E9", "right_diagonal_line"),
    "compute": ("E-step", "#0072B2", "blank"),
    "gather": ("scheduling and sums", "#E69F00", "dot"),
    "m_step": ("M-step", "#000000", "blank"),
}
NEWEST = "the newest"
MOST_RUNS = 8
SHORT = """
return tick >= 1e6 ? `${tick / 1e6} M` : tick >= 1e3 ? `${tick / 1e3} k` : `${tick}`
"""
PERIOD_MS = 500
STYLE = """<style>
table { border-collapse: collapse; font: 13px sans-serif; width: 100%; }
th { color: #555; font-weight: normal; text-align: left; padding: 2px 12px 2px 0; }
td { white-space: nowrap; padding: 2px 12px 2px 0; border-top: 1px solid #ddd; }
td { font-variant-numeric: tabular-nums; }
pre { font-size: 12px; color: #a00; white-space: pre-wrap; }
</style>"""


class Page:
    """The models of one visitor's document, and what keeps them up to date."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._shown: Any = None
        self.words = Div(sizing_mode="stretch_width", name="words")
        self.select = Select(title="run", value=NEWEST, options=[NEWEST], width=260)
        self.sources = {
            name: ColumnDataSource({column: [] for column in columns}, name=name)
            for name, columns in {
                "bounds": ("turns", "bounds", "run", "colour", "dash", "width"),
                "last": ("turn", "bound", "run", "colour"),
                "rose": ("turn", "change"),
                "fell": ("turn", "change"),
                "seconds": ("turn", *feed.PARTS, "rate"),
                "weights": ("turns", "weights", "component", "last", "colour", "dash"),
                "components": ("turn", "alive", "starved"),
            }.items()
        }
        self.root = column(
            row(self.select, self.words, sizing_mode="stretch_width"),
            row(self._bounds(), self._changes(), self._seconds(), sizing_mode="stretch_both"),
            row(self._rate(), self._weights(), self._components(), sizing_mode="stretch_both"),
            sizing_mode="stretch_both",
        )

    def update(self) -> None:
        """Show how things are now; what goes wrong is shown in the page, and no more."""
        try:
            self._update()
        except Exception:  # whatever it is, the scheduler has better to do than to hear of it
            self.words.text = _failure()

    def _update(self) -> None:
        runs = feed.runs_of(self._scheduler)[:MOST_RUNS]
        self.words.text = STYLE + feed.table(runs)
        names = [run.name for run in runs]
        if self.select.options != [NEWEST, *names]:
            self.select.options = [NEWEST, *names]
        chosen = next((run for run in runs if run.name == self.select.value), None)
        chosen = chosen or (runs[0] if runs else None)
        shown = chosen and chosen.name, [(r.name, r.turns[-1:], len(r.vitals)) for r in runs]
        if shown == self._shown:
            return
        self._set("bounds", _lines(runs, chosen))
        if chosen is not None:
            rose, fell = feed.changes(chosen)
            told = feed.bounds(chosen)
            self._set("last", {name: values[-1:] for name, values in told.items()})
            self._set("rose", rose)
            self._set("fell", fell)
            self._set("seconds", feed.seconds(chosen))
            self._set("weights", _styled(feed.weights(chosen)))
            self._set("components", feed.components(chosen))
        self._shown = shown

    def _set(self, name: str, columns: feed.Columns) -> None:
        source = self.sources[name]
        empty = len(next(iter(columns.values()))) * [""]
        source.data = {key: columns.get(key, empty) for key in source.column_names}

    def _bounds(self) -> Any:
        plot = _figure("Bound, nats per row")
        plot.multi_line(
            "turns", "bounds", source=self.sources["bounds"], line_color="colour",
            line_dash="dash", line_width="width", legend_field="run",
        )  # fmt: skip
        plot.scatter("turn", "bound", source=self.sources["last"], size=7, color=COLOURS[0])
        plot.legend.location = "bottom_right"
        return _modest(plot)

    def _changes(self) -> Any:
        plot = _figure("Change of the bound (× where it fell)", y_axis_type="log")
        rose, fell = self.sources["rose"], self.sources["fell"]
        plot.line("turn", "change", source=rose, color=COLOURS[0], line_width=2)
        plot.scatter("turn", "change", source=rose, color=COLOURS[0], size=5)
        plot.scatter(
            "turn", "change", source=fell, color=COLOURS[1], size=9, marker="x", line_width=2
        )
        return plot

    def _seconds(self) -> Any:
        plot = _figure("Seconds of a turn")
        labels, colours, hatches = zip(*PARTS.values(), strict=True)
        bars = plot.vbar_stack(
            list(PARTS), x="turn", width=0.85, source=self.sources["seconds"], line_color=None,
            fill_color=list(colours), hatch_pattern=list(hatches), hatch_color="white",
        )  # fmt: skip
        items = [(label, [bar]) for label, bar in zip(labels, bars, strict=True)]
        plot.add_layout(Legend(items=items, ncols=2, location="left"), "above")
        tips = [(label, f"@{part}{{0.000}} s") for part, (label, *_) in PARTS.items()]
        plot.add_tools(HoverTool(tooltips=[("turn", "@turn"), *tips]))
        plot.y_range.start = 0
        return _modest(plot)

    def _rate(self) -> Any:
        plot = _figure("Rows per second")
        source = self.sources["seconds"]
        plot.line("turn", "rate", source=source, color=COLOURS[2], line_width=2)
        plot.scatter("turn", "rate", source=source, color=COLOURS[2], size=5)
        plot.yaxis.formatter = CustomJSTickFormatter(code=SHORT)
        plot.y_range.start = 0
        return plot

    def _weights(self) -> Any:
        plot = _figure("Weights of the components")
        plot.multi_line(
            "turns", "weights", source=self.sources["weights"], line_color="colour",
            line_dash="dash", line_width=2,
        )  # fmt: skip
        tips = [("component", "@component"), ("weight now", "@last{0.0000}")]
        plot.add_tools(HoverTool(tooltips=tips))
        plot.y_range.start = 0
        return plot

    def _components(self) -> Any:
        plot = _figure("Components")
        source = self.sources["components"]
        alive = plot.step("turn", "alive", source=source, color=COLOURS[0], line_width=2)
        starved = plot.step(
            "turn", "starved", source=source, color=COLOURS[1], line_width=2, line_dash="dashed"
        )
        items = [("alive", [alive]), ("starved: less than one row", [starved])]
        plot.add_layout(Legend(items=items, ncols=2, location="left"), "above")
        plot.y_range.start = 0
        return _modest(plot)


def open_page(scheduler: Any, doc: Any) -> None:
    """Fill a visitor's document."""
    doc.title = "dem: fits"
    try:
        page = Page(scheduler)
    except Exception:  # of a version of Bokeh that was not foreseen
        doc.add_root(Div(text=_failure(), name="words"))
        return
    page.update()
    page.select.on_change("value", lambda attribute, old, new: page.update())
    doc.add_root(page.root)
    doc.add_periodic_callback(page.update, PERIOD_MS)


def _failure() -> str:
    """What has just gone wrong, as HTML."""
    trace = escape(traceback.format_exc(limit=-3))
    return f"{STYLE}<b>This page has failed; the fits go on.</b><pre>{trace}</pre>"


def _figure(title: str, **options: Any) -> Any:
    plot = figure(
        title=title, sizing_mode="stretch_both", min_height=170, min_width=240,
        x_axis_label="turn", toolbar_location=None, tools="xpan,xwheel_zoom,reset", **options,
    )  # fmt: skip
    plot.xaxis.ticker.min_interval = 1
    plot.xgrid.visible = False
    plot.outline_line_color = None
    return plot


def _modest(plot: Any) -> Any:
    """With a legend that takes little room."""
    plot.legend.update(
        label_text_font_size="10px", glyph_width=16, glyph_height=14, padding=2, spacing=2,
        margin=2, border_line_color=None, background_fill_alpha=0.7, label_height=14,
    )  # fmt: skip
    return plot


def _lines(runs: list[Any], chosen: Any) -> feed.Columns:
    """The bounds of all runs; the chosen one is drawn last, in blue, and thicker."""
    order = [run for run in reversed(runs) if run is not chosen and run.turns]
    order += [chosen] if chosen is not None and chosen.turns else []
    told = [feed.bounds(run) for run in order]
    n = len(order)
    return {
        "turns": [one["turn"] for one in told],
        "bounds": [one["bound"] for one in told],
        "run": [run.name for run in order],
        "colour": [COLOURS[(n - 1 - i) % len(COLOURS)] for i in range(n)],
        "dash": [DASHES[(n - 1 - i) % len(DASHES)] for i in range(n)],
        "width": [3 if run is chosen else 1.5 for run in order],
    }


def _styled(columns: feed.Columns) -> feed.Columns:
    n = range(len(columns["turns"]))
    return {
        **columns,
        "colour": [COLOURS[i % len(COLOURS)] for i in n],
        "dash": [DASHES[(i + i // len(COLOURS)) % len(DASHES)] for i in n],
    }
