"""What the libraries are to fit: data, a start, and how good what they found is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from iteration import overlapping
from scipy.special import logsumexp

SCORED = 20_000
AVERAGED = 4


@dataclass(frozen=True)
class Case:
    n: int
    d: int
    k: int
    covariance: str
    dtype: str
    threads: int

    def rows(self) -> np.ndarray:
        return overlapping(self.n, self.d, self.k).astype(self.dtype)

    def start(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Equal weights, means of some rows, and the covariance of a part of the data for each.

        Means that are rows leave some components with fewer rows than columns.
        """
        part = rows[:SCORED].astype(float)
        means = part[np.random.default_rng(1).choice(len(part), (self.k, AVERAGED))].mean(axis=1)
        tied = np.atleast_2d(np.cov(part.T))
        tables = {
            "full": np.repeat(tied[None], self.k, axis=0),
            "tied": tied,
            "diag": np.repeat(np.diag(tied)[None], self.k, axis=0),
            "spherical": np.full(self.k, np.trace(tied) / self.d),
            "kmeans": np.empty(0),
        }
        weights = np.full(self.k, 1 / self.k)
        return {"weights": weights, "means": means, "covariances": tables[self.covariance]}

    def score(
        self, rows: np.ndarray, means: Any, weights: Any = None, covariances: Any = None
    ) -> float:
        """Per row of some: log-likelihood, or minus half the squared distance to its centre."""
        x, means = rows[:SCORED].astype(float), np.asarray(means, float)
        if self.covariance == "kmeans":
            squares = [((x - mean) ** 2).sum(axis=1) for mean in means]
            return float(-np.min(squares, axis=0).mean() / 2)
        tables = np.asarray(covariances, float)
        if self.covariance == "tied":
            tables = np.repeat(tables[None], self.k, axis=0)
        logits = np.empty((self.k, len(x)))
        for j, table in enumerate(tables):
            full = table if table.ndim == 2 else np.eye(self.d) * table
            root = np.linalg.cholesky(full)
            z = np.linalg.solve(root, (x - means[j]).T)
            log_volume = np.log(np.diag(root)).sum() + self.d / 2 * math.log(2 * math.pi)
            logits[j] = math.log(weights[j]) - log_volume - (z**2).sum(axis=0) / 2
        return float(logsumexp(logits, axis=0).mean())
