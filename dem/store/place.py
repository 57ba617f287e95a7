"""Where a group is or will be: a directory, which is replaced as a whole, or a URL."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import fsspec
from fsspec.implementations.local import LocalFileSystem

from dem.urls import check_url

URI: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True)
class Place:
    """A path or URL, and the file system it is on."""

    target: str  # what Zarr opens
    fs: Any
    path: str  # what the file system calls it
    local: bool

    @classmethod
    def of(cls, uri: URI) -> "Place":
        if not os.fspath(uri):
            raise ValueError("an empty path names no place")
        check_url(os.fspath(uri))
        fs, path = fsspec.core.url_to_fs(os.fspath(uri))
        if isinstance(fs, LocalFileSystem):
            # Behind a symbolic link it is the directory that is read and replaced, not the link.
            path = os.path.realpath(path)
            return cls(path, fs, path, True)
        fs.invalidate_cache()
        return cls(os.fspath(uri), fs, path, False)

    def exists(self, name: str = "") -> bool:
        """Whether anything is here, or of that name directly inside."""
        return bool(self.fs.exists(f"{self.path}/{name}" if name else self.path))

    def names(self) -> set[str]:
        """The names directly inside; empty if nothing is here. NotADirectoryError for a file."""
        if not self.exists():
            return set()
        if not self.fs.isdir(self.path):
            raise NotADirectoryError(f"{self.target} is a file")
        listed = {entry.strip("/") for entry in self.fs.ls(self.path, detail=False)}
        # Some object stores list a directory within itself.
        return {entry.rsplit("/", 1)[-1] for entry in listed - {self.path.strip("/")}}

    def size(self, name: str) -> int:
        """Bytes of a file directly inside; 0 if a server does not say."""
        return int(self.fs.size(f"{self.path}/{name}") or 0)

    def check_parent(self) -> None:
        """FileNotFoundError or PermissionError if a directory cannot be made here.

        Behind a URL a small object is written beside it, and removed: only that tells whether there
        is such a bucket, and who may write to it.
        """
        if not self.local:
            self._check_writable()
            return
        parent = Path(self.path).parent
        if not parent.is_dir():
            raise FileNotFoundError(f"there is no directory {parent} to write {self.target} in")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(f"the directory {parent} cannot be written to")

    def _check_writable(self) -> None:
        probe = f"{self.path.rstrip('/')}-{uuid.uuid4().hex}"
        try:
            self.fs.pipe_file(probe, b"")
            self.fs.rm_file(probe)
        except (FileNotFoundError, NotImplementedError, PermissionError) as error:
            kind = PermissionError if isinstance(error, PermissionError) else FileNotFoundError
            raise kind(f"nothing can be written to {self.target}: {error}") from error

    def replaced(self) -> AbstractContextManager[str]:
        """Where to write what is to be here afterwards: if the block fails, nothing of it stays.

        A directory is replaced as a whole, and what was there survives a failure. Behind a URL
        what was there is removed first.
        """
        return _replaced_directory(Path(self.path)) if self.local else _replaced_url(self)


@contextmanager
def _replaced_directory(target: Path) -> Iterator[str]:
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no directory {target.parent} to write {target.name} in")
    scratch = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    former = scratch.with_name(f"{scratch.name}-former")
    try:
        yield str(scratch)
        if target.exists():
            target.rename(former)
        scratch.rename(target)
    finally:
        if former.exists() and not target.exists():
            former.rename(target)
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


@contextmanager
def _replaced_url(place: Place) -> Iterator[str]:
    _remove(place)
    try:
        yield place.target
    except BaseException:
        _remove(place)
        raise


def _remove(place: Place) -> None:
    place.fs.invalidate_cache()
    if place.fs.exists(place.path):
        place.fs.rm(place.path, recursive=True)
