"""One EM iteration of dem against scikit-learn's, as ratios in one run.

    python benchmarks/iteration.py [--shapes 500000x16x10 ...] [--covariances full ...]
                                   [--threads 1] [--repeats 5] [--json FILE]

Both start from the same parameters on the same overlapping data, in memory, with as many BLAS
threads (scikit-learn) or engine threads (dem) as --threads says. Iterations are interleaved, and
medians compared, because machines are noisy. An iteration is the E-step with statistics and the
M-step: `_e_step` and `_m_step` there, one turn of the loop on the local engine here. The mean
log-likelihoods that both find before the M-step are printed as a check that they do the same.

The roofline is the arithmetic alone: 4·K·P flops (two products with the P features) at the speed
of a square matrix product on this machine, measured in the same run, and K exponentials a row.

`where.py` tells where dem's time goes. scikit-learn takes 2.6 and 40 µs a row at (16, 10) and
(64, 32), so that at 52 Gflop/s it can be beaten 20 and 7 times at most by two products in float64:
an eighth of 40 µs is less than the arithmetic. Nothing is skipped where components overlap as they
do here: a row has 22 of 32 responsibilities above 1e-8, and 31.7 above 1e-16.
"""

import argparse
import json
import statistics
import warnings
from dataclasses import asdict
from itertools import product

import numpy as np
from roofline import Machine, timed
from threadpoolctl import threadpool_limits

import dem
from dem.climb import Climb, turn_by_turn
from dem.engine.local import Local
from dem.engine.manifest import open_data
from dem.records import State

SHAPES = ("500000x16x10", "1000000x2x5", "100000x64x32")
COVARIANCES = ("full", "tied", "diag", "spherical")
DTYPES = ("float64", "float32")


def overlapping(n: int, d: int, k: int, seed: int = 0) -> np.ndarray:
    """Rows of a mixture whose components overlap; well separated ones converge at once."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(k, d)) * (2.0 / np.sqrt(d))
    shapes = np.eye(d) + rng.normal(size=(k, d, d)) / (2 * np.sqrt(d))
    labels, rows = rng.integers(k, size=n), rng.normal(size=(n, d))
    for j in range(k):
        here = labels == j
        rows[here] = rows[here] @ shapes[j].T + means[j]
    return rows


def compare(
    n: int, d: int, k: int, covariance: str, dtype: str, threads: int, repeats: int
) -> dict:
    """Medians of interleaved iterations from the same start."""
    rows = overlapping(n, d, k).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = dem.GaussianMixture(
            k, covariance_type=covariance, max_iter=3, tol=0, random_state=0
        ).fit(rows[: max(n // 4, 1000 * k)])
    theirs, model, start = ours.to_sklearn(), ours._fitted.model, ours._fitted.params
    bounds, times = {}, {"sklearn": [], "dem": []}

    def their_iteration() -> None:
        bounds["sklearn"], log_resp = theirs._e_step(rows)
        theirs._m_step(rows, log_resp)

    manifest = open_data(rows)
    n_blocks = manifest.n_blocks
    with Local(manifest, threads=threads) as engine:
        state = State(0, start, None, (), None, ())
        turns = turn_by_turn(Climb(model), state, [range(n_blocks)])

        def our_iteration() -> None:
            sweep = next(turns)
            bounds["dem"] = turns.send(engine.sweep(sweep.work, sweep.groups)).bound_e

        with threadpool_limits(threads):
            for _ in range(repeats):
                times["sklearn"].append(timed(their_iteration))
                times["dem"].append(timed(our_iteration))
    return {
        "n": n, "d": d, "k": k, "covariance": covariance, "dtype": dtype, "threads": threads,
        "sklearn_us": statistics.median(times["sklearn"]) / n * 1e6,
        "dem_us": statistics.median(times["dem"]) / n * 1e6,
        "difference": abs(bounds["sklearn"] - bounds["dem"]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="NxDxK")
    parser.add_argument("--covariances", nargs="+", default=COVARIANCES, choices=COVARIANCES)
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    machine = {dtype: Machine.measured(dtype) for dtype in args.dtypes}
    for dtype, can in machine.items():
        speeds = f"{can.flops / 1e9:.0f} Gflop/s, {can.exponentials / 1e9:.2f} G exp/s"
        print(f"{dtype}, one thread: {speeds}", flush=True)
    print("       N    D    K  covariance  dtype   sklearn µs  dem µs/row  ratio  roofline  |Δ|")
    results = []
    cases = product(args.shapes, args.covariances, args.dtypes)
    for shape, covariance, dtype in cases:
        n, d, k = map(int, shape.split("x"))
        row = compare(n, d, k, covariance, dtype, args.threads, args.repeats)
        least = machine[dtype].seconds(d, k, covariance, dtype, args.threads) * 1e6
        row["ratio"] = row["sklearn_us"] / row["dem_us"]
        row["roofline"] = least / row["dem_us"]
        results.append(row)
        print(
            f"{n:8} {d:4} {k:4}  {covariance:10} {dtype} {row['sklearn_us']:11.3f} "
            f"{row['dem_us']:11.3f} {row['ratio']:6.1f} {row['roofline']:9.0%} "
            f"{row['difference']:8.1e}",
            flush=True,
        )
    if args.json:
        with open(args.json, "w") as file:
            json.dump(
                {"machine": {k: asdict(v) for k, v in machine.items()}, "results": results}, file
            )


if __name__ == "__main__":
    main()
