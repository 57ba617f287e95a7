"""Models that are no mixtures: chains by how states follow each other, topics by their words."""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.models.hmm import HMM
from dem.models.lda import LDA
from dem.plots.columns import Columns
from dem.plots.components import plot_family, plot_model
from dem.plots.profiles import heat
from dem.plots.style import INK, axes, plain

Array = np.ndarray
MOST_STATES = 8  # in a diagram; above, a table of shades
LEAST_ARROW = 0.01
MOST_TOPICS, MOST_WORDS = 12, 10
LEAST_SHARE = 1e-3


@plot_model.register
def _(model: HMM, params: Any, columns: Columns, ax: Any = None) -> Any:
    """Two Axes: transitions, and the rows of each state."""
    drawn = np.atleast_1d(axes(ax, ncols=2, figsize=(11, 4.8)))
    if len(drawn) != 2:
        raise ValueError(f"ax must be 2 Axes, for transitions and for states, got {len(drawn)}")
    transitions(params.transmat, drawn[0])
    plot_family(model.family, params.components, shares(params.transmat), columns, drawn[1])
    return drawn


@plot_model.register
def _(model: LDA, params: Any, columns: Columns, ax: Any = None) -> Any:
    """Axes for each topic with its most probable words."""
    words = params.topics / params.topics.sum(axis=1, keepdims=True)
    labels = [columns.label(j) for j in range(words.shape[1])]
    return topics(words, labels, ax)


def shares(transmat: Array) -> Array:
    """How often a long chain is in each state (K,), at least 1e-3: the left eigenvector to 1."""
    values, vectors = np.linalg.eig(transmat.T)
    often = np.abs(vectors[:, np.argmax(values.real)].real)
    often = np.maximum(often / often.sum(), LEAST_SHARE)
    return np.asarray(often / often.sum())


def transitions(transmat: Array, ax: Any = None) -> Any:
    """States in a ring, an arrow for each transition, the thicker the more probable it is.

    In each state stands how probable it is to stay. Those below 0.01 are left out. More than 8
    states are a table: from the row to the column.
    """
    k = len(transmat)
    names = [f"{i}" for i in range(k)]
    if k > MOST_STATES:
        ax = heat(transmat, names, names, "probability of the next state", ax)
        return plain(ax, "Transitions", "to", "from")
    ax = axes(ax)
    angle = np.pi / 2 - 2 * np.pi * np.arange(k) / k
    places = np.column_stack([np.cos(angle), np.sin(angle)]) * (k > 1)
    for i, j in zip(*np.nonzero(transmat >= LEAST_ARROW), strict=True):
        if i != j:
            _arrow(ax, places[i], places[j], float(transmat[i, j]))
    for i, place in enumerate(places):
        ax.scatter(*place, s=1900, facecolor="white", edgecolor=INK, zorder=3)
        stay = f"{i}\n{transmat[i, i]:.2f}"
        ax.text(*place, stay, ha="center", va="center", color=INK, zorder=4)
    ax.set(xlim=(-1.45, 1.45), ylim=(-1.45, 1.45), aspect="equal")
    ax.axis("off")
    return plain(ax, "Transitions; in each state the probability to stay")


def _arrow(ax: Any, begin: Array, end: Array, probability: float) -> None:
    """Bent, so that there is room for the way back."""
    how = {"color": "0.35", "linewidth": 0.6 + 4 * probability, "shrinkA": 25, "shrinkB": 25}
    bent = {**how, "arrowstyle": "-|>", "connectionstyle": "arc3,rad=0.18", "mutation_scale": 14}
    ax.annotate("", tuple(end), tuple(begin), arrowprops=bent)
    along = end - begin
    middle = (begin + end) / 2 + 0.1 * np.array([along[1], -along[0]])
    ax.text(
        *middle, f"{probability:.2f}", ha="center", va="center", fontsize="small", color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def topics(words: Array, labels: Any, ax: Any = None) -> Any:
    """p(word | topic) (K, V) of the 10 most probable words, Axes for each of 12 topics at most."""
    k, most = len(words), min(MOST_WORDS, words.shape[1])
    n = min(k, MOST_TOPICS)
    across = min(n, 4)
    down = -(-n // across)
    size = (3.0 * across, 2.6 * down)
    drawn = np.ravel(axes(ax, nrows=down, ncols=across, figsize=size, squeeze=False))
    if len(drawn) < n:
        raise ValueError(f"ax must be {n} Axes, one for each topic, got {len(drawn)}")
    for topic, place in zip(range(n), drawn, strict=False):
        best = np.argsort(-words[topic], kind="stable")[:most]
        place.barh(range(most), words[topic, best], color="0.55", edgecolor=INK, linewidth=0.5)
        place.set_yticks(range(most), [labels[j] for j in best])
        place.invert_yaxis()
        plain(place, f"topic {topic}")
    for place in drawn[n:]:
        place.axis("off")
    return drawn[:n]
