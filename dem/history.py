"""The history of a fit as a person looks at it: a tuple of records, with a table and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dem import html

HEAD = ("turn", "bound", "change", "seconds")


class History(tuple[Any, ...]):
    """Records of turns, from the first to the last; a tuple in every other way."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for each turn; its index is the turn."""
        from pandas import DataFrame

        columns = ("turn", "bound_e", "bound", "seconds", "groups", "weight")
        rows = [[getattr(record, name) for name in columns] for record in self]
        return DataFrame(rows, columns=list(columns)).set_index("turn")

    def plot(self, ax: Any = None) -> Any:
        """The bound per row after each turn, as matplotlib Axes."""
        from dem.plots import plot_bounds

        return plot_bounds([self], ax=ax)

    def _repr_html_(self) -> str:
        curve = html.curve([record.bound for record in self])
        return html.card(f"{len(self)} turns", " ", curve, as_table(self))


def as_table(history: Sequence[Any]) -> str:
    """Turn, bound after it, its change and seconds, as HTML."""
    before: list[Any] = [None, *history]
    rows = [
        (
            record.turn,
            record.bound,
            f"{record.bound - last.bound:+.2g}" if last else "–",
            f"{record.seconds:.3g}",
        )
        for record, last in zip(history, before, strict=False)
    ]
    return html.table(HEAD, rows)
