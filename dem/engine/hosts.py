"""Which engine runs a fit, and whether the data will pass through its memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dem.engine.cache import configured
from dem.engine.local import Local
from dem.engine.manifest import Manifest
from dem.engine.readers.base import ahead_of, held_of
from dem.reading import SAMPLE_BYTES, SAMPLE_ROWS

# Bytes that a pass takes for each row of a block, beyond the block: measured, 56 for a round of
# k-means||, which has the most (distances, random numbers, keys, an index).
ROW_BYTES = 64
# Samples of rows that a process holds at once. Where the start is: the sample, sorted, in the
# frame, and what is derived from it; measured, 5 to 6.5. On a worker: its parts and their sums.
SAMPLES_HELD = 6
SAMPLES_ADDED = 3
Engine = Any  # Local or Cluster: a context manager with `sweep` and `memory`


def active_client() -> Any:
    """The `distributed.Client` that is current in this process, or None; imports nothing."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    try:
        return get_client()
    except ValueError:
        return None


def synchronous(client: Any) -> Any:
    """Another client of the same cluster, to be used from a thread and closed."""
    from distributed import Client

    address = client.scheduler.address
    return Client(address, security=client.security, set_as_default=False, name="dem")


def choose(
    manifest: Manifest,
    on_blocks: Callable[[int, int], Any] | None = None,
    threads: int | None = None,
) -> Engine:
    """The cluster of the active client if there is one, else threads in this process."""
    client = active_client()
    if client is None:
        return Local(manifest, threads, on_blocks, configured())
    from dem.engine.cluster import Cluster

    return Cluster(manifest, client, on_blocks, budget=configured())


def check_memory(engine: Engine, stats_bytes: int) -> None:
    """Refuse a plan whose blocks in flight and partial sums cannot fit into the memory there is.

    Each thread holds some blocks (one in use, some being read, and what decoding these takes), what
    a pass takes for each row of a block, and one partial sum for each level of the tree. A process
    also holds a sample of the rows a few times over.

    Raises MemoryError with the figures.
    """
    manifest = engine.manifest
    rows = int(np.diff(manifest.boundaries).max())
    ahead = ahead_of(manifest.reader, manifest.weights)
    block = held_of(manifest.reader, ahead) * manifest.block_bytes + ROW_BYTES * rows
    if manifest.weights:
        block += held_of(manifest.weights, ahead) * 8 * rows
    depth = max(manifest.n_blocks - 1, 1).bit_length() + 2
    row = 8 * manifest.n_columns
    samples = SAMPLES_HELD if isinstance(engine, Local) else SAMPLES_ADDED
    sample = samples * min(SAMPLE_ROWS * row, SAMPLE_BYTES, manifest.n_rows * row)
    for where, threads, limit in engine.memory():
        needed = threads * (block + depth * stats_bytes) + sample
        if needed > limit:
            raise MemoryError(
                f"{where} has {_mib(limit, 0)}, and {threads} thread(s) need {_mib(needed, 0)}: "
                f"{_mib(sample, 0)} for a sample of the rows, and each {_mib(block, 0)} for blocks "
                f"of {_mib(manifest.block_bytes)} and {depth} partial sums of {_mib(stats_bytes)}. "
                "Use smaller chunks (8 to 16 MiB are best), fewer threads, or fewer components."
            )


def _mib(size: float, digits: int = 1) -> str:
    return f"{size / 2**20:,.{digits}f} MiB"
