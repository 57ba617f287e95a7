"""A start for mixtures of regressions, whose components are not clusters of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.checks import check_number
from dem.contract import Sample
from dem.starts import NO_PASS, Steps


@dataclass(frozen=True)
class ElementalSets:
    """Each component begins with a few random rows of the sample, enough for a regression.

    If they are of one component, it is found; so the best of many tries is good where the distance
    between rows tells nothing (elemental sets: Rousseeuw and Leroy 1987; Hawkins 1993). One row's
    worth of each component is spread over the whole sample, so that none fits its rows exactly.

    rows : for each component; by default one more than there are columns.
    """

    rows: int | None = None

    def __post_init__(self) -> None:
        if self.rows is not None:
            check_number("rows", self.rows, int, 1)

    def __call__(self, model: Any, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        rng, (n, width) = np.random.default_rng([seed, 9]), sample.rows.shape
        each = min(self.rows or width + 1, n // model.k)
        mass = sample.weights / sample.weights.sum()
        chosen = rng.choice(n, (model.k, each), replace=False, p=mass)
        r = np.full((model.k, n), 1.0 / max(sample.weights.sum(), n))
        np.put_along_axis(r, chosen, 1.0, axis=1)
        return model.start_from(sample, r)
