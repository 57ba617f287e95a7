"""An E-step over data on disk, against reading alone and computing alone, in one run.

    python benchmarks/disk.py [--gigabytes 1] [--columns 64] [--components 16]
                              [--covariance full] [--dtype float32] [--workers 2]
                              [--memory 1GB] [--latency 0.04] [--directory DIR]
                              [--repeats 3] [--json FILE]

Writes a Zarr array (chunks of 8 MB, blosc-lz4, rows of overlapping components; half the bits of
each number are zero, so that there is something to compress), and starts workers of one thread and
so much memory each. Then, in turn:

    files    every chunk's bytes, read one file after another, and not decoded
    read     a pass that reads and decodes every block as dem does, and does nothing with it
    compute  the E-step of as many blocks, all the same one, which each task reads once
    pass     the E-step of the blocks on disk

and, for all but `compute`, once with the files in the page cache (warm) and once without (cold:
POSIX_FADV_DONTNEED for each), and from a store of which each request waits for --latency seconds.
*over* is how much longer the pass takes than the slower of read and compute: 0 % is perfect
overlap. Peak memory is that of the workers together, when all has been done.

A gigabyte takes some minutes; 8 to 16, more than the workers may use many times over, half an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from distributed import Client, LocalCluster
from iteration import overlapping
from roofline import timed
from runners import memory
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore, WrapperStore

import dem
from dem.climb import Climb, turn_by_turn
from dem.engine.cluster import Cluster
from dem.engine.manifest import Manifest, open_data
from dem.records import State

CHUNK_BYTES = 8 * 2**20
COVARIANCES = ("full", "tied", "diag", "spherical")


class Distant(WrapperStore):
    """A store across a network: so many seconds to the first byte of anything."""

    def __init__(self, store: Any, latency: float = 0.0) -> None:
        super().__init__(store)
        self.latency = latency

    def _with_store(self, store: Any) -> Distant:
        return type(self)(store, self.latency)

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(self.latency)
        return await self._store.get(*args, **kwargs)


@dataclass(frozen=True)
class Nothing:
    """A pass that reads, and does nothing."""

    def prepare(self) -> np.ndarray:
        return np.zeros(1)

    def __call__(self, prepared: np.ndarray, block: Any) -> np.ndarray:
        return prepared


@dataclass(frozen=True, eq=False)
class Held:
    """A reader that gives the same block, which each task reads once, for every one."""

    reader: Any
    spans: Any
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    in_memory: bool = False  # what is in memory would be sent to the workers

    def read(self, block: int, out: Any = None) -> np.ndarray:
        if not self.kept:
            self.kept["rows"] = self.reader.read(0)
        start, stop = self.spans[block]
        return self.kept["rows"][: stop - start]

    def take(self, blocks: Any) -> Held:
        return replace(self, spans=self.spans.take(blocks))

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        return "held"


def written(place: Path, gigabytes: float, d: int, k: int, dtype: str) -> zarr.Array:
    """Whole chunks of rows; those of the first one, in another order and a little moved."""
    row = d * np.dtype(dtype).itemsize
    n = CHUNK_BYTES // row
    chunks = max(int(gigabytes * 1e9 / CHUNK_BYTES), 1)
    array = zarr.create_array(
        LocalStore(place), shape=(n * chunks, d), chunks=(n, d), dtype=dtype,
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),
    )  # fmt: skip
    rows, rng = overlapping(n, d, k), np.random.default_rng(0)
    for i in range(chunks):
        moved = (rng.permutation(rows) + rng.normal(size=d) / 100).astype(dtype)
        whole = moved.view(f"u{moved.itemsize}")
        whole >>= 4 * moved.itemsize
        whole <<= 4 * moved.itemsize
        array[i * n : (i + 1) * n] = moved
    return array


def files(place: Path) -> Iterator[Path]:
    return (path for path in sorted(place.rglob("*")) if path.is_file())


def read_all(place: Path) -> None:
    buffer = bytearray(2 * CHUNK_BYTES)
    for path in files(place):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def forget(place: Path) -> None:
    """Let the page cache forget the files, which are on disk by then."""
    for path in files(place):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def e_step(array: zarr.Array, k: int, covariance: str, manifest: Manifest) -> Any:
    """The sweep of the first turn of a fit, from parameters fitted to one chunk."""
    start = dem.GaussianMixture(
        k, covariance_type=covariance, schedule="batch", init_params="random_from_data",
        max_iter=2, tol=0.0, random_state=0,
    ).fit(np.asarray(array[: array.chunks[0]], float))._fitted  # fmt: skip
    state = State(0, start.params, None, (), None, ())
    return next(turn_by_turn(Climb(start.model), state, [range(manifest.n_blocks)]))


def measure(args: argparse.Namespace, place: Path, client: Client) -> dict[str, Any]:
    array = written(place, args.gigabytes, args.columns, args.components, args.dtype)
    manifest = open_data(array)
    far = open_data(zarr.open_array(Distant(LocalStore(place), args.latency), mode="r"))
    held = replace(manifest, reader=Held(manifest.reader, manifest.reader.spans))
    sweep = e_step(array, args.components, args.covariance, manifest)
    everything = sweep.groups

    def swept(data: Manifest, work: Any) -> Callable[[], float]:
        """Seconds of a pass, after one that shows the engine what blocks cost."""

        def seconds(before: Callable[[], None] = lambda: None) -> float:
            with Cluster(data, client) as engine:
                engine.sweep(work, everything)
                before()
                return timed(lambda: engine.sweep(work, everything))

        return seconds

    compute, read, whole = (
        swept(held, sweep.work),
        swept(manifest, Nothing()),
        swept(manifest, sweep.work),
    )
    far_read, far_whole = swept(far, Nothing()), swept(far, sweep.work)

    def cold() -> None:
        forget(place)

    steps: dict[str, Callable[[], float]] = {
        "compute": compute,
        "warm files": lambda: timed(lambda: read_all(place)),
        "warm read": read,
        "warm pass": whole,
        "cold files": lambda: (cold(), timed(lambda: read_all(place)))[1],
        "cold read": lambda: read(cold),
        "cold pass": lambda: whole(cold),
        "far read": far_read,
        "far pass": far_whole,
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(args.repeats):
        for name, step in steps.items():
            times[name].append(step())
    return {
        "bytes": manifest.n_rows * args.columns * manifest.dtype.itemsize,
        "stored": sum(path.stat().st_size for path in files(place)),
        "blocks": manifest.n_blocks,
        "seconds": {name: statistics.median(some) for name, some in times.items()},
        "peak": client.run(memory, "VmHWM"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of decoded numbers")
    parser.add_argument("--columns", type=int, default=64)
    parser.add_argument("--components", type=int, default=16)
    parser.add_argument("--covariance", default="full", choices=COVARIANCES)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="1GB", help="of each worker")
    parser.add_argument("--latency", type=float, default=0.04)
    parser.add_argument(
        "--directory", help="on the disk to be measured; by default a temporary one"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # starts are not meant to converge
    with (
        tempfile.TemporaryDirectory(dir=args.directory) as scratch,
        LocalCluster(
            n_workers=args.workers, threads_per_worker=1, memory_limit=args.memory,
            dashboard_address=":0",
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        result = measure(args, Path(scratch) / "rows.zarr", client)
    size, seconds = result["bytes"], result["seconds"]
    print(
        f"{size / 1e9:.2f} GB in {result['blocks']} blocks, {result['stored'] / size:.0%} of that "
        f"on disk; {args.workers} workers of {args.memory}, peak memory "
        f"{sum(result['peak'].values()) / 1e9:.2f} GB together"
    )
    print(f"{'':6} {'files':>8} {'read':>8} {'compute':>8} {'pass':>8}   (GB/s, decoded)   over")
    compute = seconds["compute"]
    for where in ("warm", "cold", "far"):
        read, whole = seconds[f"{where} read"], seconds[f"{where} pass"]
        shown = (seconds.get(f"{where} files"), read, compute, whole)
        speeds = (f"{size / s / 1e9:8.2f}" if s else f"{'–':>8}" for s in shown)
        over = whole / max(read, compute) - 1
        print(f"{where:6}", *speeds, f"{'':18} {over:6.0%}", flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps({**vars(args), **result}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
