"""Reading one block after another, ahead of whoever uses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from dem.engine.patience import patiently
from dem.engine.readers.base import Reader, ahead_of

Rows = tuple[np.ndarray, np.ndarray | None]
Numbered = tuple[int, np.ndarray, np.ndarray | None]


def blocks(
    reader: Reader, weights: Reader | None, which: Sequence[int], prefetch: int | None = None
) -> Generator[tuple[int, np.ndarray, np.ndarray | None], None, None]:
    """Yield (block, rows (n_i, D), weights (n_i,) or None) in the order of `which`.

    While a block is in use the next `prefetch` ones are being read, each in a thread of its own,
    into `prefetch` + 1 buffers that are allocated once: one, and more from stores that keep each
    read waiting, see `dem.engine.readers.base.far_ahead`. So what is yielded is valid only until
    the next block is asked for. Where both readers are in memory nothing is read ahead.

    A read that fails is tried again if the fault may pass, see `dem.engine.patience`. The error of
    one that keeps failing is raised when that block's turn comes. Closing the generator
    waits for the reads that have begun, at most `prefetch`, and leaves no thread behind.
    """
    if prefetch is None:
        prefetch = min(ahead_of(reader, weights), max(len(which), 1))
    free = prefetch + 1 if not (reader.in_memory and (weights is None or weights.in_memory)) else 1
    buffers = deque((reader.buffer(), weights.buffer() if weights else None) for _ in range(free))

    def read(block: int, out: tuple[np.ndarray | None, np.ndarray | None]) -> Rows:
        def both() -> Rows:
            return reader.read(block, out[0]), weights.read(block, out[1]) if weights else None

        return patiently(both, f"Block {block} of the data could not be read")

    if free == 1:
        for block in which:
            yield block, *read(block, buffers[0])
        return

    pool = ThreadPoolExecutor(prefetch, "dem-read")
    ahead: deque[Future[Rows]] = deque()
    coming = iter(which)

    def submit() -> None:
        """Begin to read one more block, into the buffer that has been free the longest."""
        for block in coming:
            ahead.append(pool.submit(read, block, buffers[0]))
            buffers.rotate(-1)
            return

    try:
        for _ in range(prefetch):
            submit()
        for block in which:
            future = ahead.popleft()
            submit()  # into the buffer of the block before, which is no longer in use
            yield block, *future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
