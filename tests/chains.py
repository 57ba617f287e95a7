"""Hidden Markov models on a few rows, and what comes of going through all their paths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise, product
from operator import add
from typing import Any

import numpy as np

from dem.contract import Sample
from dem.families import (
    Categorical,
    Diagonal,
    Full,
    Gaussian,
    MixtureOf,
    Poisson,
    Product,
    StudentT,
)
from dem.models import HMM, HMMParams
from dem.stats import Stats

Array = np.ndarray


def families() -> dict[str, tuple[Any, Any]]:
    """Families, and rows (n, D) of each."""
    rng = np.random.default_rng(7)
    real = rng.normal(size=(400, 2)) + 2.0 * rng.integers(0, 3, (400, 1))
    counts = rng.poisson(1.0 + 4.0 * rng.integers(0, 2, (400, 1)), (400, 1)).astype(float)
    codes = rng.integers(0, 3, (400, 1)).astype(float)
    mixed = Product(((Gaussian(Diagonal()), (0, 2)), (Poisson(), (1,))))
    return {
        "gaussian": (Gaussian(Full()), real),
        "diagonal": (Gaussian(Diagonal()), real),
        "student-t": (StudentT(Full(), 4.0), real),
        "poisson": (Poisson(), counts),
        "categorical": (Categorical(3), codes),
        "mixtures": (MixtureOf(2, Gaussian(Diagonal())), real),
        "product": (mixed, np.hstack([real[:, :1], counts, real[:, 1:]])),
    }


def start(model: HMM, rows: Array, seed: int = 0, zeros: float = 0.0) -> HMMParams:
    """Random parameters for rows (n, D), a share of whose transitions cannot be."""
    rng = np.random.default_rng(seed)
    k = model.k
    begin, follow = rng.dirichlet(np.ones(k)), rng.dirichlet(np.ones(k), k)
    follow = np.where((rng.random((k, k)) < zeros) & (np.eye(k) == 0), 0.0, follow)
    shares = rng.dirichlet(np.ones(k), len(rows)).T
    sample = Sample(rows, np.ones(len(rows)), complete=True)
    components = model.family.start(sample, shares)
    return HMMParams(begin, follow / follow.sum(axis=1, keepdims=True), components)


def beginning(rows: Array, lengths: Any) -> Array:
    """The rows with one more column, 1 where a sequence begins."""
    new = np.zeros((len(rows), 1))
    new[np.cumsum([0, *lengths[:-1]])] = 1.0
    assert sum(lengths) == len(rows)
    return np.hstack([rows, new])


@dataclass(frozen=True)
class Paths:
    """By enumeration, of one sequence: log p(v), q(state), expected transitions, the best path."""

    log_likelihood: float
    states: Array
    pairs: Array
    best: tuple[int, ...]
    log_best: float
    entropy: float

    @classmethod
    def of(cls, params: HMMParams, log_density: Array) -> Paths:
        """log_density : (n, K)."""
        n, k = log_density.shape
        paths = list(product(range(k), repeat=n))
        with np.errstate(divide="ignore"):
            begin, follow = np.log(params.startprob), np.log(params.transmat)
        logs = np.array(
            [
                begin[h[0]]
                + sum(follow[i, j] for i, j in pairwise(h))
                + sum(log_density[t, j] for t, j in enumerate(h))
                for h in paths
            ]
        )
        total = float(np.logaddexp.reduce(logs))
        q = np.exp(logs - total)
        states, pairs = np.zeros((n, k)), np.zeros((k, k))
        for mass, h in zip(q, paths, strict=True):
            states[np.arange(n), h] += mass
            for i, j in pairwise(h):
                pairs[i, j] += mass
        some = q > 0
        entropy = -float(q[some] @ np.log(q[some]))
        best = int(np.argmax(logs))
        return cls(total, states, pairs, paths[best], float(logs[best]), entropy)


def in_blocks(
    model: HMM, params: HMMParams, rows: Array, weights: Array | None, posterior: Any, edges: Any
) -> list[tuple[Array, Array | None, Any]]:
    """(rows, weights, what they are told) of the blocks that begin at 0 and at these edges."""
    prepared = model.prepare(params)
    spans = list(pairwise([0, *edges, len(rows)]))
    parts = [(rows[a:b], None if weights is None else weights[a:b]) for a, b in spans]
    messages = reduce(
        add, (model.message(prepared, *part, posterior, i) for i, part in enumerate(parts))
    )
    told = model.told(params, messages, posterior)
    return [(*part, None if told is None else told[i]) for i, part in enumerate(parts)]


def statistics(
    model: HMM, params: HMMParams, rows: Array, posterior: Any, edges: Any = (), weights: Any = None
) -> Stats:
    """The statistics of rows that are cut at these edges."""
    prepared = model.prepare(params)
    blocks = in_blocks(model, params, rows, weights, posterior, edges)
    return reduce(add, (model.e_step(prepared, r, w, posterior, told) for r, w, told in blocks))
