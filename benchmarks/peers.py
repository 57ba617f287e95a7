"""EM iterations of dem and of other libraries: seconds, likelihood, memory, from the same start.

    python benchmarks/peers.py [--quick] [--shapes NxDxK ...] [--covariances full ... kmeans]
                               [--dtypes float64 float32] [--threads 1 2] [--peers sklearn ...]
                               [--python PEER=INTERPRETER ...] [--repeats 3] [--least 1.5]
                               [--json FILE]

Every peer fits in a process of its own (`runner.py`), by the interpreter given for it, or by this
one. One that cannot be imported there, or refuses a covariance or a precision, is left out, and
named at the end; one that fails, or keeps silent for --patience seconds, has a line that says so.
All get the same rows, of components that overlap (well separated ones stand still after four
iterations), and the same start. They are warmed up, and then asked in turn, one at a time, for a
short fit and one that has so many more iterations that they take --least seconds; seconds per
iteration are the difference, by the iterations that were made, and the median over --repeats. So
what a fit does once does not count. A peer that has taken more than --seconds is not asked again.

    ratio      its time over dem's, in the same run
    roofline   the share of its time that the arithmetic alone takes at least (`roofline.py`)
    Δ          its mean log-likelihood (k-means: minus half the mean squared distance) after 4
               iterations minus dem's, both calculated here from the parameters, in float64, on the
               first 20 000 rows
    MB         peak memory above what it held before the first fit, with the rows loaded
    !          it made fewer iterations than the 4 that it was asked for

MLlib's start can be given only in its RDD interface; gmmx and faiss know float32 only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import textwrap
from contextlib import ExitStack
from dataclasses import asdict
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case
from contestant import Contestant, Failed, Peer, Refused
from roofline import Machine
from runners import KMEANS, MIXTURES

SHAPES = ("500000x16x10", "1000000x2x5", "100000x64x32", "200000x32x20")
QUICK = ("100000x16x10", "200000x2x5")
COVARIANCES = ("full", "tied", "diag", "spherical", "kmeans")
SHOWN = 160  # letters of an error; all of them are in the file


def compare(
    case: Case, names: list[str], pythons: dict[str, str], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """A row for each peer: what it took, or the reason why not."""
    results: dict[str, dict[str, Any]] = {name: {"peer": name, **asdict(case)} for name in names}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        place, rows = Path(scratch), case.rows()
        np.save(place / "rows.npy", rows)
        np.savez(place / "start.npz", **case.start(rows))
        (place / "task.json").write_text(json.dumps(asdict(case)))
        able: dict[str, Contestant] = {}
        for name in names:  # one after another, so that none is warmed up while another is
            python = pythons.get(name, sys.executable)
            peer = Peer(name, python, place, case.threads, args.patience)
            able[name] = Contestant(stack.enter_context(peer), args.least)
            try:
                results[name]["score"] = case.score(rows, **able[name].begin())
            except Failed as error:
                del able[name]
                results[name][said(error)] = str(error)
        for turn in range(args.repeats):
            for name, one in tuple(able.items()):
                if turn and one.spent > args.seconds:
                    continue
                try:
                    one.measure()
                except Failed as error:
                    del able[name]
                    results[name][said(error)] = str(error)
    for name, one in able.items():
        results[name] |= {
            "seconds": one.seconds, "repeats": one.iterations, "lengths": one.lengths,
            "megabytes": (one.peak - one.before) / 1e6, "exact": one.exact,
        }  # fmt: skip
    return list(results.values())


def said(error: Failed) -> str:
    return "refused" if isinstance(error, Refused) else "error"


def line(row: dict[str, Any]) -> str:
    whose = (
        f"{row['n']:8} {row['d']:4} {row['k']:4}  {row['covariance']:10} {row['dtype']} "
        f"{row['threads']:7}  {row['peer']:11} "
    )
    if "error" in row:
        return f"{whose} failed: {textwrap.shorten(row['error'], SHOWN)}"
    ratio, apart = row.get("ratio", np.nan), row.get("difference", np.nan)
    return (
        f"{whose}{row['seconds'] / row['n'] * 1e6:7.3f} {ratio:6.2f} {row['roofline']:9.0%} "
        f"{apart:+9.1e} {row['megabytes']:6.0f}{'' if row['exact'] else ' !'}"
    )


def summary(results: list[dict[str, Any]]) -> list[str]:
    """Of each peer: the least and the middle one of its ratios."""

    def kind(row: dict[str, Any]) -> tuple[str, str, str, int]:
        return row["peer"], row["covariance"], row["dtype"], row["threads"]

    told = ["peer        covariance dtype   threads   least ratio  at              median  shapes"]
    others = sorted((row for row in results if row["peer"] != "dem" and "ratio" in row), key=kind)
    for (peer, covariance, dtype, threads), group in groupby(others, kind):
        rows = sorted(group, key=lambda row: row["ratio"])
        at = "x".join(str(rows[0][name]) for name in "ndk")
        told.append(
            f"{peer:11} {covariance:10} {dtype} {threads:7} {rows[0]['ratio']:13.2f}  {at:14}"
            f"{statistics.median(row['ratio'] for row in rows):8.2f} {len(rows):7}"
        )
    return told


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
    parser.add_argument("--least", type=float, default=1.5, help="seconds of a measurement")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--patience", type=float, default=180.0, help="seconds of one answer")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    args.repeats = args.repeats or (2 if args.quick else 3)
    pythons = dict(pair.split("=", 1) for pair in args.python)
    machines = {dtype: Machine.measured(dtype) for dtype in args.dtypes}
    for dtype, machine in machines.items():
        print(
            f"{dtype}, one thread: {machine.flops / 1e9:.0f} Gflop/s, "
            f"{machine.exponentials / 1e9:.2f} G exp/s, {machine.bytes / 1e9:.1f} GB/s"
        )
    print(
        "       N    D    K  covariance dtype   threads  peer         µs/row  ratio  roofline"
        "         Δ     MB",
        flush=True,
    )
    results: list[dict[str, Any]] = []
    shapes = args.shapes or (QUICK if args.quick else SHAPES)
    for shape, covariance, dtype, threads in product(
        shapes, args.covariances, args.dtypes, args.threads
    ):
        case = Case(*map(int, shape.split("x")), covariance, dtype, threads)
        table = KMEANS if covariance == "kmeans" else MIXTURES
        rows = compare(case, ["dem", *(p for p in args.peers if p in table)], pythons, args)
        least = machines[dtype].seconds(case.d, case.k, covariance, dtype, threads)
        for row in rows:
            if "seconds" in row:
                row["roofline"] = least * case.n / row["seconds"]
                if "seconds" in rows[0]:
                    row["ratio"] = row["seconds"] / rows[0]["seconds"]
                    row["difference"] = row["score"] - rows[0]["score"]
            if "refused" not in row:
                print(line(row), flush=True)
        results += rows
        if args.json:  # also what an interrupted run has found
            speeds = {dtype: asdict(machine) for dtype, machine in machines.items()}
            told = {"machine": speeds, "results": results}
            Path(args.json).write_text(json.dumps(told, indent=1))
    print(*summary(results), sep="\n")
    for peer, why in sorted({(r["peer"], r["refused"]) for r in results if "refused" in r}):
        print(f"without {peer}: {why}")


if __name__ == "__main__":
    main()
