"""Noisy-or under exact, structured and factorised q: laws, enumeration, and the gap."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

import dem
from dem.errors import DataError
from dem.models import NoisyOr, NoisyOrParams
from dem.posteriors import Exact, Hard, MeanField
from dem.starts import Given
from dem.testing import check_model

TRUTH = NoisyOrParams(
    np.array([0.5, 0.4, 0.3]),
    np.array(
        [
            [0.02, 0.02, 0.02, 0.02, 0.02, 0.02],
            [0.9, 0.8, 0.7, 0.05, 0.05, 0.05],
            [0.05, 0.8, 0.9, 0.8, 0.05, 0.05],
            [0.05, 0.05, 0.6, 0.9, 0.8, 0.7],
        ]
    ),
)
ALONE, PAIRED, WHOLE = MeanField((2, 2, 2)), MeanField((4, 2)), MeanField((8,))


def rows(n: int, seed: int = 0) -> np.ndarray:
    return NoisyOr(3).sample(TRUTH, n, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_the_laws(weighted: bool) -> None:
    """*lower* and *monotone* within each family of q; λ is not maximised, only raised."""
    weights = np.random.default_rng(1).gamma(2.0, size=80) if weighted else None
    posteriors = (Exact(), ALONE, PAIRED, Hard())
    check_model(NoisyOr(3), rows(80), weights=weights, posteriors=posteriors, skip=("maximiser",))


def test_log_prob_is_the_sum_over_all_causes() -> None:
    model, data = NoisyOr(3), rows(20)
    expected = []
    for row in data:
        total = 0.0
        for causes in product((0, 1), repeat=3):
            h = np.array(causes)
            prior = np.prod(np.where(h, TRUTH.priors, 1 - TRUTH.priors))
            off = (1 - TRUTH.chances[0]) * np.prod((1 - TRUTH.chances[1:]) ** h[:, None], axis=0)
            total += prior * np.prod(np.where(row, 1 - off, off))
        expected.append(np.log(total))
    prepared = model.prepare(TRUTH)
    np.testing.assert_allclose(model.log_prob(prepared, data), expected, rtol=1e-12)


def test_the_gap_is_wider_the_more_q_leaves_out() -> None:
    """KL(q ‖ p(h | v)): nothing for one factor, less for a pair than for single causes."""
    model, data = NoisyOr(3), rows(2000)
    prepared = model.prepare(TRUTH)
    likelihood = model.log_prob(prepared, data).sum()
    gaps = []
    for posterior in (WHOLE, PAIRED, ALONE):
        stats = model.e_step(prepared, data, None, posterior)
        gaps.append(likelihood - stats.entropy - model.expected_log_joint(TRUTH, stats))
    assert abs(gaps[0]) < 1e-8 * abs(likelihood)
    assert 1e-3 * len(data) < gaps[1] < 0.8 * gaps[2]


def test_mean_field_is_the_nearest_product() -> None:
    """Nothing that a general optimiser finds from several starts is better by much."""
    rng = np.random.default_rng(3)
    table = rng.normal(0, 2, (8, 5))
    out = np.empty_like(table)
    for i in range(5):
        one = table[:, [i]].copy()
        entropy = ALONE.respond(one, q := np.empty((8, 1)), None)
        found = entropy + float(q[:, 0] @ table[:, i])

        def value(logits: np.ndarray, i: int = i) -> float:
            p = expit(logits)
            q = np.array([np.prod(np.where(h, p, 1 - p)) for h in product((0, 1), repeat=3)])
            return float(q @ (np.log(q + 1e-300) - table[:, i]))

        tries = [minimize(value, rng.normal(0, 2, 3)) for _ in range(6)]
        assert found >= -min(one.fun for one in tries) - 0.3
        # It is where coordinate ascent stands still.
        p = np.array([q.reshape(2, 2, 2).sum(axis=tuple({0, 1, 2} - {j}))[1] for j in range(3)])
        here = value(np.log(p / (1 - p)))
        assert here == pytest.approx(-found, abs=1e-9)
        for j in range(3):
            for step in (1e-3, -1e-3):
                moved = np.log(p / (1 - p))
                moved[j] += step
                assert value(moved) >= here - 1e-12
    weights = rng.gamma(2.0, size=5)
    total = ALONE.respond(table.copy(), out, weights)
    np.testing.assert_allclose(out.sum(axis=0), weights)
    assert total > 0
    with pytest.raises(ValueError, match=r"q has \(2, 2\) states, and there are 8"):
        MeanField((2, 2)).respond(table, out, None)


@pytest.mark.parametrize("posterior", [Exact(), ALONE, PAIRED], ids=["exact", "alone", "paired"])
def test_fits_climb(posterior: object) -> None:
    model, data = NoisyOr(3), rows(3000)
    fitted = dem.fit(model, data, start=Given(TRUTH), posterior=posterior, max_iter=60, tol=1e-7)
    bounds = np.array([(r.bound_e, r.bound) for r in fitted.history]).ravel()
    assert (np.diff(bounds) > -1e-9).all()
    assert bounds[-1] > bounds[0]
    if isinstance(posterior, Exact):
        np.testing.assert_allclose(fitted.params.priors, TRUTH.priors, atol=0.08)
        np.testing.assert_allclose(fitted.params.chances, TRUTH.chances, atol=0.15)
        there = model.posterior(model.prepare(fitted.params), data)
        causes = model.sample(TRUTH, 3000, np.random.default_rng(0))[1]
        assert ((there > 0.5) == causes).mean() > 0.85


def test_one_cause_and_mistakes() -> None:
    check_model(NoisyOr(1), rows(30)[:, :2], skip=("maximiser",))
    with pytest.raises(ValueError, match="at most 12"):
        NoisyOr(13)
    bad = rows(30)
    bad[4, 2] = 2
    with pytest.raises(DataError, match=r"value 2: row 4, column 2.*0 or 1"):
        dem.fit(NoisyOr(2), bad)
    bad[4, 2] = np.nan
    with pytest.raises(DataError, match="NaN: row 4, column 2"):
        dem.fit(NoisyOr(2), bad)
    for params in (
        NoisyOrParams(np.full(2, 0.5), np.full((4, 6), 0.5)),
        NoisyOrParams(np.full(3, 0.5), np.full((3, 6), 0.5)),
        NoisyOrParams(np.full(3, 0.5), np.ones((4, 6))),
    ):
        with pytest.raises(ValueError, match="must"):
            NoisyOr(3).check(params)
