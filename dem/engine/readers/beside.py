"""Two kinds of data side by side: the columns of one, then those of the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.engine.readers.base import Reader, Source, ahead_of
from dem.errors import DataError


@dataclass(frozen=True, eq=False)
class BesideRows:
    """Blocks of two readers, which have the same rows; 1-D ones are a column."""

    left: Reader
    right: Reader
    dtype: np.dtype

    @property
    def in_memory(self) -> bool:
        return self.left.in_memory and self.right.in_memory

    @property
    def blocks_held(self) -> float:
        return self.left.blocks_held + 1.0

    @property
    def ahead(self) -> int:
        return ahead_of(self.left, self.right)

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        parts = [reader.read(block) for reader in (self.left, self.right)]
        columns = [part[:, None] if part.ndim == 1 else part for part in parts]
        return np.concatenate(columns, axis=1, dtype=self.dtype)

    def take(self, blocks: Sequence[int]) -> BesideRows:
        return self.each(lambda reader: reader.take(blocks))

    def each(self, change: Callable[[Reader], Reader]) -> BesideRows:
        """The same of two other readers, those that a function makes of these."""
        return BesideRows(change(self.left), change(self.right), self.dtype)

    def buffer(self) -> None:
        return None

    def token(self) -> str:
        return f"{self.left.token()} beside {self.right.token()}"

    @property
    def futures(self) -> tuple[Any, ...]:
        """Of both readers, where data were persisted on a cluster."""
        return _futures(self.left) + _futures(self.right)

    def resolved(self, values: Sequence[Any]) -> BesideRows:
        """The same reader, given the results of its `futures`."""
        n = len(_futures(self.left))
        return BesideRows(
            _resolved(self.left, values[:n]), _resolved(self.right, values[n:]), self.dtype
        )


@dataclass(frozen=True, eq=False)
class BesideSource:
    """Two sources side by side, in the blocks of the left one; floating if that is.

    what : the right one in words, for messages. Raises `DataError` unless the rows are as many.
    exact : whether the right one's numbers need their own precision, where that is more.
    """

    left: Source
    right: Source
    what: str
    exact: bool = False

    def __post_init__(self) -> None:
        if len(self.right.shape) not in (1, 2) or self.right.dtype.kind not in "fiub":
            raise DataError(
                f"{self.what} must be numbers in one or two dimensions; got shape "
                f"{self.right.shape} of {self.right.dtype}."
            )
        if self.left.shape[0] != self.right.shape[0]:
            raise DataError(
                f"There are {self.right.shape[0]} {self.what} for {self.left.shape[0]} rows."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        rows, columns = self.left.shape
        return rows, columns + (self.right.shape[1] if len(self.right.shape) > 1 else 1)

    @property
    def dtype(self) -> np.dtype:
        own = self.left.dtype
        if own.kind == "f" and not self.exact:
            return own
        return np.result_type(own, self.right.dtype, np.int8)

    @property
    def columns(self) -> tuple[str, ...] | None:
        return None

    def boundaries(self, block_bytes: int) -> np.ndarray:
        return self.left.boundaries(block_bytes)

    def reader(self, boundaries: np.ndarray) -> BesideRows:
        return BesideRows(self.left.reader(boundaries), self.right.reader(boundaries), self.dtype)


def _futures(reader: Any) -> tuple[Any, ...]:
    return getattr(reader, "futures", ())


def _resolved(reader: Any, values: Sequence[Any]) -> Any:
    return reader.resolved(values) if values else reader
