"""What an EM iteration of a Gaussian mixture costs at least, at the speeds of this machine.

    python benchmarks/roofline.py

Per row: 4·K·P flops, which are two products with the P features of a row, for the log-densities
and for the statistics; K exponentials; and one read of D numbers. Full covariances have
P = 1 + D + D(D+1)/2 features, diagonal ones 1 + 2D, spherical ones 2 + D. Tied ones have 1 + D,
since their quadratic term is common to all components, and D(D+1) flops for the pooled scatter.
k-means needs no exponentials, and P = 1 + D. Flops and exponentials add up; the read goes on
beside them, so that the bound is the larger one of arithmetic and memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

SIDE, IN_CACHE, IN_MEMORY = 768, 50_000, 2**26


@dataclass(frozen=True)
class Machine:
    """Speeds of one thread in one precision, per second."""

    flops: float  # of a square matrix product
    exponentials: float  # of numbers in the cache
    bytes: float  # summed up from memory

    @classmethod
    def measured(cls, dtype: str) -> Machine:
        rng = np.random.default_rng(0)
        a = rng.normal(size=(SIDE, SIDE)).astype(dtype)
        x = -rng.random(IN_CACHE).astype(dtype)
        out, far = np.empty_like(x), np.ones(IN_MEMORY // x.itemsize, dtype)
        with threadpool_limits(1):
            return cls(
                2 * SIDE**3 / best(lambda: a @ a, 10),
                IN_CACHE / best(lambda: np.exp(x, out=out), 50),
                IN_MEMORY / best(far.max, 5),
            )

    def seconds(self, d: int, k: int, covariance: str, dtype: str, threads: int = 1) -> float:
        """The least for a row, on so many threads."""
        arithmetic = flops(d, k, covariance) / self.flops
        if covariance != "kmeans":
            arithmetic += k / self.exponentials
        # Threads share the memory, and one of them is not always enough to fill it.
        return max(arithmetic / threads, d * np.dtype(dtype).itemsize / self.bytes / threads)


def flops(d: int, k: int, covariance: str) -> int:
    """Of an iteration, per row."""
    features = {
        "full": 1 + d + d * (d + 1) // 2,
        "tied": 1 + d,
        "diag": 1 + 2 * d,
        "spherical": 2 + d,
        "kmeans": 1 + d,
    }
    return 4 * k * features[covariance] + (d * (d + 1) if covariance == "tied" else 0)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def best(work: Callable[[], object], repeats: int) -> float:
    """The least seconds of several: what the machine can do when nothing disturbs it."""
    return min(timed(work) for _ in range(repeats))


if __name__ == "__main__":
    for precision in ("float64", "float32"):
        can = Machine.measured(precision)
        print(
            f"{precision}, one thread: {can.flops / 1e9:.0f} Gflop/s, "
            f"{can.exponentials / 1e9:.2f} G exp/s, {can.bytes / 1e9:.1f} GB/s"
        )
