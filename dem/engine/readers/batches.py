"""Any data in blocks of a given number of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dem.engine.readers.base import Reader, Source, regular


@dataclass(frozen=True, eq=False)
class InBatches:
    """A source in blocks of so many rows."""

    source: Source
    rows: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    @property
    def columns(self) -> tuple[str, ...] | None:
        return self.source.columns

    def boundaries(self, block_bytes: int) -> np.ndarray:
        return regular(self.shape[0], self.rows)

    def reader(self, boundaries: np.ndarray) -> Reader:
        return self.source.reader(boundaries)
