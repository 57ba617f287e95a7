"""Passes: what is done to each block of rows in one read of the data, and how results add up.

A pass is a value that travels to where the rows are. Whatever it returns for a block must have
a `+`; an engine adds the results over a fixed binary tree, so that the total has the same bits on
one thread and on a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy.sparse import issparse, vstack

from dem.contract import Model, Params, Posterior, Space
from dem.errors import SupportError
from dem.kernels.seeding import nearest_under
from dem.stats import Stats, Vector

Array = np.ndarray
LARGEST = 1e150


@dataclass(frozen=True, eq=False)
class Block:
    """A run of rows: its number, the row it starts at, the rows (n, D), weights (n,) or None."""

    index: int
    start: int
    rows: Array
    weights: Array | None

    @property
    def masses(self) -> Array:
        """The weights, (n,): ones where there are none."""
        return np.ones(self.rows.shape[0]) if self.weights is None else self.weights


class Pass(Protocol):
    """What an engine can run over the data.

    One that is not a part of an iteration may say what it is for in a `description`, a short str.
    """

    def prepare(self) -> Any:
        """Once per task, before its first block."""
        ...

    def __call__(self, prepared: Any, block: Block) -> Any:
        """The result for one block; results are added."""
        ...


@dataclass(frozen=True)
class Expectation:
    """The E-step of a model under a posterior, given θ.

    tentative : whether θ may be such that statistics are not finite, or rows have no density.
    told : what each block is told of those around it, by its number, where a model asks for that;
        see `dem.relay`.
    """

    model: Model
    params: Params
    posterior: Posterior
    tentative: bool = False
    told: Any = None

    @property
    def sparse(self) -> bool:
        """Whether rows may be sparse."""
        return getattr(self.model, "sparse", False)

    def prepare(self) -> Any:
        return self._prepared

    @cached_property
    def _prepared(self) -> Any:
        # Once for all tasks of a process: where values are missing there is much to prepare.
        return self.model.prepare(self.params)

    def __call__(self, prepared: Any, block: Block) -> Stats:
        more = () if self.told is None else (self.told[block.index],)
        step: Any = self.model.e_step
        try:
            return step(prepared, block.rows, block.weights, self.posterior, *more)
        except SupportError:
            if not self.tentative:
                raise
            nothing = self.model.e_step(prepared, block.rows[:0], None, self.posterior)
            return replace(nothing, entropy=np.nan)  # no bound is above that


@dataclass(frozen=True)
class LogLikelihood:
    """(Σ w log p(v; θ), Σ w) under a model; told: see `Expectation`."""

    model: Model
    params: Params
    told: Any = None

    @property
    def sparse(self) -> bool:
        """Whether rows may be sparse."""
        return getattr(self.model, "sparse", False)

    def prepare(self) -> Any:
        return self.model.prepare(self.params)

    def __call__(self, prepared: Any, block: Block) -> Array:
        more = () if self.told is None else (self.told[block.index],)
        asked: Any = self.model.log_prob
        log_prob = asked(prepared, block.rows, *more)
        return np.array([block.masses @ log_prob, block.masses.sum()])


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows (m, D), dense or sparse, with their weights (m,); + puts one after the other.

    values : the rows with 0 for what is missing: whatever else is not finite, an engine refuses.
    missing : (m, D) bool, or None if nothing may be missing.
    """

    values: Array
    weights: Array
    missing: Array | None = None

    @property
    def rows(self) -> Array:
        """The rows, with NaN for what is missing."""
        return self.values if self.missing is None else np.where(self.missing, np.nan, self.values)

    def __add__(self, other: Rows) -> Rows:
        return Rows(
            vstack([self.values, other.values], format="csr")
            if issparse(self.values)
            else np.concatenate([self.values, other.values]),
            np.concatenate([self.weights, other.weights]),
            None
            if self.missing is None or other.missing is None
            else np.concatenate([self.missing, other.missing]),
        )


@dataclass(frozen=True)
class Draw:
    """Rows of each block, a `fraction` of it, drawn without replacement among those with weight.

    A fraction of 1 takes all of these. How many come from a block depends on where it starts, so
    that the counts add up to fraction · rows to within one, if there are so many. Values whose
    squares might overflow come out infinite.

    missing : whether NaN is a missing value. sparse : whether rows may be sparse.
    """

    fraction: float
    seed: int
    missing: bool = False
    sparse: bool = False
    description: ClassVar[str] = "sampling rows"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Rows:
        rows, weights, n = block.rows, block.masses, block.rows.shape[0]
        there = np.flatnonzero(weights)
        if self.fraction < 1:
            count = int((block.start + n) * self.fraction) - int(block.start * self.fraction)
            rng = np.random.default_rng([self.seed, 1, block.index])
            there = np.sort(rng.choice(there, size=min(count, len(there)), replace=False))
        rows, weights = rows[there], weights[there]
        if issparse(rows):
            return Rows(rows.astype(np.float64), weights)
        drawn = np.asarray(rows, dtype=np.float64)
        # A start takes squares. It is an engine that can say where a value is too large for that.
        values = np.where(np.abs(drawn) < LARGEST, drawn, np.inf)
        missing = np.isnan(drawn) if self.missing else None
        if missing is not None:
            values[missing] = 0.0
        return Rows(values, weights, missing)


@dataclass(frozen=True, eq=False)
class Reservoir:
    """The `limit` rows with the largest keys of all that were added."""

    keys: Array
    rows: Array
    limit: int

    def __add__(self, other: Reservoir) -> Reservoir:
        keys = np.concatenate([self.keys, other.keys])
        rows = np.concatenate([self.rows, other.rows])
        best = np.argsort(-keys, kind="stable")[: self.limit]
        return Reservoir(keys[best], rows[best], self.limit)


@dataclass(frozen=True, eq=False)
class Spread:
    """`limit` rows drawn with probability in proportion to weight · squared distance to centres.

    A weighted reservoir (Efraimidis and Spirakis 2006): the largest of log(u) / mass win, so one
    pass draws without knowing the total. Rows and centres are in the frame.
    """

    centres: Array
    frame: Space
    limit: int
    seed: tuple[int, ...]  # the last number is that of the round, from 0

    @property
    def description(self) -> str:
        return f"k-means|| round {self.seed[-1] + 1}"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Reservoir:
        mass = block.masses * nearest_under(self.frame.inward, block.rows, self.centres)[1]
        u = np.random.default_rng([*self.seed, block.index]).random(len(mass))
        far = np.flatnonzero(~(mass <= np.finfo(float).tiny))  # NaN stays, to be found
        keys = np.log(1.0 - u[far]) / mass[far]
        best = np.argsort(-keys, kind="stable")[: self.limit]
        return Reservoir(keys[best], self.frame.inward(block.rows[far[best]]), self.limit)


@dataclass(frozen=True, eq=False)
class Shares(Vector):
    """How much weight is nearest to each centre (C,), and Σ weight · squared distance to it."""

    weights: Array
    cost: float


@dataclass(frozen=True, eq=False)
class Assign:
    """Each row to the nearest of the centres (C, D); centres and distances are in the frame."""

    centres: Array
    frame: Space
    description: ClassVar[str] = "counting the rows nearest to each centre"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Shares:
        index, d2 = nearest_under(self.frame.inward, block.rows, self.centres)
        masses = block.masses
        return Shares(np.bincount(index, masses, len(self.centres)), float(masses @ d2))
