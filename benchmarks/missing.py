"""An EM iteration on rows with missing values against one on complete rows, as a ratio in one run.

    python benchmarks/missing.py [--shape 1000000x10x5] [--share 0.2] [--covariance full]
                                 [--threads 1 2] [--repeats 5]

The same rows, in memory, from the same parameters; of one copy a share of the values is missing at
random, so that almost every row lacks some and almost every pattern of D columns is there. An
iteration is one turn of the loop on the local engine. Iterations are interleaved, and medians
compared, of the time that passes and of what the process takes of the processors.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Iterator

import numpy as np
from iteration import overlapping

import dem
from dem.climb import Climb, turn_by_turn
from dem.engine.local import Local
from dem.engine.manifest import open_data
from dem.estimators.inputs import COVARIANCES
from dem.records import State


def turns(engine: Local, model: dem.Mixture, start: object) -> Iterator[float]:
    """The bounds of one turn after the other."""
    state = State(0, start, None, (), None, ())
    loop = turn_by_turn(Climb(model), state, [range(engine.manifest.n_blocks)])
    sweep = next(loop)
    while True:
        yield loop.send(engine.sweep(sweep.work, sweep.groups)).bound_e
        sweep = next(loop)


def compare(n: int, d: int, k: int, share: float, form: object, threads: int, repeats: int) -> str:
    """Medians of interleaved iterations from the same start, in words."""
    rows = overlapping(n, d, k)
    holes = np.random.default_rng(1).random(rows.shape) < share
    model = dem.Mixture(k, dem.Gaussian(form, missing=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = dem.fit(model, rows[: max(n // 10, 1000 * k)], max_iter=3, tol=0.0).params
    with (
        Local(open_data(rows), threads=threads) as whole,
        Local(open_data(np.where(holes, np.nan, rows)), threads=threads) as gaps,
    ):
        both = [turns(engine, model, start) for engine in (whole, gaps)]
        times: tuple[list, list] = [], []
        for _ in range(repeats):
            for of_one, one in zip(times, both, strict=True):
                began = time.perf_counter(), time.process_time()
                next(one)
                of_one.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    wall, work = (
        [statistics.median(pair[i] for pair in of_one) for of_one in times] for i in (0, 1)
    )
    return (
        f"{threads} threads: complete {wall[0] / n * 1e6:.3f}, with gaps {wall[1] / n * 1e6:.3f} "
        f"us a row, {wall[1] / wall[0]:.2f} times; of the processors {work[1] / work[0]:.2f} times"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="1000000x10x5", help="rows x columns x components")
    parser.add_argument("--share", type=float, default=0.2, help="of the values that are missing")
    parser.add_argument("--covariance", default="full", choices=COVARIANCES)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    n, d, k = map(int, given.shape.split("x"))
    form = COVARIANCES[given.covariance]
    for threads in given.threads:
        print(compare(n, d, k, given.share, form, threads, given.repeats))


if __name__ == "__main__":
    main()
