"""A warm start: several fits to a sample of the rows, of which the best goes on to all of them.

Where a fit lands matters more than how fast, and a sample tells nearly as well as all the rows
which of several starts is best. What it costs does not grow with the data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.accelerate import Plain, QuasiNewton, can_leap
from dem.checks import check_number, check_offers
from dem.contract import Model, Params, Posterior, Sample
from dem.kernels.seeding import draw
from dem.models.mixture import Mixture
from dem.moves import Moves
from dem.posteriors import Annealed, Exact
from dem.starts import Errands, Given, KMeansParallel, KMeansPlusPlus, Start, Steps
from dem.trial import Trial, part

Array = np.ndarray
HELD_OUT = 0.2
HELD_TIMES = 4
SKETCH_ROWS = 50  # a component, to count parameters on
SHAKE = 0.01
MOST_TURNS = 200
FEWEST_ROWS = 4_000
ROWS_PER_PARAMETER = 12  # of a candidate's sample; the best goes on to twice as many
LEAST_PER_PARAMETER = 4  # fewer rows than that say too little about all the others
EFFORT = 20  # passes of all the data that candidates may take as long as
FEWEST_CANDIDATES = 4
MOST_SHARE = 0.1  # of the data, beyond what the parameters ask for
REPEATED = 4  # weight a row, where rows are patterns
MOST_UNFOLDED = 2**16


@dataclass(frozen=True)
class WarmStart:
    """The best of several fits to random rows of the sample.

    `candidates` starts climb for some turns on about 12 rows a parameter. The half with the
    higher likelihood of held-out rows climbs on, and so forth; the last goes on, accelerated, to
    where it stands still on twice as many rows, or a tenth of the data if that is more and in the
    sample. From there `moves` look for a better optimum, if the model is a mixture. Where the
    sample has too few rows for that many parameters, `start` is used as it is.

    start : of each candidate, on the sample in the place of the data. If it is k-means‖, every
        other candidate begins at k-means++ centres as they were drawn, and of the rest half have
        their centres moved to clusters that lack one, for variety.
    """

    start: Start = KMeansParallel()
    candidates: int = 16
    turns: int = 10
    moves: Moves = Moves()

    def __post_init__(self) -> None:
        check_offers("start", self.start, Start)
        check_number("candidates", self.candidates, int, 1)
        check_number("turns", self.turns, int, 1)
        check_offers("moves", self.moves, Moves)

    def __call__(self, model: Model, sample: Sample, seed: int) -> Steps:
        rng = np.random.default_rng([seed, 4])
        if sample.complete and sample.weights.sum() >= REPEATED * len(sample.rows):
            sample = _unfolded(sample, rng)
        order = rng.permutation(len(sample.rows))
        parameters = _parameters(model, sample, order, rng)
        if len(order) < LEAST_PER_PARAMETER * parameters:
            return (yield from self.start(model, sample, seed))
        most = int((1 - HELD_OUT) * len(order))
        few = min(max(FEWEST_ROWS, ROWS_PER_PARAMETER * parameters), most)
        many = min(max(2 * few, int(MOST_SHARE * len(order) / sample.share)), most)
        # Not complete: k-means‖ then draws its candidates as it does from larger data, rather
        # than to cluster all these rows, which takes longer and is led astray by heavy tails.
        seen = replace(part(sample, order[:few]), complete=False)
        held = part(sample, order[few : few * (1 + HELD_TIMES)])
        affordable = int(EFFORT * len(order) / sample.share / (2 * self.turns * few))
        trials = [
            Trial(model, self._variant(i), seed + i, seen, held, self.turns)
            for i in range(min(self.candidates, max(affordable, FEWEST_CANDIDATES)))
        ]
        tries = len(trials) // 2
        while len(trials) > 1:
            results = yield Errands(tuple(trials), "trying starts on a sample")
            if None in results:
                return (yield from self.start(model, sample, seed))
            ranked = sorted(
                range(len(trials)), key=lambda i: -np.nan_to_num(results[i][1], nan=-np.inf)
            )
            trials = [
                replace(trials[i], start=Given(results[i][0]))
                for i in ranked[: (len(trials) + 1) // 2]
            ]
        last = replace(
            trials[0],
            sample=part(sample, order[:many]),
            held=part(sample, order[most:]),
            turns=int(np.clip(EFFORT * len(order) / sample.share / many, self.turns, MOST_TURNS)),
            accelerate=QuasiNewton() if can_leap(model) else Plain(),
        )
        (result,) = yield Errands((last,), "fitting a sample")
        if result is None:
            return (yield from self.start(model, sample, seed))
        if not isinstance(model, Mixture):
            return result[0]
        moves = replace(self.moves, tries=max(min(self.moves.tries, tries), 1))
        return (yield from moves(last, result, seen))

    def _variant(self, i: int) -> Start:
        """The start of a candidate."""
        if not isinstance(self.start, KMeansParallel):
            return self.start
        # Moves find clusters that are apart, and are led astray by heavy tails.
        return KMeansPlusPlus() if i % 2 else replace(self.start, moves=i % 4 == 0)


def _shaken(model: Any, params: Params, rng: np.random.Generator) -> Params:
    if not can_leap(model):
        return params
    flat = model.flatten(params)
    return model.unflatten(flat + SHAKE * rng.standard_normal(flat.shape), params)


@dataclass(frozen=True)
class Annealing:
    """Deterministic annealing on a sample (Ueda and Nakano 1998): a start that is less of a guess.

    From `start`, EM under `Annealed` posteriors with β through `betas`, which should rise, some
    turns at each, on about 12 rows a parameter; then exactly. Where β is small components come to
    coincide: the parameters are shaken by a hundredth before the next, as a ridge does not hold a
    ball. It is not for tied covariances: what all components share then covers all the rows, and
    they may stay where they are.
    """

    start: Start = KMeansPlusPlus()
    betas: tuple[float, ...] = (0.1, 0.2, 0.4, 0.6, 0.8)
    turns: int = 50

    def __post_init__(self) -> None:
        check_offers("start", self.start, Start)
        check_number("turns", self.turns, int, 1)
        for beta in self.betas:
            Annealed(beta)

    def __call__(self, model: Model, sample: Sample, seed: int) -> Steps:
        start, rng = self.start, np.random.default_rng([seed, 6])
        order = rng.permutation(len(sample.rows))
        parameters = _parameters(model, sample, order, rng)
        sample = part(sample, order[: max(FEWEST_ROWS, ROWS_PER_PARAMETER * parameters)])
        posteriors: list[Posterior] = [*map(Annealed, self.betas), Exact()]
        for posterior in posteriors:
            trial = Trial(model, start, seed, sample, sample, self.turns, posterior=posterior)
            (result,) = yield Errands((trial,), "annealing on a sample")
            if result is None:
                return (yield from self.start(model, sample, seed))
            start = Given(_shaken(model, result[0], rng))
        return result[0]


def _parameters(model: Model, sample: Sample, order: Array, rng: np.random.Generator) -> int:
    """How many the model has, by a start on a few rows."""
    sketch = part(sample, order[: SKETCH_ROWS * getattr(model, "k", 1)])
    return model.n_parameters(model.start(sketch, rng))


def _unfolded(sample: Sample, rng: np.random.Generator) -> Sample:
    """Rows drawn by weight, where the sample is of patterns that many rows have."""
    total = float(sample.weights.sum())
    n = min(int(total), MOST_UNFOLDED)
    rows = sample.rows[draw(sample.weights, rng, n)]
    return Sample.of(rows, np.ones(n), complete=False, share=n / total)
