"""Make the pictures of the gallery anew: `python docs/pictures.py`, some minutes.

They are those that the examples and `dem demo` draw, with fewer pixels and colours.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

import dem

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
COMMANDS = {  # what makes them, and which are shown
    "demo": (["-m", "dem.cli", "demo", "--out"], ["comparison.png"]),
    "flights": ([str(EXAMPLES / "flights.py"), "--out"], ["components.png"]),
    "weather": ([str(EXAMPLES / "weather.py"), "--out"], ["weather.png"]),
    "digits": ([str(EXAMPLES / "digits.py"), "--out"], ["filled.png", "factors.png"]),
    "topics": ([str(EXAMPLES / "topics.py"), "--out"], ["topics.png", "how_many.png"]),
}
WIDTH, COLOURS, BYTES = 900, 128, 60_000


def keep(source: Path, name: str) -> None:
    """A picture as it is kept: with a palette, and as wide as it may be for its bytes."""
    picture, place = Image.open(source).convert("RGB"), HERE / "pictures" / f"{name}.png"
    width = min(picture.width, WIDTH)
    while True:
        size = width, round(picture.height * width / picture.width)
        smaller = picture.resize(size, Image.Resampling.LANCZOS)
        smaller.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(place, optimize=True)
        if place.stat().st_size < BYTES:
            break
        width = round(0.9 * width)
    print(f"{place.name}: {width} pixels wide, {place.stat().st_size / 1000:.0f} kB")


def drawn(scratch: Path) -> None:
    """What models, fits and selections draw of themselves."""
    mpl.use("agg")
    import matplotlib.pyplot as plt

    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [4.0, 1.0], [1.0, 5.0]])
    x = centres[rng.integers(0, 3, 6_000)] + rng.normal(size=(6_000, 2)) * [1.2, 0.8]
    models = {f"K={k}": dem.Mixture(k, dem.Gaussian()) for k in range(1, 7)}
    found = dem.select(models, x)
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    found.plot(ax=axes[0])
    textbook = dem.GaussianMixture(3, schedule="batch", tol=1e-6, random_state=0).fit(x)
    textbook.history_.plot(ax=axes[1])
    axes[2].plot(*x[::10].T, ".", color="0.8", markersize=2, zorder=0)
    dem.GaussianMixture.from_fit(found.fit).plot(ax=axes[2])
    figure.savefig(scratch / "drawn.png", dpi=100)
    keep(scratch / "drawn.png", "drawn")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        drawn(scratch)
        for name, (command, pictures) in COMMANDS.items():
            subprocess.run([sys.executable, *command, str(scratch / name)], check=True)
            for picture in pictures:
                keep(scratch / name / picture, f"{name}-{Path(picture).stem}")


if __name__ == "__main__":
    main()
