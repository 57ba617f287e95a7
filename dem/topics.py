"""Passes over documents: how many words there are, and how well their other halves are foretold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from dem.checks import check_number
from dem.models.lda import LDA, LDAParams, Prepared
from dem.passes import Block

Array = np.ndarray
PIECE = 2**20  # numbers at once


@dataclass(frozen=True)
class Words:
    """(Σ w · words of the document, Σ w)."""

    sparse: ClassVar[bool] = True
    description: ClassVar[str] = "counting words"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Array:
        lengths = np.asarray(block.rows.sum(axis=1), float).ravel()
        return np.array([block.masses @ lengths, block.masses.sum()])


@dataclass(frozen=True, eq=False)
class Completion:
    """(Σ w log p(other half | one half), Σ w · words of the other half): document completion.

    Each word goes to one half or the other at random. The first says what the topics of the
    document are, E_q[θ], and with E_q[β] they give the other half's words their probabilities
    (Wallach, Murray, Salakhutdinov and Mimno 2009).
    """

    model: LDA
    params: LDAParams
    seed: int = 0
    sparse: ClassVar[bool] = True
    description: ClassVar[str] = "completing documents"

    def prepare(self) -> Prepared:
        return self.model.prepare(self.params)

    @cached_property
    def _topics(self) -> Array:
        topics = self.params.topics
        return np.ascontiguousarray((topics / topics.sum(axis=1, keepdims=True)).T)

    def __call__(self, prepared: Prepared, block: Block) -> Array:
        counts = csr_array(block.rows)
        whole = np.rint(counts.data).astype(np.int64)
        seen = np.random.default_rng([self.seed, 4, block.index]).binomial(whole, 0.5)
        half = csr_array((seen.astype(float), counts.indices, counts.indptr), shape=counts.shape)
        shares = self.model.posterior(prepared, half)
        documents = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        other = (whole - seen) * block.masses[documents]
        total = 0.0
        for first in range(0, len(whole), step := max(PIECE // self.model.k, 1)):
            here = slice(first, first + step)
            topics = self._topics.take(counts.indices[here], axis=0)
            likely = np.einsum("ik,ik->i", shares[documents[here]], topics)
            total += other[here] @ np.log(likely)
        return np.array([total, other.sum()])


@dataclass(frozen=True)
class Perplexity:
    """Stop when exp(−bound per word) changes by less than tol between evaluations.

    words : of a document, in the mean. every : so many sweeps over the data there is one.
    """

    words: float
    every: int = 1

    def __post_init__(self) -> None:
        check_number("words", self.words, float, 0)
        check_number("every", self.every, int, 1)

    def __call__(self, bounds: Sequence[float], tol: float) -> bool:
        done = len(bounds) - 1
        if done < 2 * self.every or done % self.every:
            return False
        last, before = (np.exp(-bounds[i] / self.words) for i in (-1, -1 - self.every))
        return bool(abs(last - before) < tol)
