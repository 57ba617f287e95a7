"""Figures and tables in plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def figures(values: Mapping[str, str]) -> str:
    """One line for each: the name, and the value beside it."""
    width = max(map(len, values))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in values.items())


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Right-aligned columns, as many as fit, and a last line that says how many do not."""
    sizes = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    shown, used = 0, 0
    for size in sizes:
        used += size + 2
        if used > width and shown >= 3:
            break
        shown += 1
    lines = [
        "  ".join(f"{cell:>{size}}" for cell, size in zip(row[:shown], sizes[:shown], strict=True))
        for row in (header, *rows)
    ]
    if left := len(sizes) - shown:
        lines.append(f"... and {left} more column{'s' * (left != 1)}; --json has all")
    return "\n".join(lines)
