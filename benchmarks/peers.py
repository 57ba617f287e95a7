"""EM iterations of dem and of other libraries: seconds, likelihood, memory, from the same start.

    python benchmarks/peers.py [--quick] [--shapes NxDxK ...] [--covariances full ... kmeans]
                               [--dtypes float64 float32] [--threads 1 2] [--peers sklearn ...]
                               [--python PEER=INTERPRETER ...] [--repeats 5] [--json FILE]

Every peer fits in a process of its own (`runners.py`), by the interpreter given for it, or by this
one; a peer that cannot be imported there, or refuses a covariance or a precision, is left out. All
get the same rows, of components that overlap (well separated ones stand still after four
iterations), and the same start. They are warmed up, and then asked in turn, one at a time, for
fits of 2 and of 8 iterations; seconds per iteration are the difference of the medians over
--repeats, over six, so that what a fit does once does not count. (Where other work disturbs short
fits this may come out negative: take larger shapes, or a quiet machine.) A peer that has taken
more than --seconds in all is not asked again.

    ratio      its time over dem's, in the same run
    roofline   the share of its time that the arithmetic alone takes at least (`roofline.py`)
    Δ          its mean log-likelihood (k-means: minus half the mean squared distance) after 8
               iterations minus dem's, both calculated here from the parameters, in float64, on the
               first 20 000 rows
    MB         peak memory above what it held before the first fit, with the rows loaded
    !          it made fewer iterations than it was asked for

MLlib's start can be given only in its RDD interface; gmmx and faiss know float32 only.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Self

import numpy as np
from iteration import overlapping
from roofline import Machine
from runners import KMEANS, MIXTURES
from scipy.special import logsumexp

SHAPES = ("500000x16x10", "1000000x2x5", "100000x64x32", "200000x32x20")
QUICK = ("100000x16x10", "200000x2x5")
COVARIANCES = ("full", "tied", "diag", "spherical", "kmeans")
SHORT, LONG = 2, 8
SCORED = 20_000
RUNNERS = Path(__file__).with_name("runners.py")


class Peer:
    """A process that fits with one library on command."""

    def __init__(self, name: str, python: str, place: Path, threads: int) -> None:
        self.name, self._place = name, place
        limits = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
        # Threads that spin while another peer is at work would slow it down.
        env = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYSPARK_PYTHON": python}
        env |= {f"{name}_NUM_THREADS": str(threads) for name in limits}
        with (place / f"{name}.log").open("w") as log:
            self._process = subprocess.Popen(
                [python, str(RUNNERS), name, str(place)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=env,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        last = (self._place / f"{self.name}.log").read_text().splitlines()[-1:]
        return json.loads(line) if line else {"error": f"it died: {' '.join(last)}"}

    def fit(self, iterations: int) -> dict[str, Any]:
        self._process.stdin.write(f"{iterations}\n")
        self._process.stdin.flush()
        return self.answer()

    def found(self) -> dict[str, np.ndarray]:
        with np.load(self._place / f"{self.name}.npz") as arrays:
            return dict(arrays)


@dataclass(frozen=True)
class Case:
    n: int
    d: int
    k: int
    covariance: str
    dtype: str
    threads: int

    def rows(self) -> np.ndarray:
        return overlapping(self.n, self.d, self.k).astype(self.dtype)

    def start(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Equal weights, rows as means, and the covariance of a part of the data for each."""
        part = rows[:SCORED].astype(float)
        means = part[np.random.default_rng(1).choice(len(part), self.k, replace=False)]
        tied = np.atleast_2d(np.cov(part.T))
        tables = {
            "full": np.repeat(tied[None], self.k, axis=0),
            "tied": tied,
            "diag": np.repeat(np.diag(tied)[None], self.k, axis=0),
            "spherical": np.full(self.k, np.trace(tied) / self.d),
            "kmeans": np.empty(0),
        }
        weights = np.full(self.k, 1 / self.k)
        return {"weights": weights, "means": means, "covariances": tables[self.covariance]}

    def score(self, rows: np.ndarray, means: Any, weights: Any = None, covariances: Any = None):
        """Per row of some: log-likelihood, or minus half the squared distance to its centre."""
        x, means = rows[:SCORED].astype(float), np.asarray(means, float)
        if self.covariance == "kmeans":
            return -np.min([((x - mean) ** 2).sum(axis=1) for mean in means], axis=0).mean() / 2
        tables = np.asarray(covariances, float)
        if self.covariance == "tied":
            tables = np.repeat(tables[None], self.k, axis=0)
        logits = np.empty((self.k, len(x)))
        for j, table in enumerate(tables):
            full = table if table.ndim == 2 else np.eye(self.d) * table
            root = np.linalg.cholesky(full)
            z = np.linalg.solve(root, (x - means[j]).T)
            log_volume = np.log(np.diag(root)).sum() + self.d / 2 * math.log(2 * math.pi)
            logits[j] = math.log(weights[j]) - log_volume - (z**2).sum(axis=0) / 2
        return logsumexp(logits, axis=0).mean()


@dataclass
class Times:
    short: list[float] = field(default_factory=list)
    long: list[float] = field(default_factory=list)

    @property
    def spent(self) -> float:
        return sum(self.short) + sum(self.long)

    @property
    def iteration(self) -> float:
        """Seconds."""
        return (statistics.median(self.long) - statistics.median(self.short)) / (LONG - SHORT)


def compare(
    case: Case, names: list[str], pythons: dict[str, str], repeats: int, seconds: float
) -> list[dict[str, Any]]:
    """A row for each peer that does this, dem first; others with the reason."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        place, rows = Path(scratch), case.rows()
        np.save(place / "rows.npy", rows)
        np.savez(place / "start.npz", **case.start(rows))
        (place / "task.json").write_text(json.dumps(asdict(case)))
        able, refused = [], []
        for name in names:  # one after another, so that none is warmed up while another is
            peer = Peer(name, pythons.get(name, sys.executable), place, case.threads)
            stack.enter_context(peer)
            said = peer.answer()
            if "error" in said:
                refused.append({"peer": name, **asdict(case), **said})
            else:
                able.append(peer)
        times = {peer.name: Times() for peer in able}
        last = {}
        for turn in range(repeats):
            for peer in able:
                mine = times[peer.name]
                if turn and mine.spent > seconds:
                    continue
                mine.short.append(peer.fit(SHORT)["seconds"])
                last[peer.name] = peer.fit(LONG)
                mine.long.append(last[peer.name]["seconds"])
        results = [
            {
                "peer": peer.name, **asdict(case), "seconds": times[peer.name].iteration,
                "repeats": len(times[peer.name].long),
                "score": float(case.score(rows, **peer.found())),
                "megabytes": (last[peer.name]["peak"] - last[peer.name]["before"]) / 1e6,
                "exact": last[peer.name]["iterations"] == LONG,
            }
            for peer in able
        ]  # fmt: skip
    return results + refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small shapes, two repeats")
    parser.add_argument("--shapes", nargs="+", metavar="NxDxK")
    parser.add_argument("--covariances", nargs="+", default=COVARIANCES, choices=COVARIANCES)
    parser.add_argument("--dtypes", nargs="+", default=("float64", "float32"))
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    every = list(dict.fromkeys((*MIXTURES, *KMEANS)))
    parser.add_argument("--peers", nargs="+", default=every[1:], choices=every[1:])
    parser.add_argument("--python", nargs="+", default=(), metavar="PEER=INTERPRETER")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in args.python)
    machines = {dtype: Machine.measured(dtype) for dtype in args.dtypes}
    for dtype, machine in machines.items():
        print(
            f"{dtype}, one thread: {machine.flops / 1e9:.0f} Gflop/s, "
            f"{machine.exponentials / 1e9:.2f} G exp/s, {machine.bytes / 1e9:.1f} GB/s"
        )
    print(
        "       N    D    K  covariance dtype   threads  peer         µs/row  ratio  roofline"
        "         Δ     MB"
    )
    results = []
    shapes = args.shapes or (QUICK if args.quick else SHAPES)
    for shape, covariance, dtype, threads in product(
        shapes, args.covariances, args.dtypes, args.threads
    ):
        case = Case(*map(int, shape.split("x")), covariance, dtype, threads)
        table = KMEANS if covariance == "kmeans" else MIXTURES
        names = ["dem", *(name for name in args.peers if name in table)]
        repeats = args.repeats or (2 if args.quick else 5)
        rows = compare(case, names, pythons, repeats, args.seconds)
        results += rows
        if "error" in rows[0] or rows[0]["peer"] != "dem":
            raise SystemExit(f"dem could not do this: {rows}")
        least = machines[dtype].seconds(case.d, case.k, covariance, dtype, threads)
        for row in rows:
            if "error" not in row:
                row["ratio"] = row["seconds"] / rows[0]["seconds"]
                row["roofline"] = least * case.n / row["seconds"]
                print(line(row, rows[0]["score"]), flush=True)
    refused = {(row["peer"], row["error"]) for row in results if "error" in row}
    for peer, why in sorted(refused):
        print(f"without {peer}: {why}")
    if args.json:
        speeds = {dtype: asdict(machine) for dtype, machine in machines.items()}
        Path(args.json).write_text(json.dumps({"machine": speeds, "results": results}, indent=1))


def line(row: dict[str, Any], score: float) -> str:
    return (
        f"{row['n']:8} {row['d']:4} {row['k']:4}  {row['covariance']:10} {row['dtype']} "
        f"{row['threads']:7}  {row['peer']:11} {row['seconds'] / row['n'] * 1e6:7.3f} "
        f"{row['ratio']:6.2f} {row['roofline']:9.0%} {row['score'] - score:+9.1e} "
        f"{row['megabytes']:6.0f}{'' if row['exact'] else ' !'}"
    )


if __name__ == "__main__":
    main()
