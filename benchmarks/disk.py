"""An E-step over data on disk, against reading alone and computing alone, in one run.

    python benchmarks/disk.py [--gigabytes 1] [--columns 64] [--components 10]
                              [--covariances full diag] [--dtype float32] [--workers 2]
                              [--memory 2GB] [--latency 0.04] [--directory DIR]
                              [--repeats 3] [--json FILE]

Writes a Zarr array (chunks of 8 MB, blosc-lz4, rows of overlapping components; half the bits of
each number are zero, so that there is something to compress), and starts workers of one thread,
with so much memory together. Then, in turn:

    files    every chunk's bytes, read one file after another, and not decoded
    read     a pass that reads and decodes every block as dem does, and does nothing with it
    compute  the E-step of as many blocks, all the same one, which each task reads once
    pass     the E-step of the blocks on disk

and, for all but `compute`, once with the files in the page cache (warm) and once without (cold:
POSIX_FADV_DONTNEED for each), and from a store of which each request waits for --latency seconds.

    over     how much longer the pass takes than the slower of read and compute: 0 % is perfect
             overlap, which needs cores that read while others compute
    of CPU   the same, where the bound is also what read and compute need of the workers' processor
             time, one after the other: where they share all cores, nothing can be quicker

Peak memory is that of the workers together, when all has been done.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from dask.utils import parse_bytes
from distributed import Client, LocalCluster
from memory import memory
from roofline import timed
from rows_on_disk import Distant, files, forget, read_all, written
from zarr.storage import LocalStore

import dem
from dem.climb import Climb, turn_by_turn
from dem.engine.cluster import Cluster
from dem.engine.manifest import Manifest, open_data
from dem.records import State

COVARIANCES = ("full", "tied", "diag", "spherical")
PLACES = ("warm", "cold", "far")
WARM_UP = 8  # the part of the blocks from which the engine learns what they cost


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


@dataclass(frozen=True)
class Took:
    """Seconds of a pass, and those of the workers' processors."""

    wall: float
    cpu: float = 0.0

    @classmethod
    def median(cls, times: list[Took]) -> Took:
        return cls(
            *(statistics.median(getattr(t, name) for t in times) for name in ("wall", "cpu"))
        )


@dataclass(frozen=True)
class Passing:
    """The same pass over the same data, time and again, on an engine that knows what it costs."""

    engine: Cluster
    work: Any
    client: Client

    def once(self, part: int = 1) -> Took:
        before = self._cpu()
        groups = [range(max(self.engine.manifest.n_blocks // part, 1))]
        wall = timed(lambda: self.engine.sweep(self.work, groups))
        return Took(wall, self._cpu() - before)

    def _cpu(self) -> float:
        return float(sum(self.client.run(time.process_time).values()))


def e_step(array: zarr.Array, k: int, covariance: str, manifest: Manifest) -> Any:
    """The sweep of the first turn of a fit, from parameters fitted to one chunk."""
    start = dem.GaussianMixture(
        k, covariance_type=covariance, schedule="batch", init_params="random_from_data",
        max_iter=2, tol=0.0, random_state=0,
    ).fit(np.asarray(array[: array.chunks[0]], float))._fitted  # fmt: skip
    state = State(0, start.params, None, (), None, ())
    return next(turn_by_turn(Climb(start.model), state, [range(manifest.n_blocks)])).work


def measure(args: argparse.Namespace, place: Path, client: Client) -> dict[str, Any]:
    began = time.perf_counter()
    array = written(place, args.gigabytes, args.columns, args.components, args.dtype)
    manifest = open_data(array)
    print(f"written in {time.perf_counter() - began:.0f} s", flush=True)
    far = open_data(zarr.open_array(Distant(LocalStore(place), args.latency), mode="r"))
    held = replace(manifest, reader=Held(manifest.reader, manifest.reader.spans))
    works = {name: e_step(array, args.components, name, manifest) for name in args.covariances}
    with ExitStack() as stack:

        def passing(data: Manifest, work: Any) -> Callable[[], Took]:
            ready = Passing(stack.enter_context(Cluster(data, client)), work, client)
            ready.once(part=WARM_UP)
            return ready.once

        def first_cold(step: Callable[[], Took]) -> Callable[[], Took]:
            return lambda: (forget(place), step())[1]

        def read_files() -> Took:
            return Took(timed(lambda: read_all(place)))

        steps = {f"compute {name}": passing(held, work) for name, work in works.items()}
        passes = {"read": passing(manifest, Nothing())}
        passes |= {name: passing(manifest, work) for name, work in works.items()}
        near = {"files": read_files, **passes}
        steps |= {f"cold {name}": first_cold(step) for name, step in near.items()}
        steps |= {f"warm {name}": step for name, step in near.items()}  # the last has read them
        steps["far read"] = passing(far, Nothing())
        steps |= {f"far {name}": passing(far, work) for name, work in works.items()}
        times: dict[str, list[Took]] = {name: [] for name in steps}
        for _ in range(args.repeats):
            for name, step in steps.items():
                times[name].append(step())
    took = {name: Took.median(some) for name, some in times.items()}
    return {
        "bytes": manifest.n_rows * args.columns * manifest.dtype.itemsize,
        "stored": sum(path.stat().st_size for path in files(place)),
        "blocks": manifest.n_blocks,
        "seconds": {name: one.wall for name, one in took.items()},
        "cpu_seconds": {name: one.cpu for name, one in took.items()},
        "peak": sum(client.run(memory, "VmHWM").values()),
        "budget": parse_bytes(args.memory),
    }


def over(result: dict[str, Any], where: str, covariance: str, workers: int) -> tuple[float, float]:
    """By which share a pass takes longer than its bounds: of wall time, and also of processors."""
    wall, cpu = result["seconds"], result["cpu_seconds"]
    alone = f"{where} read", f"compute {covariance}"
    bound = max(wall[name] for name in alone)
    busy = sum(cpu[name] for name in alone) / workers
    whole = wall[f"{where} {covariance}"]
    return whole / bound - 1, whole / max(bound, busy) - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of decoded numbers")
    parser.add_argument("--columns", type=int, default=64)
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--covariances", nargs="+", default=("full", "diag"), choices=COVARIANCES)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="2GB", help="of all workers together")
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
            n_workers=args.workers, threads_per_worker=1,
            memory_limit=parse_bytes(args.memory) // args.workers, dashboard_address=":0",
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        result = measure(args, Path(scratch) / "rows.zarr", client)
    size, seconds = result["bytes"], result["seconds"]
    print(
        f"{size / 1e9:.2f} GB in {result['blocks']} blocks, {result['stored'] / size:.0%} of that "
        f"on disk; {args.workers} workers, peak memory {result['peak'] / 1e9:.2f} GB of "
        f"{result['budget'] / 1e9:.2f} GB together"
    )
    gigabytes = size / 1e9
    print(f"{'':17}{'GB/s, decoded':35} {'over':>8} {'of CPU':>8}   CPU s/GB")
    heads = ("files", "read", "compute", "pass", "", "", "read", "compute", "pass")
    print(f"{'':15} ", *(f"{head:>8}" for head in heads))
    result["over"] = {}
    for where in PLACES:
        for covariance in args.covariances:
            names = tuple(f"{where} {what}" for what in ("files", "read"))
            names += (f"compute {covariance}", f"{where} {covariance}")
            shares = result["over"][names[-1]] = over(result, where, covariance, args.workers)
            shown = [
                f"{gigabytes / seconds[n]:8.2f}" if n in seconds else f"{'–':>8}" for n in names
            ]
            shown += [f"{share:8.0%}" for share in shares]
            shown += [f"{result['cpu_seconds'][name] / gigabytes:8.2f}" for name in names[1:]]
            print(f"{where:4} {covariance:10} ", *shown)
    if args.json:
        Path(args.json).write_text(json.dumps({**vars(args), **result}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
