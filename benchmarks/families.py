"""One E-step of each family in memory, against the same in plain NumPy: two products, a logsumexp.

    python benchmarks/families.py [ROWS]

Both on one thread, interleaved; the median of 5, in µs of CPU time per row. D = 16, K = 10.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import logsumexp

import dem
from dem.contract import Sample
from dem.engine.blas import one_blas_thread
from dem.families import ExponentialFamily
from dem.posteriors import Exact

D, K, REPEATS = 16, 10, 5
Array = np.ndarray


def plain(family: ExponentialFamily, params: Any, rows: Array) -> float:
    """The log-likelihood; the statistics are made and thrown away."""
    eta, log_norm = family.natural(params.components)
    features = np.empty((eta.shape[1], len(rows)))
    family.features(params.components, rows.T, features)
    log_joint = features.T @ eta.T + (np.log(params.weights) - log_norm.sum(axis=1))
    total = logsumexp(log_joint, axis=1)
    responsibilities = np.exp(log_joint - total[:, None])
    _ = responsibilities.sum(axis=0), responsibilities.T @ features.T
    return float(total.sum() + np.sum(family.base(params.components, rows.T)))


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def measure(name: str, family: Any, rows: Array) -> None:
    model, n = dem.Mixture(K, family), len(rows)
    few = rows[:5000]
    params = model.start(Sample.of(few, np.ones(len(few)), False), np.random.default_rng(0))
    prepared, ours, theirs = model.prepare(params), [], []
    compare = isinstance(family, ExponentialFamily) and not np.isnan(rows).any()
    for _ in range(REPEATS):
        time_, stats = seconds(lambda: model.e_step(prepared, rows, None, Exact()))
        ours.append(time_ / n * 1e6)
        if compare:
            time_, value = seconds(lambda: plain(family, params, rows))
            theirs.append(time_ / n * 1e6)
            bound = model.expected_log_joint(params, stats) + stats.entropy
            assert abs(bound - value) <= 1e-9 * abs(value)
    mine = statistics.median(ours)
    text = f"{name:24}{mine:9.3f}"
    if compare:
        other = statistics.median(theirs)
        text += f"{other:12.3f}{other / mine:7.1f}"
    print(text, flush=True)


def main(n: int) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, K, n)
    z = rng.normal(size=(n, D)) + rng.normal(size=(K, D))[labels]
    binary = (z > 0).astype(float)
    counts = rng.poisson(np.exp(z / 2)).astype(float)
    codes = rng.integers(0, 5, (n, D)).astype(float)
    holes = rng.random((n, D)) < 0.2
    print(f"{n} rows            dem, µs   NumPy, µs  ratio")
    cases = {
        "Bernoulli": (dem.Bernoulli(), binary),
        "Bernoulli, 20 % missing": (dem.Bernoulli(), np.where(holes, np.nan, binary)),
        "Categorical, 5 levels": (dem.Categorical(5), codes),
        "Multinomial": (dem.Multinomial(), counts),
        "Poisson": (dem.Poisson(), counts),
        "Poisson, 20 % missing": (dem.Poisson(), np.where(holes, np.nan, counts)),
        "NegativeBinomial": (dem.NegativeBinomial(), counts),
        "Exponential": (dem.Exponential(), np.exp(z)),
        "Gamma": (dem.Gamma(), np.exp(z)),
        "LogNormal": (dem.LogNormal(), np.exp(z)),
        "Normal": (dem.Normal(), z),
        "Normal, 20 % missing": (dem.Normal(), np.where(holes, np.nan, z)),
        "Gaussian, diagonal": (dem.Gaussian(dem.Diagonal()), z),
        "StudentT, diagonal": (dem.StudentT(dem.Diagonal()), z),
        "Gaussian, full": (dem.Gaussian(dem.Full()), z),
        "StudentT, full": (dem.StudentT(dem.Full()), z),
        "Beta": (dem.Beta(), 1 / (1 + np.exp(-z))),
        "VonMisesFisher": (dem.VonMisesFisher(), z / np.linalg.norm(z, axis=1, keepdims=True)),
    }
    with one_blas_thread(), np.errstate(all="ignore"):
        for name, (family, rows) in cases.items():
            measure(name, family, rows)


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000)
