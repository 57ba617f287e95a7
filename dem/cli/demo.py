"""`dem demo`: a photograph, its pixels on disk, a mixture of their colours."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from dem.cli.options import debug_option
from dem.cli.tables import figures

CHUNK_ROWS = 16_384
PHOTOGRAPHS = ("flower", "china")
NEEDED = ("matplotlib", "PIL")


@click.command()
@click.option("--out", default="dem-demo", show_default=True, metavar="DIR", help="Where to write.")
@click.option("-k", "k", type=click.IntRange(min=1), default=8, show_default=True)
@click.option(
    "--photograph", type=click.Choice(PHOTOGRAPHS), default=PHOTOGRAPHS[0], show_default=True
)
@click.option("--position", is_flag=True, help="Let a component be a place in the picture too.")
@debug_option
def demo(out: str, k: int, photograph: str, position: bool) -> None:
    """Segment a photograph by the colours of its pixels, out of core.

    Writes the pixels as a Zarr array, fits a Gaussian mixture to it, and paints each pixel in the
    mean colour of its component. What an earlier run has written to DIR is replaced.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ImportError(
            f"The demonstration draws with {' and '.join(NEEDED)}, and {' and '.join(missing)} "
            "cannot be imported: pip install 'dask-em[demo]'"
        )
    import numpy as np
    from sklearn.datasets import load_sample_image

    import dem
    from dem.cli import colour, picture
    from dem.cli.target import Target
    from dem.engine.output import computed
    from dem.report.progress import Progress

    place = Path(out)
    place.mkdir(parents=True, exist_ok=True)
    pixels, labels, model = (str(place / name) for name in ("pixels.zarr", "labels.npy", "model"))

    original = load_sample_image(f"{photograph}.jpg")
    rows = colour.to_oklab(original.reshape(-1, 3)).astype(np.float32)
    if position:
        rows = np.hstack([rows, picture.positions(original)])
    Target.of(pixels).write([rows], rows.shape, rows.dtype, CHUNK_ROWS)

    # Dark pixels vary so little that scikit-learn's usual reg_covar would blur them.
    mixture = dem.GaussianMixture(
        k, tol=3e-4, reg_covar=0, max_iter=200, random_state=0, verbose=Progress()
    )
    mixture.fit(pixels)
    dem.save(mixture, model)
    lazy = mixture.predict(pixels)
    Target.of(labels).write(computed(lazy), lazy.shape, lazy.dtype, CHUNK_ROWS)

    palette = colour.to_srgb(mixture.means_[:, :3])
    segmented = palette[np.load(labels)].reshape(original.shape)
    picture.plain(place / "segmented.png", segmented)
    picture.comparison(place / "comparison.png", original, segmented, palette, mixture.weights_)
    picture.curve(place / "bound.png", mixture.lower_bounds_)
    click.echo(
        figures(
            {
                "pixels": f"{pixels}  ({len(rows):,} rows, {rows.shape[1]} columns)",
                "model": f"{model}  ({mixture.n_iter_} turns; see dem show {model})",
                "labels": labels,
                "segmentation": str(place / "segmented.png"),
                "side by side": str(place / "comparison.png"),
                "the bound": str(place / "bound.png"),
            }
        )
    )
