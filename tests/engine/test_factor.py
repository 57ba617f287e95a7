"""Continuous h gives the same bits on threads and on workers; one read is enough for moments."""

from collections import Counter
from typing import Any

import dask.array as da
import numpy as np
import pytest
import sklearn.decomposition as sk
from dask import delayed
from distributed import Client

import dem
import trials
from dem.accelerate import QuasiNewton
from dem.families import Factors, Gaussian, Principal
from dem.models.factor import LinearGaussian
from dem.models.mixture import Mixture
from dem.schedules import Incremental, Once

pytestmark = pytest.mark.usefixtures("small_blocks")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20_000, 2)) @ RNG.normal(size=(2, 7)) + RNG.normal(size=(20_000, 7))
GAPS = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
WEIGHTS = RNG.gamma(2.0, size=len(X))
HOW: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "em": (LinearGaussian(2), X, {"accelerate": QuasiNewton()}),
    "groups": (LinearGaussian(2), X, {"schedule": Incremental(2)}),
    "missing": (LinearGaussian(2, missing=True), GAPS, {}),
    "factors": (Mixture(1, Gaussian(Factors(2))), X, {"schedule": Once()}),
    "principal": (Mixture(1, Gaussian(Principal(2))), X, {"schedule": Once()}),
}


@pytest.mark.parametrize("name", HOW)
def test_bits(client: Client, name: str) -> None:
    model, rows, how = HOW[name]

    def fitted(**more: Any) -> tuple[Any, ...]:
        fit = dem.fit(model, rows, weights=WEIGHTS, max_iter=4, tol=0.0, **how, **more)
        if "schedule" in how and isinstance(how["schedule"], Once):
            assert {p.name: p.rows for p in fit.phases}["turns"] == len(rows)
        return trials.bits(fit)

    expected = fitted(threads=1)
    assert fitted(threads=2) == expected
    with client.as_current():
        assert fitted() == expected


def test_estimators_on_a_cluster(client: Client) -> None:
    here = [dem.FactorAnalysis(2).fit(X), dem.PCA(2).fit(X)]
    with client.as_current():
        there = [dem.FactorAnalysis(2).fit(X), dem.PCA(2).fit(X)]
        job = dem.FactorAnalysis(2).submit(X, client=client)
        own = dem.FactorAnalysis.from_fit(job.result(60))
    for a, b in zip([*here, here[0]], [*there, own], strict=True):
        np.testing.assert_array_equal(a.components_, b.components_)
        np.testing.assert_array_equal(a.noise_variance_, b.noise_variance_)


@pytest.mark.parametrize("n_blocks", [16, 100])
@pytest.mark.parametrize("estimator", [dem.FactorAnalysis(2), dem.PCA(2)])
def test_each_block_is_read_once_and_three_twice(estimator: Any, n_blocks: int) -> None:
    reads: Counter[int] = Counter()

    def chunk(i: int) -> np.ndarray:
        reads[i] += 1
        return parts[i]

    parts = np.array_split(X, n_blocks)
    lazy = [da.from_delayed(delayed(chunk)(i), p.shape, p.dtype) for i, p in enumerate(parts)]
    estimator.fit(da.concatenate(lazy))
    assert sorted(reads.values()) == [1] * (n_blocks - 3) + [2] * 3
    assert estimator.n_passes_ == pytest.approx(1 + 3 / n_blocks, rel=1e-2)


def test_units_from_few_blocks_do_for_sorted_rows() -> None:
    x = X * np.logspace(-1, 1, 7) + 1e4
    inorder = x[np.argsort(x[:, 0])]
    ours, theirs = dem.PCA().fit(inorder), sk.PCA(svd_solver="full").fit(x)
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-6)
    score = dem.FactorAnalysis(2).fit(x).score(x)
    assert dem.FactorAnalysis(2).fit(inorder).score(x) == pytest.approx(score, abs=1e-8)


def test_a_start_has_ten_rows_for_each_column() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 5)) @ rng.normal(size=(5, 60)) + rng.normal(size=(4000, 60))
    model = dem.FactorAnalysis(8).fit(da.from_array(x, chunks=(10, 60)))
    assert model.n_passes_ == pytest.approx(1 + 60 / 400)
    assert model.score(x) == pytest.approx(dem.FactorAnalysis(8).fit(x).score(x), abs=1e-4)
