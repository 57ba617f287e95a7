"""What the page shows of the runs of a scheduler, as columns of numbers and words."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Columns = dict[str, list[Any]]
PARTS = ("read", "compute", "gather", "m_step")
MOST_LINES = 32  # components that are drawn, the largest


def runs_of(scheduler: Any) -> list[Any]:
    """The runs that a scheduler hosts, the newest first; see `dem.engine.run.Run`."""
    plugin = scheduler.plugins.get("dem")
    return list(reversed(list(getattr(plugin, "runs", {}).values())))


def bounds(run: Any) -> Columns:
    """The bound per row after each turn."""
    turns = tuple(run.turns)  # a thread may be adding to them
    return {"turn": [turn for turn, *_ in turns], "bound": [bound for _, _, bound, _ in turns]}


def changes(run: Any) -> tuple[Columns, Columns]:
    """By how much the bound rose in each turn, and by how much it fell where it did."""
    told = bounds(run)
    rose: Columns = {"turn": [], "change": []}
    fell: Columns = {"turn": [], "change": []}
    steps = zip(told["turn"][1:], told["bound"][1:], told["bound"], strict=False)
    for turn, now, before in steps:
        if now != before:
            side = rose if now > before else fell
            side["turn"].append(turn)
            side["change"].append(abs(now - before))
    return rose, fell


def seconds(run: Any) -> Columns:
    """Wall time of each turn by what it was spent on, and rows per second."""
    vitals = tuple(run.vitals)
    columns: Columns = {part: [getattr(v, part) for v in vitals] for part in PARTS}
    whole = [sum(parts) for parts in zip(*(columns[part] for part in PARTS), strict=True)]
    rate = [v.rows / all_of if all_of else 0.0 for v, all_of in zip(vitals, whole, strict=True)]
    return {"turn": [v.turn for v in vitals], **columns, "rate": rate}


def weights(run: Any) -> Columns:
    """Mixing weights after each turn, a line for each of the largest components."""
    vitals = [v for v in tuple(run.vitals) if v.weights]
    if not vitals:
        return {"turns": [], "weights": [], "component": [], "last": []}
    last = vitals[-1].weights
    largest = sorted(range(len(last)), key=lambda k: -last[k])[:MOST_LINES]
    turns = [v.turn for v in vitals]
    return {
        "turns": [turns for _ in largest],
        "weights": [[v.weights[k] for v in vitals] for k in largest],
        "component": [f"{k}" for k in largest],
        "last": [last[k] for k in largest],
    }


def components(run: Any) -> Columns:
    """How many components are alive, and how many have less than a row's weight."""
    vitals = [v for v in tuple(run.vitals) if v.components]
    return {
        "turn": [v.turn for v in vitals],
        "alive": [v.components - v.starved for v in vitals],
        "starved": [v.starved for v in vitals],
    }


def facts(run: Any, now: float | None = None) -> Mapping[str, str]:
    """A run in words: its state, turn, bound, last change, pace, time left, age of the checkpoint.

    now : seconds since the epoch.
    """
    turns, vitals = tuple(run.turns), tuple(run.vitals)
    now = time.time() if now is None else now
    change = f"{turns[-1][2] - turns[-2][2]:+.2g}" if len(turns) > 1 else "–"
    each = sum(t for *_, t in turns) / len(turns) if turns else 0.0
    going = run.state in ("waiting", "running")
    rate = seconds(run)["rate"]
    kept = vitals[-1].kept if vitals else 0.0
    done, blocks = run.blocks
    return {
        "run": run.name,
        "state": run.state,
        "turn": f"{len(turns)} of {run.max_iter}",
        "blocks": f"{done} of {blocks}" if going and blocks else "–",
        "bound, nats per row": f"{turns[-1][2]:.6g}" if turns else "–",
        "change": change,
        "seconds a turn": f"{each:.2g}" if turns else "–",
        "at most left": span(each * (run.max_iter - len(turns))) if turns and going else "–",
        "rows per second": f"{rate[-1]:,.0f}" if rate else "–",
        "checkpoint": f"{span(max(now - kept, 0.0))} ago" if kept else "none",
    }


def table(runs: Sequence[Any], now: float | None = None) -> str:
    """The facts of some runs as HTML."""
    rows = [facts(run, now) for run in runs]
    if not rows:
        return "<p>No fit has been submitted to this scheduler yet.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(word)}</td>" for word in row.values()) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def span(seconds: float) -> str:
    """A duration in its two largest units: 7 s, 12 min 30 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
