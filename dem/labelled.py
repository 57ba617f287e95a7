"""Starts for mixtures some of whose components are not found among clusters of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dem.checks import check_number, check_offers
from dem.contract import Sample
from dem.families.known import Candidates, Label
from dem.families.noise import WithNoise
from dem.families.product import Product
from dem.kernels.seeding import draw, nearest, squared_distances
from dem.models.mixture import Mixture, MixtureParams
from dem.passes import Block, Reservoir
from dem.shared import Results
from dem.starts import KMeansPlusPlus, Start, Steps

Array = np.ndarray
ROWS_A_LABEL = 1000


@dataclass(frozen=True, eq=False)
class DrawLabelled:
    """Up to `limit` random rows of each component, of those that say that they came from it."""

    evidence: Label | Candidates
    columns: tuple[int, ...]
    k: int
    limit: int
    seed: int
    description: ClassVar[str] = "sampling labelled rows"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Results:
        label = self.evidence.labels(block.rows[:, list(self.columns)], self.k)
        keys = np.random.default_rng([self.seed, 7, block.index]).random(len(label))
        keys[block.masses == 0] = -1.0
        parts = []
        for j in range(self.k):
            own = np.flatnonzero((label == j) & (keys >= 0))
            best = own[np.argsort(-keys[own], kind="stable")[: self.limit]]
            rows = np.asarray(block.rows[best], dtype=float)
            parts.append(Reservoir(keys[best], rows, self.limit))
        return Results(tuple(parts))


@dataclass(frozen=True)
class FromLabels:
    """The M-step on the labelled rows, each in the component of its label, and a sample of others.

    The latter go to the nearest of the labels' means; components without labelled rows have
    centres among those far from all of them. Where the sample does not hold all rows the labelled
    ones are drawn in a read of the data, up to 1000 for each component.

    For a `Product` with a `Label` or `Candidates`.
    """

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        family, (evidence, columns) = model.family, _evidence_of(model)
        rng = np.random.default_rng([seed, 8])
        if not sample.complete:
            drawn = yield DrawLabelled(evidence, columns, model.k, ROWS_A_LABEL, seed)
            rows = np.concatenate([part.rows for part in drawn.parts])
            sample = Sample.of(
                np.concatenate([sample.rows, rows]),
                np.append(sample.weights, np.full(len(rows), sample.weights.mean())),
                complete=False,
                share=sample.share,
            )
        label = evidence.labels(sample.rows[:, list(columns)], model.k)
        points = family.frame(sample).inward(sample.rows)
        centres = _centres(points, sample.weights, label, model.k, rng)
        own = np.where(label < 0, nearest(points, centres)[0], label)
        hard = (own == np.arange(model.k)[:, None]).astype(float)
        return model.start_from(sample, hard + 1.0 / len(own))


def _centres(
    points: Array, weights: Array, label: Array, k: int, rng: np.random.Generator
) -> Array:
    """The means of each component's labelled points (K, F); far points where there are none."""
    centres, least = np.empty((k, points.shape[1])), np.full(len(points), np.inf)
    for j in sorted(range(k), key=lambda j: not (label == j).any()):
        here = label == j
        if here.any():
            centres[j] = np.average(points[here], axis=0, weights=weights[here])
        else:
            free = np.where(label < 0, weights, 0.0)
            mass = free if np.isinf(least).any() else free * least
            centres[j] = points[draw(mass, rng, 1)[0]]
        least = np.minimum(least, squared_distances(points, centres[j : j + 1])[:, 0])
    return centres


def _evidence_of(model: Mixture) -> tuple[Label | Candidates, tuple[int, ...]]:
    """The part of the family that has labels, and its columns; TypeError if there is none."""
    if isinstance(model.family, Product):
        for family, columns in model.family.parts:
            if isinstance(family, (Label, Candidates)):
                return family, columns
    raise TypeError(f"FromLabels is for a Product with a Label or Candidates, not {model.family}")


@dataclass(frozen=True)
class BesideNoise:
    """Another start for all components but the noise of a `WithNoise`, which begins with a share.

    share : of the rows.
    """

    start: Start = KMeansPlusPlus()
    share: float = 0.05

    def __post_init__(self) -> None:
        check_offers("start", self.start, Start)
        check_number("share", self.share, float, 0)
        if not 0 < self.share < 1:
            raise ValueError(f"share must be between 0 and 1, got {self.share}.")

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        family: Any = model.family
        if not isinstance(family, WithNoise):
            raise TypeError(f"BesideNoise is for a family WithNoise, not {family}")
        others = yield from self.start(Mixture(model.k - 1, family.family), sample, seed)
        weights = np.append(others.weights * (1 - self.share), self.share)
        return MixtureParams(weights, family.beside(others.components, sample))
