"""Row-wise results on their way to disk: computed a few blocks at a time, written in order.

This process does the writing, whoever does the computing: what is on disk is then never touched
by a worker that has not yet heard that the work was given up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import dask
import dask.threaded
import numpy as np
import zarr
from dask._task_spec import convert_legacy_graph
from dask.core import flatten
from dask.system import CPU_COUNT
from scipy.sparse import csr_array

from dem.engine.hosts import active_client
from dem.engine.readers.graphs import compute_shared, needed

BLOCKS_PER_THREAD = 4
BATCH_BYTES = 128 * 2**20


def computed(lazy: Any, on_rows: Callable[[int], Any] = lambda n: None) -> Iterator[np.ndarray]:
    """The blocks of rows of a lazy Dask array, in their order.

    They are computed a few for each thread at a time, on the active client's cluster if there is
    one. So memory holds no more than a batch of some 128 MB of results.

    on_rows : called with the number of rows of each block that is done.
    """
    client = active_client()
    if client is None:
        get, threads = dask.threaded.get, dask.config.get("num_workers", None) or CPU_COUNT
    else:
        get, threads = client.get, max(sum(client.nthreads().values()), 1)
    largest = max(lazy.chunks[0]) * lazy.dtype.itemsize * int(np.prod(lazy.shape[1:]))
    batch = max(min(BLOCKS_PER_THREAD * threads, BATCH_BYTES // max(largest, 1)), 1)
    keys = list(flatten(lazy.__dask_keys__()))
    # Each batch is given its own part alone: a scheduler's work must not grow with the whole.
    graph = convert_legacy_graph(dict(lazy.__dask_optimize__(lazy.dask, keys)))
    graph = compute_shared(graph, keys)
    for first in range(0, len(keys), batch):
        some = keys[first : first + batch]
        for block in get(needed(graph, some), some):
            yield block
            on_rows(len(block))


def write_zarr(
    target: str, blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: Any, chunk_rows: int
) -> None:
    """Write blocks of rows, which follow each other, as a Zarr array at a path or URL."""
    array = zarr.create_array(
        target,
        shape=shape,
        dtype=dtype,
        chunks=(min(chunk_rows, shape[0]), *shape[1:]),
        # A chunk of zeros is written too: one that is missing is taken for damage when read.
        config={"write_empty_chunks": True},
    )
    start = 0
    for block in blocks:
        array[start : start + len(block)] = block
        start += len(block)


def write_csr(target: str, parts: Iterable[Any], n_columns: int, chunk: int = 2**20) -> None:
    """Write sparse rows, in parts that follow each other, as a Zarr group at a path or URL.

    Three arrays, data, indices and indptr, as anndata lays them out; no more than a part is in
    memory. `dem.open_data` reads them with `sparse=True`.

    parts : scipy matrices of (n_i, n_columns). chunk : values in a chunk.

    Raises ValueError for a part with another number of columns.
    """
    group = zarr.create_group(target)
    config: Any = {"write_empty_chunks": True}
    arrays: dict[str, Any] = {}
    n_rows = n_values = 0
    for part in parts:
        rows = csr_array(part)
        if rows.shape[1] != n_columns:
            raise ValueError(f"rows of {rows.shape[1]} columns, where there are {n_columns}")
        new = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr[1:] + n_values}
        new["indptr"] = new["indptr"].astype(np.int64)
        for name, values in new.items():
            if name not in arrays:
                first = np.zeros(int(name == "indptr"), values.dtype)
                arrays[name] = group.create_array(
                    name, shape=first.shape, dtype=values.dtype, chunks=(chunk,), config=config
                )
                arrays[name][:] = first
            arrays[name].append(values)
        n_rows, n_values = n_rows + rows.shape[0], n_values + len(rows.data)
    group.attrs.update(
        {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [n_rows, n_columns]}
    )


def write_npy(
    target: str | Path, blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: Any
) -> None:
    """Write blocks of rows, which follow each other, as a .npy file, and see it safely to disk.

    They are appended rather than put into a memory map, so that a full disk is an OSError.
    """
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    with open(target, "wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype).data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Where to write what is to be the file `path` afterwards; if the block fails, nothing stays.

    What was there is replaced in one step, and survives a failure.
    """
    scratch = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def is_zarr_array(path: Path) -> bool:
    """Whether a Zarr array is at a local path."""
    try:
        return isinstance(zarr.open(str(path), mode="r"), zarr.Array)
    except (OSError, ValueError, KeyError):
        return False
