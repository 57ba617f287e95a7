"""Where the time of one EM iteration of a Gaussian mixture goes, by parts.

    python benchmarks/where.py [--shapes 500000x16x10 ...] [--covariances full ...]
                               [--dtypes float64 float32] [--json FILE]

µs per row on one thread. *whole* is one compiled E-step over a block in memory; *load* (rows
brought to the frame, columns first), *features*, *η T* (log-densities), *q* (responsibilities and
entropy) and *R Tᵀ* (statistics) are its parts, each called by itself on tiles of the same size, so
that they add up to a little more or less. *Turn* is what an iteration costs besides, whatever the
number of rows: the M-step, the bound and preparing the next E-step, in ms. *Read* and *decode* are
what the same rows cost from a lz4-compressed Zarr store that is in the page cache: bringing its
bytes to memory, and decompressing them.
"""

import argparse
import json
import statistics
import tempfile
import warnings
from itertools import pairwise, product
from pathlib import Path
from time import perf_counter

import numpy as np
import zarr
from iteration import COVARIANCES, DTYPES, overlapping
from threadpoolctl import threadpool_limits
from zarr.codecs import BloscCodec

import dem
from dem.kernels.compiled import compiled
from dem.kernels.logspace import FLOORS, ONES, soften
from dem.kernels.sweep import TURNED, Sums, fill, load, place, sweep
from dem.models.mixture import Mixture
from dem.posteriors import Exact

SHAPES = ("1000000x2x5", "500000x16x10", "200000x32x20", "100000x64x32")
BLOCK = 2**16  # rows that are gone over
REPEATS = 7


@compiled
def dots(a, b, out):  # type: ignore[no-untyped-def]
    """A product of matrices as the sweep makes them."""
    np.dot(a, b, out)


def seconds(call: object, repeats: int = REPEATS) -> float:
    """The median of some calls, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        began = perf_counter()
        call()
        times.append(perf_counter() - began)
    return statistics.median(times)


def parts(n: int, d: int, k: int, covariance: str, dtype: str) -> dict:
    """µs per row of each part, and ms of a turn."""
    rows = overlapping(min(n, BLOCK), d, k).astype(dtype)
    model = dem.GaussianMixture(
        k, covariance_type=covariance, max_iter=2, tol=0, schedule="batch", random_state=0
    ).fit(rows)
    mixture, params = model._fitted.model, model._fitted.params
    prepared = mixture.prepare(params)
    task = prepared.single if dtype == "float32" and prepared.short else prepared.double
    kind, rows = task.eta.dtype, np.ascontiguousarray(rows, task.eta.dtype)
    p, size = prepared.eta.shape[1], prepared.size
    n_rows = len(rows)
    tiles = [rows[a : a + size] for a in range(0, n_rows - size + 1, size)] or [rows]
    size, done = len(tiles[0]), len(tiles) * len(tiles[0])
    edges = task.edges.tolist()
    panels = list(pairwise(edges))
    features = np.ones((max(d + 1, max(b - max(a, d + 1) + d + 1 for a, b in panels)), size), kind)
    out = np.empty((k, size), kind)
    turning = p >= 32 and k * p > TURNED
    turned = np.ones((size, k) if turning else (0, 0), kind)
    logits = np.random.default_rng(0).normal(size=(k, size)).astype(kind)
    etas = [task.eta[k * a : k * b].reshape(k, b - a) for a, b in panels]
    sums = [np.empty((b - a, k), kind) for a, b in panels]
    soft = kind.type(1.0), kind.type(FLOORS[kind.char])

    def loads() -> None:
        for tile in tiles:
            load(tile, task.origin, task.inverse, features[1 : d + 1])

    def fills() -> None:
        for _ in tiles:
            for a, b in panels if len(panels) == 1 else panels + panels[:-1]:
                fill(task.second, d, a, b, features)

    def log_densities() -> None:
        for _ in tiles:
            for eta, (a, b) in zip(etas, panels, strict=True):
                dots(eta, place(d, a, b, features), out)

    def responsibilities() -> None:
        for _ in tiles:
            soften(logits, ONES, *soft, out, turned)

    def statistics_() -> None:
        for _ in tiles:
            for own, (a, b) in zip(sums, panels, strict=True):
                dots(place(d, a, b, features), turned if turning else out.T, own)

    def whole() -> None:
        total = Sums(np.zeros((p, k)), np.zeros((d, d)), np.zeros(1), np.zeros(1))
        sweep(task, prepared.size, Exact().rule, rows, None, total)

    stats = mixture.e_step(prepared, rows, None, Exact())

    def turn() -> None:
        new = Mixture.m_step(mixture, params, stats)
        mixture.expected_log_joint(params, stats)
        mixture.expected_log_joint(new, stats)
        mixture.prepare(new)

    named = {
        "load": loads, "features": fills, "η T": log_densities, "q": responsibilities,
        "R Tᵀ": statistics_,
    }  # fmt: skip
    result = {name: seconds(call) / done * 1e6 for name, call in named.items()}
    result["whole"] = seconds(whole) / n_rows * 1e6
    result["turn"] = seconds(turn) * 1e3
    return result | from_disk(rows)


def from_disk(rows: np.ndarray) -> dict:
    """µs per row of reading the bytes of a store, and of decompressing them."""
    with tempfile.TemporaryDirectory() as folder:
        store = zarr.create_array(
            folder, shape=rows.shape, dtype=rows.dtype, chunks=rows.shape,
            compressors=BloscCodec(cname="lz4"), filters=None,
        )  # fmt: skip
        store[:] = rows
        (chunk,) = (path for path in Path(folder).rglob("c/*/*") if path.is_file())
        read = seconds(chunk.read_bytes)
        both = seconds(lambda: store[:])
    return {"read": read / len(rows) * 1e6, "decode": (both - read) / len(rows) * 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="NxDxK")
    parser.add_argument("--covariances", nargs="+", default=COVARIANCES, choices=COVARIANCES)
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # that two turns are not enough to converge
    names = ["load", "features", "η T", "q", "R Tᵀ", "whole", "turn", "read", "decode"]
    print("  D    K  covariance  dtype  " + "".join(f"{name:>9}" for name in names))
    results = []
    for shape, covariance, dtype in product(args.shapes, args.covariances, args.dtypes):
        n, d, k = map(int, shape.split("x"))
        with threadpool_limits(1):
            row = parts(n, d, k, covariance, dtype)
        results.append({"d": d, "k": k, "covariance": covariance, "dtype": dtype} | row)
        figures = "".join(f"{row[name]:9.4f}" for name in names)
        print(f"{d:>3} {k:>4}  {covariance:<10} {dtype:<8}{figures}", flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
