"""What is inferred from a fit, on a cluster: the bits of threads.

For data on disk and in this process.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client

import dem
from dem.inference import Simulated
from dem.starts import Given
from dem.stats import leaves

BLOCK = 4096
RNG = np.random.default_rng(5)
X = np.concatenate([RNG.normal(size=(2 * BLOCK, 2)), RNG.normal(size=(BLOCK, 2)) + 3])
X = RNG.permutation(X)
MODEL = dem.Mixture(2, dem.Gaussian())
FIT = dem.fit(MODEL, X, tol=1e-12, max_iter=500, threads=1)
pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("small_blocks")]


def inferred(data: Any) -> list[bytes]:
    errors = dem.standard_errors(FIT, data)
    resampled = dem.bootstrap(FIT, data, n_replicates=3)
    simulated = dem.bootstrap(FIT, data, n_replicates=3, replicate=Simulated(1))
    null = dem.Mixture(1, dem.Gaussian())
    one = dem.fit(null, X, start=Given(null.start(sample(), RNG)), threads=1)
    test = dem.likelihood_ratio_test(one, data, n_replicates=2)
    values = (
        dem.summarise(FIT, data),
        tuple(errors.errors.values()),
        tuple(resampled.replicates.values()),
        tuple(simulated.replicates.values()),
        test.replicates,
        test.statistic,
    )
    return [leaf.tobytes() for leaf in leaves(values)]


def sample() -> Any:
    from dem.contract import Sample

    return Sample.of(X, np.ones(len(X)), True)


@pytest.mark.parametrize("kind", ["file", "array"])
def test_the_same_bits(client: Client, kind: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    data = dem.open_data(tmp_path / "x.npy", block_bytes=BLOCK * 16) if kind == "file" else X
    here = inferred(data)
    with client.as_current():
        assert inferred(data) == here
