"""Hidden Markov models: all paths of small cases, published figures, laws, masks and priors."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chains
import dem
from dem.chains import FromMixture
from dem.contract import Sample
from dem.em import bound
from dem.errors import DataError, SupportError
from dem.families import Categorical, Diagonal, Full, Gaussian, Label, Poisson, Product
from dem.models import HMM, HMMParams, LeftRight, Masked
from dem.posteriors import Annealed, Exact, Hard
from dem.starts import Given
from dem.stats import leaves
from dem.stretches import FromRuns
from dem.testing import check_model

FAMILIES = chains.families()
# Earthquakes of magnitude 7 or more in each year from 1900 (Zucchini and MacDonald 2009).
EARTHQUAKES = np.fromstring(
    "13 14 8 10 16 26 32 27 18 32 36 24 22 23 22 18 25 21 21 14 8 11 14 23 18 17 19 20 22 19 13 26 "
    "13 14 22 24 21 22 26 21 23 24 27 41 31 27 35 26 28 36 39 21 17 22 17 19 15 34 10 15 22 18 15 "
    "20 15 22 19 16 30 27 29 23 20 16 21 21 25 16 18 15 18 14 10 15 8 15 6 11 8 7 18 16 13 12 13 "
    "20 15 16 12 18 15 16 13 15 16 11 11",
    sep=" ",
)[:, None]
LENGTHS = [4, 1, 3]


def small(name: str, zeros: float = 0.0) -> tuple[HMM, HMMParams, Any]:
    """A model of three states, its parameters, and three short sequences."""
    family, rows = FAMILIES[name]
    model = HMM(3, family)
    return model, chains.start(model, rows, zeros=zeros), rows[: sum(LENGTHS)]


def log_densities(model: HMM, params: HMMParams, rows: Any) -> Any:
    """log p(row | state), (n, K), by mixtures of one state."""
    everything = np.empty((len(rows), model.k))
    for k in range(model.k):
        only = replace(params, startprob=np.eye(model.k)[k], transmat=np.eye(model.k))
        alone = np.hstack([rows, np.ones((len(rows), 1))])
        everything[:, k] = model.log_prob(model.prepare(only), alone)
    return everything


def paths(model: HMM, params: HMMParams, rows: Any) -> list[chains.Paths]:
    logs = log_densities(model, params, rows)
    spans = pairwise(np.cumsum([0, *LENGTHS]).tolist())
    return [chains.Paths.of(params, logs[a:b]) for a, b in spans]


CUTS = [(), (1,), (3,), (4,), (2, 5), (1, 2, 3, 4, 5, 6, 7)]


@pytest.mark.parametrize("zeros", [0.0, 0.5])
@pytest.mark.parametrize("name", FAMILIES)
def test_all_paths(name: str, zeros: float) -> None:
    """log p(v), q(state), expected transitions and the best path, wherever the rows are cut."""
    model, params, rows = small(name, zeros)
    expected, prepared = paths(model, params, rows), model.prepare(params)
    data = chains.beginning(rows, LENGTHS)
    total = sum(one.log_likelihood for one in expected)
    for edges in CUTS:
        stats = chains.statistics(model, params, data, Exact(), edges)
        np.testing.assert_allclose(
            stats.sums.transitions, sum(o.pairs for o in expected), atol=1e-11
        )
        np.testing.assert_allclose(
            stats.sums.starts, sum(o.states[0] for o in expected), atol=1e-11
        )
        assert stats.entropy == pytest.approx(sum(o.entropy for o in expected), abs=1e-9)
        assert bound(model, params, stats) == pytest.approx(total, abs=1e-9)
        hard = chains.statistics(model, params, data, Hard(), edges)
        assert bound(model, params, hard) == pytest.approx(
            sum(o.log_best for o in expected), abs=1e-9
        )
        exact = chains.in_blocks(model, params, data, None, Exact(), edges)
        found = [model.posterior(prepared, part, told) for part, _, told in exact]
        states = np.concatenate([one.states for one in expected])
        np.testing.assert_allclose(np.concatenate(found), states, atol=1e-11)
        logs = [model.log_prob(prepared, part, told) for part, _, told in exact]
        assert np.concatenate(logs).sum() == pytest.approx(total, abs=1e-9)
        best = chains.in_blocks(model, params, data, None, Hard(), edges)
        path = np.concatenate([model.decode(prepared, part, told) for part, _, told in best])
        assert path.tolist() == [j for one in expected for j in one.best]


def test_wikipedia() -> None:
    """A healthy or feverish patient who feels normal, cold, then dizzy."""
    model = HMM(2, Categorical(3))
    components = type(chains.start(model, np.zeros((3, 1))).components)(
        np.array([[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]])
    )
    params = HMMParams(np.array([0.6, 0.4]), np.array([[0.7, 0.3], [0.4, 0.6]]), components)
    rows, prepared = chains.beginning(np.arange(3.0)[:, None], [3]), model.prepare(params)
    assert model.decode(prepared, rows).tolist() == [1, 0, 0]
    stats = model.e_step(prepared, rows, None, Hard())
    assert np.exp(bound(model, params, stats)) == pytest.approx(0.01344, abs=1e-12)
    np.testing.assert_allclose(
        model.posterior(prepared, rows),
        [[0.23170303, 0.76829697], [0.62406281, 0.37593719], [0.86397706, 0.13602294]],
        atol=2e-7,  # published in single precision
    )


@pytest.mark.parametrize(("k", "published"), [(2, -341.8787), (3, -328.5275)])
def test_earthquakes(k: int, published: float) -> None:
    model = dem.PoissonHMM(k, tol=1e-8, max_iter=500, n_init=2, random_state=0)
    model.fit(EARTHQUAKES)
    assert model.score(EARTHQUAKES) == pytest.approx(published, abs=2e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_laws(name: str) -> None:
    """Those of any model, where every row is a sequence; longer ones cannot be cut anywhere."""
    family, rows = FAMILIES[name]
    model, rows = HMM(2, family), rows[:120]
    params = chains.start(model, rows)
    weights = np.random.default_rng(1).gamma(2.0, size=len(rows))
    alone = chains.beginning(rows, [1] * len(rows))
    check_model(model, alone, weights=weights, params=params)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_blocks(seed: int) -> None:
    """Sequences of any length in blocks of any length: the statistics of one block."""
    rng = np.random.default_rng(seed)
    family, rows = FAMILIES["gaussian"]
    n = int(rng.integers(2, 400))
    model = HMM(int(rng.integers(1, 5)), family)
    params = chains.start(model, rows, seed % 1000, zeros=rng.choice([0.0, 0.4]))
    new = rng.random(n) < rng.choice([0.0, 0.02, 0.5])
    data = np.hstack([rows[:n], new[:, None]])
    weights = rng.gamma(2.0, size=n + 1)[np.cumsum(new)]
    edges = np.unique(rng.integers(1, n, rng.integers(1, 8)))
    for posterior in (Exact(), Hard()):
        one = chains.statistics(model, params, data, posterior, (), weights)
        cut = chains.statistics(model, params, data, posterior, edges, weights)
        for a, b in zip(leaves(one), leaves(cut), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-8)


def test_many_blocks_are_one() -> None:
    """A sequence over 64 blocks, and the same in one; an odd block of one row among them."""
    family, _ = FAMILIES["gaussian"]
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20_000, 2)) + np.repeat(rng.integers(0, 3, 400), 50)[:, None]
    model = HMM(3, family)
    params, data = chains.start(model, rows), chains.beginning(rows, [20_000])
    one = chains.statistics(model, params, data, Exact())
    edges = np.unique(np.append(np.linspace(0, 20_000, 64).astype(int)[1:-1], 9000))
    cut = chains.statistics(model, params, data, Exact(), sorted([*edges.tolist(), 9001]))
    for a, b in zip(leaves(one), leaves(cut), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-7)


def test_weights_are_sequences_repeated() -> None:
    family, rows = FAMILIES["gaussian"]
    model = HMM(3, family)
    params, rows = chains.start(model, rows), rows[:30]
    data = chains.beginning(rows, [10, 5, 15])
    again = np.concatenate([data[:10], data[:10], data[15:]])
    weights = np.repeat([2.0, 0.0, 1.0], [10, 5, 15])
    one = chains.statistics(model, params, again, Exact())
    for edges in ((), (4, 12, 13, 20)):
        other = chains.statistics(model, params, data, Exact(), edges, weights)
        assert bound(model, params, other) == pytest.approx(bound(model, params, one), abs=1e-9)
        for a, b in zip(leaves(one.sums.transitions), leaves(other.sums.transitions), strict=True):
            np.testing.assert_allclose(b, a, atol=1e-10)


def test_weights_within_a_sequence_are_refused() -> None:
    family, rows = FAMILIES["gaussian"]
    model = HMM(2, family)
    params, data = chains.start(model, rows), chains.beginning(rows[:30], [10, 20])
    weights = np.ones(30)
    weights[25:] = 2.0
    with pytest.raises(SupportError, match="Weights are of sequences"):
        chains.statistics(model, params, data, Exact(), (), weights)
    with pytest.raises(DataError, match=r"changes within a sequence, from 1 to 2.*block 2"):
        chains.statistics(model, params, data, Exact(), (10, 25), weights)


def test_where_sequences_begin_must_be_said() -> None:
    family, rows = FAMILIES["gaussian"]
    model = HMM(2, family)
    data = chains.beginning(rows, [len(rows)])
    data[5, -1] = 0.5
    with pytest.raises(DataError, match=r"value 0.5: row 5, column 2.*sequences begin"):
        dem.fit(model, data, start=Given(chains.start(model, rows)), max_iter=1)


def test_no_other_posterior() -> None:
    model, params, rows = small("gaussian")
    with pytest.raises(TypeError, match=r"Exact\(\) or Hard\(\)"):
        chains.statistics(model, params, chains.beginning(rows, LENGTHS), Annealed(0.5))


def test_a_state_that_is_never_left_may_be_left_for_long() -> None:
    """Thousands of nats for a later state do not make an earlier one impossible."""
    model = HMM(2, Gaussian(Diagonal()), LeftRight())
    rows = np.concatenate([np.full(500, 5.0), np.full(1500, -5.0), np.full(1500, 5.0)])[:, None]
    sample = Sample(rows, np.ones(len(rows)), complete=True)
    family = model.family
    frame = family.frame(sample)
    components = family.inward(np.array([[-5.0], [5.0]]), np.ones((2, 1)), frame)
    params = HMMParams(np.array([1.0, 0.0]), np.array([[0.9, 0.1], [0.0, 1.0]]), components)
    for edges in ((), (250, 1000, 2000, 3000)):
        stats = chains.statistics(model, params, chains.beginning(rows, [3500]), Exact(), edges)
        # 500 rows that look like the last state are of the first all the same.
        assert stats.sums.transitions[0, 0] == pytest.approx(1999.0, abs=1e-6)
        assert stats.sums.emissions.weight[1] == pytest.approx(1500.0, abs=1e-6)
        logs = -0.5 * (np.log(2 * np.pi) * 3500 + 500 * 100.0)
        logs += 1999 * np.log(0.9) + np.log(0.1)
        assert bound(model, params, stats) == pytest.approx(logs, rel=1e-9)


def test_no_path() -> None:
    model = HMM(2, Product(((Gaussian(), (0,)), (Label(), (1,)))), LeftRight())
    rows = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])  # labels that go back
    params = model.start(Sample(chains.beginning(rows[::-1], [3]), np.ones(3), True), RNG())
    for posterior in (Exact(), Hard()):
        with pytest.raises(DataError, match="allow more transitions"):
            dem.fit(
                model, chains.beginning(rows, [3]), start=Given(params), posterior=posterior,
                max_iter=1,
            )  # fmt: skip


def RNG() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("posterior", [Exact(), Hard()])
def test_what_cannot_be_stays_so(posterior: Any) -> None:
    family, rows = FAMILIES["gaussian"]
    follow = ((True, True, False), (False, True, True), (True, False, True))
    model = HMM(3, family, Masked((True, True, False), follow))
    data = chains.beginning(rows, [100, 300])
    fitted = dem.fit(model, data, posterior=posterior, max_iter=8, tol=0.0)
    assert (fitted.params.transmat > 0).tolist() == np.array(follow).tolist()
    assert (fitted.params.startprob > 0).tolist() == [True, True, False]
    bounds = np.ravel([(r.bound_e, r.bound) for r in fitted.history])
    assert (np.diff(bounds) > -1e-10).all()
    own = model.n_parameters(fitted.params)
    assert own == 1 + 3 + family.n_parameters(fitted.params.components)


def test_left_right_finds_the_order() -> None:
    rng = np.random.default_rng(0)
    centres, lengths, rows = np.array([3.0, -4.0, 8.0, 0.0]), [], []
    for _ in range(60):
        stays = rng.integers(4, 15, 4)
        lengths.append(int(stays.sum()))
        rows.append(np.repeat(centres, stays)[:, None] + rng.normal(size=(stays.sum(), 1)))
    data = dem.sequences(np.concatenate(rows), lengths)
    model = HMM(4, Gaussian(Diagonal()), LeftRight())
    fitted = dem.fit(model, data, start=FromMixture(), tol=1e-6)
    means = model.family.described(fitted.params.components)["means"][:, 0]
    np.testing.assert_allclose(means, centres, atol=0.3)
    np.testing.assert_allclose(fitted.params.startprob, [1.0, 0.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_array_equal(fitted.params.transmat[np.tril_indices(4, -1)], 0.0)


def test_a_start_from_runs_finds_what_a_mixture_cannot() -> None:
    """Mixtures of one column of codes say nothing of the states; how codes follow does."""
    rng = np.random.default_rng(0)
    follow, emit = 0.85 * np.eye(3) + 0.05, rng.dirichlet(np.full(5, 0.5), 3)
    states = [0]
    for _ in range(5999):
        states.append(int(rng.choice(3, p=follow[states[-1]])))
    codes = np.array([rng.choice(5, p=emit[state]) for state in states])[:, None].astype(float)
    model, data = HMM(3, Categorical(5)), dem.sequences(codes)
    how: dict[str, Any] = {"max_iter": 300, "tol": 1e-7}
    components = replace(chains.start(model, codes).components, probabilities=emit)
    truth = Given(HMMParams(np.full(3, 1 / 3), follow, components))
    best = dem.fit(model, data, start=truth, **how).lower_bound
    assert dem.fit(model, data, start=FromRuns(), **how).lower_bound > best - 1e-3
    few = {**how, "max_iter": 10}
    assert dem.fit(model, data, start=FromMixture(), **few).lower_bound < best - 1e-2


def test_priors() -> None:
    """The mode of the posterior: no other probabilities have a larger bound."""
    family, rows = FAMILIES["categorical"]
    prior = np.array([[5.0, 1.0, 2.0], [1.0, 4.0, 1.0], [1.0, 1.5, 3.0]])
    model = HMM(3, family, startprob_prior=(2.0, 3.0, 4.0), transmat_prior=prior)
    params, data = chains.start(model, rows), chains.beginning(rows, [150, 250])
    stats = chains.statistics(model, params, data, Exact())
    best = model.m_step(params, stats)
    expected = stats.sums.transitions + prior - 1
    np.testing.assert_allclose(best.transmat, expected / expected.sum(axis=1, keepdims=True))
    value, rng = bound(model, best, stats), np.random.default_rng(0)
    for _ in range(50):
        other = replace(
            best,
            startprob=rng.dirichlet(100 * best.startprob + 1),
            transmat=np.stack([rng.dirichlet(100 * row + 1) for row in best.transmat]),
        )
        assert bound(model, other, stats) <= value
    fitted = dem.fit(model, data, start=Given(params), max_iter=10, tol=0.0)
    bounds = np.ravel([(r.bound_e, r.bound) for r in fitted.history])
    assert (np.diff(bounds) > -1e-12).all()
    from scipy.stats import dirichlet

    nothing = model.expected_log_joint(best, 0.0 * stats)
    logs = [dirichlet([2.0, 3.0, 4.0]).logpdf(best.startprob)]
    logs += [dirichlet(a).logpdf(row) for a, row in zip(prior, best.transmat, strict=True)]
    assert nothing == pytest.approx(sum(logs), abs=1e-9)


def test_a_missing_row_is_a_step_without_a_density() -> None:
    family = Gaussian(Full(), missing=True)
    _, rows = FAMILIES["gaussian"]
    model, rows = HMM(3, family), rows.copy()
    params = chains.start(model, rows)
    few = rows[:7].copy()
    few[2], few[4, 0] = np.nan, np.nan
    logs = log_densities(model, params, few)
    assert np.ptp(logs[2]) == 0.0
    expected = chains.Paths.of(params, logs)
    data = chains.beginning(few, [7])
    for edges in ((), (2,), (3, 5)):
        stats = chains.statistics(model, params, data, Exact(), edges)
        assert bound(model, params, stats) == pytest.approx(expected.log_likelihood, abs=1e-9)
        np.testing.assert_allclose(stats.sums.transitions, expected.pairs, atol=1e-11)


def test_known_states() -> None:
    """Labels beside the other columns restrict q to paths through them."""
    family = Product(((Gaussian(Diagonal()), (0, 1)), (Label(), (2,))))
    _, rows = FAMILIES["gaussian"]
    label = np.full((len(rows), 1), -1.0)
    label[[1, 4, 5]] = [[2.0], [0.0], [1.0]]
    rows = np.hstack([rows, label])
    model = HMM(3, family)
    params = chains.start(model, rows)
    q = model.posterior(model.prepare(params), chains.beginning(rows, [len(rows)]))
    np.testing.assert_allclose(q[[1, 4, 5]], np.eye(3)[[2, 0, 1]], atol=1e-12)


def test_coordinates_without_bounds() -> None:
    model, params, _ = small("gaussian", zeros=0.5)
    there = model.unflatten(model.flatten(params), params)
    np.testing.assert_allclose(there.transmat, params.transmat, rtol=1e-12)
    np.testing.assert_allclose(there.startprob, params.startprob, rtol=1e-12)
    moved = model.unflatten(model.flatten(params) + 0.3, params)
    model.check(moved)
    np.testing.assert_array_equal(moved.transmat > 0, params.transmat > 0)


def test_accelerated() -> None:
    from dem.accelerate import QuasiNewton

    data = chains.beginning(EARTHQUAKES, [107])
    model = HMM(3, Poisson())
    how: dict[str, Any] = {"start": Given(chains.start(model, EARTHQUAKES)), "tol": 1e-9}
    slow = dem.fit(model, data, max_iter=2000, **how)
    quick = dem.fit(model, data, max_iter=2000, accelerate=QuasiNewton(), **how)
    assert quick.lower_bound >= slow.lower_bound - 1e-5
    assert len(quick.history) < len(slow.history)
    assert (np.diff([r.bound for r in quick.history]) > -1e-12).all()


def test_arguments() -> None:
    with pytest.raises(ValueError, match="startprob_prior must be a number or"):
        HMM(2, Poisson(), startprob_prior=(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="transmat_prior must be finite and at least 1"):
        HMM(2, Poisson(), transmat_prior=0.5)
    with pytest.raises(ValueError, match="the mask is for 3 states, there are 2"):
        HMM(2, Poisson(), Masked((True,) * 3, ((True,) * 3,) * 3))
    with pytest.raises(ValueError, match="some state follow each"):
        Masked((True, True), ((True, True), (False, False)))
    model, params, _ = small("poisson")
    with pytest.raises(ValueError, match="transmat must sum to 1"):
        model.check(replace(params, transmat=params.transmat * 1.1))


def test_states_that_no_chain_enters() -> None:
    model, params, _ = small("poisson")
    lost = replace(params, startprob=np.array([1.0, 0.0, 0.0]), transmat=np.eye(3))
    assert "no chain enters the states [1, 2]" in model.diagnose(lost)[0]
    assert model.diagnose(params) == ()


def test_sample() -> None:
    model, params, _ = small("gaussian")
    rows, states = model.sample(params, 20_000, RNG())
    assert rows.shape == (20_000, 2)
    pairs = np.zeros((3, 3))
    np.add.at(pairs, (states[:-1], states[1:]), 1.0)
    np.testing.assert_allclose(pairs / pairs.sum(1, keepdims=True), params.transmat, atol=0.03)
    means = model.family.described(params.components)["means"]
    for k in range(3):
        np.testing.assert_allclose(rows[states == k].mean(axis=0), means[k], atol=0.15)
