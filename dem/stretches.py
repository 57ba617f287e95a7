"""A warm start for chains: fits to runs of rows that follow each other, the best of which goes on.

What rows are like tells little of the states where these overlap, and nothing if they are codes of
one column: it is how rows follow each other that does. So several starts climb on some runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from dem.accelerate import Plain, QuasiNewton, can_leap
from dem.chains import FromMixture
from dem.checks import check_number
from dem.contract import Sample
from dem.kernels.seeding import nearest, plus_plus
from dem.models.hmm import HMM
from dem.models.states import HMMParams
from dem.passes import Block, Rows
from dem.starts import NO_PASS, Errands, Given, KMeansPlusPlus, Start, Steps
from dem.trial import Trial, part

Array = np.ndarray
LENGTH = 250  # rows of a run
ROWS_PER_PARAMETER, FEWEST_ROWS, MOST_ROWS = 12, 1000, 20_000
HELD_TIMES = 4
MOST_TURNS = 200
SKETCH_ROWS = 50  # a state, to count parameters on
CLUSTERS = 5  # a state, whose rows get states together


@dataclass(frozen=True, eq=False)
class Taken:
    """Those runs, at most `limit`, that have the largest keys of all that were added."""

    keys: Array
    runs: tuple[Rows, ...]
    limit: int

    def __add__(self, other: Taken) -> Taken:
        keys, runs = np.concatenate([self.keys, other.keys]), self.runs + other.runs
        best = np.argsort(-keys, kind="stable")[: self.limit]
        return Taken(keys[best], tuple(runs[i] for i in best), self.limit)


@dataclass(frozen=True)
class TakeRuns:
    """Random runs of rows that follow each other, some of them with weight; a pass over the data.

    length : of a run; blocks are taken for runs if they are shorter. limit : runs at most.
    missing : whether NaN is a missing value.
    """

    length: int
    limit: int
    seed: int
    missing: bool
    description: ClassVar[str] = "sampling runs of rows"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Taken:
        n = len(block.rows)
        keys = np.random.default_rng([self.seed, 9, block.index]).random(max(n // self.length, 1))
        if block.weights is not None:
            there = np.add.reduceat(block.weights, np.arange(len(keys)) * self.length)
            keys = np.where(there > 0, keys, 0.0)
        best = np.argsort(-keys, kind="stable")[: self.limit]
        return Taken(keys[best], tuple(self._run(block, int(i)) for i in best), self.limit)

    def _run(self, block: Block, i: int) -> Rows:
        here = slice(i * self.length, (i + 1) * self.length)
        rows = np.array(block.rows[here], dtype=np.float64)
        rows[:1, -1] = 1.0
        missing = np.isnan(rows) if self.missing else None
        if missing is not None:
            rows[missing] = 0.0
        return Rows(rows, block.masses[here], missing)


@dataclass(frozen=True)
class Scattered:
    """Random states: of pieces of rows that follow each other, or else of clusters of rows."""

    pieces: bool

    def __call__(self, model: HMM, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        rng, n, k = np.random.default_rng([seed, 10]), len(sample.rows), model.k
        mixture = model.independent(sample.rows.shape[1])
        if self.pieces:
            group = (rng.random(n) < 1 / rng.integers(3, 50)).cumsum()
        else:
            points = mixture.family.frame(sample).inward(sample.rows)
            centres = plus_plus(points, sample.weights, CLUSTERS * k, rng)
            group, _ = nearest(points, centres)
        shares = rng.dirichlet(np.full(k, 0.2), group.max() + 1)[group] + 0.05
        params = model.after(mixture.start_from(sample, shares.T / shares.sum(axis=1)))
        follow = params.transmat * rng.dirichlet(np.ones(k), k) + 0.5 * np.eye(k)
        follow = np.where(params.transmat > 0, follow + 0.01, 0.0)
        return replace(params, transmat=follow / follow.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class FromRuns:
    """The best of several fits to random runs of rows, found by one read.

    `candidates` starts climb for some turns on about 12 rows a parameter: mixtures of the states,
    and random states of pieces of sequences and of clusters of rows. The half with the higher
    likelihood of other runs climbs on, and so forth; the last goes on to where it stands still on
    more of them. A topology with an order begins as `FromMixture` does.
    """

    candidates: int = 12
    turns: int = 10

    def __post_init__(self) -> None:
        check_number("candidates", self.candidates, int, 1)
        check_number("turns", self.turns, int, 1)

    def __call__(self, model: HMM, sample: Sample, seed: int) -> Steps:
        otherwise = FromMixture()
        if model.topology.ordered:
            return (yield from otherwise(model, sample, seed))
        rng = np.random.default_rng([seed, 11])
        sketch = part(sample, rng.permutation(len(sample.rows))[: SKETCH_ROWS * model.k])
        parameters = model.n_parameters(model.start(sketch, rng))
        few = int(np.clip(ROWS_PER_PARAMETER * parameters, FEWEST_ROWS, MOST_ROWS))
        limit = -(-few * (1 + HELD_TIMES) // LENGTH)
        taken = yield TakeRuns(LENGTH, limit, seed, model.missing)
        count = -(-few // LENGTH)
        seen = together(taken.runs[:count])
        held = together(taken.runs[count:] or taken.runs)
        trials = [
            Trial(model, self._variant(i), seed + i, seen, held, self.turns)
            for i in range(self.candidates)
        ]
        while len(trials) > 1:
            results = yield Errands(tuple(trials), "trying starts on runs of rows")
            if None in results:
                return (yield from otherwise(model, sample, seed))
            values = np.nan_to_num([value for _, value in results], nan=-np.inf)
            best = np.argsort(-values, kind="stable")[: (len(trials) + 1) // 2]
            trials = [replace(trials[i], start=Given(results[i][0])) for i in best]
        quick = QuasiNewton() if can_leap(model) else Plain()
        last = replace(trials[0], sample=together(taken.runs), turns=MOST_TURNS, accelerate=quick)
        (result,) = yield Errands((last,), "fitting runs of rows")
        params: HMMParams = result[0] if result else (yield from otherwise(model, sample, seed))
        return params

    def _variant(self, i: int) -> Start:
        """The start of a candidate."""
        if i % 3 == 0:
            return FromMixture(KMeansPlusPlus())
        return Scattered(pieces=i % 3 == 1)


def together(runs: tuple[Rows, ...]) -> Sample:
    """Runs of rows as a sample in which they stand one after the other."""
    rows = np.concatenate([run.rows for run in runs])
    return Sample(rows, np.concatenate([run.weights for run in runs]), complete=True)
