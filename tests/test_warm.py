"""The warm start: better places to begin at, from a sample alone."""

from typing import Any

import numpy as np
import pytest

import dem
from dem.contract import Sample
from dem.moves import Moves
from dem.posteriors import Annealed, Exact
from dem.starts import Errands, KMeansParallel, RandomRows, Start
from dem.stats import leaves
from dem.trial import Trial
from dem.warm import Annealing, WarmStart

RNG = np.random.default_rng(3)
CENTRES = RNG.normal(size=(12, 2)) * 3
X = CENTRES[RNG.integers(0, 12, 40_000)] + RNG.normal(size=(40_000, 2)) * 0.6
MODEL = dem.Mixture(12, dem.Gaussian(dem.Diagonal()))


def sample(rows: np.ndarray = X) -> Sample:
    return Sample.of(rows, np.ones(len(rows)), complete=True)


def carried_out(start: Start, model: Any, rows: Sample, seed: int) -> tuple[Any, list[Errands]]:
    """What a start comes to, and the errands that it has asked for."""
    steps, answer, asked = start(model, rows, seed), None, []
    try:
        while True:
            request = steps.send(answer)
            assert isinstance(request, Errands)
            asked.append(request)
            answer = tuple(task() for task in request.tasks)
    except StopIteration as end:
        return end.value, asked


def test_halves_until_one_is_left() -> None:
    start = WarmStart(candidates=6, turns=2, moves=Moves(rounds=0))
    params, asked = carried_out(start, MODEL, sample(), 0)
    assert [len(request.tasks) for request in asked] == [6, 3, 2, 1]
    sizes = [len(request.tasks[0].sample.rows) for request in asked]  # type: ignore[attr-defined]
    assert sizes[0] == sizes[1] < sizes[-1] < len(X)
    held = asked[0].tasks[0].held  # type: ignore[attr-defined]
    seen = asked[0].tasks[0].sample  # type: ignore[attr-defined]
    assert not {row.tobytes() for row in held.rows} & {row.tobytes() for row in seen.rows}
    MODEL.check(params)
    again, _ = carried_out(start, MODEL, sample(), 0)
    assert [a.tobytes() for a in leaves(again)] == [a.tobytes() for a in leaves(params)]


def test_the_best_of_the_candidates_goes_on() -> None:
    start = WarmStart(candidates=4, turns=3)
    _, asked = carried_out(start, MODEL, sample(), 1)
    first, second = asked[0].tasks, asked[1].tasks
    scores = [task()[1] for task in first]
    best = np.argsort(scores)[::-1][:2]
    for task, i in zip(second, best, strict=True):
        params = first[i]()[0]
        assert isinstance(task, Trial)
        begins = task.start.params  # type: ignore[attr-defined]
        assert [a.tobytes() for a in leaves(begins)] == [a.tobytes() for a in leaves(params)]


def test_too_few_rows_for_so_many_parameters() -> None:
    model = dem.Mixture(12, dem.Gaussian(dem.Full()))
    rows = sample(X[:250])  # of 71 parameters
    params, asked = carried_out(WarmStart(), model, rows, 5)
    plain, _ = carried_out(KMeansParallel(), model, rows, 5)
    assert not asked
    assert [a.tobytes() for a in leaves(params)] == [a.tobytes() for a in leaves(plain)]


def test_it_begins_near_its_end() -> None:
    """Better than a single start, and a turn or two from standing still."""
    warm = dem.fit(MODEL, X, start=WarmStart(), max_iter=400, tol=1e-6)
    ends = [
        dem.fit(MODEL, X, start=KMeansParallel(), max_iter=400, tol=1e-6, seed=seed).lower_bound
        for seed in range(3)
    ]
    assert warm.lower_bound > max(ends) - 1e-3
    assert warm.history[0].bound_e > warm.lower_bound - 5e-3


def test_with_another_start() -> None:
    _, asked = carried_out(WarmStart(RandomRows(), candidates=3, turns=1), MODEL, sample(), 0)
    assert {type(task.start) for task in asked[0].tasks} == {RandomRows}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"candidates": 0}, "candidates must be >= 1"), ({"turns": 0}, "turns must be >= 1")],
)
def test_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WarmStart(**options)


def test_annealing_goes_through_its_temperatures() -> None:
    start = Annealing(RandomRows(), betas=(0.2, 0.5), turns=3)
    params, asked = carried_out(start, MODEL, sample(X[:3000]), 0)
    posteriors = [task.posterior for request in asked for task in request.tasks]  # type: ignore[attr-defined]
    assert posteriors == [Annealed(0.2), Annealed(0.5), Exact()]
    MODEL.check(params)


def test_annealing_avoids_poor_optima() -> None:
    """From random rows, which alone end anywhere."""
    rows = np.concatenate([X[:3000], X[:3000] + np.array([40.0, 0.0])])
    model = dem.Mixture(4, dem.Gaussian(dem.Spherical()))

    def ends(start: Start) -> list[float]:
        how: dict[str, Any] = {"max_iter": 500, "tol": 1e-7}
        return [dem.fit(model, rows, start=start, seed=s, **how).lower_bound for s in range(6)]

    assert np.mean(ends(Annealing(RandomRows()))) > np.mean(ends(RandomRows()))


@pytest.mark.parametrize("beta", [0.0, 1.5])
def test_temperatures_that_are_none(beta: float) -> None:
    with pytest.raises(ValueError, match="beta must be"):
        Annealing(betas=(beta,))


@pytest.mark.parametrize("start", [WarmStart(candidates=2), Annealing(betas=(0.5,))])
def test_a_value_without_density_is_named_by_its_row(start: Start) -> None:
    counts = RNG.poisson(3.0, size=(5000, 2)).astype(float)
    counts[1234, 1] = -1
    with pytest.raises(dem.DataError, match="the value -1: row 1234, column 1, in block 0"):
        dem.fit(dem.Mixture(2, dem.Poisson()), counts, start=start)
