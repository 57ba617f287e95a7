"""Continuous h gives the same bits on threads and on workers; one read is enough for moments."""

from typing import Any

import numpy as np
import pytest
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
