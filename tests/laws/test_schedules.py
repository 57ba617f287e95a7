"""Schedules and accelerations: what each promises beside the laws of every model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import dem
from dem.accelerate import Plain, QuasiNewton
from dem.climb import Climb
from dem.em import bound
from dem.engine.manifest import open_data
from dem.engine.readers import arrays
from dem.errors import SupportError
from dem.posteriors import Exact
from dem.schedules import FullBatch, Incremental, Stepwise
from dem.starts import Given
from dem.stopping import Aitken, Change
from dem.testing import Case
from mixtures import FORMS, problem

RNG = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0], [1.6, 0.0], [0.0, 1.6]])
SLOW = np.concatenate([RNG.normal(size=(1000, 2)) + c for c in CENTRES])
RNG.shuffle(SLOW)
MODEL = dem.Mixture(3, dem.Gaussian(dem.Full()))


def case(turns: int, rows: np.ndarray = SLOW) -> Case:
    return Case(MODEL, rows, turns=turns)


def climbed(schedule: Any, turns: int, groups: int = 6, accelerate: Any = Plain()) -> list[Any]:
    parts = case(turns).split(*range(500, 3000, 500)) if groups == 6 else ()
    return case(turns).climb(Exact(), *parts, way=(schedule, accelerate))


@dataclass(frozen=True)
class Wild:
    """An acceleration whose leaps are too far, each in its own direction."""

    def leap(self, model: Any, params: Any, trail: int | None) -> Any:
        if trail is None:  # no bound yet to fall from
            return params
        flat = model.flatten(params)
        far = np.random.default_rng(trail).normal(size=flat.shape)
        return model.unflatten(flat + 3 * far, params)

    def follow(self, model: Any, trail: Any, point: Any, image: Any, landed: bool | None) -> int:
        assert landed is (None if trail is None else False)
        return (trail or 0) + 1


def test_a_leap_too_far_changes_nothing() -> None:
    plain = [(s.bound_e, s.bound) for s in climbed(FullBatch(), 6, 1)[1:]]
    wild = [(s.bound_e, s.bound) for s in climbed(FullBatch(), 6, 1, Wild())[1:]]
    assert plain == wild


@pytest.mark.parametrize("form", FORMS)
def test_there_and_back(form: str) -> None:
    here = problem(form, 90, 3, 3, seed=4)
    params = Case(here.model, here.rows).params
    flat = here.model.flatten(params)
    back = here.model.unflatten(flat, params)
    np.testing.assert_allclose(here.model.flatten(back), flat, rtol=1e-12, atol=1e-12)
    ours, again = (here.model.log_prob(here.model.prepare(p), here.rows) for p in (params, back))
    np.testing.assert_allclose(again, ours, rtol=1e-10)


def first_within(steps: Sequence[Any], goal: float) -> int:
    return next(i for i, step in enumerate(steps, 1) if step.bound_e > goal)


def test_quasi_newton_needs_half_the_turns() -> None:
    plain = climbed(FullBatch(), 1500, 1)
    limit = plain[-1].bound_e
    fast = climbed(FullBatch(), 300, 1, QuasiNewton())
    assert abs(fast[-1].bound_e - limit) < 1e-7
    assert 2 * first_within(fast, limit - 1e-6) < first_within(plain, limit - 1e-6)


def test_incremental_is_honest() -> None:
    """The bound is that of each group under the q that it got when its turn came."""
    here = case(9)
    parts = here.split(*range(500, 3000, 500))
    steps = here.climb(Exact(), *parts, way=(Incremental(), Plain()))
    assert [step.groups for step in steps[:4]] == [tuple(range(6)), (0,), (1,), (2,)]
    before = [here.params, *(step.params for step in steps)]
    at = [before[7], before[8], *before[3:7]]  # turns 8 and 9 were those of groups 0 and 1
    kept = [here.stats(theta, Exact(), part) for theta, part in zip(at, parts, strict=True)]
    total = sum(kept[1:], kept[0])
    assert steps[8].bound * 3000 == pytest.approx(bound(MODEL, steps[8].params, total), rel=1e-12)


def test_one_group_is_the_full_batch() -> None:
    ours, textbook = (climbed(s, 5, 1) for s in (Incremental(), FullBatch()))
    assert [(s.bound_e, s.bound) for s in ours] == [(s.bound_e, s.bound) for s in textbook]


def test_incremental_climbs_faster_a_sweep() -> None:
    batch, incremental = climbed(FullBatch(), 20, 6), climbed(Incremental(), 1 + 19 * 6, 6)
    assert incremental[-1].bound > batch[-1].bound


def test_stepwise_ends_in_full_batches() -> None:
    steps = climbed(Stepwise(sweeps=2), 16)
    assert [len(step.groups) for step in steps] == [6] + [1] * 12 + [6] * 3
    honest = [b for step in steps[13:] for b in (step.bound_e, step.bound)]
    assert (np.diff(honest) >= -1e-12).all()
    batch = climbed(FullBatch(), 2)
    assert honest[0] > batch[-1].bound  # two reads of the data later


@pytest.mark.parametrize("power", [0.5, 1.1])
def test_stepwise_needs_a_power_that_settles(power: float) -> None:
    with pytest.raises(ValueError, match="power must be"):
        Stepwise(power=power)


def test_aitken_sees_beyond_a_plateau() -> None:
    slow = [-1.0 - 0.02 * 0.99**t for t in range(400)]  # gains 1 % less each time
    assert Change()(slow[:3], 1e-3)
    stops = next(t for t in range(3, 400) if Aitken()(slow[:t], 1e-3))
    assert -1.0 - slow[stops - 1] == pytest.approx(1e-3, rel=0.05)
    assert not Aitken()([-np.inf, -1.0], 1e-3)
    assert not Aitken()([-3.0, -2.9999, -2.99], 1e-3)  # gains grow
    assert Aitken()([-1.0, -1.0], 1e-3)


class Blind:
    """A model without `flatten`."""

    def __getattr__(self, name: str) -> Any:
        if name in ("flatten", "unflatten"):
            raise AttributeError(name)
        return getattr(MODEL, name)


def test_what_cannot_be_accelerated_is_refused() -> None:
    with pytest.raises(TypeError, match="has no flatten, unflatten"):
        Climb(Blind(), accelerate=QuasiNewton())


@dataclass(frozen=True)
class Unsound(dem.Mixture):
    """A mixture of which a leap goes to where nothing is finite, or some rows have no density."""

    fault: str = "infinite"

    def unflatten(self, vector: Any, like: Any) -> Any:
        params = super().unflatten(vector, like)
        return replace(params, weights=np.array([0.0, 0.5, 0.5]))

    def e_step(self, prepared: Any, rows: Any, weights: Any, posterior: Any) -> Any:
        stats = super().e_step(prepared, rows, weights, posterior)
        if len(rows) and prepared.eta[0, 0] < -100:  # log 0, where a leap has landed
            if self.fault == "density":
                raise SupportError("no density", 0.0, 0, 0)
            return stats * np.nan
        return stats


@pytest.mark.parametrize("fault", ["infinite", "density"])
def test_a_leap_to_where_nothing_is(fault: str) -> None:
    """The turn is made again from where it was, as after any leap too far."""
    how: dict[str, Any] = {"start": Given(case(1).params), "tol": 0.0, "max_iter": 8}
    leapt = dem.fit(Unsound(3, dem.Gaussian(), fault), SLOW, accelerate=QuasiNewton(2), **how)
    plain = dem.fit(MODEL, SLOW, **how)
    assert [r.bound for r in leapt.history] == [r.bound for r in plain.history]
    assert leapt.n_passes > plain.n_passes


def test_stepwise_where_groups_have_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
    rows = np.tile(SLOW, (10, 1))
    weights = (np.arange(len(rows)) > len(rows) / 2).astype(float)
    fitted = dem.fit(MODEL, rows, weights=weights, schedule=Stepwise(4), max_iter=6)
    assert np.isfinite(fitted.lower_bound)


def test_a_budget_is_that_of_all_attempts() -> None:
    fitted = dem.fit(MODEL, SLOW, max_passes=3, n_init=9, max_iter=50, tol=0.0)
    assert fitted.n_passes == 3


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
    data = open_data(np.tile(SLOW, (10, 1)))
    assert data.n_blocks >= 4
    start = Given(case(1).params)
    options: dict[str, Any] = {"start": start, "tol": 0.0}
    fitted = dem.fit(MODEL, data, max_iter=3, schedule=Incremental(4), **options)
    assert sum(record.groups for record in fitted.history) == 3 * 4
    read = {phase.name: phase.rows for phase in fitted.phases}
    assert read == {"sample": 30_000, "start": 0, "turns": 3 * 30_000}
    assert fitted.n_passes == 4
    assert dem.fit(MODEL, data, max_passes=6, **options).n_passes == 6
    none = dem.fit(MODEL, data, max_time=0, **options)
    assert none.history == ()
    assert not none.converged
    some = dem.fit(MODEL, data, max_iter=10**6, max_time=0.5, **options)
    assert 0 < len(some.history) < 10**6
    with pytest.raises(ValueError, match="max_passes must be >= 0"):
        dem.fit(MODEL, data, max_passes=-1)
