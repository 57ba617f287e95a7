"""Components with means and covariances: ellipses over two columns, densities over one."""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.plots.columns import Columns
from dem.plots.style import INK, axes, colour, dash, legend, named, plain

Array = np.ndarray
# Of a Gaussian in the plane, within √χ²₂(p) standard deviations: half of it, and 95 %.
RADII = (1.1774, 2.4477)


def matrices(covariances: Array, pooled: bool, k: int, d: int) -> Array:
    """(K, D, D) from scikit-learn's shapes: (K, D, D), (D, D), (K, D), (D,), (K,) or ()."""
    own = np.asarray(covariances, float)
    own = own[None] if pooled else own
    if own.ndim < 3:
        own = np.reshape(own, (len(own), -1))
        own = np.broadcast_to(own, (len(own), d))[:, :, None] * np.eye(d)
    return np.broadcast_to(own, (k, d, d))


def telling(weights: Array, means: Array, variances: Array) -> list[int]:
    """The two columns in which components differ most, beside their spread within."""
    middle = weights @ means
    between, within = weights @ (means - middle) ** 2, weights @ variances
    order = np.argsort(-between / np.maximum(within, np.finfo(float).tiny), kind="stable")
    return sorted(order[:2].tolist())


def ellipses(
    weights: Array, means: Array, covariances: Array, columns: Columns, ax: Any = None
) -> Any:
    """Half, and 95 %, of each component within its ellipses, over two columns; numbers at means.

    weights : (K,). means : (K, D). covariances : (K, D, D). Of components without weight nothing
    is drawn.
    """
    from matplotlib.patches import Ellipse
    from matplotlib.patheffects import withStroke

    variances = np.einsum("kdd->kd", covariances)
    pair = columns.numbers or telling(weights, means, variances)
    ax = axes(ax)
    for k in np.flatnonzero(weights > 0).tolist():
        values, vectors = np.linalg.eigh(covariances[k][np.ix_(pair, pair)])
        size = 2 * np.sqrt(np.maximum(values, 0.0))
        angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
        for radius in RADII:
            outline = Ellipse(
                tuple(means[k, pair]), radius * size[1], radius * size[0], angle=angle, fill=False,
                edgecolor=colour(k), linestyle=dash(k), linewidth=1.6 if radius < 2 else 1.0,
            )  # fmt: skip
            ax.add_patch(outline)
        ax.text(
            *means[k, pair], str(k), color=INK, ha="center", va="center",
            fontsize=8 + 8 * float(weights[k]) ** 0.5, fontweight="bold",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip
    ax.autoscale_view()
    return plain(
        ax, "50 % and 95 % of each component", columns.label(pair[0]), columns.label(pair[1])
    )


def points(means: Array, columns: Columns, ax: Any = None) -> Any:
    """Means (K, D) by their numbers over two columns, those in which they differ most."""
    ones = np.ones_like(means)
    pair = columns.numbers or telling(ones[:, 0] / len(means), means, ones)
    ax = axes(ax)
    ax.scatter(*means[:, pair].T, s=260, facecolor="white", edgecolor=INK)
    for k, place in enumerate(means[:, pair]):
        ax.text(*place, str(k), color=INK, ha="center", va="center", fontweight="bold")
    return plain(ax, "Centres", columns.label(pair[0]), columns.label(pair[1]))


def marginals(
    weights: Array, means: Array, variances: Array, columns: Columns, ax: Any = None
) -> Any:
    """The density of one column, and each component's share of it.

    weights : (K,). means, variances : (K, D).
    """
    j = (columns.numbers or [0])[0]
    alive = np.flatnonzero(weights > 0).tolist()
    at, spread = means[:, j], np.sqrt(variances[:, j])
    low, high = (at - 4 * spread)[alive].min(), (at + 4 * spread)[alive].max()
    points = [
        np.linspace(low, high, 400),
        *(at[k] + spread[k] * np.linspace(-4, 4, 81) for k in alive),
    ]
    x = np.unique(np.concatenate(points))
    z = (x - at[:, None]) / spread[:, None]
    parts = weights[:, None] * np.exp(-(z**2) / 2) / (np.sqrt(2 * np.pi) * spread[:, None])
    ax = axes(ax)
    ax.plot(x, parts.sum(axis=0), color=INK, linewidth=2.2, label="all")
    for k in alive:
        label = named(k, float(weights[k]))
        ax.plot(x, parts[k], color=colour(k), linestyle=dash(k), linewidth=1.4, label=label)
    ax.set_ylim(bottom=0)
    legend(ax)
    return plain(ax, "Density, and the components' shares", columns.label(j), "density")
