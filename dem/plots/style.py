"""What all pictures share: Axes to draw on, and how things are told apart.

Colours are those of Okabe and Ito (2008), which the colour-blind tell apart; each comes with a
dash and a marker of its own, for print in black and white.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

INK, PALE = "#22252b", "#c9ccd3"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7f7f7f")
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")


def axes(ax: Any = None, **size: Any) -> Any:
    """The Axes given, or new ones; ModuleNotFoundError with advice where matplotlib is missing."""
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Pictures are drawn by matplotlib, which is not installed: pip install 'dask-em[plot]'",
            name=error.name,
        ) from error
    return pyplot.subplots(layout="constrained", **size)[1]


def colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]


def dash(i: int) -> Any:
    """Two that share a colour have different dashes, and so do neighbours."""
    return DASHES[(i + i // len(COLOURS)) % len(DASHES)]


def marker(i: int) -> str:
    return MARKERS[i % len(MARKERS)]


def plain(ax: Any, title: str = "", x: str = "", y: str = "") -> Any:
    """Title and labels; no more lines than it takes."""
    ax.set_title(title, loc="left", fontsize="medium", color=INK)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def legend(ax: Any, handles: Sequence[Any] | None = None) -> None:
    """Beside the picture where there is much in it, else inside."""
    found = ax.get_legend_handles_labels()[0] if handles is None else handles
    if len(found) < 2:
        return
    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if len(found) > 4 else {}
    ax.legend(handles=found, frameon=False, fontsize="small", **beside)


def named(k: int, weight: float) -> str:
    """A component and its share."""
    return f"{k} ({weight:.0%})" if weight >= 0.005 else f"{k} (<1%)"
