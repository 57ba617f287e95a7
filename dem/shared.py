"""One read of the data for several passes, some rows held out from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.contract import Array, Model, Params
from dem.errors import SupportError
from dem.passes import Block, Pass
from dem.posteriors import Exact

SALT = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Results:
    """The results of several passes, which are added one by one."""

    parts: tuple[Any, ...]

    def __add__(self, other: Results) -> Results:
        return Results(tuple(a + b for a, b in zip(self.parts, other.parts, strict=True)))


@dataclass(frozen=True, eq=False)
class Together:
    """Several passes in one read of the data; rows that are held out count for nothing in them.

    names : what each is for, for errors.
    """

    works: tuple[Pass, ...]
    held_out: float = 0.0
    seed: int = 0
    names: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        return next((d for w in self.works if (d := getattr(w, "description", ""))), "")

    @property
    def tentative(self) -> bool:
        return any(getattr(work, "tentative", False) for work in self.works)

    @property
    def missing(self) -> bool:
        """Whether NaN is a missing value to all of them, and none to blame."""
        return all(getattr(work, "missing", False) for work in self.works)

    def prepare(self) -> tuple[Any, ...]:
        return tuple(work.prepare() for work in self.works)

    def __call__(self, prepared: tuple[Any, ...], block: Block) -> Results:
        if self.held_out:
            seen = ~held(block, self.held_out, self.seed)
            block = replace(block, weights=block.masses * seen)
        results = []
        for i, (work, ready) in enumerate(zip(self.works, prepared, strict=True)):
            try:
                results.append(work(ready, block))
            except SupportError as error:
                what = f"{self.names[i]}: {error.what}" if self.names else error.what
                raise SupportError(what, error.value, error.row, error.column) from None
        return Results(tuple(results))


def held(block: Block, share: float, seed: int) -> Array:
    """Which rows (n,) of a block are held out: by a hash of the row's number and the seed."""
    return np.asarray(hashed(block, seed) < np.uint64(int(share * 2**64)))


def hashed(block: Block, seed: int) -> Array:
    """A random uint64 for each row of a block, (n,), that depends on its number and the seed."""
    x = np.arange(block.start, block.start + len(block.rows), dtype=np.uint64)
    with np.errstate(over="ignore"):
        x = (x + np.uint64(seed) + np.uint64(1)) * SALT
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)  # splitmix64 (Steele et al. 2014)
        return np.asarray(x ^ (x >> np.uint64(31)))


@dataclass(frozen=True, eq=False)
class Evaluate:
    """(log-likelihood, Σ w, entropy of q) of the rows that were seen, and (the former two) held."""

    model: Model
    params: Params
    held_out: float
    seed: int

    def prepare(self) -> Any:
        return self.model.prepare(self.params)

    def __call__(self, prepared: Any, block: Block) -> Array:
        out = (
            held(block, self.held_out, self.seed)
            if self.held_out
            else np.zeros(len(block.rows), bool)
        )
        log_prob, masses = self.model.log_prob(prepared, block.rows), block.masses
        seen, kept = masses * ~out, masses * out
        entropy = self.model.e_step(prepared, block.rows, seen, Exact()).entropy
        return np.array([seen @ log_prob, seen.sum(), entropy, kept @ log_prob, kept.sum()])
