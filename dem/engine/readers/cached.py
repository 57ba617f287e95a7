"""Blocks of another reader that are kept in memory once they have been read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from dem.engine.cache import CACHE, Budget
from dem.engine.manifest import Manifest
from dem.engine.readers.base import Reader, ahead_of
from dem.engine.readers.sparse import bytes_of


@dataclass(frozen=True, eq=False)
class CachedRows:
    """The blocks of a reader; each is read once by a process, as long as there is room for it.

    run : whose end is that of what is kept. what : tells the readers of a run apart.
    """

    stored: Reader
    run: str
    what: str
    budget: Budget

    @property
    def in_memory(self) -> bool:
        return self.stored.in_memory

    @property
    def blocks_held(self) -> float:
        return self.stored.blocks_held

    @property
    def ahead(self) -> int:
        return ahead_of(self.stored)

    @property
    def sparse(self) -> bool:
        sparse: bool = getattr(self.stored, "sparse", False)
        return sparse

    @property
    def chunk_of(self) -> Any:
        """As of the reader underneath: None where it cannot tell."""
        return getattr(self.stored, "chunk_of", None)

    def read(self, block: int, out: np.ndarray | None = None) -> Any:
        name = self.what, block
        rows = CACHE.find(self.run, name)
        if rows is not None:
            return rows
        if not CACHE.keeps(self.run):
            return self.stored.read(block, out)
        rows = self.stored.read(block)  # into memory of its own
        if nbytes := _own_bytes(rows):
            rows = rows if issparse(rows) else _frozen(rows)
            CACHE.put(self.run, name, rows, nbytes, self.budget.most)
        return rows

    def take(self, blocks: Sequence[int]) -> CachedRows:
        return replace(self, stored=self.stored.take(blocks))

    def buffer(self) -> np.ndarray | None:
        return self.stored.buffer()

    def token(self) -> str:
        return self.stored.token()


def cached(manifest: Manifest, run: str, budget: Budget | None) -> Manifest:
    """The same data, with readers that keep what they have read; those in memory as they are."""
    if budget is None:
        return manifest

    def keep(reader: Reader, what: str) -> Reader:
        there = reader.in_memory or bool(getattr(reader, "futures", ()))
        return reader if there else CachedRows(reader, run, what, budget)

    weights = manifest.weights and keep(manifest.weights, "weights")
    return replace(manifest, reader=keep(manifest.reader, "rows"), weights=weights)


def _own_bytes(rows: Any) -> int:
    """What a block takes; 0 if it is a part of what is in memory, or in a file, anyway."""
    if issparse(rows):
        return bytes_of(rows)
    root = rows
    while isinstance(root.base, np.ndarray):
        root = root.base
    mapped = isinstance(root, np.memmap)
    return 0 if mapped or root.nbytes > rows.nbytes else int(rows.nbytes)


def _frozen(rows: np.ndarray) -> np.ndarray:
    """The same rows, not to be written to."""
    rows = rows.view()
    rows.flags.writeable = False
    return rows
