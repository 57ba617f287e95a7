"""Split-and-merge moves: from one optimum to a better one (Ueda, Nakano, Ghahramani, Hinton 2000).

EM does not leave an optimum where one component covers two clusters and two share another. A move
makes one component of two that overlap, and two of one that two fit better, and EM climbs from
there. This happens on a sample; what comes of it is kept if it makes other rows more likely, by
more than chance would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.accelerate import Plain
from dem.checks import check_number
from dem.contract import Params, Sample
from dem.models.mixture import Mixture
from dem.starts import NO_PASS, Errands, Given, KMeansPlusPlus, Steps
from dem.trial import Trial

Array = np.ndarray
PAIRS = 3  # pairs that are looked at for each move that is tried
SPLIT_ROWS, SPLIT_TURNS = 4000, 15
TURNS = 10  # of each move that is tried
FLAT = 1e-12  # of the largest variance: what is that small is rounding
FEWEST_ROWS = 50  # of a component that may be split
HOPELESS = 0.03  # nats per row that a move may cost before EM has climbed
BEHIND = 5e-3  # nats per row that it may lack when it has climbed a little
ALIKE = 3, 2  # moves that may have a split in common, and a merge
LEAST = 1e-4  # nats per row that are worth a move


@dataclass(frozen=True)
class Moves:
    """Rounds of moves, of which each tries some side by side, until none is a gain."""

    rounds: int = 3
    tries: int = 8

    def __post_init__(self) -> None:
        check_number("rounds", self.rounds, int, 0)
        check_number("tries", self.tries, int, 1)

    def __call__(
        self, best: Trial, reached: tuple[Params, float], few: Sample
    ) -> Generator[Errands, Any, Params]:
        """θ at least as good as a trial has reached, to its own held-out rows.

        few : rows to try moves on.
        """
        model: Any = best.model
        params, score = reached
        climb = replace(best, sample=few, turns=TURNS, accelerate=Plain())
        for _ in range(self.rounds):
            proposals = Proposals(model, params, few, self.tries, best.seed)
            (proposed,) = yield Errands((proposals,), "looking for components to split and merge")
            if not proposed:
                break
            trials = tuple(replace(climb, start=Given(start)) for start in proposed)
            tried = yield Errands(trials, "trying to split and merge components")
            found = [result for result in tried if result and result[1] > score - BEHIND]
            if not found:
                break
            start = Given(max(found, key=lambda result: result[1])[0])
            (result,) = yield Errands((replace(best, start=start),), "fitting a sample")
            if result is None:
                break
            (gain,) = yield Errands((Gain(model, params, result[0], best.held),), "comparing fits")
            if not gain > LEAST:
                break
            params, score = result
        return params


@dataclass(frozen=True, eq=False)
class Proposals:
    """An errand: θ after each of the moves that promise most, `tries` of them at most.

    What a split promises is what two components gain on the rows of one, fitted to those by a few
    turns; what a merge costs, is what the rows lose with one component, fitted to those of two.
    """

    model: Mixture
    params: Params
    sample: Sample
    tries: int
    seed: int

    def __call__(self) -> tuple[Params, ...]:
        model, sample = self.model, self.sample
        prepared = model.prepare(self.params)
        q = model.posterior(prepared, sample.rows).T
        splits = {k: split for k in range(model.k) if (split := self._split(k, q[k]))}
        merges = list(self._merges(q, model.log_prob(prepared, sample.rows)))
        ranked = sorted(
            ((gain - loss, k, pair) for loss, pair in merges for k, (gain, _) in splits.items()),
            reverse=True,
        )
        used: Counter[Any] = Counter()
        chosen: list[Params] = []
        for promise, k, pair in ranked:
            if promise < -HOPELESS or len(chosen) == self.tries:
                break
            if k not in pair and used[k] < ALIKE[0] and used[pair] < ALIKE[1]:
                used.update((k, pair))
                chosen.append(self._moved(q, k, splits[k][1], pair))
        return tuple(chosen)

    def _split(self, k: int, q: Array) -> tuple[float, Array] | None:
        """The gain in nats per row of all, and the halves' share (2, m) of each row; or None."""
        sample, one, two = self.sample, replace(self.model, k=1), replace(self.model, k=2)
        its = np.flatnonzero(q > 1e-3)
        if len(its) < FEWEST_ROWS:
            return None
        rng = np.random.default_rng([self.seed, 7, k])
        some = its if len(its) <= SPLIT_ROWS else rng.choice(its, SPLIT_ROWS, replace=False)
        own = Sample.of(sample.rows[some], (sample.weights * q)[some], complete=True)
        tried = [
            Trial(two, start, self.seed, own, own, SPLIT_TURNS)()
            for start in (KMeansPlusPlus(), Bisection())
        ]
        if not (found := [result for result in tried if result]):
            return None
        alone = one.prepare(one.start_from(own, np.ones((1, len(some)))))
        apart = two.prepare(max(found, key=lambda result: np.nan_to_num(result[1], nan=-np.inf))[0])
        gains = two.log_prob(apart, own.rows) - one.log_prob(alone, own.rows)
        share = sample.weights @ q / sample.weights.sum()
        gain = float(own.weights @ gains / own.weights.sum() * share)
        return (gain, two.posterior(apart, sample.rows).T) if np.isfinite(gain) else None

    def _merges(self, q: Array, log_prob: Array) -> Iterator[tuple[float, tuple[int, int]]]:
        """The loss in nats per row of merging two components, for those that overlap most."""
        sample, one = self.sample, replace(self.model, k=1)
        total = sample.weights.sum()
        unit = q / np.maximum(np.linalg.norm(q, axis=1, keepdims=True), 1e-300)
        first, second = np.triu_indices(len(q), 1)
        nearest = np.argsort(-(unit @ unit.T)[first, second], kind="stable")[: PAIRS * self.tries]
        for i, j in zip(first[nearest].tolist(), second[nearest].tolist(), strict=True):
            both = q[i] + q[j]
            share = both @ sample.weights / total
            if share <= 0:
                continue
            alone = one.prepare(one.start_from(sample, both[None]))
            added = share * np.exp(np.minimum(one.log_prob(alone, sample.rows) - log_prob, 700.0))
            ratio = np.maximum(1.0 - both, 0.0) + added
            loss = -float(sample.weights @ np.log(np.maximum(ratio, 1e-300)) / total)
            if np.isfinite(loss):
                yield loss, (i, j)

    def _moved(self, q: Array, k: int, halves: Array, pair: tuple[int, int]) -> Params:
        i, j = pair
        moved = q.copy()
        moved[i] = q[i] + q[j]
        moved[k], moved[j] = q[k] * halves
        return self.model.start_from(self.sample, moved)


@dataclass(frozen=True)
class Bisection:
    """A start with two components, of the rows on both sides of their mean along one axis.

    Of the principal axes that one along which rows are most like two clusters: where the kurtosis
    is lowest, which is 1 for two points, and 3 for a normal.
    """

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        points = model.family.frame(sample).inward(sample.rows)
        share = sample.weights / sample.weights.sum()
        points = points - share @ points
        variances, axes = np.linalg.eigh((points.T * share) @ points)
        along = points @ axes
        kurtosis = share @ along**4 / np.maximum(share @ along**2, 1e-150) ** 2
        kurtosis[variances <= FLAT * variances[-1]] = np.inf
        upper = along[:, kurtosis.argmin()] > 0
        return model.start_from(sample, np.stack([upper, ~upper]) + 1.0 / len(upper))


@dataclass(frozen=True, eq=False)
class Gain:
    """An errand: by how much one θ makes rows more likely than another, less two standard errors.

    In nats per row.
    """

    model: Mixture
    before: Params
    after: Params
    rows: Sample

    def __call__(self) -> float:
        first, second = (
            self.model.log_prob(self.model.prepare(params), self.rows.rows)
            for params in (self.before, self.after)
        )
        share = self.rows.weights / self.rows.weights.sum()
        gains = second - first
        mean = float(share @ gains)
        return mean - 2.0 * float(np.sqrt(share**2 @ (gains - mean) ** 2))
