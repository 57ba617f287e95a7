"""Some columns of other data, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.engine.readers.base import Reader, Source, ahead_of
from dem.engine.readers.dasks import DaskSource, stored_array


@dataclass(frozen=True, eq=False)
class ColumnsRows:
    """Blocks of another reader, of which these columns."""

    rows: Reader
    columns: tuple[int, ...]

    @property
    def in_memory(self) -> bool:
        return self.rows.in_memory

    @property
    def blocks_held(self) -> float:
        return self.rows.blocks_held + 1.0

    @property
    def ahead(self) -> int:
        return ahead_of(self.rows)

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        return self.rows.read(block)[:, self.columns]

    def take(self, blocks: Sequence[int]) -> ColumnsRows:
        return replace(self, rows=self.rows.take(blocks))

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        return f"columns {self.columns} of {self.rows.token()}"

    @property
    def futures(self) -> tuple[Any, ...]:
        """Of the other reader, where data were persisted on a cluster."""
        return getattr(self.rows, "futures", ())

    def resolved(self, values: Sequence[Any]) -> ColumnsRows:
        """The same reader, given the results of its `futures`."""
        rows: Any = self.rows
        return replace(self, rows=rows.resolved(values))


@dataclass(frozen=True, eq=False)
class ColumnsSource:
    """Another source, of which these columns."""

    source: Source
    chosen: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape[0], len(self.chosen)

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    @property
    def columns(self) -> tuple[str, ...] | None:
        names = self.source.columns
        return None if names is None else tuple(names[j] for j in self.chosen)

    def boundaries(self, block_bytes: int) -> np.ndarray:
        share = self.source.shape[1] / len(self.chosen)
        return self.source.boundaries(max(int(block_bytes * share), 1))

    def reader(self, boundaries: np.ndarray) -> ColumnsRows:
        return ColumnsRows(self.source.reader(boundaries), self.chosen)


def chosen(source: Source, columns: Sequence[int]) -> Source:
    """These columns of a source. Dask arrays stay what they are."""
    found = ColumnsSource(source, tuple(columns))
    if isinstance(source, DaskSource) and stored_array(source.array) is None:
        return DaskSource(source.array[:, list(columns)], found.columns)
    return found
