"""Data whose rows repeat: a fit to their patterns is the same fit."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.exceptions import ConvergenceWarning

import dem
from dem import compression
from dem.engine.readers import arrays
from dem.errors import DataError
from dem.passes import Block
from dem.patterns import Patterns, Tally
from dem.starts import Given

RNG = np.random.default_rng(0)
N = 30_000
H = RNG.integers(0, 3, N)
PROFILES = np.array(
    [[0.1, 0.2, 0.7, 0.9, 0.1], [0.8, 0.9, 0.1, 0.3, 0.6], [0.5, 0.1, 0.9, 0.1, 0.9]]
)
X = (RNG.random((N, 5)) < PROFILES[H]).astype(np.int8)
GAPS = np.where(RNG.random(X.shape) < 0.1, np.nan, X)


def tally(rows: np.ndarray, weights: np.ndarray | None = None, most: int = 10**6) -> Tally:
    return Patterns(most)(None, Block(0, 0, rows, weights))


@given(
    hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.integers(0, 1) | st.integers(0, 3),
        fill=st.nothing(),
    ),
    st.sampled_from([np.float64, np.float32, np.int8, np.int64, bool]),
    st.sampled_from([1, 0.37, 1e7]),
    st.data(),
)
def test_it_is_what_unique_finds(
    drawn: np.ndarray, dtype: type, step: float, data: st.DataObject
) -> None:
    rows = drawn.astype(dtype)
    if rows.dtype.kind == "f":
        rows = rows * rows.dtype.type(step)
    expected, counts = np.unique(rows, axis=0, return_counts=True)
    found = tally(rows)
    np.testing.assert_array_equal(found.patterns, expected)
    np.testing.assert_array_equal(found.weights, counts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    first, *parts = (tally(rows[a:b]) for a, b in pairwise([0, *cuts, len(rows)]))
    for part in parts:
        first = first + part
    np.testing.assert_array_equal(first.patterns, expected)
    np.testing.assert_array_equal(first.weights, counts)


def test_gaps_weights_and_many_columns() -> None:
    wide = np.tile(GAPS[:500], (1, 30))  # more patterns could be than a number can tell apart
    weights = RNG.integers(0, 3, 500).astype(float)
    found = tally(wide, weights)
    keys = [row.tobytes() for row in np.nan_to_num(wide, nan=9.0)]
    expected = pd.Series(weights).groupby(keys).sum()
    there = [row.tobytes() for row in np.nan_to_num(found.patterns, nan=9.0)]
    assert len(there) == len(set(there)) == (expected > 0).sum()
    np.testing.assert_array_equal(found.weights, expected[there])


def test_too_many() -> None:
    found = tally(RNG.normal(size=(100, 2)), most=99) + tally(np.zeros((5, 2)), most=99)
    assert found.many
    assert not len(found.rows)
    with pytest.raises(DataError, match="more than 99 different rows"):
        dem.compress(RNG.normal(size=(100, 2)), most=99)


def test_the_same_fit() -> None:
    model = dem.Mixture(3, dem.Bernoulli())
    params = dem.fit(model, X, max_iter=1, seed=1).params
    how = {"start": Given(params), "max_iter": 20, "tol": 0.0}
    patterns = dem.compress(GAPS)
    assert patterns.n_rows < N / 50
    whole, compressed = dem.fit(model, GAPS, **how), dem.fit(model, patterns, **how)
    np.testing.assert_allclose(
        [record.bound for record in compressed.history],
        [record.bound for record in whole.history],
        rtol=1e-12,
    )


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("rows", [X, GAPS], ids=["complete", "gaps"])
def test_estimators_do_it_where_it_pays(rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    model = dem.CategoricalMixture(3, levels=2, random_state=0, tol=1e-7).fit(rows)
    assert model.phases_[0].name == "patterns"
    assert model.phases_[0].rows == N
    assert 1 < model.n_passes_ < 2
    assert model.n_rows_read_ == pytest.approx(model.n_passes_ * N)
    monkeypatch.setattr(compression, "LEAST_ROWS", N + 1)
    plain = dem.CategoricalMixture(3, levels=2, random_state=0, tol=1e-7).fit(rows)
    assert plain.n_passes_ > 4
    assert model.lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-6)
    assert model.score(rows) == pytest.approx(plain.score(rows), abs=1e-6)


def test_where_it_does_not() -> None:
    counts = RNG.poisson(40.0, size=(N, 4))
    model = dem.PoissonMixture(2, random_state=0).fit(counts)
    assert model.phases_[0].name == "sample"


def test_a_few_blocks_are_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
    rows = np.tile(X, (4, 1))
    manifest = dem.open_data(rows)
    assert manifest.n_blocks > 16
    found = compression.if_it_pays(manifest)
    assert found is not None
    assert N * 4 < found.phase.rows < N * 8
    assert found.manifest.n_rows == 32
    assert compression.if_it_pays(dem.open_data(RNG.normal(size=(200_000, 1)))) is None


def test_going_on(tmp_path: Path) -> None:
    array = zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(5000, 5))
    assert array.shape == X.shape
    place = tmp_path / "kept"
    with pytest.warns(ConvergenceWarning):
        dem.BernoulliMixture(3, random_state=0, max_iter=2, tol=1e-8, checkpoint=place).fit(
            tmp_path / "x.zarr"
        )
    resumed = dem.BernoulliMixture.resume(place, max_iter=100)
    whole = dem.BernoulliMixture(3, random_state=0, tol=1e-8).fit(tmp_path / "x.zarr")
    np.testing.assert_array_equal(resumed.probabilities_, whole.probabilities_)
    other = np.concatenate([X, X[:1]])
    with pytest.raises(DataError, match="not the data of the checkpoint"):
        dem.BernoulliMixture.resume(place, other)
