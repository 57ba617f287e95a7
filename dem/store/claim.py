"""Places that belong to one writer at a time, so that two never take each other's for their own."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from dem.store.place import Place

MARKER = "owner.json"


@dataclass(frozen=True)
class Claim:
    """A mark inside a directory that says whose it is.

    On a local path, of several that claim it at once one succeeds. Behind a URL that is so where
    the store can create a file exclusively, else for claims that are not made in the same moment.
    """

    place: Place
    owner: str = field(default_factory=lambda: uuid4().hex)

    def make(self) -> None:
        """Claim the place, which is made if it is not there; FileExistsError if it is taken."""
        self.place.fs.makedirs(self.place.path, exist_ok=True)
        try:
            self._write("create")
        except FileExistsError:
            raise FileExistsError(f"{self.place.target} belongs to {holder(self.place)}") from None

    def take_over(self) -> None:
        """Claim the place, whoever has it."""
        self.place.fs.makedirs(self.place.path, exist_ok=True)
        self._write("overwrite")

    def holds(self) -> bool:
        """Whether the place is still this claim's."""
        return _read(self.place).get("owner") == self.owner

    def release(self) -> None:
        """Give the place up, if it is still this claim's."""
        if self.holds():
            disown(self.place)

    def _write(self, mode: str) -> None:
        here = {"host": platform.node(), "process": os.getpid()}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"owner": self.owner, **here, "since": now}).encode()
        if self.place.local:
            # In one write, so that what others read is this, or nothing that is theirs.
            with open(f"{self.place.path}/{MARKER}", "xb" if mode == "create" else "wb") as file:
                file.write(text)
        else:
            self.place.fs.pipe_file(f"{self.place.path}/{MARKER}", text, mode=mode)


def disown(place: Place) -> None:
    """Remove the mark, and the directory if nothing else is in it."""
    if place.exists(MARKER):
        place.fs.rm_file(f"{place.path}/{MARKER}")
    if place.local and os.path.isdir(place.path) and not os.listdir(place.path):
        os.rmdir(place.path)


def holder(place: Place) -> str:
    """Who has claimed a place, in words."""
    mark = _read(place)
    if {"host", "process", "since"} <= mark.keys():
        return f"process {mark['process']} on {mark['host']} since {mark['since']}"
    return "an unknown process"


def _read(place: Place) -> Mapping[str, Any]:
    """The mark; empty if there is none, or none that makes sense."""
    try:
        mark = json.loads(place.fs.cat_file(f"{place.path}/{MARKER}"))
    except (FileNotFoundError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}
