"""Mixtures some of whose rows have a label."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from sklearn.exceptions import ConvergenceWarning

import dem
from dem.errors import DataError

RNG = np.random.default_rng(0)
N = 6000
CENTRES = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 3.0], [1.5, 0.0]])
H = RNG.integers(0, 4, N)
X = RNG.normal(size=(N, 2)) + CENTRES[H]
LABELS = np.where(RNG.random(N) < 0.03, H, -1)


@pytest.fixture(scope="module")
def fitted() -> dem.GaussianMixture:
    return dem.GaussianMixture(4, random_state=0).fit(X, labels=LABELS)


def test_labels_number_the_components(fitted: dem.GaussianMixture) -> None:
    np.testing.assert_allclose(fitted.means_, CENTRES, atol=0.3)
    assert fitted.n_features_in_ == 2
    agreed = fitted.predict(X) == H
    assert agreed.mean() > 0.75  # these components overlap
    others = [dem.GaussianMixture(4, random_state=s).fit(X).predict(X) for s in range(3)]
    assert min((labels == H).mean() for labels in others) < 0.5


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.tolist(), np.where(LABELS < 0, np.nan, LABELS), pd.Series(LABELS),
        da.from_array(LABELS, chunks=1000), LABELS[:, None],
    ],
    ids=["list", "NaN", "series", "dask", "column"],
)  # fmt: skip
def test_kinds_of_labels(fitted: dem.GaussianMixture, labels: Any) -> None:
    other = dem.GaussianMixture(4, random_state=0).fit(X, labels=labels)
    np.testing.assert_array_equal(other.means_, fitted.means_)


def test_files_on_a_cluster(tmp_path: Path) -> None:
    """Labels from memory are sent to the workers once, beside rows that they read."""
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", LABELS)
    paths = str(tmp_path / "x.npy"), str(tmp_path / "y.npy")
    here = dem.GaussianMixture(4, random_state=0).fit(paths[0], labels=paths[1])
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster),
    ):
        for labels in (paths[1], LABELS):
            there = dem.GaussianMixture(4, random_state=0).fit(paths[0], labels=labels)
            np.testing.assert_array_equal(there.means_, here.means_)


def test_going_on(fitted: dem.GaussianMixture, tmp_path: Path) -> None:
    short = dem.GaussianMixture(4, random_state=0, max_iter=2, checkpoint=tmp_path / "kept")
    with pytest.warns(ConvergenceWarning):
        short.fit(X, labels=LABELS)
    with pytest.raises(DataError, match="number of columns was 3 and is 2"):
        dem.GaussianMixture.resume(tmp_path / "kept", X)
    longer = dem.GaussianMixture.resume(tmp_path / "kept", X, labels=LABELS, max_iter=100)
    np.testing.assert_array_equal(longer.means_, fitted.means_)
    assert longer.init_params == "auto"
    again = dem.GaussianMixture(4, random_state=0, warm_start=True).fit(X, labels=LABELS)
    assert again.fit(X, labels=LABELS).n_iter_ <= 2


def test_saved_and_loaded(fitted: dem.GaussianMixture, tmp_path: Path) -> None:
    dem.save(fitted, tmp_path / "model")
    np.testing.assert_array_equal(dem.load(tmp_path / "model").predict(X), fitted.predict(X))


def test_mixed_columns(tmp_path: Path) -> None:
    """Levels and gaps are those of the columns, to which the labels are added."""
    gaps = np.where(RNG.random(N) < 0.1, np.nan, X[:, 1])
    words = pd.Categorical(np.array(["u", "v", "w", "x"])[(H + (RNG.random(N) < 0.3)) % 4])
    frame = pd.DataFrame({"word": words, "a": X[:, 0], "b": gaps})
    model = dem.MixedMixture(4, random_state=0, checkpoint=tmp_path / "kept")
    model.fit(frame, labels=LABELS)
    assert (model.predict(frame) == H).mean() > 0.75
    assert model.impute(frame).notna().all(axis=None)
    resumed = dem.MixedMixture.resume(tmp_path / "kept", frame, labels=LABELS)
    np.testing.assert_array_equal(resumed.predict(frame), model.predict(frame))


def test_what_cannot_be() -> None:
    model = dem.GaussianMixture(4, random_state=0)
    with pytest.raises(DataError, match="There are 5999 labels for 6000 rows"):
        model.fit(X, labels=LABELS[:-1])
    with pytest.raises(DataError, match="Labels are whole numbers from 0 to 3"):
        model.fit(X, labels=LABELS + 9)
    with pytest.raises(DataError, match="labels must be numbers"):
        model.fit(X, labels=LABELS.astype(str))
    for how in ({"init_params": "random"}, {"means_init": CENTRES}):
        with pytest.raises(ValueError, match="leave init_params at 'auto'"):
            dem.GaussianMixture(4, **how).fit(X, labels=LABELS)
