"""One read of the data for several passes, some rows held out from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.contract import Array, Model, Params
from dem.errors import SupportError
from dem.passes import Block, Pass
from dem.posteriors import Exact
from dem.units import ROWS, Units, chosen


@dataclass(frozen=True, eq=False)
class Holdout:
    """A random share of the rows, or of the chains, by hashes of their numbers and the seed."""

    share: float = 0.0
    seed: int = 0
    units: Units = ROWS

    def __call__(self, block: Block) -> Array:
        """Which rows (n,) bool of a block are held out."""
        if not self.share:
            return np.zeros(block.rows.shape[0], bool)
        return chosen(self.units.of(block), self.share, self.seed)


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
    holdout: Holdout = Holdout()
    names: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        return next((d for w in self.works if (d := getattr(w, "description", ""))), "")

    @property
    def tentative(self) -> bool:
        return any(getattr(work, "tentative", False) for work in self.works)

    @property
    def sparse(self) -> bool:
        """Whether all of them take sparse rows."""
        return all(getattr(work, "sparse", False) for work in self.works)

    @property
    def missing(self) -> bool:
        """Whether NaN is a missing value to all of them, and none to blame."""
        return all(getattr(work, "missing", False) for work in self.works)

    def prepare(self) -> tuple[Any, ...]:
        return tuple(work.prepare() for work in self.works)

    def __call__(self, prepared: tuple[Any, ...], block: Block) -> Results:
        if self.holdout.share:
            block = replace(block, weights=block.masses * ~self.holdout(block))
        results = []
        for i, (work, ready) in enumerate(zip(self.works, prepared, strict=True)):
            try:
                results.append(work(ready, block))
            except SupportError as error:
                what = f"{self.names[i]}: {error.what}" if self.names else error.what
                raise SupportError(what, error.value, error.row, error.column) from None
        return Results(tuple(results))


@dataclass(frozen=True, eq=False)
class Evaluate:
    """(log-likelihood, Σ w, entropy of q) of the rows that were seen, and (the former two) held.

    told : see `dem.passes.Expectation`.
    """

    model: Model
    params: Params
    holdout: Holdout
    told: Any = None

    @property
    def sparse(self) -> bool:
        """Whether rows may be sparse."""
        return getattr(self.model, "sparse", False)

    @property
    def missing(self) -> bool:
        """Whether NaN is a missing value."""
        return getattr(self.model, "missing", False)

    def prepare(self) -> Any:
        return self.model.prepare(self.params)

    def __call__(self, prepared: Any, block: Block) -> Array:
        model: Any = self.model
        more = () if self.told is None else (self.told[block.index],)
        out, masses = self.holdout(block), block.masses
        log_prob = model.log_prob(prepared, block.rows, *more)
        seen, kept = masses * ~out, masses * out
        entropy = model.e_step(prepared, block.rows, seen, Exact(), *more).entropy
        return np.array([seen @ log_prob, seen.sum(), entropy, kept @ log_prob, kept.sum()])
