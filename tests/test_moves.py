"""Split-and-merge moves: out of optima that EM does not leave."""

from typing import Any

import numpy as np
import pytest

import dem
from dem.accelerate import QuasiNewton
from dem.contract import Sample
from dem.moves import Gain, Moves, Proposals
from dem.starts import Errands, Given
from dem.stats import leaves
from dem.trial import Trial

RNG = np.random.default_rng(5)
CENTRES = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0], [6.0, 30.0]])
LABELS = RNG.integers(0, 4, 8000)
X = CENTRES[LABELS] + RNG.normal(size=(8000, 2))
MODEL = dem.Mixture(4, dem.Gaussian(dem.Diagonal()))


def sample(rows: np.ndarray) -> Sample:
    return Sample.of(rows, np.ones(len(rows)), complete=True)


TRAIN, HELD = sample(X[:6000]), sample(X[6000:])


def climbed(centres: Any, model: Any = MODEL) -> tuple[Trial, tuple[Any, float]]:
    """A trial on all the training rows, and where it ends that begins around these centres."""
    start = Given(model.start_around(TRAIN, np.asarray(centres)))
    trial = Trial(model, start, 0, TRAIN, HELD, 200, QuasiNewton())
    reached = trial()
    assert reached is not None
    return trial, reached


# Two components share the cluster at 0, and one has both that are far away from it.
POOR = climbed([[-0.5, 0.0], [0.5, 0.0], [30.0, 0.0], [3.0, 30.0]])
BEST = climbed(CENTRES)


def carried_out(moves: Moves, trial: Trial, reached: Any) -> tuple[Any, list[Errands]]:
    steps, answer, asked = moves(trial, reached, trial.sample), None, []
    try:
        while True:
            request = steps.send(answer)
            asked.append(request)
            answer = tuple(task() for task in request.tasks)
    except StopIteration as end:
        return end.value, asked


def height(params: Any) -> float:
    return float(MODEL.log_prob(MODEL.prepare(params), HELD.rows).mean())


def test_out_of_a_poor_optimum() -> None:
    assert POOR[1][1] < BEST[1][1] - 0.1
    params, _ = carried_out(Moves(), *POOR)
    assert height(params) == pytest.approx(BEST[1][1], abs=1e-3)


def test_the_best_is_not_left() -> None:
    params, _ = carried_out(Moves(), *BEST)
    assert [a.tobytes() for a in leaves(params)] == [a.tobytes() for a in leaves(BEST[1][0])]


def test_the_first_proposal_is_the_right_one() -> None:
    """The component over two clusters is split, those that share one are merged."""
    first = Proposals(MODEL, POOR[1][0], TRAIN, 8, 0)()[0]
    found = MODEL.family.outward(first.components)[0]  # type: ignore[attr-defined]
    near = np.linalg.norm(found[:, None] - CENTRES, axis=2)
    assert sorted(near.argmin(axis=1).tolist()) == [0, 1, 2, 3]
    assert near.min(axis=1).max() < 0.5


@pytest.mark.parametrize("k", [1, 2])
def test_too_few_components_for_a_move(k: int) -> None:
    model = dem.Mixture(k, dem.Gaussian())
    assert Proposals(model, climbed(CENTRES[:k], model)[1][0], TRAIN, 8, 0)() == ()


def test_rows_that_are_all_the_same() -> None:
    rows = np.repeat([[0.0, 0.0], [9.0, 1.0], [5.0, 5.0], [1.0, 7.0]], 60, axis=0)
    points = sample(rows)
    params = MODEL.start_from(points, (np.arange(240) // 60 == np.arange(4)[:, None]) + 1e-3)
    for start in Proposals(MODEL, params, points, 8, 0)():
        MODEL.check(start)


def test_rounds_and_tries_are_limits() -> None:
    _, asked = carried_out(Moves(rounds=0), *POOR)
    assert not asked
    _, asked = carried_out(Moves(rounds=1, tries=2), *POOR)
    assert [len(request.tasks) for request in asked] == [1, 2, 1, 1]


def test_a_gain_is_one_only_beyond_chance() -> None:
    poor, best = POOR[1][0], BEST[1][0]
    assert Gain(MODEL, poor, best, HELD)() > 0.1
    assert Gain(MODEL, best, poor, HELD)() < -0.1
    assert Gain(MODEL, best, best, HELD)() == 0.0
    few = sample(HELD.rows[:8])
    prepared = [MODEL.prepare(params) for params in (poor, best)]
    gains = np.subtract(*(MODEL.log_prob(p, few.rows) for p in reversed(prepared)))
    expected = gains.mean() - 2 * np.sqrt(((gains - gains.mean()) ** 2).sum()) / 8
    assert Gain(MODEL, poor, best, few)() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weight", [1e-9, 1e9])
def test_weights_have_any_unit(weight: float) -> None:
    scaled = Sample.of(TRAIN.rows, np.full(len(TRAIN.rows), weight), complete=True)
    ones = Proposals(MODEL, POOR[1][0], TRAIN, 1, 0)()[0]
    other = Proposals(MODEL, POOR[1][0], scaled, 1, 0)()[0]
    for a, b in zip(leaves(ones), leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "family", [dem.Bernoulli(), dem.Gaussian(missing=True)], ids=["Bernoulli", "missing values"]
)
def test_other_families(family: Any) -> None:
    """With a component too many in one place and one too few in another, and NaN."""
    sharp = np.where(np.arange(12) // 3 == np.arange(4)[:, None], 0.9, 0.1)
    rows = (RNG.random((6000, 12)) < sharp[RNG.integers(0, 4, 6000)]).astype(float)
    rows = rows if isinstance(family, dem.Bernoulli) else rows + RNG.normal(size=rows.shape) * 0.2
    rows[RNG.random(rows.shape) < 0.1] = np.nan
    model = dem.Mixture(4, family)
    train, held = sample(rows[:4000]), sample(rows[4000:])
    near = np.array([0, 0, 1, 2])[:, None]  # the last has the rows of two
    r = np.where(near == np.nan_to_num(rows[:4000]).reshape(-1, 4, 3).sum(2).argmax(1), 1.0, 0.05)
    r[3] = 1.0 - r[1:3].sum(axis=0) / 2.1 - r[0] / 2
    order = np.lexsort(rows[:4000].T[::-1])
    trial = Trial(
        model, Given(model.start_from(train, r[:, order])), 0, train, held, 100, QuasiNewton()
    )
    reached = trial()
    assert reached is not None
    params, _ = carried_out(Moves(), trial, reached)
    after = float(model.log_prob(model.prepare(params), held.rows).mean())
    assert after >= reached[1] - 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rounds": -1}, "rounds must be >= 0"), ({"tries": 0}, "tries must be >= 1")],
)
def test_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Moves(**options)
