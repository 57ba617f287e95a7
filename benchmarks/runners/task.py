"""What a library is to fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
# Weights, means, covariances and the iterations made, as far as a library has and tells them.
Found = dict[str, Any]
Fit = Callable[[int], Found]


class Refused(Exception):
    """The library does not do that."""


def refuse(this: bool, why: str) -> None:
    if this:
        raise Refused(why)


@dataclass(frozen=True)
class Task:
    """What to fit: rows (N, D), weights (K,), means (K, D), covariances as scikit-learn's."""

    rows: Array
    weights: Array
    means: Array
    covariances: Array
    covariance: str
    threads: int

    @classmethod
    def read(cls, place: Path) -> Task:
        said = json.loads((place / "task.json").read_text())
        rows = np.load(place / "rows.npy")
        with np.load(place / "start.npz") as start:
            given = {name: start[name].astype(rows.dtype) for name in start.files}
        return cls(rows, **given, covariance=said["covariance"], threads=said["threads"])

    @property
    def k(self) -> int:
        return len(self.means)

    @property
    def precisions(self) -> Array:
        """Inverses of the covariances."""
        if self.covariance in ("full", "tied"):
            return np.linalg.inv(self.covariances)
        return 1 / self.covariances
