"""Which engine runs a fit, and whether the data will pass through its memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from dem.engine.local import Local
from dem.engine.manifest import Manifest

BLOCKS_HELD = 4  # measured: 4.0 for Zarr with data that do not compress, 3.0 without a codec
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

    Each thread holds up to four blocks (one in use, one being read, and while that is decoded its
    bytes and what a codec makes of them) and one partial sum for each level of the tree.

    Raises MemoryError with the figures.
    """
    manifest = engine.manifest
    block = 0 if manifest.reader.in_memory else BLOCKS_HELD * manifest.block_bytes
    depth = max(manifest.n_blocks - 1, 1).bit_length() + 2
    each = block + depth * stats_bytes
    for where, threads, limit in engine.memory():
        if threads * each > limit:
            raise MemoryError(
                f"{where} has {limit / 2**20:,.0f} MiB for {threads} thread(s), but each needs "
                f"{each / 2**20:,.0f} MiB: {BLOCKS_HELD} blocks of "
                f"{manifest.block_bytes / 2**20:,.1f} MiB and {depth} partial sums "
                f"of {stats_bytes / 2**20:,.1f} MiB. Use smaller chunks "
                "(8 to 16 MiB are best), fewer threads, or fewer components."
            )
