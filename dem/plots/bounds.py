"""The bound turn by turn, of each attempt of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dem.plots.style import COLOURS, PALE, axes, dash, legend, plain


def plot_bounds(histories: Sequence[Sequence[Any]], best: int = 0, ax: Any = None) -> Any:
    """The bound per row after each turn.

    histories : of each attempt, records with `turn` and `bound`.
    best : which of them was kept: the thick line, with its last value.
    """
    ax = axes(ax)
    for i, history in enumerate(histories):
        turns = [record.turn for record in history]
        bounds = [record.bound for record in history]
        if i == best:
            if bounds:
                ax.axhline(bounds[-1], color=PALE, linewidth=1, zorder=0)
                ax.plot(turns[-1:], bounds[-1:], "o", color=COLOURS[0], zorder=3)
                ax.annotate(
                    f"{bounds[-1]:.6g}", (turns[-1], bounds[-1]), xytext=(-2, -13),
                    textcoords="offset points", ha="right",
                )  # fmt: skip
            label = f"attempt {i + 1}, the best" if len(histories) > 1 else "the bound"
            ax.plot(turns, bounds, color=COLOURS[0], linewidth=2.5, label=label, zorder=2)
        else:
            label, how = f"attempt {i + 1}", dash(1 + i)
            ax.plot(turns, bounds, color="0.45", linewidth=1.2, linestyle=how, label=label)
    ax.xaxis.get_major_locator().set_params(integer=True)
    legend(ax)
    return plain(ax, "Bound after each turn", "turn", "nats per row")
