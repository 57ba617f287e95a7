"""Weights of the rows: 1-D blocks that go with the blocks of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.engine.readers.arrays import InMemory
from dem.engine.readers.base import Reader, Source, Spans, ahead_of
from dem.errors import DataError


@dataclass(frozen=True, eq=False)
class CheckedWeights:
    """Weights as float64, refused as they are read if one is negative or not finite."""

    stored: Reader
    spans: Spans

    @property
    def in_memory(self) -> bool:
        return self.stored.in_memory

    @property
    def blocks_held(self) -> float:
        return self.stored.blocks_held

    @property
    def ahead(self) -> int:
        return ahead_of(self.stored)

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        return check_weights(self.stored.read(block, out), self.spans[block][0])

    def take(self, blocks: Sequence[int]) -> CheckedWeights:
        return CheckedWeights(self.stored.take(blocks), self.spans.take(blocks))

    @property
    def futures(self) -> tuple[Any, ...]:
        """As of the reader underneath: empty unless the weights were persisted on a cluster."""
        return getattr(self.stored, "futures", ())

    def resolved(self, values: Sequence[Any]) -> CheckedWeights:
        """The same reader, given the results of its `futures`."""
        stored: Any = self.stored
        return CheckedWeights(stored.resolved(values), self.spans)

    def buffer(self) -> np.ndarray | None:
        return self.stored.buffer()

    def token(self) -> str:
        return self.stored.token()


def open_weights(source: Source, boundaries: np.ndarray) -> Reader:
    """A reader of the weights of the blocks between these row offsets.

    Raises `DataError` where the weights do not fit the rows; one that is negative or not finite
    is found here if the weights are in memory, else when it is read.
    """
    if len(source.shape) != 1:
        raise DataError(
            f"Sample weights must be 1D array or scalar; got shape {source.shape}. "
            "Use weights.ravel() or weights[:, 0] for a single column."
        )
    if source.dtype.kind not in "fiub":
        raise DataError(f"Weights must be real numbers; got dtype {source.dtype}.")
    n_rows = int(boundaries[-1])
    if source.shape[0] != n_rows:
        raise DataError(f"There are {source.shape[0]} weights for {n_rows} rows.")
    checked = CheckedWeights(source.reader(boundaries), Spans(boundaries))
    if not checked.in_memory:
        return checked
    return InMemory({block: checked.read(block) for block in range(len(boundaries) - 1)})


def check_weights(weights: np.ndarray, start: int = 0) -> np.ndarray:
    """The weights of the rows from `start` on, as float64; `DataError` names a bad row."""
    weights = np.asarray(weights, dtype=np.float64)
    good = (weights >= 0) & (weights < np.inf)
    if not good.all():
        i = int(np.argmin(good))
        raise DataError(
            f"The weight of row {start + i} is {weights[i]}; weights must be finite and at least 0."
        )
    return weights
