"""Where row-wise results go: a .npy file or a Zarr array, which appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dem.engine.output import is_zarr_array, replaced_file, write_npy, write_zarr
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
            if place.exists() and not overwrite:
                raise FileExistsError(f"{place.target} exists: --overwrite replaces it.")
            return
        for read in keep:
            other = Path(Place.of(read.partition("::")[0]).path)
            if path == other or path in other.parents or other in path.parents:
                raise FileExistsError(f"{place.target} would lie on, in or around {read}.")
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
