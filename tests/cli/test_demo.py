"""The demonstration, and its colours."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import zarr
from matplotlib.image import imread
from sklearn.datasets import load_sample_image

import dem as library
from dem.cli import colour


@pytest.fixture(scope="module")
def demo_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, so that the later runs find what the earlier have written."""
    return tmp_path_factory.mktemp("demo")


@pytest.mark.parametrize(
    ("photograph", "columns", "options"), [("flower", 3, ""), ("china", 5, "--position")]
)
def test_each_pixel_is_painted_in_the_colour_of_its_component(
    dem, demo_place: Path, photograph: str, columns: int, options: str
) -> None:
    there, k = demo_place, 2
    output = dem(f"demo -k {k} --out {there} --photograph {photograph} {options}").output
    original = load_sample_image(f"{photograph}.jpg")
    height, width = original.shape[:2]
    pixels = zarr.open_array(there / "pixels.zarr", mode="r")
    assert pixels.shape == (height * width, columns)
    assert pixels.nchunks > 10
    colours = colour.to_srgb(pixels[:, :3].astype(float))
    np.testing.assert_array_equal(colours.reshape(original.shape), original)

    model, labels = library.load(there / "model"), np.load(there / "labels.npy")
    np.testing.assert_array_equal(labels, model.predict(pixels[:]))
    assert len(np.unique(labels)) == k
    assert (np.diff(model.lower_bounds_) >= 0).all()
    painted = np.round(255 * imread(there / "segmented.png")[:, :, :3])
    palette = colour.to_srgb(model.means_[:, :3])
    np.testing.assert_array_equal(painted, palette[labels].reshape(original.shape))

    comparison, curve = imread(there / "comparison.png"), imread(there / "bound.png")
    assert comparison.shape[0] > height
    assert comparison.shape[1] > 2 * width
    assert curve.shape[:2] == (585, 1040)
    written = ("pixels.zarr", "labels.npy", "model", "segmented.png", "comparison.png", "bound.png")
    assert sorted(path.name for path in there.iterdir()) == sorted(written)
    assert all(f"{there}/{name}" in output for name in written)


def test_without_the_extra_it_says_how_to_get_it(dem, monkeypatch, tmp_path) -> None:
    module = importlib.import_module("dem.cli.demo")
    monkeypatch.setattr(module, "NEEDED", ("matplotlib", "no_such_module"))
    output = dem("demo", code=1).output
    assert "no_such_module cannot be imported: pip install 'dask-em[demo]'" in output
    assert not list(tmp_path.iterdir())


def test_every_colour_comes_back() -> None:
    levels = np.arange(0, 256, 15)
    rgb = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    np.testing.assert_array_equal(colour.to_srgb(colour.to_oklab(rgb)), rgb)


def test_oklab_of_known_colours() -> None:
    # White, black and the primaries, as its author and CSS Color 4 give them.
    rgb = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]])
    lab = [
        [1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        [0.62796, 0.22486, 0.12585],
        [0.86644, -0.23389, 0.17950],
        [0.45201, -0.03246, -0.31153],
    ]
    np.testing.assert_allclose(colour.to_oklab(rgb), lab, atol=2e-4)
