"""The columns of the data by name, and which of them to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Columns:
    """Names of all columns, and of the levels of those that hold categories.

    chosen : names or numbers of those to draw; None leaves that to the drawing.
    """

    names: tuple[Any, ...]
    levels: tuple[tuple[Any, ...] | None, ...] = ()
    chosen: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, names: Sequence[Any], levels: Any = (), chosen: Any = None) -> Columns:
        """`chosen` may be one name or number, or several."""
        if chosen is not None:
            chosen = tuple(chosen) if isinstance(chosen, (list, tuple)) else (chosen,)
        return cls(tuple(names), tuple(levels), chosen)

    @property
    def numbers(self) -> list[int] | None:
        """Of the chosen ones. Raises ValueError for what is no column."""
        return None if self.chosen is None else [self.number(column) for column in self.chosen]

    def number(self, column: Any) -> int:
        """Of a column by its name, or its number."""
        if column in self.names:
            return self.names.index(column)
        if isinstance(column, int) and 0 <= column < len(self.names):
            return column
        raise ValueError(f"{column!r} is no column: there are {', '.join(map(repr, self.names))}")

    def label(self, j: int) -> str:
        """What to write beside a column."""
        name = self.names[j]
        return name if isinstance(name, str) else f"column {name}"

    def level(self, j: int, level: int) -> str:
        """What to write beside a level of a column."""
        return f"{self.label(j)} = {self.word(self.names[j], level)}"

    def word(self, name: Any, level: int) -> Any:
        """What a level of a column stands for; its number where that is not known."""
        j = self.names.index(name) if name in self.names else len(self.names)
        known = self.levels[j] if j < len(self.levels) else None
        return level if known is None else known[level]

    def part(self, own: Sequence[int]) -> Columns | None:
        """Some of the columns, of those chosen; None if none of them was."""
        chosen = None
        if self.numbers is not None:
            chosen = tuple(own.index(j) for j in self.numbers if j in own)
            if not chosen:
                return None
        levels = tuple(self.levels[j] if j < len(self.levels) else None for j in own)
        return Columns(tuple(self.names[j] for j in own), levels, chosen)
