"""Memory stays bounded by blocks and statistics, however many rows there are."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

import dem
from dem.engine.hosts import check_memory
from dem.engine.local import Local
from dem.engine.manifest import open_data

MIB = 2**20
BLOCK_MIB, COLUMNS = 8, 32
BLOCK_ROWS = BLOCK_MIB * MIB // (8 * COLUMNS)
LIMIT_MIB = 512  # of which the libraries take 270, and compiling a kernel 120 once
DATA_MIB = 8 * LIMIT_MIB

FIT = """
import json, os, sys, warnings
import numpy as np
import dem.estimators
from dem.contract import Sample
from dem.families import Diagonal, Gaussian
from dem.models import Mixture
from dem.posteriors import Exact

def status(pid, name):
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))

def warm():
    # What a process loads and compiles once, whatever the data.
    rows = np.random.default_rng(0).normal(size=(1000, 32))
    model = Mixture(2, Gaussian(Diagonal()))
    params = model.start(Sample.of(rows, np.ones(1000), True), np.random.default_rng(0))
    model.e_step(model.prepare(params), rows, None, Exact())

def fit(path):
    mixture = dem.GaussianMixture(
        2, covariance_type="diag", max_iter=2, tol=0, init_params="random_from_data", random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mixture.fit(path)

def on_worker(path, limit):
    from distributed import Client, LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, memory_limit=f"{limit}MiB",
        host="127.0.0.1", dashboard_address=":0",
    ) as cluster, Client(cluster) as client:
        pid = client.submit(os.getpid).result()
        client.submit(warm).result()
        before = status(pid, "VmHWM")
        mixture = fit(path)
        assert client.submit(os.getpid).result() == pid, "the worker was restarted"
        return before, status(pid, "VmHWM"), mixture

def here(path, limit):
    warm()
    before = status("self", "VmHWM")
    mixture = fit(path)
    return before, status("self", "VmHWM"), mixture

if __name__ == "__main__":
    before, peak, mixture = {"worker": on_worker, "threads": here}[sys.argv[1]](
        sys.argv[2], int(sys.argv[3])
    )
    print(json.dumps({"before": before, "peak": peak, "passes": mixture.n_passes_}))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Zarr array of 8 times the limit; all its chunks are one file on the disk."""
    path = tmp_path_factory.mktemp("large") / "x.zarr"
    n_blocks = DATA_MIB // BLOCK_MIB
    z = zarr.create_array(
        str(path),
        shape=(n_blocks * BLOCK_ROWS, COLUMNS),
        chunks=(BLOCK_ROWS, COLUMNS),
        dtype="float64",
        compressors=None,
    )
    z[:BLOCK_ROWS] = np.random.default_rng(0).normal(size=(BLOCK_ROWS, COLUMNS))
    first = path / "c" / "0" / "0"
    for block in range(1, n_blocks):
        place = path / "c" / str(block)
        place.mkdir()
        os.link(first, place / "0")
    return path


def run(tmp_path: Path, where: str, data: Path) -> dict[str, float]:
    script = tmp_path / "fit.py"
    script.write_text(FIT)
    done = subprocess.run(
        [sys.executable, script, where, data, str(LIMIT_MIB)],
        capture_output=True,
        text=True,
        timeout=240,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "DASK_NUM_WORKERS": "2",
        },
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_fits_eight_times_its_memory(large: Path, tmp_path: Path) -> None:
    result = run(tmp_path, "worker", large)
    assert result["passes"] > 2
    assert result["peak"] < LIMIT_MIB
    # Two blocks and tiles; the sample of 16 MiB, of which a worker holds a few copies.
    assert result["peak"] - result["before"] < 12 * BLOCK_MIB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_threads_need_a_few_blocks_each(large: Path, tmp_path: Path) -> None:
    result = run(tmp_path, "threads", large)
    assert result["passes"] > 2
    # Two threads of two blocks each; the sample and what the start derives from it.
    assert result["peak"] - result["before"] < 2 * 3 * BLOCK_MIB + 10 * 16


PEAK = """
import sys
import numpy as np
import dask.array as da
import dem.estimators
from dem.contract import Sample
from dem.engine.local import Local
from dem.engine.manifest import open_data
from dem.families import Diagonal, Gaussian
from dem.models.mixture import Mixture
from dem.engine.hosts import ROW_BYTES
from dem.families.frame import Frame
from dem.passes import Expectation, Spread
from dem.posteriors import Exact

def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

path, rows, columns, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
spread = sys.argv[5] == "k-means||"
data = path
if kind == "Dask":
    # From the file itself, so that this is read as any lazy array is.
    data = da.map_blocks(
        lambda block_info=None: np.random.default_rng(0).normal(size=(rows, columns)),
        chunks=((rows,) * 5, (columns,)), dtype=float, meta=np.empty((0, columns)),
    )
    data = (data + 1.0) * 2.0
model = Mixture(2, Gaussian(Diagonal()))
sample = np.random.default_rng(0).normal(size=(500, columns))
params = model.start(Sample.of(sample, np.ones(500), True), np.random.default_rng(0))
work = Expectation(model, params, Exact())
if spread:
    frame = Frame.of(sample, np.ones(500))
    work = Spread(sample[:10], frame, 8, (0, 3, 0))
manifest = open_data(data, block_bytes=rows * columns * 8)
assert manifest.n_blocks == 5
if not spread:  # what is loaded and compiled once
    model.e_step(model.prepare(params), sample, None, Exact())
before = peak()
with Local(manifest, 1) as engine:
    engine.sweep(work, [range(5)])
held = manifest.reader.blocks_held * manifest.block_bytes + ROW_BYTES * rows
print((peak() - before) / (held / 2**20))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("kind", "work"),
    [
        ("Zarr", "E-step"),
        ("Zarr", "k-means||"),
        ("npy", "E-step"),
        ("Dask", "E-step"),
        ("Parquet", "E-step"),
    ],
)
def test_a_thread_holds_no_more_than_the_budget_says(kind: str, work: str, tmp_path: Path) -> None:
    """For data that do not compress, in blocks so large that nothing else counts.

    k-means|| is that of narrow rows, where what it takes for each row counts most.
    """
    rows, columns = (2**21, 2) if work == "k-means||" else (2**18, 32)
    suffix = {"npy": ".npy", "Parquet": ".parquet"}.get(kind, ".zarr")
    path = tmp_path / f"x{suffix}"
    if kind != "Dask":
        make(path, rows, columns)
    script = tmp_path / "peak.py"
    script.write_text(PEAK)
    done = subprocess.run(
        [sys.executable, script, path, str(rows), str(columns), kind, work],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    assert 0.6 < float(done.stdout) < 1.05  # of the budget


def make(path: Path, rows: int, columns: int) -> None:
    part = np.random.default_rng(0).normal(size=(rows, columns))
    if path.suffix == ".parquet":
        table = pa.table({f"x{j}": column for j, column in enumerate(part.T)})
        with pq.ParquetWriter(path, table.schema) as file:
            for _ in range(5):
                file.write_table(table, row_group_size=rows)
        return
    if path.suffix == ".npy":
        out = np.lib.format.open_memmap(path, "w+", np.float64, (5 * rows, columns))
    else:
        out = zarr.create_array(
            str(path), shape=(5 * rows, columns), chunks=(rows, columns), dtype=float
        )
    for i in range(5):
        out[i * rows : (i + 1) * rows] = part


class Engine:
    """An engine of this much memory."""

    def __init__(self, data: Any, threads: int, mib: int, weights: Any = None) -> None:
        self.manifest = open_data(data, weights=weights)
        self._limit = threads, mib * MIB

    def memory(self) -> Iterator[tuple[str, int, int]]:
        yield "Worker 7", *self._limit


def test_a_plan_that_cannot_fit_is_refused_with_the_figures() -> None:
    x = da.zeros((10 * BLOCK_ROWS, COLUMNS), chunks=(BLOCK_ROWS, COLUMNS))
    # Two threads of 4 blocks of 8 MiB, and 64 bytes for each row of a block; 3 samples of 16 MiB.
    check_memory(Engine(x, threads=2, mib=116), stats_bytes=0)
    with pytest.raises(MemoryError) as caught:
        check_memory(Engine(x, threads=2, mib=115), stats_bytes=0)
    assert str(caught.value) == (
        "Worker 7 has 115 MiB, and 2 thread(s) need 116 MiB: 48 MiB for a sample of the rows, and "
        "each 34 MiB for blocks of 8.0 MiB and 6 partial sums of 0.0 MiB. Use smaller chunks "
        "(8 to 16 MiB are best), fewer threads, or fewer components."
    )
    with pytest.raises(MemoryError, match="need 176 MiB"):
        check_memory(Engine(x, threads=2, mib=116), stats_bytes=5 * MIB)
    # Weights: 4 blocks of 8 bytes for each row.
    w = da.ones(10 * BLOCK_ROWS, chunks=BLOCK_ROWS)
    with pytest.raises(MemoryError, match="need 118 MiB"):
        check_memory(Engine(x, threads=2, mib=116, weights=w), stats_bytes=0)


def test_it_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(block_info: Any = None) -> np.ndarray:
        raise AssertionError("a block was read")

    x = da.map_blocks(read, chunks=((10**7, 10**7), (4,)), dtype=float, meta=np.empty((0, 4)))
    monkeypatch.setattr(Local, "memory", lambda self: iter([("Here", 1, 300 * MIB)]))
    with pytest.raises(MemoryError, match=r"Here has 300 MiB.* blocks of 305.2 MiB"):
        dem.GaussianMixture(2).fit(x)


def test_arrays_in_memory_need_no_more() -> None:
    """But for the sample, and what a pass takes for each row."""
    check_memory(Engine(np.zeros((10**7, 4)), threads=2, mib=30), stats_bytes=0)
