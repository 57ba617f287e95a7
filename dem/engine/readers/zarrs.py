"""Zarr arrays, formats 2 and 3, in any store.

Zarr gives fill values for a chunk that its store does not have, so a half-copied array reads as
if it were whole. Here a chunk that is not there is an error: see `Present`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import FsspecStore, LocalStore, MemoryStore, StorePath, WrapperStore, ZipStore

from dem.engine.readers.arrays import InMemory
from dem.engine.readers.base import Spans, far_ahead, native, regular, row_bytes
from dem.engine.readers.plain import PlainChunks, plain
from dem.errors import DataError

SHARD_BLOCKS = 8  # shards beyond this many blocks are read in parts, so that memory stays bounded


class ChunkFault(Exception):
    """A chunk's bytes could not be had; the cause is why, None where they do not exist."""


class Present(WrapperStore):
    """A store in which a missing chunk is an error; costs nothing, as no key is asked for twice."""

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        try:
            value = await self._store.get(key, prototype, byte_range)
        except Exception as error:
            raise ChunkFault(key) from error
        if value is None:
            raise ChunkFault(key)
        return value


@dataclass(frozen=True, eq=False)
class ZarrRows:
    """Blocks of rows of a Zarr array, decoded into a buffer."""

    array: zarr.Array
    spans: Spans
    ahead: int = 1
    plain: PlainChunks | None = None
    in_memory: bool = field(default=False, init=False)
    blocks_held: ClassVar[float] = 4.0  # for data that do not compress; 3.0 without a codec

    def read(self, block: int, out: np.ndarray | None = None) -> np.ndarray:
        start, stop = self.spans[block]
        if out is None:
            out = self._empty(stop - start)
        rows = out[: stop - start]
        if rows.size:
            self._read(start, stop, rows)
        return rows

    def _read(self, start: int, stop: int, rows: np.ndarray) -> None:
        if self.plain and self.plain.read(start, stop, rows):
            return
        prototype = default_buffer_prototype()
        rest = (slice(None),) * (self.array.ndim - 1)
        try:
            self.array.get_basic_selection(
                (slice(start, stop), *rest),
                out=prototype.nd_buffer.from_numpy_array(rows),
                prototype=prototype,
            )
        except ChunkFault as fault:
            raise self._explain(start, stop, fault) from fault.__cause__
        except Exception as error:
            bad = self._undecodable(start, stop)
            if bad is None:  # it can be read now: a fault that has passed is not the data's
                raise
            raise DataError(
                f"{self._name(bad)} cannot be decoded ({type(error).__name__}: {error}). "
                "It is corrupt: write these rows again, or copy the chunk again from its origin."
            ) from error

    def take(self, blocks: Sequence[int]) -> ZarrRows:
        return replace(self, spans=self.spans.take(blocks))

    def buffer(self) -> np.ndarray:
        return self._empty(self.spans.largest)

    def _empty(self, n_rows: int) -> np.ndarray:
        dtype = self.array.dtype.newbyteorder("=")
        return np.empty((n_rows, *self.array.shape[1:]), dtype)

    def token(self) -> str:
        """The array's address and metadata."""
        metadata = json.dumps(self.array.metadata.to_dict(), sort_keys=True, default=repr)
        return f"{address(self.array)} {metadata}"

    def chunk_of(self, row: int, column: int) -> str:
        """What is stored under one key with this value in it, in words."""
        rows, columns = grid(self.array)
        return self._name((int(row // rows), int(column // columns)))

    def _chunks(self, start: int, stop: int) -> Iterator[tuple[int, ...]]:
        """Indices of the stored objects (shards, else chunks) that hold some of these rows."""
        rows, *rest = grid(self.array)
        counts = (-(-size // step) for size, step in zip(self.array.shape[1:], rest, strict=True))
        return product(range(start // rows, -(-stop // rows)), *map(range, counts))

    def _undecodable(self, start: int, stop: int) -> tuple[int, ...] | None:
        for index in self._chunks(start, stop):
            corners = zip(index, grid(self.array), strict=True)
            try:
                self.array[tuple(slice(i * step, (i + 1) * step) for i, step in corners)]
            except ChunkFault:
                continue
            except Exception:  # whatever the codec raises: the chunk is the one that we look for
                return index
        return None

    def _explain(self, start: int, stop: int, fault: ChunkFault) -> Exception:
        key = fault.args[0]
        encode = self.array.metadata.encode_chunk_key
        found = (i for i in self._chunks(start, stop) if f"/{key}".endswith(f"/{encode(i)}"))
        name = self._name(next(found))
        if fault.__cause__ is not None:
            return OSError(f"{name} cannot be read from its store: {fault.__cause__}")
        return DataError(
            f"{name} is missing from its store (key {key!r}); Zarr would read it as fill values "
            f"({self.array.fill_value!r}). Write these rows again. If they really are all fill "
            "value, store them: z = zarr.open_array(path, mode='r+').with_config("
            f"{{'write_empty_chunks': True}}); z[{start}:{stop}] = z[{start}:{stop}]"
        )

    def _name(self, index: tuple[int, ...]) -> str:
        rows = grid(self.array)[0]
        first, last = index[0] * rows, min((index[0] + 1) * rows, self.array.shape[0]) - 1
        what = "shard" if self.array.shards else "chunk"
        return f"{what} {index} (rows {first} to {last}) of {address(self.array)}"


@dataclass(frozen=True, eq=False)
class ZarrSource:
    """A Zarr array; a block is a run of whole chunks, or shards where there are (small) shards."""

    array: zarr.Array
    columns: None = field(default=None, init=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return native(self.array.dtype)

    def boundaries(self, block_bytes: int) -> np.ndarray:
        rows, chunk = grid(self.array)[0], self.array.chunks[0]
        wanted = block_bytes // row_bytes(self.shape, self.dtype)
        if rows > SHARD_BLOCKS * max(wanted, chunk):  # too much at once: a part of the shard
            n = rows // chunk
            fitting = (k for k in range(1, n) if n % k == 0 and k * chunk <= wanted)
            return regular(self.shape[0], chunk * max(fitting, default=1))
        return regular(self.shape[0], rows * max(1, wanted // rows))

    def reader(self, boundaries: np.ndarray) -> ZarrRows | InMemory:
        store = self.array.store
        stored = rows_between(self.array, boundaries)
        if not isinstance(store, MemoryStore):
            return stored
        return InMemory({block: stored.read(block) for block in range(len(boundaries) - 1)})


def rows_between(array: zarr.Array, boundaries: np.ndarray) -> ZarrRows:
    """Blocks of an array, several of them read ahead where each keeps one waiting."""
    spans = Spans(boundaries)
    store = _rooted(array.store)
    near = isinstance(store, (LocalStore, MemoryStore, ZipStore))
    nbytes = spans.largest * row_bytes(array.shape, array.dtype)
    return ZarrRows(strict(array), spans, 1 if near else far_ahead(nbytes), plain(array, store))


def grid(array: zarr.Array) -> tuple[int, ...]:
    """The shape of what is stored under one key: a shard, or a chunk."""
    return array.shards or array.chunks


def address(array: zarr.Array) -> str:
    """Where the array is, for people."""
    store = array.store
    while isinstance(store, WrapperStore):
        store = store._store
    return str(StorePath(store, array.path))


def strict(array: zarr.Array) -> zarr.Array:
    """The same array, over a store that refuses missing chunks and that workers can reopen."""
    inner = array._async_array
    path = StorePath(Present(_rooted(array.store)), inner.store_path.path)
    return zarr.Array(zarr.AsyncArray(inner.metadata, path, inner.config))


def _rooted(store: Any) -> Any:
    """Local stores by absolute path: workers may have other working directories."""
    if isinstance(store, FsspecStore):
        protocols = getattr(store.fs, "sync_fs", store.fs).protocol
        if "file" in (protocols if isinstance(protocols, tuple) else (protocols,)):
            return LocalStore(Path(store.path).absolute(), read_only=True)
    if type(store) is LocalStore:
        return LocalStore(store.root.absolute(), read_only=True)
    return store


def open_zarr(path: str, sparse: bool = False) -> Any:
    """The array at a path or URL; `path::name` and `path/name` reach into a group.

    sparse : whether it may also be a group of sparse rows.
    """
    place, _, name = path.rpartition("::")
    if not place or "://" in name:  # fsspec chains protocols with :: too
        place, name = path, ""
    try:
        node = zarr.open(place, mode="r", path=name, storage_options=_options(place))
    except FileNotFoundError as error:
        if name:
            raise DataError(_nothing_inside(place, name)) from error
        if "://" in place or not Path(place).exists():
            raise FileNotFoundError(f"{path}: no Zarr array is there") from error
        raise DataError(
            f"{path} is not data that can be read: expected a Zarr array, a .npy file, "
            "or Parquet (.parquet, .parq, .pq: a file or a directory of files)."
        ) from error
    if isinstance(node, zarr.Group):
        if "dem" in node.attrs:
            raise DataError(f"{path} is a model that dem has saved, not data.")
        from dem.engine.readers.csr import is_csr, open_csr

        if is_csr(node):
            if sparse:
                return open_csr(node)
            raise DataError(f"{path} holds sparse rows (CSR), and dense ones are required.")
        inside = _arrays(node)
        example = f"{place}::{name + '/' if name else ''}{inside[0] if inside else 'name'}"
        raise DataError(
            f"{path} is a Zarr group, not an array. Its arrays: {', '.join(inside) or 'none'}. "
            f"Name one, as in {example}"
        )
    return ZarrSource(node)


def _options(place: str) -> dict[str, Any] | None:
    """What s3fs is to be told, which else asks for the size of each chunk before it reads it."""
    return {"max_concurrency": 1} if place.startswith(("s3://", "s3a://")) else None


def _arrays(group: zarr.Group) -> list[str]:
    """The names of the arrays in a group, and in the groups inside."""
    members = group.members(max_depth=None)
    return sorted(member for member, kind in members if isinstance(kind, zarr.Array))


def _nothing_inside(place: str, name: str) -> str:
    """Why `place::name` is no array."""
    try:
        node = zarr.open(place, mode="r")
    except FileNotFoundError:
        return f"{place} is not a Zarr group, so that ::{name} cannot be found in it."
    if isinstance(node, zarr.Array):
        return f"{place} is a Zarr array and holds no others: leave ::{name} out."
    inside = ", ".join(_arrays(node)) or "none"
    return f"There is no array {name!r} in {place}. Its arrays: {inside}."
