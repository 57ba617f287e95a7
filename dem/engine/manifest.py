"""What the data is: where its blocks of rows are, how to read one, and what identifies it.

Blocks depend on the data alone, never on threads or workers: sums are taken over a tree of
blocks, so the same data must always be cut in the same way to give the same bits.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dem.engine.readers.base import Reader, Source, is_a, row_bytes
from dem.engine.readers.codes import Codes
from dem.engine.readers.sparse import is_sparse, open_sparse
from dem.engine.readers.weights import open_weights
from dem.errors import DataError
from dem.urls import check_url

__all__ = ["Manifest", "Reader", "cut", "open_data", "open_source"]

BLOCK_BYTES = 8 * 2**20
# Measured on two threads: data of 4 MB in blocks of 1 MB take up to 1.5 times as long as one block
# on one thread (2 times in blocks of 256 kB), in blocks of 2 MB as long or less.
LEAST_BLOCK_BYTES = 2 * 2**20
SHARES = 8


@dataclass(frozen=True, eq=False)
class Manifest:
    """What the data is: where its blocks of rows are, how to read one, and what identifies it.

    reader : reads blocks of rows, (n_i, D).
    boundaries : (n_blocks + 1,) int64, row offsets; the last is the number of rows.
    n_columns : D.
    dtype : of the blocks, in native byte order; floating, integer or bool.
    columns : the column names where the source has them, else None.
    weights : reads the same blocks of weights, (n_i,) float64, checked; or None for ones.
    place : the path (made absolute) or URL that the data were given by, or None.
    """

    reader: Reader
    boundaries: np.ndarray
    n_columns: int
    dtype: np.dtype
    columns: tuple[str, ...] | None = None
    weights: Reader | None = None
    place: str | None = None

    @property
    def n_rows(self) -> int:
        return int(self.boundaries[-1])

    @property
    def n_blocks(self) -> int:
        return len(self.boundaries) - 1

    @property
    def sparse(self) -> bool:
        """Whether blocks are CSR arrays."""
        return getattr(self.reader, "sparse", False)

    @property
    def block_bytes(self) -> int:
        """Bytes of the largest block; of a sparse one, where nobody knows, those that suit."""
        if self.sparse:
            return getattr(self.reader, "block_bytes", BLOCK_BYTES)
        return int(np.diff(self.boundaries).max()) * self.n_columns * self.dtype.itemsize

    def rows_of(self, block: int) -> slice:
        """The rows that a block holds."""
        return slice(int(self.boundaries[block]), int(self.boundaries[block + 1]))

    def fingerprint(self) -> str:
        """A hex digest of what the data is: its kind, place or content, blocks and weights."""
        digest = hashlib.blake2b(digest_size=16)
        parts = (self.reader.token(), str(self.dtype), str(self.n_columns))
        weights = self.weights.token() if self.weights else "unweighted"
        for text in (*parts, weights):
            digest.update(f"{len(text)}:{text}".encode())
        digest.update(np.ascontiguousarray(self.boundaries).data)
        return digest.hexdigest()


def open_data(
    data: Any, *, weights: Any = None, block_bytes: int | None = None, sparse: bool = False
) -> Manifest:
    """Find out what the data is, without reading more of it than that needs.

    data : NumPy array, memory map, nested lists, pandas or Dask dataframe, Dask array, Zarr array,
        2-D xarray.DataArray, or the path or URL of a Zarr array, .npy file or Parquet file(s).
    weights : None, or one weight for each row, 1-D, in any of these forms. A row of weight 0 does
        not count, but its values must be finite all the same.
    block_bytes : the wanted size of a block for data on disk: 8 MB, or for less than 64 MB an
        eighth of the data (at least 2 MB), so that several threads have some. Arrays in memory
        have blocks of about 4 MB, and Dask arrays keep their own chunks.
    sparse : whether data that are sparse stay so, as CSR: scipy matrices, lists of them, Dask
        arrays of them, and Zarr groups of the arrays data, indices and indptr.

    Raises `DataError` for data that cannot be used, FileNotFoundError for a path that does not
    exist, TypeError for a kind of object that is not supported.
    """
    source = open_source(data, sparse=sparse)
    manifest = cut(source, weights=weights, block_bytes=block_bytes)
    return replace(manifest, place=place_of(data))


def open_source(data: Any, codes: Codes | None = None, sparse: bool = False) -> Source:
    """What `open_data` does before it cuts the data into blocks, with the same errors.

    codes : for columns of dataframes and Parquet that hold categories or strings, which are
        refused without: the levels of each column, or `Codes()` to find them. The source then has
        an attribute `codes`.
    sparse : as of `open_data`.
    """
    source = find(data, codes, sparse)
    check_source(source)
    return source


def cut(source: Source, *, weights: Any = None, block_bytes: int | None = None) -> Manifest:
    """The blocks of a source; the rest of `open_data`."""
    if block_bytes is None:
        dense = source.shape[0] * row_bytes(source.shape, source.dtype)
        share = getattr(source, "nbytes", dense) // SHARES
        block_bytes = min(max(share, LEAST_BLOCK_BYTES), BLOCK_BYTES)
    boundaries = source.boundaries(block_bytes)
    return Manifest(
        reader=source.reader(boundaries),
        boundaries=boundaries,
        n_columns=source.shape[1],
        dtype=source.dtype,
        columns=source.columns,
        weights=None if weights is None else open_weights(find(weights), boundaries),
    )


def place_of(data: Any) -> str | None:
    """The absolute path or the URL that `data` is, or None if it is neither."""
    if not isinstance(data, (str, os.PathLike)):
        return None
    path = os.fspath(data)
    return path if "://" in path else os.path.abspath(path)


def find(data: Any, codes: Codes | None = None, sparse: bool = False) -> Source:
    """The source of any supported kind of data. Libraries not yet imported stay so."""
    if isinstance(data, (str, os.PathLike)):
        return _find_path(os.fspath(data), codes, sparse)
    if sparse and is_sparse(data):
        return open_sparse(data)
    if is_a(data, "xarray", "DataArray"):
        return find(data.data)
    if is_a(data, "zarr", "Array"):
        from dem.engine.readers.zarrs import ZarrSource

        return ZarrSource(data)
    if sparse and is_a(data, "zarr", "Group"):
        from dem.engine.readers.csr import is_csr, open_csr

        if is_csr(data):
            return open_csr(data)
    if is_a(data, "zarr", "Group"):
        raise TypeError(f"Expected a Zarr array, got a group: choose one of {list(data)}.")
    if is_a(data, "dask.array", "Array"):
        from dem.engine.readers.dasks import open_dask

        return open_dask(data, sparse)
    if is_a(data, "dask.dataframe", "DataFrame", "Series"):
        from dem.engine.readers.frames import open_dask_frame

        return open_dask_frame(data, codes)
    if is_a(data, "pandas", "DataFrame", "Series"):
        from dem.engine.readers.frames import open_pandas

        return open_pandas(data, codes)
    from dem.engine.readers.arrays import open_array

    return open_array(_as_array(data))


def _find_path(path: str, codes: Codes | None, sparse: bool = False) -> Source:
    if not path:
        raise ValueError("An empty path names no data.")
    if url := "://" in path:
        check_url(path)
        _check_protocol(path)
    name = path.rstrip("/").lower()
    if not url:
        path = os.path.expanduser(path)
        place = path.rpartition("::")[0] or path
        if not Path(place).exists():
            raise FileNotFoundError(f"No such file or directory: {place}")
        path = os.path.abspath(path)
    if name.endswith(".npy"):
        from dem.engine.readers.arrays import open_npy

        return open_npy(path)
    from dem.engine.readers.parquet import SUFFIXES, open_parquet

    holds_parquet = (
        not url
        and Path(path).is_dir()
        and any(next(Path(path).glob(f"*{suffix}"), None) for suffix in SUFFIXES)
    )
    if name.endswith(SUFFIXES) or holds_parquet:
        return open_parquet(path, codes)
    from dem.engine.readers.zarrs import open_zarr

    return open_zarr(path, sparse)


def _check_protocol(url: str) -> None:
    """Raise ImportError or ValueError, with the URL in the text, if nothing here can open it."""
    from fsspec.core import url_to_fs

    try:
        url_to_fs(url)
    except ImportError as error:
        hint = "S3, Google Cloud Storage and Azure come with pip install 'dask-em[remote]'"
        raise ImportError(f"{url}: {error}. {hint}") from error
    except ValueError as error:
        raise ValueError(f"{url}: {error}") from error


def _as_array(data: Any) -> np.ndarray:
    """Anything else that NumPy can turn into an array of numbers."""
    if is_a(data, "scipy.sparse", "spmatrix", "sparray") or is_a(data, "sparse", "SparseArray"):
        raise TypeError(
            "Sparse data was passed for X, but dense data is required. "
            "Use '.toarray()' to convert to a dense numpy array."
        )
    if isinstance(data, np.matrix):
        raise TypeError(
            "np.matrix is not supported. Please convert to a numpy array with np.asarray."
        )
    if isinstance(data, np.ma.MaskedArray):  # what is masked is missing
        data = np.ma.filled(data.astype(np.result_type(data.dtype, np.float16)), np.nan)
    if not (isinstance(data, (list, tuple)) or hasattr(data, "__array__")):
        raise TypeError(
            f"Data of type {type(data).__name__} is not supported. Pass a NumPy, Dask or Zarr "
            "array, a dataframe, or a path to Zarr, .npy or Parquet data."
        )
    try:
        array = data if isinstance(data, np.ndarray) else np.asarray(data)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except ValueError as error:
        raise DataError(f"The data cannot be turned into numbers: {error}") from error
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return array


def check_source(source: Source) -> None:
    """Refuse what is not a 2-D array of real numbers with something in it."""
    shape, dtype = source.shape, source.dtype
    if dtype.kind == "c":
        raise DataError(f"Complex data not supported\n(dtype {dtype})")
    if dtype.kind in "UST":
        raise DataError(
            f"The data are strings (dtype {dtype}). Convert your data to numeric values."
        )
    if dtype.names:
        raise DataError(
            f"The data are records with the fields {', '.join(dtype.names)}: make one column of "
            "each (numpy.lib.recfunctions.structured_to_unstructured)."
        )
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise DataError(f"Data of dtype {dtype} is not supported; convert it to float64.")
    if len(shape) < 2:
        got = "1D array" if shape else "scalar array"
        raise DataError(
            f"Expected 2D array, got {got} instead (shape {shape}).\n"
            "Reshape your data either using array.reshape(-1, 1) if your data has a single "
            "feature or array.reshape(1, -1) if it contains a single sample."
        )
    if len(shape) > 2:
        raise DataError(f"Found array with dim {len(shape)}, while dim <= 2 is required.")
    for size, what in zip(shape, ("sample", "feature"), strict=True):
        if size == 0:
            raise DataError(
                f"Found array with 0 {what}(s) (shape={shape}) while a minimum of 1 is required."
            )
