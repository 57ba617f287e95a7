"""Seconds of an EM iteration of a Gaussian HMM, here on some threads and by hmmlearn.

    pip install hmmlearn
    python benchmarks/hmm.py --rows 1000000 -k 8 -d 8 --threads 2

Both go from the same start through the same iterations, as the bounds tell. On a machine that has
other things to do, CPU seconds say more: dem's are of all threads together.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np

import dem


def chain(n: int, k: int, d: int, seed: int = 0) -> tuple[np.ndarray, dict[str, Any]]:
    """Rows of one chain, whose states overlap, and a start not far from what made it."""
    rng = np.random.default_rng(seed)
    transmat = 0.1 * rng.dirichlet(np.ones(k), k) + 0.9 * np.eye(k)
    jumps = np.flatnonzero(rng.random(n) < 0.1)
    state = np.zeros(n, int)
    state[jumps] = rng.integers(0, k, len(jumps))
    last = np.zeros(n, int)
    last[jumps] = jumps
    state = state[np.maximum.accumulate(last)]
    means = rng.normal(size=(k, d)) * 1.2
    rows = means[state] + rng.normal(size=(n, d))
    start = {
        "startprob_init": np.full(k, 1 / k),
        "transmat_init": transmat,
        "means_init": means + 0.5 * rng.normal(size=(k, d)),
    }
    return rows, start


Result = tuple[float, float, float]  # seconds and CPU seconds of a turn, and the last bound


def ours(rows: np.ndarray, lengths: Any, start: dict, form: str, turns: int) -> Result:
    """With so many turns."""
    k, d = start["means_init"].shape
    shape = {"full": np.tile(np.eye(d), (k, 1, 1)), "diag": np.ones((k, d))}[form]

    def fitted(turns: int) -> tuple[Any, float]:
        model = dem.GaussianHMM(
            k, covariance_type=form, reg_covar=0.0, schedule="batch", max_iter=turns, tol=0.0,
            covars_init=shape, random_state=0, **start,
        )  # fmt: skip
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(rows, lengths)
        return model, time.process_time() - began

    _, before = fitted(1)  # the sample, the start, and the first turn
    model, spent = fitted(1 + turns)
    seconds = sorted(record.seconds for record in model.history_[1:])
    bound = model.lower_bounds_[turns - 1] * len(rows)
    return seconds[len(seconds) // 2], (spent - before) / turns, bound


def theirs(rows: np.ndarray, lengths: Any, start: dict, form: str, turns: int, way: str) -> Result:
    """The same by hmmlearn, in one thread."""
    from hmmlearn.hmm import GaussianHMM

    k, d = start["means_init"].shape
    model = GaussianHMM(
        k, form, n_iter=1, tol=-np.inf, init_params="", min_covar=0, covars_prior=0,
        covars_weight=0, means_weight=0, implementation=way,
    )  # fmt: skip
    model.n_features = d
    model.startprob_, model.transmat_ = start["startprob_init"], start["transmat_init"]
    model.means_ = start["means_init"]
    model.covars_ = {"full": np.tile(np.eye(d), (k, 1, 1)), "diag": np.ones((k, d))}[form]
    seconds, cpu = [], time.process_time()
    for _ in range(turns):
        began = time.perf_counter()
        model.fit(rows, lengths)
        seconds.append(time.perf_counter() - began)
    spent = (time.process_time() - cpu) / turns
    return sorted(seconds)[len(seconds) // 2], spent, model.monitor_.history[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("-k", type=int, default=8)
    parser.add_argument("-d", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--form", choices=["full", "diag"], default="full")
    options = parser.parse_args()
    import dask

    rows, start = chain(options.rows, options.k, options.d)
    print("sequences     who                 seconds  CPU seconds  ratio  CPU ratio  bound")
    for name, lengths in (("one", None), ("of 1000 rows", [1000] * (options.rows // 1000))):
        given = (rows, lengths, start, options.form, options.turns)
        with dask.config.set(num_workers=options.threads):
            wall, cpu, bound = ours(*given)
        print(
            f"{name:14}dem, {options.threads} threads     {wall:8.3f}{cpu:13.3f}{'':18}{bound:.4f}"
        )
        for way in ("scaling", "log"):
            their_wall, their_cpu, their_bound = theirs(*given, way)
            # What the CPU seconds come to where threads are not in each other's way
            ratio, cpu_ratio = their_wall / wall, their_cpu / (cpu / options.threads)
            print(
                f"{name:14}hmmlearn, {way:8}  {their_wall:8.3f}{their_cpu:13.3f}{ratio:7.1f}"
                f"{cpu_ratio:11.1f}  {their_bound:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
