"""Criteria against the number of components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dem.plots.style import INK, axes, colour, dash, legend, marker, plain

WORDS = {
    "bic": "BIC", "aic": "AIC", "icl": "ICL", "held_out": "held-out log-likelihood a row",
    "bound": "bound on the log-likelihood",
}  # fmt: skip
HIGHER = {"held_out", "bound"}


def plot_selection(
    table: Sequence[Any], models: Sequence[Any], best: int,
    given_up: Sequence[bool], criteria: Sequence[str] = ("bic", "icl"), ax: Any = None,
) -> Any:  # fmt: skip
    """A line for each criterion and kind of model over K.

    table : rows with the criteria as attributes. models : of each row.
    best : the number of the winner. given_up : whether a row's climb was ended early, so that its
        values are those of a few turns: drawn hollow, and out of lines where there are others.

    Models that were listed several times are restarts: the line goes through the best of them,
    with a bar from the best to the worst of those that were not given up.

    Raises ValueError for criteria that are none.
    """
    if unknown := set(criteria) - WORDS.keys():
        raise ValueError(f"criteria must be among {sorted(WORDS)}, got {min(unknown)!r}")
    ax = axes(ax)
    kinds = list(dict.fromkeys(map(_kind, models)))
    ks = np.array([getattr(model, "k", getattr(model, "q", i)) for i, model in enumerate(models)])
    lost = np.array(given_up)
    for c, criterion in enumerate(criteria):
        values = np.array([getattr(row, criterion) for row in table])
        for i, kind in enumerate(kinds):
            here = np.array([_kind(model) == kind for model in models])
            words = [WORDS[criterion]] + [kind] * (len(kinds) > 1)
            style = {
                "color": colour(c + i * len(criteria)),
                "marker": marker(c + i * len(criteria)),
            }
            _line(ax, ks[here], values[here], lost[here], criterion in HIGHER,
                  ", ".join(words), dash(c), style)  # fmt: skip
    value = getattr(table[best], criteria[0])
    ax.plot(ks[best], value, "o", markersize=15, fillstyle="none", color=INK, label="chosen")
    ax.xaxis.get_major_locator().set_params(integer=True)
    if lost.any():
        ax.plot([], [], "o", markerfacecolor="white", color="0.5", label="given up early")
    legend(ax)
    lower = "" if set(criteria) <= HIGHER else ": lower is better"
    return plain(ax, f"Which number of components{lower}", "components", "criterion")


def _line(
    ax: Any, ks: np.ndarray, values: np.ndarray, lost: np.ndarray, highest: bool, label: str,
    dashes: Any, style: dict[str, Any],
) -> None:  # fmt: skip
    """Through the best of each K, with bars over those that ran to their end."""
    known = np.isfinite(values)
    at = np.unique(ks[known])
    middle, low, high = np.empty((3, len(at)))
    for i, k in enumerate(at):
        ran = values[known & (ks == k) & ~lost]
        some = ran if len(ran) else values[known & (ks == k)]
        low[i], high[i] = some.min(), some.max()
        middle[i] = some.max() if highest else some.min()
    bars = [middle - low, high - middle]
    ax.errorbar(at, middle, yerr=bars, fmt="none", ecolor=style["color"], capsize=3)
    whole = [i for i, k in enumerate(at) if (known & (ks == k) & ~lost).any()]
    ax.plot(at, middle, linestyle=dashes, label=label, markersize=5, markevery=whole, **style)
    faint = known & lost
    hollow = {**style, "markerfacecolor": "white", "linestyle": "none", "markersize": 5}
    ax.plot(ks[faint], values[faint], **hollow)


def _kind(model: Any) -> str:
    """Its family in words, or its class."""
    family = getattr(model, "family", None)
    form = getattr(family, "covariance", None)
    return repr(form) if form is not None else repr(family) if family else type(model).__name__
