"""How the time of an EM iteration grows with rows, columns, components, chunks and threads.

    python benchmarks/scaling.py [--quick] [--covariances full diag] [--dtype float64]
                                 [--repeats 5] [--json FILE] [--plot FILE]

One of N, D, K, rows of a chunk and threads varies at a time, about N = 200 000, D = 16, K = 10, one
thread and chunks as dem cuts them; rows are in memory. Repeats go round all points, and medians
count. Beside µs per row there is what the arithmetic alone takes at least (`roofline.py`); in the
picture it is the dotted line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from iteration import overlapping
from roofline import Machine, timed

import dem
from dem.climb import Climb, turn_by_turn
from dem.engine.local import Local
from dem.engine.manifest import Manifest, open_data
from dem.engine.readers.arrays import ArraySource
from dem.records import State

COVARIANCES = ("full", "tied", "diag", "spherical")


@dataclass(frozen=True)
class Point:
    """rows : of a chunk; 0 for those that dem cuts."""

    n: int = 200_000
    d: int = 16
    k: int = 10
    rows: int = 0
    threads: int = 1


FULL = {
    "n": (2_000, 20_000, 200_000, 2_000_000),
    "d": (1, 2, 4, 8, 16, 32, 64),
    "k": (1, 2, 5, 10, 30, 100),
    "rows": (200, 1_000, 5_000, 20_000, 100_000),
    "threads": tuple(range(1, (os.cpu_count() or 1) + 1)),
}
QUICK = {
    "n": (2_000, 20_000),
    "d": (2, 8),
    "k": (2, 10),
    "rows": (1_000, 10_000),
    "threads": (1, 2),
}
NAMES = {
    "n": "rows",
    "d": "columns",
    "k": "components",
    "rows": "rows of a chunk",
    "threads": "threads",
}


def cut(rows: np.ndarray, size: int) -> Manifest:
    if not size:
        return open_data(rows)
    edges = np.append(np.arange(0, len(rows), size), len(rows)).astype(np.int64)
    return Manifest(ArraySource(rows).reader(edges), edges, rows.shape[1], rows.dtype)


def turning(stack: ExitStack, point: Point, covariance: str, dtype: str) -> Callable[[], Any]:
    """One turn of a fit, each time that it is called."""
    rows = overlapping(point.n, point.d, point.k).astype(dtype)
    start = dem.GaussianMixture(
        point.k, covariance_type=covariance, schedule="batch", init_params="random_from_data",
        max_iter=2, tol=0.0, random_state=0,
    ).fit(rows[:20_000])._fitted  # fmt: skip
    manifest = cut(rows, point.rows)
    engine = stack.enter_context(Local(manifest, threads=point.threads))
    state = State(0, start.params, None, (), None, ())
    turns = turn_by_turn(Climb(start.model), state, [range(manifest.n_blocks)])

    def turn() -> None:
        sweep = next(turns)
        turns.send(engine.sweep(sweep.work, sweep.groups))

    return turn


def curve(
    base: Point, name: str, values: tuple[int, ...], covariance: str, dtype: str,
    machine: Machine, repeats: int,
) -> list[dict[str, Any]]:  # fmt: skip
    points = [replace(base, **{name: value}) for value in values]
    with ExitStack() as stack:
        turns = [turning(stack, point, covariance, dtype) for point in points]
        for turn in turns:
            turn()
        rounds = [[timed(turn) for turn in turns] for _ in range(repeats)]
    results = []
    for point, times in zip(points, zip(*rounds, strict=True), strict=True):
        least = machine.seconds(point.d, point.k, covariance, dtype, point.threads)
        took = statistics.median(times) / point.n
        results.append(
            {
                "varies": name, "value": getattr(point, name), "covariance": covariance,
                "dtype": dtype, **asdict(point), "us": took * 1e6, "least_us": least * 1e6,
            }
        )  # fmt: skip
    return results


def plot(results: list[dict[str, Any]], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    varied = list(dict.fromkeys(row["varies"] for row in results))
    figure = Figure(figsize=(2.4 * len(varied), 2.8), layout="constrained")
    axes = figure.subplots(1, len(varied), sharey=True, squeeze=False)[0]
    marks = dict(zip(COVARIANCES, "osv^", strict=True))
    for ax, name in zip(axes, varied, strict=True):
        for covariance, mark in marks.items():
            some = [r for r in results if r["varies"] == name and r["covariance"] == covariance]
            if some:
                x = [row["value"] for row in some]
                ax.loglog(x, [r["us"] for r in some], "-k", marker=mark, mfc="w", label=covariance)
                ax.loglog(x, [r["least_us"] for r in some], ":k", marker=mark, ms=3)
        every = sorted({row["value"] for row in results if row["varies"] == name})
        ax.set_xticks(every, [f"{value:g}" for value in every], fontsize="x-small")
        ax.minorticks_off()
        ax.set_xlabel(NAMES[name])
    axes[0].set_ylabel("µs per row")
    axes[0].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two points each, 20 000 rows")
    parser.add_argument("--covariances", nargs="+", default=("full", "diag"), choices=COVARIANCES)
    parser.add_argument("--dtype", default="float64", choices=("float64", "float32"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--plot", metavar="FILE")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # starts are not meant to converge
    base, table = (Point(n=20_000), QUICK) if args.quick else (Point(), FULL)
    machine = Machine.measured(args.dtype)
    results = []
    print("varies       value  covariance   µs/row   least   roofline")
    for covariance in args.covariances:
        for name, values in table.items():
            for row in curve(base, name, values, covariance, args.dtype, machine, args.repeats):
                results.append(row)
                print(
                    f"{name:8} {row['value']:9}  {covariance:10} {row['us']:8.3f} "
                    f"{row['least_us']:7.3f} {row['least_us'] / row['us']:9.0%}",
                    flush=True,
                )
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1))
    if args.plot:
        plot(results, args.plot)


if __name__ == "__main__":
    sys.exit(main())
