"""Nested arrays and attributes, to and from one Zarr group."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec

from dem.errors import DataError
from dem.storable import JSON, Value
from dem.store.layout import Leaf, check_finite, plain, put_together, take_apart
from dem.store.place import URI, Place

FORMAT = 1

_CHUNK_BYTES = 2**26
_METADATA_BYTES = 2**26


def write(
    uri: URI,
    values: Mapping[str, Value],
    attributes: Mapping[str, JSON],
    *,
    nonfinite: Collection[str] = (),
    overwrite: bool = True,
) -> None:
    """Write arrays and attributes as a Zarr group at a path or URL.

    Parameters
    ----------
    values
        Arrays of booleans or numbers, of any shape, in mappings and tuples nested as you like.
        Names are a letter followed by letters, digits and underscores. They come back bit for
        bit, in the byte order of the machine.
    attributes
        JSON: strings, finite numbers, booleans, None, lists and mappings of them. A tuple comes
        back as a list.
    nonfinite
        Paths, such as "history/bound" or "history", of arrays or groups that may hold NaN or
        infinity.
    overwrite
        Whether to replace a group that `write` made earlier. Anything else is never replaced.

    Raises
    ------
    FileExistsError, FileNotFoundError
        If the target may not be replaced, or its parent directory does not exist.
    TypeError, ValueError
        If a value cannot be stored; what was at the target is still there.
    """
    layout, arrays = take_apart(dict(values))
    for path, array in arrays.items():
        check_finite(array, path, nonfinite, ValueError)
    attributes = plain(attributes)
    place = Place.of(uri)
    _refuse_to_destroy(place, overwrite)
    header = {"format": FORMAT, "layout": layout}
    with place.replaced() as target:
        # Behind a URL the mark is what tells a reader that all else has been written.
        group = zarr.create_group(
            target, zarr_format=3, attributes={"dem": {**header, "complete": False}}
        )
        for path, array in arrays.items():
            _write_array(group, path, array)
        group.update_attributes({"attributes": attributes, "dem": {**header, "complete": True}})


def check_target(uri: URI, *, overwrite: bool = True) -> None:
    """Raise now what `write` would raise about the place after the work; nothing is written.

    Raises
    ------
    FileExistsError, FileNotFoundError, PermissionError
        If the target may not be replaced; if its parent directory does not exist, or cannot be
        written to.
    """
    place = Place.of(uri)
    _refuse_to_destroy(place, overwrite)
    place.check_parent()


def read(
    uri: URI, *, nonfinite: Collection[str] = (), max_bytes: int | None = None
) -> tuple[dict[str, Value], dict[str, JSON]]:
    """The values and attributes that `write` put at a path or URL.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    DataError
        If what is there was not written by `write`, is of another format, incomplete or damaged,
        holds NaN or infinity outside `nonfinite`, or needs more than `max_bytes` of memory (half
        of what is available, by default).
    """
    stored = Stored.open(uri)
    return stored.values(nonfinite, max_bytes), stored.attributes


@dataclass(frozen=True)
class Stored:
    """A group whose header has been read and checked, its arrays not yet."""

    uri: URI
    group: zarr.Group
    layout: JSON
    attributes: dict[str, JSON]

    @classmethod
    def open(cls, uri: URI) -> "Stored":
        place = Place.of(uri)
        group, header = _header(place)
        if header["format"] != FORMAT:
            raise DataError(
                f"{uri} is in format {header['format']!r} and this version of dem reads format "
                f"{FORMAT}: use the version that wrote it, or a later one"
            )
        if header.get("complete") is not True:
            raise DataError(f"{uri} is incomplete: writing it was interrupted; write it again")
        try:
            attributes = plain(group.attrs.asdict()["attributes"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{uri} is damaged: {error}") from error
        if not isinstance(attributes, dict):
            raise DataError(f"{uri} is damaged: its attributes are not a mapping")
        return cls(uri, group, header.get("layout"), attributes)

    def values(self, nonfinite: Collection[str], max_bytes: int | None) -> dict[str, Value]:
        if max_bytes is None:
            max_bytes = psutil.virtual_memory().available // 2
        leaves: list[Leaf] = []
        try:
            values = put_together(self.layout, leaves.append)
            if not isinstance(values, dict):
                raise DataError("the layout: not a mapping")
            needed = sum(leaf.nbytes for leaf in leaves)
            if needed > max_bytes:
                raise DataError(
                    f"its {len(leaves)} arrays need {needed:,} bytes and the limit is "
                    f"{max_bytes:,}; pass a higher max_bytes if you trust it"
                )
            return put_together(self.layout, lambda leaf: self._array(leaf, nonfinite))
        except DataError as error:
            raise DataError(f"{self.uri} cannot be read: {error}") from error.__cause__

    def _array(self, leaf: Leaf, nonfinite: Collection[str]) -> np.ndarray:
        try:
            array = self.group[leaf.path]
            if not isinstance(array, zarr.Array) or not _as_written(array, leaf):
                raise DataError(f"{leaf.path}: not stored as {leaf.dtype} of shape {leaf.shape}")
            if array.nchunks_initialized != array.nchunks:
                raise DataError(f"{leaf.path}: some of its chunks are missing")
            if array.nbytes_stored() > leaf.nbytes + 4 * array.nchunks + _METADATA_BYTES:
                raise DataError(f"{leaf.path}: takes more room than its shape and dtype explain")
            values = np.asarray(array[...])
        except DataError:
            raise
        except Exception as error:  # whatever a damaged file makes of Zarr and its codecs
            raise DataError(f"{leaf.path}: damaged: {error}") from error
        check_finite(values, leaf.path, nonfinite, DataError)
        return values


def _write_array(group: zarr.Group, path: str, array: np.ndarray) -> None:
    chunks = tuple(max(1, n) for n in array.shape)
    if chunks:
        row_bytes = math.prod(chunks[1:]) * array.itemsize
        chunks = (min(chunks[0], max(1, _CHUNK_BYTES // row_bytes)), *chunks[1:])
    stored = group.create_array(
        path,
        shape=array.shape,
        dtype=array.dtype,
        chunks=chunks,
        filters=None,
        compressors=Crc32cCodec(),
        # Chunks of zeros are written too, so that a lost chunk cannot pass for one of them.
        config={"write_empty_chunks": True},
    )
    stored[...] = array


def _as_written(array: zarr.Array, leaf: Leaf) -> bool:
    """Whether shape, dtype, chunks and codecs are such as `_write_array` gives a leaf."""
    return (
        array.shape == leaf.shape
        and array.dtype == leaf.dtype
        and array.shards is None
        and all(c <= max(1, n) for c, n in zip(array.chunks, array.shape, strict=True))
        and not array.filters
        and isinstance(array.serializer, BytesCodec)
        and all(isinstance(codec, Crc32cCodec) for codec in array.compressors)
    )


def _header(place: Place) -> tuple[zarr.Group, dict[str, Any]]:
    """The group at a place, and what `write` says of it there; DataError if it says nothing."""
    if not place.exists("zarr.json"):
        if not place.exists():
            raise FileNotFoundError(f"there is nothing at {place.target}")
        raise DataError(f"{place.target} was not saved by dem")
    try:
        if place.size("zarr.json") > _METADATA_BYTES:
            raise ValueError("too much metadata")
        group = zarr.open_group(place.target, mode="r", zarr_format=3, use_consolidated=False)
        header = group.attrs.asdict()["dem"]
        if not isinstance(header, dict) or "format" not in header:
            raise ValueError("no header")
    except (AssertionError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{place.target} was not saved by dem, or is damaged") from error
    return group, header


def _refuse_to_destroy(place: Place, overwrite: bool) -> None:
    """Raise FileExistsError unless nothing but a group that `write` made would be lost."""
    try:
        names = place.names()
        if not names:
            return
        _, header = _header(place)
        foreign = names - {"zarr.json", *header["layout"]["mapping"]}
    except (DataError, KeyError, NotADirectoryError, TypeError):
        raise FileExistsError(
            f"{place.target} exists and was not saved by dem: choose another place, or remove it"
        ) from None
    if foreign:
        raise FileExistsError(
            f"{place.target} holds {sorted(foreign)[0]!r}, which is not part of what dem saved "
            "there: choose another place, or move that"
        )
    if not overwrite:
        raise FileExistsError(f"{place.target} exists: pass overwrite=True to replace it")
