"""Values of hidden Markov models: parameters, statistics, and what an E-step wants to have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.contract import Family, Params, Posterior
from dem.errors import SupportError
from dem.kernels.semirings import MaxProduct, Semiring, Summing
from dem.posteriors import Exact, Hard
from dem.stats import Vector

Array = np.ndarray
Around = tuple[Array | None, Array]  # what comes into a block from both sides


@dataclass(frozen=True, eq=False)
class HMMParams:
    """p(first state) (K,), p(state j after i) (K, K), and the family's parameters.

    A probability of 0 is never more: it says that this state cannot be there.
    """

    startprob: Array
    transmat: Array
    components: Params


@dataclass(frozen=True, eq=False)
class HMMSums(Vector):
    """Expected numbers of chains that begin in each state (K,) and of transitions (K, K)."""

    starts: Array
    transitions: Array
    emissions: Any


@dataclass(frozen=True, eq=False)
class HMMPrepared:
    """The family's, and the transitions in numbers to sum and to maximise."""

    emissions: Any
    sums: Summing
    best: MaxProduct

    def ring(self, posterior: Posterior) -> Semiring:
        """The arithmetic of a posterior; TypeError if chains have none such."""
        match posterior:
            case Exact():
                return self.sums
            case Hard():
                return self.best
        raise TypeError(f"the posterior of a hidden Markov model is Exact() or Hard(): {posterior}")


def parted(rows: Array, weights: Array | None, told: Around | None) -> tuple[Array, Array]:
    """The columns of the family, and (n,) bool where chains begin, which must be said in the last.

    With the first row one begins in any case if nothing comes before it.
    """
    new = np.asarray(rows[:, -1] == 1)
    wrong = ~new & (rows[:, -1] != 0)
    if wrong.any():
        row, column = int(np.argmax(wrong)), rows.shape[1] - 1
        what = "The last column says where sequences begin: 1 there, else 0"
        raise SupportError(what, float(rows[row, -1]), row, column)
    if told is None or told[0] is None:
        new[:1] = True
    if weights is not None and len(new):
        changes = (weights[1:] != weights[:-1]) & ~new[1:]
        if changes.any():
            row = int(np.argmax(changes)) + 1
            what = "Weights are of sequences, and this row has another than the one before it"
            raise SupportError(what, float(rows[row, 0]), row, 0)
    return rows[:, :-1], new


def both_sides(ring: Semiring, told: Around | None) -> tuple[Array, Array]:
    """What comes from both sides, in the numbers of a semiring; as of no rows where it is None."""
    free = ring.free(1)[:, 0]
    before, after = told or (None, free)
    return free if before is None else before, after


def densities(family: Family, prepared: HMMPrepared, values: Array) -> tuple[Array, Array]:
    """log p(row | state), (K, n), up to a term a row, and these, (n,)."""
    tiles = family.tiles(prepared.emissions, values, None)
    density = np.empty((len(prepared.sums.start), len(values)))
    constant = np.empty(len(values))
    for here, log_density, _ in tiles:
        density[:, here], constant[here] = log_density, tiles.constant()
    return density, constant
