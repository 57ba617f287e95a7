"""The variance-reduced schedule: what it calculates, and what holds whatever comes of that."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import dem
from components import COMPONENTS
from dem.accelerate import Plain, QuasiNewton
from dem.engine.manifest import open_data
from dem.engine.readers import arrays
from dem.posteriors import Exact
from dem.schedules import Epoch, FullBatch, Incremental, VarianceReduced
from dem.starts import Given
from dem.stats import leaves
from dem.stopping import Change
from dem.testing import Case
from mixtures import FORMS, problem

RNG = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0], [1.6, 0.0], [0.0, 1.6]])
SLOW = np.concatenate([RNG.normal(size=(1000, 2)) + c for c in CENTRES])
RNG.shuffle(SLOW)
MODEL = dem.Mixture(3, dem.Gaussian(dem.Full()))
SMALL = {name: (here.model, here.rows(60, 3)) for name, here in COMPONENTS.items()}
for form in FORMS:
    few = problem(form, 60, 3, 3, seed=1)
    SMALL[f"Gaussian {form}"] = few.model, few.rows


def climbed(
    schedule: Any, turns: int, groups: int, model: Any = MODEL, rows: np.ndarray = SLOW
) -> tuple[Case, list[Any]]:
    case, size = Case(model, rows, turns=turns), len(rows) // groups
    parts = case.split(*range(size, size * groups, size))
    return case, case.climb(Exact(), *parts, way=(schedule, Plain()))


def bounds_of_batches(steps: list[Any], groups: int) -> list[float]:
    return [b for step in steps if len(step.groups) == groups for b in (step.bound_e, step.bound)]


def test_epochs_and_then_full_batches() -> None:
    _, steps = climbed(VarianceReduced(epochs=2), 17, 6)
    every, each = [tuple(range(6))], [(g,) for g in range(6)]
    assert [step.groups for step in steps] == 2 * (every + each) + 3 * every


def test_the_equation() -> None:
    case, steps = climbed(VarianceReduced(rate=0.3), 4, 6)
    parts = case.split(*range(500, 3000, 500))
    snapshot = [case.stats(case.params, Exact(), part) for part in parts]
    total = average = sum(snapshot[1:], snapshot[0])
    for g, (before, after) in enumerate(pairwise(steps)):
        new = case.stats(before.params, Exact(), parts[g])
        average = 0.7 * average + 0.3 * (total + 6 * (new - snapshot[g]))
        expected = MODEL.m_step(before.params, average)
        for a, b in zip(leaves(after.params), leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)


def test_the_first_turn_at_the_rate_of_incremental_em() -> None:
    _, ours = climbed(VarianceReduced(rate=1 / 6), 2, 6)
    _, theirs = climbed(Incremental(), 2, 6)
    for a, b in zip(leaves(ours[1].params), leaves(theirs[1].params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_one_group_is_the_full_batch() -> None:
    ours, textbook = (climbed(s, 5, 1)[1] for s in (VarianceReduced(), FullBatch()))
    assert [(s.bound_e, s.bound) for s in ours] == [(s.bound_e, s.bound) for s in textbook]


def test_it_goes_further_in_as_many_reads() -> None:
    _, ours = climbed(VarianceReduced(epochs=3), 3 * 31 + 1, 30)
    _, batch = climbed(FullBatch(), 10, 1)
    assert bounds_of_batches(ours, 30)[-2] > batch[9].bound  # 7 reads to 10


@pytest.mark.parametrize("name", SMALL)
def test_bounds_of_full_batches_never_fall(name: str) -> None:
    """With groups of five rows, and steps so long that statistics are often those of no rows."""
    model, rows = SMALL[name]
    case, steps = climbed(VarianceReduced(epochs=3, rate=1.0), 3 * 13 + 4, 12, model, rows)
    bounds = bounds_of_batches(steps, 12)
    assert (np.diff(bounds) >= -max(case.allowed(step.params) for step in steps)).all()
    assert bounds[-1] > bounds[1]
    assert all(np.isfinite(leaf).all() for step in steps for leaf in leaves(step.params))


class Brittle:
    """A model whose M-step fails where a component's covariance is not positive."""

    def __init__(self) -> None:
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(MODEL, name)

    def m_step(self, params: Any, stats: Any) -> Any:
        sums = stats.sums
        offsets = sums.first / sums.weight[:, None]
        scatter = sums.about(sums.centre + offsets).second
        covariances = sums.form.covariances(sums.weight, scatter, 2)
        if np.linalg.eigvalsh(covariances).min() < 0:
            self.failures += 1
            raise ValueError("no maximum")
        return MODEL.m_step(params, stats)


def test_statistics_of_no_rows() -> None:
    model = Brittle()
    case, steps = climbed(VarianceReduced(epochs=2, rate=1.0), 2 * 21 + 2, 20, model, SLOW[:60])
    assert model.failures > 0
    bounds = bounds_of_batches(steps, 20)
    assert (np.diff(bounds) >= -max(case.allowed(step.params) for step in steps)).all()


def test_an_epoch_that_leads_down_is_taken_back() -> None:
    """Groups as unlike as can be: what one of them asks for is no good for the others."""
    rows = SLOW[np.argsort(SLOW[:, 0])]
    _, steps = climbed(VarianceReduced(epochs=1), 33, 30, rows=rows)
    _, batch = climbed(FullBatch(), 3, 1, rows=rows)
    ours, theirs = bounds_of_batches(steps, 30), bounds_of_batches(batch, 1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_an_estimate_does_not_stop_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
    data, case = open_data(np.tile(SLOW, (10, 1))), Case(MODEL, SLOW, turns=200)
    there = Given(case.climb(Exact(), way=(FullBatch(), QuasiNewton()))[-1].params)
    how: dict[str, Any] = {"start": there, "stop": Change(), "tol": 1e-3}
    fitted = dem.fit(MODEL, data, schedule=VarianceReduced(4), **how)
    assert fitted.converged
    assert [record.groups for record in fitted.history] == [4, 1, 1, 1, 1, 4]


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1.5}, {"groups": 0}, {"epochs": -1}])
def test_what_it_cannot_be_made_of(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        VarianceReduced(**wrong)


def test_a_memory_that_is_none() -> None:
    blank = Case(MODEL, SLOW).empty(Case(MODEL, SLOW).params)
    with pytest.raises(ValueError, match="snapshot of its 3 groups"):
        VarianceReduced().merge(Epoch((blank,)), (0,), (blank,), 3)
    with pytest.raises(ValueError, match="at least one group"):
        Epoch(())
