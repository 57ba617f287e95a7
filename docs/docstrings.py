"""Docstrings as they are written here, for Sphinx: as reStructuredText.

In them a line "name : what it is" describes an argument, with or without a heading in NumPy's
style above it; an indented paragraph is an equation; `this` is code, and linked where it is known.
"""

import re
from collections.abc import Iterator
from typing import Any

ENTRY = re.compile(r"(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*) : (?P<text>.+)")
CODE = re.compile(r"``?([^`]+)``?")
NAME = re.compile(r"[A-Za-z_][\w.]*")
EMPHASIS = re.compile(r"(?<!\w)\*[a-z][a-z ]*\*(?!\w)")


def inline(text: str) -> str:
    """A line whose `code` is a link if it is a name, and in which nothing else is markup."""
    parts = CODE.split(text)
    for i, part in enumerate(parts):
        if i % 2:
            parts[i] = f":py:obj:`{part}`" if NAME.fullmatch(part) else f"``{part}``"
        elif not EMPHASIS.search(part):
            parts[i] = re.sub(r"([\\*|_])", r"\\\1", part)
    return "\\ ".join(filter(None, parts)) if len(parts) > 1 else parts[0]


def blocks(lines: list[str]) -> Iterator[list[str]]:
    """Lines that stand together, between empty ones."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def joined(block: list[str]) -> Iterator[str]:
    """Lines, of which one ends where its names, braces or backquotes do."""
    held = ""
    for line in block:
        held = f"{held} {line.strip()}" if held else line
        names = re.fullmatch(r"(\w+_, )*\w+_,", held.strip())
        if names or held.count("{") > held.count("}") or held.count("`") % 2:
            continue
        yield held
        held = ""
    if held:
        yield held


def described(block: list[str], headed: bool) -> Iterator[str]:
    """A list of what arguments are; lines before and after it are paragraphs."""
    inside = False
    for line in joined(block):
        entry = ENTRY.fullmatch(line)
        if entry:
            names = ", ".join(f"``{name}``" for name in entry["names"].split(", "))
            yield from ("", names, "    " + inline(entry["text"]))
            yield from [""] * headed  # what follows is about it, and no more of its type
            inside = True
        elif inside and line.startswith(" "):
            yield "    " + inline(line.strip())
        else:
            yield from [""] * inside
            yield inline(line.strip())
            inside = False


def restructured(lines: list[str]) -> Iterator[str]:
    headed = False
    for block in blocks(lines):
        if len(block) > 1 and set(block[1].strip()) == {"-"}:
            yield from (f".. rubric:: {block[0].strip()}", "")
            block, headed = block[2:], True
        if block and all(line.startswith("    ") for line in block):
            yield from (".. code-block:: none", "", *block)
        else:
            yield from described(block, headed)
        yield ""


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = restructured(lines)


def skip(app: Any, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what others have brought, and what `dem.contract` says of families and models."""
    place = str(getattr(obj, "__module__", None) or getattr(type(obj), "__module__", ""))
    ours = place.startswith("dem.") and not place.startswith(("dem.families.", "dem.models."))
    return None if ours else True


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
