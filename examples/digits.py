"""Handwritten digits with holes: factor analysis, and a mixture of factor analysers.

1797 images of 8 × 8 pixels (scikit-learn's `load_digits`), each of which lacks a square of 4 × 4
somewhere. A factor analyser describes an image by a few coordinates; a mixture of them has a plane
for each way to write a digit. Both are fitted to what is there of the images, and fill in what is
not. Run with:

    pip install 'dask-em[plot]'
    python digits.py --out pictures
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_digits

import dem

Array = np.ndarray
SIDE, SHOWN = 8, 12


def images(size: int = 4, seed: int = 0) -> tuple[Array, Array]:
    """The images (n, 64), and the same with a square of so many pixels missing.

    Pixels get noise of the size of their rounding: some are the same in all images.
    """
    rng = np.random.default_rng(seed)
    whole = load_digits().data
    whole = whole + rng.uniform(-0.5, 0.5, whole.shape)
    corner = rng.integers(0, SIDE - size + 1, (2, len(whole), 1))
    y, x = (np.arange(SIDE) - corner >= 0) & (np.arange(SIDE) - corner < size)
    hole = (y[:, :, None] & x[:, None, :]).reshape(whole.shape)
    return whole, np.where(hole, np.nan, whole)


def models(factors: int, components: int) -> dict[str, dem.FactorAnalysis | dem.GaussianMixture]:
    """What is to be compared, by what it is called."""
    mixed = dem.GaussianMixture(
        components, covariance_type=dem.Factors(factors), missing=True, reg_covar=0.1,
        init_params="k-means||", tol=1e-2, max_iter=50, random_state=0,
    )  # fmt: skip
    return {
        "factor analysis": dem.FactorAnalysis(factors, missing=True, tol=1e-4),
        f"mixture of {components}": mixed,
    }


def pictures(whole: Array, holed: Array, filled: dict[str, Array], axes: Array, out: Path) -> None:
    """Images with holes and how they were filled in, and the factors, as PNG."""
    mpl.use("agg")
    import matplotlib.pyplot as plt

    lines = {"original": whole, "with holes": holed, **filled}
    figure, grid = plt.subplots(len(lines), SHOWN, figsize=(SHOWN, len(lines)), squeeze=False)
    for line, (name, rows) in zip(grid, lines.items(), strict=True):
        for ax, row in zip(line, rows, strict=False):
            ax.imshow(row.reshape(SIDE, SIDE), cmap="gray_r", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.savefig(out / "filled.png", dpi=100, bbox_inches="tight")
    plt.close(figure)

    figure, grid = plt.subplots(1, len(axes), figsize=(len(axes), 1.2))
    for ax, loading in zip(grid, axes, strict=True):
        ax.imshow(loading.reshape(SIDE, SIDE), cmap="RdBu", vmin=-6, vmax=6)
        ax.set(xticks=[], yticks=[])
    figure.suptitle("factors")
    figure.savefig(out / "factors.png", dpi=100, bbox_inches="tight")
    plt.close(figure)


def main(factors: int, components: int, out: Path) -> dict[str, float]:
    """Fit, fill in, draw; the mean error of what was missing, by each."""
    whole, holed = images()
    lacking = np.isnan(holed)
    means = np.broadcast_to(np.nanmean(holed, axis=0), whole.shape)
    filled, fitted = {"column means": np.where(lacking, means, holed)}, {}
    for name, model in models(factors, components).items():
        fitted[name] = model.fit(holed)
        filled[name] = model.impute(holed)
        print(
            f"{name}: {model.n_parameters_} parameters, {model.n_iter_} turns, "
            f"log-likelihood {model.score(holed):.3f} nats per image, BIC {model.bic(holed):,.0f}"
        )
    errors = {
        name: float(np.sqrt(np.mean((rows - whole)[lacking] ** 2))) for name, rows in filled.items()
    }
    for name, error in errors.items():
        print(f"root mean square error of missing pixels by {name}: {error:.2f} of 16")
    pictures(whole, holed, filled, fitted["factor analysis"].components_, out)
    return errors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--factors", type=int, default=8, help="[8]")
    parser.add_argument("--components", type=int, default=10, help="[10]")
    parser.add_argument("--out", type=Path, help="where pictures go  [not kept]")
    options = parser.parse_args()
    if options.out is None:
        with tempfile.TemporaryDirectory() as scratch:
            main(options.factors, options.components, Path(scratch))
    else:
        options.out.mkdir(parents=True, exist_ok=True)
        main(options.factors, options.components, options.out)
