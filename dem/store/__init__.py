"""Parameters, histories and fitted models, to and from Zarr groups.

Nothing is pickled and nothing that is read is executed: a group holds numeric arrays, and JSON for
the rest. Arrays are stored as their own bytes with a checksum, so they come back bit for bit.
On a local path a group appears whole or not at all; behind a URL it is whole once it is marked
complete, and refused before.
"""

from collections.abc import Callable
from typing import Any

from dem.errors import DataError
from dem.records import Fit
from dem.storable import JSON, Storable, type_named, type_of
from dem.store.fits import fit_of, parts_of
from dem.store.groups import FORMAT, Stored, check_target, read, write
from dem.store.place import URI
from dem.store.values import value

__all__ = ["FORMAT", "check_target", "load", "read", "save", "value", "write"]


def save(obj: Storable | Fit, uri: URI, *, overwrite: bool = True) -> None:
    """Save a fitted estimator, or a `Fit` of any model, as a Zarr group at a path or URL.

    The model and parameters of a `Fit` must be known to `value` if they are your own.

    Raises
    ------
    FileExistsError, FileNotFoundError
        If something is there that `save` did not put there, or at all with `overwrite=False`; if
        the parent directory does not exist.
    TypeError, ValueError
        If the object is of a class that cannot be saved, or one of its values cannot.
    """
    if isinstance(obj, Fit):
        arrays, attributes = parts_of(obj)
        write(uri, arrays, {"type": "Fit", "state": attributes}, overwrite=overwrite)
        return
    kind = type_of(obj)
    arrays, attributes = obj.to_store()
    record: dict[str, JSON] = {"type": kind.name, "state": attributes}
    write(uri, arrays, record, nonfinite=kind.nonfinite, overwrite=overwrite)


def load(uri: URI, *, max_bytes: int | None = None) -> Any:
    """The estimator or `Fit` that `save` put at a path or URL.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    DataError
        If what is there was not saved by dem, is of an unknown type or format, incomplete or
        damaged, or needs more than `max_bytes` of memory (half of what is available, by default).
    """
    stored = Stored.open(uri)
    match stored.attributes:
        case {"type": str(name), "state": dict(state)}:
            pass
        case _:
            raise DataError(f"{uri} holds arrays but no model: read it with dem.store.read")
    nonfinite, build = _builder(name, uri)
    arrays = stored.values(nonfinite, max_bytes)
    try:
        return build(arrays, state)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{uri} does not hold a valid {name}: {error!r}") from error


def _builder(name: str, uri: URI) -> tuple[tuple[str, ...], Callable[..., Any]]:
    """Which arrays of this type may hold NaN or infinity, and what makes an object of them."""
    if name == "Fit":
        return (), fit_of
    try:
        kind = type_named(name)
    except DataError as error:
        raise DataError(f"{uri} cannot be loaded: {error}") from None
    return kind.nonfinite, kind.cls.from_store
