"""Columns that say nothing of the component, beside others in a `Product`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dem.families.known import KnownParams, _Evidence

Array = np.ndarray


@dataclass(frozen=True)
class Ignored(_Evidence):
    """One column that has the density 1, whatever it holds and whichever the component."""

    @property
    def _columns(self) -> int:
        return 1

    def allowed(self, rows: Array, k: int) -> Array:
        return np.ones((k, len(rows)), bool)

    def support(self, k: int) -> str:
        return "Any value is allowed"

    def expected(self, params: KnownParams, rows: Array, q: Array) -> Array:
        """0 for every row, (n, 1)."""
        return np.zeros((len(q), 1))

    def sample(self, params: KnownParams, counts: Array, rng: np.random.Generator) -> Array:
        return np.zeros((int(np.sum(counts)), 1))
