"""What all kinds of data offer: a `Source` that can be cut into blocks, a `Reader` of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

AHEAD_MOST, AHEAD_BYTES = 4, 68 * 2**20  # blocks of 16 MB are mostly somewhat more


class Reader(Protocol):
    """Reads blocks of rows, (n_i, D) for data and (n_i,) for weights.

    Readers are frozen values that can be pickled: they travel to workers inside tasks. Different
    blocks may be read from several threads at once. One of sparse rows, which are CSR arrays, has
    an attribute `sparse`, True, and may have `block_bytes`, of its largest block. One of a store
    that keeps each request waiting has `ahead`, see `ahead_of`.
    """

    @property
    def in_memory(self) -> bool:
        """True where reading is free (views), so that reading ahead would be pointless."""
        ...

    @property
    def blocks_held(self) -> float:
        """How many of its blocks a thread holds at most that reads one after another, one ahead of
        their use: the two buffers, and what decoding takes. Measured, see tests/engine/test_memory.
        """
        ...

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        """The rows of one block, in the manifest's dtype; not to be written to.

        out : a buffer from `buffer()`. A reader may fill and return `out[:n_i]`, or ignore it.
        """
        ...

    def take(self, blocks: Sequence[int]) -> Reader:
        """A reader of these blocks alone, under their own numbers, as light as can be."""
        ...

    def buffer(self) -> np.ndarray | None:
        """A fresh buffer for the largest block, or None where `read` has no use for one."""
        ...

    def token(self) -> str:
        """What identifies the data that is read; equal tokens mean equal data."""
        ...


class Source(Protocol):
    """Data that has been found but not yet cut into blocks; one or two dimensions."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype:
        """As `Reader.read` will return it, in native byte order."""
        ...

    @property
    def columns(self) -> tuple[str, ...] | None: ...

    def boundaries(self, block_bytes: int) -> np.ndarray:
        """Row offsets of the blocks that suit this data; they depend on nothing else."""
        ...

    def reader(self, boundaries: np.ndarray) -> Reader:
        """A reader of the blocks between any given row offsets."""
        ...


@dataclass(frozen=True, eq=False)
class Spans:
    """The row ranges of consecutive blocks, the first of which has number `first`."""

    offsets: np.ndarray
    first: int = 0

    def __getitem__(self, block: int) -> tuple[int, int]:
        """First row and end row of a block."""
        i = block - self.first
        if not 0 <= i < len(self.offsets) - 1:
            raise IndexError(f"block {block} is not among the blocks of this reader")
        return int(self.offsets[i]), int(self.offsets[i + 1])

    @property
    def largest(self) -> int:
        """Rows in the largest block."""
        return int(np.diff(self.offsets).max(initial=0))

    def take(self, blocks: Sequence[int]) -> Self:
        """The shortest run of blocks that holds all of these."""
        if not blocks:
            return type(self)(self.offsets[:1], self.first)
        low, high = min(blocks), max(blocks)
        self[low], self[high]
        part = self.offsets[low - self.first : high - self.first + 2]
        return type(self)(part.copy(), low)

    def __reduce__(self) -> Any:
        # Blocks are mostly of one length. A graph that goes to a scheduler every turn is then
        # not the longer the more of them there are.
        steps = np.diff(self.offsets)
        if len(steps) < 3 or (steps[:-1] != steps[0]).any() or not 0 < steps[-1] <= steps[0]:
            return type(self), (self.offsets, self.first)
        start, stop, step = (int(n) for n in (self.offsets[0], self.offsets[-1], steps[0]))
        return _regular_spans, (start, stop, step, self.first)


def _regular_spans(start: int, stop: int, step: int, first: int) -> Spans:
    return Spans(start + regular(stop - start, step), first)


def ahead_of(*readers: Reader | None) -> int:
    """How many blocks to read ahead of their use, each in a thread of its own."""
    return max((getattr(reader, "ahead", 1) for reader in readers), default=1)


def held_of(reader: Reader, ahead: int) -> float:
    """Of how many blocks a thread holds the memory that reads so many ahead.

    One is in use. Each of the others has a buffer, and is being decoded.
    """
    return 1 + ahead * (reader.blocks_held - 1) if reader.blocks_held else 0.0


def far_ahead(block_bytes: int) -> int:
    """How many blocks to read ahead from a store across a network: up to four, in 64 MB.

    There a request waits some 40 ms for its first byte, as long as it takes to work on a block of
    8 MB, and a connection gives 50 to 100 MB/s, where a core may well take 200.
    """
    return min(max(AHEAD_BYTES // max(block_bytes, 1), 1), AHEAD_MOST)


def regular(n_rows: int, block_rows: int) -> np.ndarray:
    """Offsets of blocks of `block_rows` rows; the last one may be shorter."""
    return np.append(np.arange(0, n_rows, max(1, block_rows), dtype=np.int64), np.int64(n_rows))


def row_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Bytes of one row, at least 1."""
    return max(1, int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize)


def native(dtype: Any) -> np.dtype:
    """The dtype in the byte order of this machine."""
    dtype = np.dtype(dtype)
    return dtype if dtype.kind == "T" else dtype.newbyteorder("=")  # strings have no byte order


def is_a(value: Any, module: str, *names: str) -> bool:
    """Whether `value` is an instance of a class of a module that may never have been imported."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, tuple(getattr(loaded, n) for n in names))
