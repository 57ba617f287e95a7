"""Replicates of chains: whole ones are resampled, others of the same lengths simulated."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dem
from dem.engine.readers import sequences as cutting
from dem.errors import DataError
from dem.inference.replicates import Resampled, Simulated
from dem.passes import Block
from dem.stretches import FromRuns
from dem.units import Units

RNG = np.random.default_rng(8)
LENGTH, COUNT = 60, 80
TRANSMAT = np.array([[0.9, 0.1], [0.25, 0.75]])


def drawn(count: int, length: int) -> np.ndarray:
    states = np.empty((count, length), int)
    for i in range(count):
        states[i, 0] = RNG.random() < 0.5
        for t in range(1, length):
            states[i, t] = RNG.random() < TRANSMAT[states[i, t - 1], 1]
    return states.reshape(-1, 1) * 2.0 + RNG.normal(size=(count * length, 1))


X = drawn(COUNT, LENGTH)
LENGTHS = np.full(COUNT, LENGTH)
MODEL = dem.HMM(2, dem.Gaussian(dem.Diagonal()))
DATA = dem.sequences(X, LENGTHS)
FIT = dem.fit(MODEL, DATA, start=FromRuns(candidates=3), max_iter=200, tol=1e-9)


def test_resampled_chains_are_whole_whatever_the_blocks() -> None:
    starts = np.arange(COUNT) * LENGTH
    found = []
    for size in (33, 1000):
        weights = []
        for i, start in enumerate(range(0, len(X), size)):
            here = X[start : start + size]
            rows = np.column_stack([here, np.isin(np.arange(start, start + len(here)), starts)])
            edges = np.arange(0, len(X), size)
            units = Units(starts[np.searchsorted(starts, edges, side="right") - 1])
            block = Block(i, start, rows.astype(float), None)
            weights.append(Resampled(3, units).of(block, FIT, 5).weights)
        found.append(np.concatenate(weights).reshape(COUNT, LENGTH))
    np.testing.assert_array_equal(*found)
    assert (found[0] == found[0][:, :1]).all()
    assert set(found[0][:, 0]) >= {0.0, 1.0, 2.0}


def test_simulated_chains_follow_the_model() -> None:
    n = 40_000
    rows = np.column_stack([np.zeros(n), np.arange(n) % 20 == 0])
    block = Simulated(2).of(Block(0, 0, rows, None), FIT, 1)
    np.testing.assert_array_equal(block.rows[:, -1], rows[:, -1])
    refitted = dem.fit(
        MODEL, dem.sequences(block.rows[:, :-1], [20] * (n // 20)),
        start=dem.starts.Given(FIT.params), max_iter=100, tol=1e-7,
    )  # fmt: skip
    for name in ("startprob", "transmat"):
        np.testing.assert_allclose(
            getattr(refitted.params, name), getattr(FIT.params, name), atol=0.04
        )
    again = Simulated(2).of(Block(0, 0, rows, None), FIT, 1)
    np.testing.assert_array_equal(block.rows, again.rows)
    assert (Simulated(2).of(Block(0, 0, rows, None), FIT, 2).rows != block.rows).any()


@pytest.mark.parametrize("replicate", [Resampled(1), Simulated(1)])
def test_errors_are_those_of_the_information(replicate: Any) -> None:
    """By differences of the likelihood, which the estimator adds up over chains."""
    found = dem.bootstrap(FIT, DATA, n_replicates=60, replicate=replicate, seed=3)
    assert found.estimates["transmat"].shape == (2, 2)
    at = FIT.params
    flat = MODEL.flatten(at)

    def value(step: np.ndarray) -> float:
        params = MODEL.unflatten(flat + step, at)
        rows = np.column_stack([X, np.arange(len(X)) % LENGTH == 0])
        return float(MODEL.log_prob(MODEL.prepare(params), rows).sum())

    p = len(flat)
    h, eye = 1e-3, np.eye(p)
    curved = np.empty((p, p))
    for i in range(p):
        for j in range(i + 1):
            steps = [value(h * (a * eye[i] + b * eye[j])) for a in (1, -1) for b in (1, -1)]
            curved[i, j] = curved[j, i] = (steps[0] - steps[1] - steps[2] + steps[3]) / (4 * h * h)
    covariance = np.linalg.pinv(-curved, rcond=1e-6)
    place = [
        i
        for i in range(p)
        if (MODEL.unflatten(flat + 0.1 * eye[i], at).components.means != at.components.means).any()
    ]
    errors = np.sqrt(np.diag(covariance))[place] * at.components.frame.scale[0]
    assert found.errors["means"].ravel() == pytest.approx(errors, rel=0.4)
    assert found.converged >= 55


def test_states_in_another_order_are_put_back() -> None:
    from dem.inference.bootstrap import align
    from dem.inference.named import named

    own = named(MODEL, FIT.params, (0,))
    swapped = [replace(part, values=_turned(part)) for part in own]
    near = [[replace(part, values=part.values * (1 + e)) for part in own] for e in (1e-3, 2e-3)]
    others = [*near, *near, swapped]
    aligned = align(others, own)
    assert [was for _, was in aligned] == [False] * 4 + [True]
    for part, like in zip(aligned[-1][0], own, strict=True):
        np.testing.assert_array_equal(part.values, like.values)


def _turned(part: Any) -> np.ndarray:
    return part.values[::-1, ::-1] if part.between else part.values[::-1]


def test_by_an_estimator_and_its_lengths() -> None:
    model = dem.GaussianHMM(2, covariance_type="diag", tol=1e-6, random_state=0).fit(X, LENGTHS)
    found = dem.bootstrap(model, X, lengths=LENGTHS, n_replicates=4, seed=2)
    assert found.errors["transmat"].shape == (2, 2)
    same = dem.bootstrap(model._fitted, DATA, n_replicates=4, seed=2, threads=1)
    np.testing.assert_array_equal(found.errors["means"], same.errors["means"])
    assert {row.name for row in found.table()} >= {"startprob", "transmat", "means"}


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    few = dem.sequences(X, [len(X) - 60, 60])
    with pytest.raises(DataError, match=r"2 sequences, and 12 are the fewest .* simulate"):
        dem.bootstrap(FIT, few, n_replicates=2)
    with pytest.raises(TypeError, match=r"depend on each other.*dem\.bootstrap"):
        dem.standard_errors(FIT, DATA)
    with pytest.raises(TypeError, match="lengths is for estimators of hidden"):
        dem.bootstrap(FIT, DATA, lengths=LENGTHS, n_replicates=2)
    monkeypatch.setattr(cutting, "MOST_ROWS", 1000)
    one = dem.sequences(X)
    assert one.n_blocks > 1
    with pytest.raises(DataError, match=r"goes on from the block before row .* Resampled\(\)"):
        dem.bootstrap(FIT, one, n_replicates=2, replicate=Simulated())


def test_long_chains_are_resampled_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for rows in (50, 100_000):
        monkeypatch.setattr(cutting, "MOST_ROWS", rows)
        data = dem.sequences(X[: 15 * LENGTH], LENGTHS[:15])
        found.append(dem.bootstrap(FIT, data, n_replicates=2, seed=1, tol=1e-4))
    np.testing.assert_allclose(
        found[0].replicates["means"], found[1].replicates["means"], rtol=1e-3
    )
