"""Checkpoints: a fit that was cut off goes on where it stood, to the same bits.

A directory (or URL) holds the last two, each a group that appears whole or not at all, so that
one which is damaged leaves the one before. It belongs to one fit at a time, see `Claim`. No
pickle; classes are named by short words.
"""

from __future__ import annotations

import os
import platform
import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dem.checks import check_number
from dem.engine.blas import blas_architecture
from dem.engine.manifest import Manifest
from dem.engine.patience import patiently
from dem.errors import DataError
from dem.records import Ascent, State
from dem.standing import check_standing
from dem.storable import JSON
from dem.store import read, write
from dem.store.claim import MARKER, Claim, disown, holder
from dem.store.place import URI, Place
from dem.store.values import describe, rebuild

_NAME = re.compile(r"at-\d{3}-\d{6}")
_LARGEST = 10**7
_KEPT = 2
SECONDS = 60.0  # between checkpoints


@dataclass
class Keeper:
    """Writes checkpoints to a place, at most one every so many seconds (and the last one).

    The place belongs to it from the beginning until another keeper takes it over, as that of a
    fit which is resumed does. FileExistsError if it belongs to another, and is not to be taken.
    """

    uri: URI
    climb: Ascent
    manifest: Manifest
    seconds: float = SECONDS
    take_over: bool = False
    _last: float = field(default=-np.inf, init=False)
    _pending: State | None = field(default=None, init=False)
    _claim: Claim = field(init=False)
    kept: float = field(default=0.0, init=False)  # when the last was written, since the epoch

    def __post_init__(self) -> None:
        place = Place.of(self.uri)
        self.uri = place.target  # absolute: a scheduler works in another directory
        self._claim = Claim(place)
        if self.take_over:
            self._claim.take_over()
        else:
            self._claim.make()

    def offer(self, state: State) -> None:
        """Keep this state, now or, if the last was kept a moment ago, at the end.

        Raises OSError if it cannot be written, as to a full disk: the last one is whole then, and
        the next is tried when its time comes. RuntimeError if the place is another's by now.
        """
        self._pending = state
        if time.monotonic() - self._last >= self.seconds:
            self._last = time.monotonic()
            self.flush()

    def latest(self) -> State | None:
        """Where the fit stood when it was last written; None if it never was."""
        return load(self.uri).state if exists(self.uri) else None

    def flush(self) -> None:
        """Write what is not yet written."""
        if self._pending is not None:
            patiently(self._write, f"The checkpoint could not be written to {self.uri}")

    def _write(self) -> None:
        state = self._pending
        assert state is not None
        if not self._claim.holds():
            self._pending = None
            raise RuntimeError(
                f"{self.uri} was removed, or taken over by a fit that was resumed: it now belongs "
                f"to {holder(self._claim.place)}. This fit stops rather than write over the other."
            )
        arrays: dict[str, np.ndarray] = {}
        record: dict[str, JSON] = {
            "climb": describe(self.climb, arrays, "climb"),
            "state": describe(state, arrays, "state"),
            "data": _facts(self.manifest),
            "place": self.manifest.place,
            "machine": _machine(),
        }
        write(_join(self.uri, _name(state)), arrays, record)
        self._pending, self.kept = None, time.time()
        place = self._claim.place
        for name in _names(self.uri)[:-_KEPT]:
            place.fs.rm(f"{place.path}/{name}", recursive=True)

    def close(self) -> None:
        """Write what is not yet written; give the place up if nothing was ever kept there."""
        try:
            self.flush()
        finally:
            if not _names(self.uri):
                self._claim.release()


def keeper(
    uri: URI | None, climb: Ascent, manifest: Manifest, seconds: float = SECONDS
) -> Keeper | None:
    """A keeper at a new place, None where none is asked for.

    FileExistsError if one is there, FileNotFoundError if there is no directory to make it in.
    """
    if uri is None:
        return None
    Place.of(uri).check_parent()
    refuse_to_overwrite(uri)
    return Keeper(uri, climb, manifest, seconds)


@dataclass(frozen=True, eq=False)
class Saved:
    """What a checkpoint says: the climb, where it stood, what the data were; and where it is."""

    uri: URI
    climb: Any  # a Climb or a Race, and its state
    state: Any
    data: dict[str, Any]
    place: str | None

    def longer(self, max_iter: int) -> Saved:
        """The same with another limit to its turns, all counted."""
        return replace(self, climb=self.climb.longer(max_iter))

    def check(self, manifest: Manifest) -> None:
        """Raise DataError naming the difference unless these are the data of the checkpoint."""
        for name, now in _facts(manifest).items():
            before = self.data.get(name)
            if before != now:
                difference = f"{name.replace('_', ' ')} was {before} and is {now}"
                if name == "fingerprint":
                    difference = (
                        "the values differ, or how they are stored"
                        if self.place == manifest.place
                        else f"they were at {self.place or 'no path'} and are "
                        f"{f'at {manifest.place}' if manifest.place else 'in memory'}"
                    )
                raise DataError(
                    f"These are not the data of the checkpoint: {difference}. Resume with the data "
                    "of the fit, or start a new one."
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
            saved = _read(uri, name)
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
    names = place.names()
    if names == {MARKER}:
        raise FileExistsError(
            f"{uri} belongs to {holder(place)}, a fit that has kept nothing yet: choose another "
            "place, or remove it if that fit is no more"
        )
    if names:
        what = "a checkpoint" if any(map(_NAME.fullmatch, names)) else f"{sorted(names)[0]!r}"
        raise FileExistsError(
            f"{uri} holds {what}: resume from it, remove it, or choose another place"
        )


def exists(uri: URI) -> bool:
    """Whether there is a checkpoint to resume from."""
    return bool(_names(uri))


def abandon(uri: URI) -> None:
    """Take a place, in which nothing was kept yet, from the fit it belongs to, if to any."""
    if not exists(uri):
        disown(Place.of(uri))


def _read(place: URI, name: str) -> Saved:
    uri = _join(place, name)
    arrays, record = read(uri)
    if not {"climb", "state", "data", "place", "machine"} <= record.keys():
        raise DataError(f"{uri} is not a checkpoint")
    try:
        climb, state = _understood(record, arrays)
        if name != _name(state):
            raise ValueError(f"it holds what belongs in {_name(state)}")
    except Exception as error:  # whatever a file made by hand makes of a model
        raise DataError(f"{uri} is not a checkpoint: {error}") from error
    data: Any = record["data"]
    given, machine = record["place"], record["machine"]
    if machine != _machine():
        warnings.warn(
            f"The checkpoint was made on {machine} and this is {_machine()}: the fit goes on, but "
            "its last bits may differ from those of an unbroken one.",
            stacklevel=3,
        )
    return Saved(place, climb, state, data, given if isinstance(given, str) else None)


def _understood(record: Mapping[str, JSON], arrays: Mapping[str, Any]) -> tuple[Any, Any]:
    """The climb and the state of a record, which go together."""
    climb, state = (rebuild(record[name], arrays) for name in ("climb", "state"))
    facts: Any = record["data"]
    sizes = facts["number_of_blocks"], facts["number_of_columns"]
    for size in sizes:
        check_number("a size of the data", size, int, 1)
    if max(sizes) > _LARGEST:
        raise ValueError(f"data of {max(sizes)} blocks or columns")
    with np.errstate(all="ignore"):
        check_standing(climb, state, *sizes)
    return climb, state


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


def _name(state: Any) -> str:
    attempt, turn = state.stands
    return f"at-{attempt:03d}-{turn:06d}"


def _join(uri: URI, name: str) -> str:
    return f"{os.fspath(uri).rstrip('/')}/{name}"
