"""Which engine runs a fit, and whether the data will pass through its memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from dem.engine.local import Local
from dem.engine.manifest import Manifest

Engine = Any  # Local or Cluster: a context manager with `sweep` and `threads`


def active_client() -> Any:
    """The `distributed.Client` that is current in this process, or None; imports nothing."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    try:
        return get_client()
    except ValueError:
        return None


def choose(
    manifest: Manifest,
    on_blocks: Callable[[int, int], Any] | None = None,
    threads: int | None = None,
) -> Engine:
    """The cluster of the active client if there is one, else threads in this process."""
    client = active_client()
    if client is None:
        return Local(manifest, threads, on_blocks)
    from dem.engine.cluster import Cluster

    return Cluster(manifest, client, on_blocks)


def check_memory(engine: Engine, stats_bytes: int) -> None:
    """Refuse a plan whose blocks in flight and partial sums cannot fit into the memory there is.

    Each thread holds two blocks (one in use, one being read; three where a codec decodes into
    one first) and one partial sum for each level of the tree.

    Raises MemoryError with the figures.
    """
    manifest = engine.manifest
    block = 0 if manifest.reader.in_memory else 3 * manifest.block_bytes
    depth = max(manifest.n_blocks - 1, 1).bit_length() + 2
    each = block + depth * stats_bytes
    for where, threads, limit in engine.memory():
        if threads * each > limit:
            raise MemoryError(
                f"{where} has {limit / 2**20:,.0f} MiB for {threads} thread(s), but each needs "
                f"{each / 2**20:,.0f} MiB: 3 blocks of {manifest.block_bytes / 2**20:,.1f} MiB and "
                f"{depth} partial sums of {stats_bytes / 2**20:,.1f} MiB. Use smaller chunks "
                "(8 to 16 MiB are best), fewer threads, or fewer components."
            )
