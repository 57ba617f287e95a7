"""Starts: the first parameters of a fit.

A start is called with (model, sample, seed) and is a generator, like the loop itself: it yields
the passes over the data that it needs, is sent their totals, and returns parameters. Most need
none, since a bounded sample of rows is enough. What is much work without the data it yields as
`Errands`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dem.checks import check_all, check_number
from dem.contract import Model, Params, Sample
from dem.kernels.seeding import draw, lloyd, plus_plus, relocate
from dem.models.mixture import Mixture
from dem.passes import Assign, Pass, Reservoir, Shares, Spread

Array = np.ndarray
NO_PASS: tuple[Pass, ...] = ()
FEWEST_ROWS, ROWS_A_CENTRE = 4000, 80
MOST_WORK = 2e7  # rows · centres · columns of an iteration of k-means in memory: some 10 ms


@dataclass(frozen=True, eq=False)
class Errands:
    """A request: work that needs no data, to be done side by side, wherever there is room.

    tasks : values to be called without arguments; their results are sent back in this order.
    description : what it is for, in short.
    """

    tasks: tuple[Callable[[], Any], ...]
    description: str


Steps = Generator[Pass | Errands, Any, Params]


class Start(Protocol):
    """Where the climb begins.

    One that goes on from another fit may have a `bound`, the last that this had in its E
    half-step: the first turn may then be enough to tell that it stands still.
    """

    def __call__(self, model: Any, sample: Sample, seed: int) -> Steps: ...


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 2])


@dataclass(frozen=True)
class Given:
    """The given parameters; see `Start` for the bound."""

    params: Params
    bound: float = -math.inf

    def __call__(self, model: Model, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        return self.params


@dataclass(frozen=True)
class FromModel:
    """Whatever the model's own `start` makes of the sample."""

    def __call__(self, model: Model, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        return model.start(sample, _rng(seed))


@dataclass(frozen=True)
class RandomResponsibilities:
    """Every row of the sample belongs to all components by random shares: a very blurred start."""

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        r = _rng(seed).random((model.k, len(sample.rows)))
        return model.start_from(sample, r / r.sum(axis=0))


@dataclass(frozen=True)
class RandomRows:
    """k different rows of the sample for centres."""

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        rng, mass, chosen = _rng(seed), sample.weights.copy(), []
        for _ in range(model.k):
            chosen.append(int(draw(mass, rng, 1)[0]))
            mass[chosen[-1]] = 0.0
        return model.start_around(sample, sample.rows[chosen])


@dataclass(frozen=True)
class Centres:
    """Each row of the sample at the nearest of the given centres (K, D), in the user's units."""

    centres: Any

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        return model.start_around(sample, np.asarray(self.centres, float))


@dataclass(frozen=True)
class KMeansPlusPlus:
    """Greedy k-means++ on the sample, followed by Lloyd's k-means on it if `lloyd`."""

    lloyd: bool = False

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        frame = model.family.frame(sample)
        rows = frame.inward(sample.rows)
        centres = plus_plus(rows, sample.weights, model.k, _rng(seed))
        if self.lloyd:
            centres = lloyd(rows, sample.weights, centres)
        return model.start_around(sample, frame.outward(centres))


@dataclass(frozen=True)
class KMeansParallel:
    """k-means|| over all the data (Bahmani et al. 2012), in `rounds` + 1 passes.

    Each round draws oversampling · k rows far from the candidates so far; the candidates, each
    with the weight of the rows nearest to it, are then clustered in memory. Where the sample is
    all the data, k-means++ and Lloyd's k-means on it do the same job without a pass.

    moves : whether the centres are then settled on rows of the sample, by k-means that moves
        centres to clusters which have none, see `dem.kernels.seeding.relocate`.
    """

    rounds: int = 4
    oversampling: float = 2.0
    moves: bool = False

    def __post_init__(self) -> None:
        check_number("rounds", self.rounds, int, 0)
        check_number("oversampling", self.oversampling, float, 0)
        check_all("moves", (self.moves,), bool)

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        if sample.complete:
            return (yield from KMeansPlusPlus(lloyd=True)(model, sample, seed))
        frame, rng = model.family.frame(sample), _rng(seed)
        first = sample.rows[draw(sample.weights, rng, 1)]
        candidates = frame.inward(first)
        limit = max(int(self.oversampling * model.k), 1)
        for turn in range(self.rounds):
            drawn: Reservoir = yield Spread(candidates, frame, limit, (seed, 3, turn))
            candidates = np.concatenate([candidates, drawn.rows])
        shares: Shares = yield Assign(candidates, frame)
        centres = plus_plus(candidates, shares.weights, model.k, rng)
        centres = lloyd(candidates, shares.weights, centres)
        if self.moves:
            centres = settled(frame.inward(sample.rows), sample.weights, centres, rng)
        return model.start_around(sample, frame.outward(centres))


def settled(sample: Array, weights: Array, centres: Array, rng: np.random.Generator) -> Array:
    """The centres after k-means, with moves, on as many rows of a sample as take a moment."""
    most = max(min(ROWS_A_CENTRE * len(centres), int(MOST_WORK / centres.size)), FEWEST_ROWS)
    chosen = np.sort(rng.permutation(len(sample))[:most])
    return relocate(sample[chosen], weights[chosen], centres)
