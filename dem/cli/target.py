"""Where results go, which appear whole or not at all, and never over what was read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from dem.engine.output import is_zarr_array, replaced_file, write_npy, write_zarr
from dem.store import check_target
from dem.store.place import Place


@dataclass(frozen=True)
class Target:
    """A place to write an array to."""

    place: Place

    @classmethod
    def of(cls, out: str) -> Target:
        return cls(Place.of(os.path.expanduser(out)))

    @property
    def is_npy(self) -> bool:
        return self.place.path.endswith(".npy")

    def check(self, overwrite: bool, keep: Iterable[str] = ()) -> None:
        """Refuse, before anything is computed, what could not be written or must not be replaced.

        keep : paths that are read, and so must not be written over.

        Raises FileExistsError, FileNotFoundError, PermissionError, ValueError.
        """
        place, path = self.place, Path(self.place.path)
        if not place.local:
            if self.is_npy:
                raise ValueError(f"A .npy file can only be written locally, not to {place.target}.")
            check_apart(place, keep)
            if place.exists() and not overwrite:
                raise FileExistsError(f"{place.target} exists: --overwrite replaces it.")
            return
        check_apart(place, keep)
        place.check_parent()
        if not path.exists():
            return
        if not overwrite:
            raise FileExistsError(f"{path} exists: --overwrite replaces it.")
        if not (path.is_file() if self.is_npy else is_zarr_array(path)):
            kind = "a file" if self.is_npy else "a Zarr array"
            raise FileExistsError(f"{path} is not {kind}, and is not replaced: remove it yourself.")

    def write(
        self, blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: Any, chunk_rows: int
    ) -> None:
        """Write blocks of rows that follow each other."""
        if self.is_npy:
            with replaced_file(Path(self.place.path)) as scratch:
                write_npy(scratch, blocks, shape, dtype)
            return
        with self.place.replaced() as target:
            write_zarr(target, blocks, shape, dtype, chunk_rows)


def check_apart(place: Place, keep: Iterable[str]) -> None:
    """Raise FileExistsError if a place lies on, in or around one of the paths to be kept."""
    here = PurePath(place.path)
    for kept in keep:
        # `::` reaches into a group, and between URLs chains protocols.
        outside, _, name = kept.rpartition("::")
        other = Place.of(outside if outside and "://" not in name else kept)
        there = PurePath(other.path)
        same = type(place.fs) is type(other.fs)
        if same and (here == there or here in there.parents or there in here.parents):
            raise FileExistsError(f"{place.target} would lie on, in or around {kept}.")


def check_model(out: str, overwrite: bool, keep: Iterable[str]) -> None:
    """Refuse, before anything is computed, a place where a model could or should not be saved.

    Raises FileExistsError, FileNotFoundError, PermissionError.
    """
    place = Place.of(out)
    check_apart(place, keep)
    check_target(out)
    if place.names() and not overwrite:
        raise FileExistsError(f"{place.target} exists: --overwrite replaces it.")
