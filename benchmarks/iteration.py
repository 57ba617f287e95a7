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

Where the time goes, full covariances, µs per row on one core of 53 Gflop/s, by timers round each
part, so to a tenth or so:

    N, D, K                      500 000, 16, 10    100 000, 64, 32
    columns first (`load_tile`)        0.03               0.15
    features (`products`)              0.06               1.25  (made twice, in the cache)
    η T                                0.06               2.7
    adding up its panels               -                  0.24
    responsibilities                   0.05               0.15
    R Tᵀ                               0.07               2.8
    calls, reading, M-step, bound      0.04               0.6
    all                                0.31               7.9
    the arithmetic alone               0.12               5.2

scikit-learn takes 2.4 and 36 µs, so that it can be beaten 20 and 7 times at most by two products
in float64: an eighth of 36 µs is less than the arithmetic. Nothing is skipped where components
overlap as they do here: a row has 22 of 32 responsibilities above 1e-8, and 31.7 above 1e-16.
"""

import argparse
import json
import statistics
import time
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

import dem
from dem.climb import Climb, turn_by_turn
from dem.engine.local import Local
from dem.engine.manifest import open_data
from dem.records import State

SHAPES = ("500000x16x10", "1000000x2x5", "100000x64x32")
COVARIANCES = ("full", "tied", "diag", "spherical")


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


def speed_of_products() -> float:
    """Flops per second of a square float64 matrix product, on one thread."""
    a = np.random.default_rng(0).normal(size=(768, 768))
    with threadpool_limits(1):
        return 2 * 768**3 / min(timed(lambda: a @ a) for _ in range(10))


def speed_of_exponentials() -> float:
    """Exponentials per second in the cache, on one thread."""
    x = -np.random.default_rng(0).random(50_000)
    out = np.empty_like(x)
    return 50_000 / min(timed(lambda: np.exp(x, out=out)) for _ in range(50))


def timed(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare(n: int, d: int, k: int, covariance: str, threads: int, repeats: int) -> dict:
    """Medians of interleaved iterations from the same start."""
    rows = overlapping(n, d, k)
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
    features = {"full": 1 + d + d * (d + 1) // 2, "tied": 1 + d, "diag": 1 + 2 * d}
    p = features.get(covariance, 2 + d)
    flops = 4 * k * p + (d * (d + 1) if covariance == "tied" else 0)
    return {
        "n": n, "d": d, "k": k, "covariance": covariance, "threads": threads,
        "sklearn_us": statistics.median(times["sklearn"]) / n * 1e6,
        "dem_us": statistics.median(times["dem"]) / n * 1e6,
        "flops": flops,
        "difference": abs(bounds["sklearn"] - bounds["dem"]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="NxDxK")
    parser.add_argument("--covariances", nargs="+", default=COVARIANCES, choices=COVARIANCES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    flops, exps = speed_of_products(), speed_of_exponentials()
    print(f"one thread: {flops / 1e9:.0f} Gflop/s, {exps / 1e9:.2f} G exp/s", flush=True)
    print("       N    D    K  covariance  sklearn µs  dem µs/row  ratio  roofline  |Δ bound|")
    results = []
    for shape in args.shapes:
        n, d, k = map(int, shape.split("x"))
        for covariance in args.covariances:
            row = compare(n, d, k, covariance, args.threads, args.repeats)
            bound = (row["flops"] / flops + k / exps) / args.threads * 1e6
            row["ratio"] = row["sklearn_us"] / row["dem_us"]
            row["roofline"] = bound / row["dem_us"]
            results.append(row)
            print(
                f"{n:8} {d:4} {k:4}  {covariance:10} {row['sklearn_us']:11.3f} "
                f"{row['dem_us']:11.3f} {row['ratio']:6.1f} {row['roofline']:9.0%} "
                f"{row['difference']:10.1e}",
                flush=True,
            )
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"flops": flops, "exps": exps, "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
