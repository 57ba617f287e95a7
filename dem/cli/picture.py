"""The pictures that `dem demo` draws, without a display."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator

Array = np.ndarray
INK, PALE, ACCENT = "#22252b", "#c9ccd3", "#c2410c"


def positions(image: Array) -> Array:
    """Row and column of each pixel of an image, in its heights: float32 (pixels, 2)."""
    height, width = image.shape[:2]
    y, x = np.indices((height, width), dtype=np.float32) / height
    return np.column_stack([y.ravel(), x.ravel()])


def plain(path: Path, image: Array) -> None:
    """An image (height, width, 3) of bytes, pixel for pixel."""
    imsave(path, image)


def comparison(
    path: Path, original: Array, segmented: Array, palette: Array, weights: Array
) -> None:
    """Original and segmentation side by side, and under them a strip of the colours by weight."""
    figure = Figure(figsize=(14, 5.72), dpi=110, facecolor="white")
    grid = figure.add_gridspec(
        2, 2, height_ratios=[1, 0.07], hspace=0.06, wspace=0.025,
        left=0.012, right=0.988, top=0.93, bottom=0.03,
    )  # fmt: skip
    titles = (
        "photograph",
        f"its {len(palette)} components, by mean colour and share of the pixels",
    )
    for cell, image, title in zip(
        (grid[0, 0], grid[0, 1]), (original, segmented), titles, strict=True
    ):
        axes = figure.add_subplot(cell)
        axes.imshow(image, interpolation="lanczos" if image is original else "nearest")
        axes.set_title(title, loc="left", color=INK, fontsize=13)
        axes.axis("off")
    strip = figure.add_subplot(grid[1, :])
    by_lightness = np.argsort(palette @ [0.2126, 0.7152, 0.0722])
    left = 0.0
    for k in by_lightness:
        strip.barh(0, weights[k], left=left, height=1, color=palette[k] / 255)
        if weights[k] > 0.03:
            light = palette[k] @ [0.2126, 0.7152, 0.0722] > 140
            strip.text(
                left + weights[k] / 2, 0, f"{weights[k]:.0%}", color=INK if light else "white",
                ha="center", va="center", fontsize=10,
            )  # fmt: skip
        left += weights[k]
    strip.set(xlim=(0, 1), ylim=(-0.5, 0.5))
    strip.axis("off")
    figure.savefig(path)


def curve(path: Path, bounds: list[float]) -> None:
    """The bound per row, turn by turn."""
    figure = Figure(figsize=(8, 4.5), dpi=130, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    turns = np.arange(1, len(bounds) + 1)
    axes.axhline(bounds[-1], color=PALE, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(turns, bounds, color=ACCENT, linewidth=2)
    axes.plot(turns[-1], bounds[-1], "o", color=ACCENT, markersize=6)
    axes.annotate(
        f"{bounds[-1]:.4f}", (turns[-1], bounds[-1]), xytext=(0, -14),
        textcoords="offset points", ha="right", color=INK,
    )  # fmt: skip
    axes.set_title("The bound rises with every turn", loc="left", color=INK, fontsize=13)
    axes.set_xlabel("turn", color=INK)
    axes.set_ylabel("bound, nats per pixel", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    axes.grid(axis="y", color=PALE, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
