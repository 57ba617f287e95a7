"""Checkpoints: a fit that was cut off goes on where it stood, to the same bits.

A directory (or URL) holds the last two, each a group that appears whole or not at all, so that
one which is damaged leaves the one before. No pickle; classes are named by short words.
"""

from __future__ import annotations

import os
import platform
import re
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dem.climb import Climb, State
from dem.engine.blas import blas_architecture
from dem.engine.manifest import Manifest
from dem.errors import DataError
from dem.storable import JSON
from dem.store import read, write
from dem.store.place import URI, Place
from dem.store.values import describe, rebuild

_NAME = re.compile(r"at-\d{3}-\d{6}")
_KEPT = 2


@dataclass
class Keeper:
    """Writes checkpoints to a place, at most one every so many seconds (and the last one)."""

    uri: URI
    climb: Climb
    manifest: Manifest
    seconds: float = 60.0
    _last: float = field(default=-np.inf, init=False)
    _pending: State | None = field(default=None, init=False)

    def offer(self, state: State) -> None:
        """Keep this state, now or, if the last was kept a moment ago, at the end."""
        self._pending = state
        if time.monotonic() - self._last >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Write what is not yet written."""
        state, self._pending = self._pending, None
        if state is None:
            return
        arrays: dict[str, np.ndarray] = {}
        record: dict[str, JSON] = {
            "climb": describe(self.climb, arrays, "climb"),
            "state": describe(state, arrays, "state"),
            "data": _facts(self.manifest),
            "place": self.manifest.place,
            "machine": _machine(),
        }
        directory = Place.of(self.uri)
        directory.fs.makedirs(directory.path, exist_ok=True)
        turn = len(state.history)
        write(_join(self.uri, f"at-{state.attempt:03d}-{turn:06d}"), arrays, record)
        self._last = time.monotonic()
        for name in _names(self.uri)[:-_KEPT]:
            directory.fs.rm(f"{directory.path}/{name}", recursive=True)


@dataclass(frozen=True, eq=False)
class Saved:
    """What a checkpoint says: the climb, where it stood, and what the data were."""

    climb: Climb
    state: State
    data: dict[str, Any]
    place: str | None

    def check(self, manifest: Manifest) -> None:
        """Raise DataError naming the difference unless these are the data of the checkpoint."""
        for name, now in _facts(manifest).items():
            before = self.data.get(name)
            if before != now:
                raise DataError(
                    f"These are not the data of the checkpoint: {name.replace('_', ' ')} was "
                    f"{before} and is {now}. Resume with the data of the fit, or start a new one."
                )


def load(uri: URI) -> Saved:
    """The newest checkpoint that is whole.

    Warns where a newer one is damaged, or was made on a machine whose arithmetic may differ in
    the last bits. Raises FileNotFoundError if there is none, DataError if none can be read.
    """
    names = _names(uri)
    if not names:
        raise FileNotFoundError(f"{uri}: no checkpoint is there")
    faults = []
    for name in reversed(names):
        try:
            saved = _read(_join(uri, name))
        except DataError as error:
            faults.append(f"{name}: {error}")
            continue
        for fault in faults:
            warnings.warn(f"A checkpoint could not be read: {fault}", stacklevel=2)
        return saved
    raise DataError("; ".join(faults))


def refuse_to_overwrite(uri: URI) -> None:
    """Raise FileExistsError if something is there already."""
    place = Place.of(uri)
    if names := place.names():
        what = "a checkpoint" if any(map(_NAME.fullmatch, names)) else f"{sorted(names)[0]!r}"
        raise FileExistsError(
            f"{uri} holds {what}: resume from it, remove it, or choose another place"
        )


def exists(uri: URI) -> bool:
    """Whether there is a checkpoint to resume from."""
    return bool(_names(uri))


def _read(uri: str) -> Saved:
    arrays, record = read(uri)
    if not {"climb", "state", "data", "place", "machine"} <= record.keys():
        raise DataError(f"{uri} is not a checkpoint")
    climb, state = (rebuild(record[name], arrays) for name in ("climb", "state"))
    data, place, machine = record["data"], record["place"], record["machine"]
    if not isinstance(climb, Climb) or not isinstance(state, State) or not isinstance(data, dict):
        raise DataError(f"{uri} is not a checkpoint")
    check = getattr(climb.model, "check", lambda params: None)
    try:
        check(state.params)
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{uri} does not hold parameters of its model: {error}") from error
    if machine != _machine():
        warnings.warn(
            f"The checkpoint was made on {machine} and this is {_machine()}: the fit goes on, but "
            "its last bits may differ from those of an unbroken one.",
            stacklevel=3,
        )
    return Saved(climb, state, data, place if isinstance(place, str) else None)


def _facts(manifest: Manifest) -> dict[str, JSON]:
    """What makes data the same, the plain facts first so that they are named first."""
    return {
        "number_of_rows": manifest.n_rows,
        "number_of_columns": manifest.n_columns,
        "dtype": str(manifest.dtype),
        "number_of_blocks": manifest.n_blocks,
        "weighted": manifest.weights is not None,
        "fingerprint": manifest.fingerprint(),
    }


def _machine() -> JSON:
    return {"processor": platform.machine(), "blas": " ".join(blas_architecture())}


def _names(uri: URI) -> list[str]:
    return sorted(filter(_NAME.fullmatch, Place.of(uri).names()))


def _join(uri: URI, name: str) -> str:
    return f"{os.fspath(uri).rstrip('/')}/{name}"
