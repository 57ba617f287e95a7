"""Laws about values: what must be the same to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dem.engine.manifest import Manifest
from dem.engine.readers.arrays import InMemory
from dem.fitting import fit
from dem.starts import Given
from dem.stats import leaves
from dem.store import read, write
from dem.testing.case import Case, broken

BLOCKS = 13
THREADS = (1, 2, 4)


def _bits(value: Any) -> list[bytes]:
    return [leaf.tobytes() for leaf in leaves(value)]


def _in_blocks(case: Case) -> Manifest:
    """The rows of a case, as data in several blocks."""
    n = len(case.rows)
    boundaries = np.unique(np.linspace(0, n, BLOCKS + 1).astype(np.int64))

    def cut(array: np.ndarray) -> InMemory:
        return InMemory({i: array[a:b] for i, (a, b) in enumerate(pairwise(boundaries.tolist()))})

    weights = None if case.weights is None else cut(case.weights)
    rows = np.ascontiguousarray(case.rows)
    return Manifest(cut(rows), boundaries, rows.shape[1], rows.dtype, weights=weights)


def check_bitwise(case: Case) -> None:
    """`dem.fit` on one thread, two and four gives the same bytes of θ and the same history.

    With an active `distributed.Client` its cluster does the work each time.
    """
    data = _in_blocks(case)
    for posterior in case.posteriors:
        runs = {}
        for threads in THREADS:
            fitted = fit(
                case.model,
                data,
                start=Given(case.params),
                posterior=posterior,
                max_iter=case.turns,
                tol=0.0,
                threads=threads,
            )
            bounds = [(record.bound_e, record.bound) for record in fitted.history]
            runs[threads] = (_bits(fitted.params), bounds)
        first, *others = runs.items()
        for threads, run in others:
            for what, a, b in zip(("parameters", "bounds"), first[1], run, strict=True):
                if a != b:
                    raise broken(
                        "bitwise",
                        f"under {posterior} the {what} after {case.turns} turns have other bits "
                        f"on {threads} threads than on {first[0]}",
                    )


def check_pure(case: Case) -> None:
    """No method changes what it is given, and the same question gets the same answer."""
    model, params = case.model, case.params
    for posterior in case.posteriors:
        stats = case.stats(params, posterior)
        given = {"rows": case.rows, "weights": case.weights, "params": params, "stats": stats}
        before = {name: _bits(value) for name, value in given.items()}
        answers = [
            (
                case.stats(params, posterior),
                model.m_step(params, stats),
                model.expected_log_joint(params, stats),
                case.log_prob(params),
            )
            for _ in range(2)
        ]
        for name, value in given.items():
            if _bits(value) != before[name]:
                raise broken("pure", f"under {posterior} a method of the model changed the {name}")
        names = ("e_step", "m_step", "expected_log_joint", "log_prob")
        for name, *both in zip(names, *answers, strict=True):
            if _bits(both[0]) != _bits(both[1]):
                raise broken("pure", f"under {posterior} {name} gave two answers")


def check_round_trip(case: Case) -> None:
    """Parameters, a nest of dataclasses and tuples of arrays, survive a Zarr store bit for bit."""
    for i, params in enumerate(case.probes):
        for path, value in _others(params):
            raise broken(
                "round trip",
                f"parameters {i}: {path} is a {type(value).__name__}; parameters are dataclasses "
                "and tuples of arrays and numbers",
            )
        with TemporaryDirectory() as directory:
            place = str(Path(directory) / "params")
            try:
                write(place, {"params": _values(params)}, {})
            except (TypeError, ValueError) as error:
                raise broken("round trip", f"parameters {i} cannot be stored: {error}") from error
            back = _rebuilt(params, read(place)[0]["params"])
        same = np.array_equal(case.log_prob(back), case.log_prob(params), equal_nan=True)
        if _bits(back) != _bits(params) or not same:
            raise broken("round trip", f"parameters {i} came back different")


def _others(value: Any, path: str = "params") -> Iterator[tuple[str, Any]]:
    """What is inside a value and can't be stored as arrays."""
    if isinstance(value, tuple):
        for i, part in enumerate(value):
            yield from _others(part, f"{path}[{i}]")
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _others(getattr(value, field.name), f"{path}.{field.name}")
    elif not isinstance(value, (np.ndarray, np.generic, int, float)):
        yield path, value


def _values(value: Any) -> Any:
    """Dataclasses as mappings and numbers as arrays, for the store."""
    if isinstance(value, tuple):
        return tuple(_values(part) for part in value)
    if is_dataclass(value):
        return {field.name: _values(getattr(value, field.name)) for field in fields(value)}
    return np.asarray(value)


def _rebuilt(like: Any, values: Any) -> Any:
    """A value built like another one, from what `_values` made."""
    if isinstance(like, tuple):
        parts = [_rebuilt(part, value) for part, value in zip(like, values, strict=True)]
        return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
    if is_dataclass(like) and not isinstance(like, type):
        names = [field.name for field in fields(like)]
        return replace(
            like, **{name: _rebuilt(getattr(like, name), values[name]) for name in names}
        )
    return values if isinstance(like, np.ndarray) else type(like)(values)
