"""HTML for notebooks: tables that look like those of their neighbours, and work without style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

MOST_ROWS = 20
STYLE = (
    "<style>.dem{display:inline-block;padding:.5em .9em;border:1px solid rgba(128,128,128,.4);"
    "border-radius:4px;margin:.2em 0}.dem table{border-collapse:collapse;margin:.3em 0}"
    ".dem.dem th,.dem.dem td{text-align:left;padding:.15em .8em .15em 0;background:none}"
    ".dem.dem th{font-weight:normal;opacity:.75;white-space:nowrap}"
    ".dem.dem td{font-variant-numeric:tabular-nums}"
    ".dem.dem tbody tr{border-top:1px solid rgba(128,128,128,.25)}"
    ".dem.dem tr.best td{font-weight:bold}.dem summary{cursor:pointer}"
    ".dem svg{vertical-align:middle;overflow:visible}</style>"
)


def card(title: str, *parts: str) -> str:
    """A box with a title, and below it what it is about."""
    return f'{STYLE}<div class="dem"><strong>{escape(title)}</strong>{"".join(parts)}</div>'


def facts(pairs: Mapping[str, Any]) -> str:
    """Names and values, one under the other."""
    rows = (
        f'<tr><th scope="row">{escape(name)}</th><td>{_cell(value)}</td></tr>'
        for name, value in pairs.items()
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], best: int | None = None) -> str:
    """Rows under a head; of many the first and the last. The best in bold."""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(_rows(rows, best, len(head)))
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def folded(summary: str, inside: str) -> str:
    """What is shown on a click."""
    return f"<details><summary>{escape(summary)}</summary>{inside}</details>"


def listed(words: Iterable[str]) -> str:
    return "".join(f"<div>⚠ {escape(word)}</div>" for word in words)


def curve(values: Sequence[float], width: int = 160, height: int = 32) -> str:
    """A line through values as SVG, from the lowest to the highest; it takes the text's colour."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    across, up = width / (len(values) - 1), height / ((high - low) or 1.0)
    points = " ".join(
        f"{i * across:.1f},{height - (value - low) * up:.1f}" for i, value in enumerate(values)
    )
    end = points.rpartition(" ")[2].split(",")
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-label="from {values[0]:.6g} to '
        f'{values[-1]:.6g}"><polyline points="{points}" fill="none" stroke="currentColor" '
        f'stroke-width="1.5"/><circle cx="{end[0]}" cy="{end[1]}" r="2.5" fill="currentColor"/>'
        "</svg>"
    )


def _rows(rows: Sequence[Sequence[Any]], best: int | None, width: int) -> Iterable[str]:
    cut = len(rows) > MOST_ROWS
    for i, row in enumerate(rows):
        if cut and MOST_ROWS // 2 <= i < len(rows) - MOST_ROWS // 2 and i != best:
            if i == MOST_ROWS // 2:
                yield f'<tr><td colspan="{width}">…</td></tr>'
            continue
        kind = ' class="best"' if i == best else ""
        yield f"<tr{kind}>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "–" if value != value else f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    return escape(str(value))
