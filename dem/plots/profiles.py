"""Components by what they expect of each column: lines over columns, or shades over levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dem.plots.columns import Columns
from dem.plots.style import axes, colour, dash, legend, marker, named, plain

Array = np.ndarray
MOST_WRITTEN = 200  # values that are written into their squares


def profiles(weights: Array, values: Array, columns: Columns, what: str, ax: Any = None) -> Any:
    """A line for each component over the columns.

    weights : (K,). values : (K, D). what : they are, in words.
    """
    chosen = columns.numbers or list(range(values.shape[1]))
    ax, places = axes(ax), np.arange(len(chosen))
    for k in np.flatnonzero(weights > 0).tolist():
        ax.plot(
            places, values[k, chosen], color=colour(k), linestyle=dash(k), marker=marker(k),
            markersize=5, label=named(k, float(weights[k])),
        )  # fmt: skip
    _write(ax, "x", [columns.label(j) for j in chosen])
    legend(ax)
    return plain(ax, f"{what.capitalize()} of each component", "", what)


def heat(
    values: Array, rows: Sequence[str], columns: Sequence[str], what: str, ax: Any = None
) -> Any:
    """Values (n, m) between 0 and their largest as shades of grey, the larger the darker."""
    ax = axes(ax, figsize=(max(4.0, 0.55 * len(columns) + 1.5), max(2.2, 0.4 * len(rows) + 1.4)))
    image = ax.imshow(values, cmap="Greys", vmin=0.0, vmax=max(float(values.max()), 1e-300),
                      aspect="auto")  # fmt: skip
    if values.size <= MOST_WRITTEN:
        middle = image.norm.vmax / 2
        for (i, j), value in np.ndenumerate(values):
            ink = "white" if value > middle else "black"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize="small")
    else:
        ax.figure.colorbar(image, ax=ax, label=what)
    _write(ax, "x", columns)
    _write(ax, "y", rows)
    return plain(ax, what.capitalize(), "", "component")


def _write(ax: Any, axis: str, labels: Sequence[str]) -> None:
    """Labels at 0, 1, ...; every other one, and so on, where there are many."""
    step = -(-len(labels) // 40)
    turned = axis == "x" and sum(map(len, labels[::step])) > 50
    side = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if turned else {}
    getattr(ax, f"set_{axis}ticks")(range(0, len(labels), step), labels[::step], **side)
