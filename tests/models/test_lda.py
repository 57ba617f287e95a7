"""Latent Dirichlet allocation: laws, exact evidence by enumeration, and scikit-learn's results."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from scipy.special import gammaln, psi
from scipy.stats import dirichlet

import dem
from corpora import FromEqualShares, beginning, corpus
from dem.errors import DataError
from dem.kernels import topics as kernel
from dem.models import LDA, LDAParams
from dem.models.concentrations import Asymmetric, Fixed, Symmetric, objective
from dem.posteriors import Exact, Hard
from dem.schedules import Incremental, Online, Stepwise
from dem.starts import Given
from dem.testing import check_model

CLOSE = {"inner_iter": 1000, "inner_tol": 1e-8}


@pytest.mark.parametrize(
    ("model", "skip"),
    [
        (LDA(3, **CLOSE), ()),
        (LDA(3), ()),
        (LDA(3, Asymmetric(), Fixed(0.3), **CLOSE), ()),
        # λ, then η: each is a maximiser given the other.
        (LDA(2, Symmetric(0.2), Symmetric(0.5), **CLOSE), ("maximiser",)),
        (LDA(1), ()),
    ],
    ids=["fixed", "unfinished", "alpha", "both", "one topic"],
)
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_the_laws(model: LDA, skip: tuple[str, ...], weighted: bool) -> None:
    rows = corpus(16, 20, 3, 30.0, seed=1).toarray()
    weights = np.random.default_rng(1).gamma(2.0, size=len(rows)) if weighted else None
    check_model(model, rows, weights=weights, posteriors=(Exact(),), skip=skip)


def evidence(documents: list[list[int]], n_words: int, alpha: float, eta: float, k: int) -> float:
    """log p of words in their order: the sum over who came from which topic, θ and β integrated."""

    def sequence(counts: np.ndarray, a: float) -> float:
        """log of the probability of a sequence with these counts, shares from Dir(a, ..., a)."""
        size = counts.shape[-1]
        norm = gammaln(size * a) - gammaln(size * a + counts.sum(-1))
        return float((norm + (gammaln(a + counts) - gammaln(a)).sum(-1)).sum())

    words = np.concatenate(documents)
    owner = np.repeat(np.arange(len(documents)), [len(d) for d in documents])
    terms = []
    for z in product(range(k), repeat=len(words)):
        shares, topics = np.zeros((len(documents), k)), np.zeros((k, n_words))
        np.add.at(shares, (owner, np.array(z)), 1)
        np.add.at(topics, (np.array(z), words), 1)
        terms.append(sequence(shares, alpha) + sequence(topics, eta))
    return float(np.logaddexp.reduce(terms))


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_the_bound_is_below_the_evidence(alpha: float) -> None:
    """By enumeration; at every turn, whatever the start. The gap is what mean field costs."""
    documents, n_words, eta, k = [[0, 1, 1], [2, 2, 3, 3], [0, 0, 1]], 4, 0.5, 2
    rows = np.array([np.bincount(d, minlength=n_words) for d in documents])
    exact = evidence(documents, n_words, alpha, eta, k)
    model, best = LDA(k, Fixed(alpha), Fixed(eta), **CLOSE), -np.inf
    for seed in range(5):
        fitted = dem.fit(model, rows, seed=seed, max_iter=200, tol=1e-10)
        bounds = np.array([(r.bound_e, r.bound) for r in fitted.history]).ravel() * len(rows)
        assert (bounds <= exact).all()
        assert (np.diff(bounds) > -1e-9).all()
        best = max(best, bounds[-1])
    assert 0 < exact - best < 4.0
    one = LDA(1, Fixed(alpha), Fixed(eta))  # h has one state: the bound is the evidence
    fitted = dem.fit(one, rows, max_iter=3, tol=0)
    exact = evidence(documents, n_words, alpha, eta, 1)
    assert fitted.lower_bound * len(rows) == pytest.approx(exact, abs=1e-9)


def test_turns_are_those_of_scikit_learn() -> None:
    rows, k = corpus(150, 80, 5, 40.0), 5
    start = beginning(k, 80)
    other = FromEqualShares(k).begin(start.topics)
    model = LDA(k)
    fitted = dem.fit(model, rows, start=Given(start), max_iter=6, tol=0)
    for _ in range(6):
        other.turn(csr_matrix(rows))
    np.testing.assert_allclose(fitted.params.topics, other.components_, rtol=1e-5)
    prepared = model.prepare(fitted.params)
    score = model.log_prob(prepared, rows).sum() - fitted.params.divergence
    assert score == pytest.approx(other.score(csr_matrix(rows)), rel=1e-9)
    np.testing.assert_allclose(
        model.posterior(prepared, rows), other.transform(csr_matrix(rows)), atol=1e-6
    )


def test_online_turns_are_those_of_scikit_learn() -> None:
    rows, k, size = corpus(120, 60, 4, 40.0), 4, 30
    start = beginning(k, 60)
    other = FromEqualShares(k, learning_decay=0.8, learning_offset=5.0).begin(start.topics)
    for _ in range(3):
        for first in range(0, 120, size):
            other.turn(csr_matrix(rows[first : first + size]), of=120)
    parts = [rows[first : first + size] for first in range(0, 120, size)]
    schedule = Online(groups=4, sweeps=3, power=0.8, offset=5.0)
    fitted = dem.fit(LDA(k), parts, start=Given(start), schedule=schedule, max_iter=3, tol=0)
    assert [record.groups for record in fitted.history] == [1] * 12
    np.testing.assert_allclose(fitted.params.topics, other.components_, rtol=1e-5)


@pytest.mark.parametrize(
    "schedule", [Incremental(4), Stepwise(4, sweeps=2), Online(4, sweeps=3)], ids=repr
)
def test_schedules_come_to_about_the_same(schedule: object) -> None:
    rows = corpus(200, 60, 4, 60.0)
    parts = [rows[first : first + 50] for first in range(0, 200, 50)]
    # Some way up one hill: from nothing they may climb several.
    start = Given(dem.fit(LDA(4, **CLOSE), parts, seed=3, max_iter=20, tol=0).params)
    how = {"start": start, "max_iter": 40, "tol": 1e-6}
    batch = dem.fit(LDA(4, **CLOSE), parts, **how)
    other = dem.fit(LDA(4, **CLOSE), parts, schedule=schedule, **how)
    assert other.lower_bound > batch.lower_bound - 0.5
    if isinstance(schedule, Incremental):
        bounds = np.array([(r.bound_e, r.bound) for r in other.history]).ravel()
        assert (np.diff(bounds) > -1e-6).all()


def test_concentrations_are_learned() -> None:
    """Newton's steps arrive where the slope is zero, from anywhere, and never go down."""
    rng = np.random.default_rng(0)
    truth = np.array([0.2, 1.0, 3.0, 0.05])
    logs = np.log(np.maximum(rng.dirichlet(truth, 5000), 1e-300)).sum(axis=0)
    for first in (1e-3, 0.1, 1.0, 50.0, 1e4):
        found = Asymmetric().maximise(np.full(4, first), 5000, logs)
        np.testing.assert_allclose(found, truth, rtol=0.1)
        assert objective(found, 5000, logs) >= objective(truth, 5000, logs)
        for other in (found * 1.001, found * 0.999, found + np.array([1e-4, 0, 0, 0])):
            assert objective(found, 5000, logs) >= objective(other, 5000, logs)
        same = Symmetric().maximise(np.full(4, first), 5000, logs)
        assert np.ptp(same) == 0
        for factor in (1.001, 0.999):
            assert objective(same, 5000, logs) >= objective(same * factor, 5000, logs)
    for concentration in (Symmetric(), Asymmetric()):  # nothing is known of no documents
        assert (concentration.maximise(np.ones(4), 0.0, np.zeros(4)) == 1).all()


def test_learning_alpha_and_eta_raises_the_bound() -> None:
    rows = corpus(300, 60, 4, 60.0)
    fixed = dem.fit(LDA(4, **CLOSE), rows, seed=1, max_iter=40, tol=0)
    learned = dem.fit(LDA(4, Asymmetric(), Symmetric(), **CLOSE), rows, seed=1, max_iter=40, tol=0)
    bounds = np.array([(r.bound_e, r.bound) for r in learned.history]).ravel()
    assert (np.diff(bounds) > -1e-6).all()
    assert learned.lower_bound > fixed.lower_bound
    assert learned.params.eta[0] == pytest.approx(0.1, rel=0.3)  # as they were made


def plainly(counts: np.ndarray, topics: np.ndarray, alpha: np.ndarray, model: LDA) -> Any:
    """γ and θ of each document, its words' E_q[log β] + H(q(z)), Σ n φ / β: the definition."""
    gammas, thetas, values = [], [], []
    sums = np.zeros_like(topics)
    for row in counts:
        gamma = np.ones(len(alpha)) if row.any() else alpha
        for _ in range(model.inner_iter):
            last, theta = gamma, np.exp(np.maximum(psi(gamma), -300))
            gamma = alpha + theta * (row / (topics @ theta) @ topics)
            if np.abs(gamma - last).mean() < model.inner_tol:
                break
        logs = np.maximum(psi(gamma), -300)
        shares = topics * np.exp(logs)
        norms = shares.sum(axis=1)
        used = row[:, None] * shares / norms[:, None]
        sums += (row / norms)[:, None] * np.exp(logs)
        gammas.append(gamma)
        thetas.append(psi(gamma) - psi(gamma.sum()))
        values.append(row @ np.log(norms) - used.sum(axis=0) @ logs)
    return np.array(gammas), np.array(thetas), np.array(values), sums


@pytest.mark.parametrize(
    ("k", "length", "tol"),
    [(1, 20.0, 1e-3), (2, 5.0, 1e-3), (7, 60.0, 1e-6), (8, 900.0, 1e-3), (130, 40.0, 1e-4)],
)
def test_the_inner_loop_is_its_definition(k: int, length: float, tol: float) -> None:
    """Where no topic is dropped from q, as α is large, and where some are."""
    rng = np.random.default_rng(k)
    rows = corpus(40, 70, min(k, 5), length)
    topics = rng.gamma(0.3, size=(70, k)) + 1e-6
    topics /= topics.max(axis=1, keepdims=True)
    for concentration, close in ((0.5, 1e-11), (0.02, 1e-6)):
        alpha = np.full(k, concentration) * rng.uniform(0.5, 2.0, k)
        model = LDA(k, inner_tol=tol)
        documents = kernel.Documents(rows.data, rows.indices, rows.indptr)
        weights = np.ones(40)
        q, sums = kernel.infer(documents, topics, alpha, model.inner_iter, tol, weights)
        gamma, log_theta, values, plain = plainly(rows.toarray(), topics, alpha, model)
        np.testing.assert_allclose(q.gamma, gamma, rtol=close)
        np.testing.assert_allclose(q.log_theta, log_theta, rtol=1e-4, atol=close)
        np.testing.assert_allclose(q.log_words, values, rtol=close, atol=1e-9)
        np.testing.assert_allclose(topics * sums, topics * plain, rtol=close, atol=close)
        assert q.entropy == pytest.approx([dirichlet(own).entropy() for own in q.gamma])


@pytest.mark.parametrize("k", [3, 40])
def test_documents_are_by_themselves(k: int) -> None:
    """To the bit, in whichever block they are; the sums of blocks add up to rounding."""
    rows, params = corpus(60, 50, 6, 30.0), beginning(k, 50)
    model = LDA(k)
    prepared = model.prepare(params)
    gamma, whole = model.concentrations(prepared, rows), model.log_prob(prepared, rows)
    sums = model.e_step(prepared, rows, None, Exact())
    parts = [rows[a:b] for a, b in ((0, 1), (1, 8), (8, 60))]
    again = np.concatenate([model.concentrations(prepared, part) for part in parts])
    assert again.tobytes() == gamma.tobytes()
    again = np.concatenate([model.log_prob(prepared, part) for part in parts])
    np.testing.assert_allclose(again, whole, rtol=1e-14)
    first, *rest = (model.e_step(prepared, part, None, Exact()) for part in parts)
    for part in rest:
        first = first + part
    np.testing.assert_allclose(first.sums.words, sums.sums.words, rtol=1e-12)
    assert first.entropy == pytest.approx(sums.entropy, rel=1e-12)


def test_documents_with_next_to_no_words() -> None:
    """Counts of zero that are stored, and fractions of a word, leave all topics in q."""
    counts = csr_array(([0.0, 0.0, 1e-12], [2, 5, 1], [0, 2, 3, 3]), shape=(3, 8))
    model, params = LDA(4), beginning(4, 8)
    prepared = model.prepare(params)
    np.testing.assert_allclose(model.concentrations(prepared, counts), 0.25, atol=1e-11)
    np.testing.assert_allclose(model.log_prob(prepared, counts), 0.0, atol=1e-9)
    stats = model.e_step(prepared, counts, None, Exact())
    assert stats.sums.words.sum() == pytest.approx(1e-12)
    counts.indices[1] = 8
    with pytest.raises(IndexError, match="a word is 1 or 8, and there are 8"):
        model.log_prob(prepared, counts)


def test_hard_numbers() -> None:
    """Concentrations so small that exp E[log β] is 0, words that nobody has seen, no words."""
    rows = corpus(30, 20, 3, 15.0).toarray()
    rows[3] = 0
    rows[:, 7] = 0
    for value in (1e-6, 1e-3, 1e3):
        model = LDA(3, Fixed(value), Fixed(value))
        fitted = dem.fit(model, rows, max_iter=20, tol=0)
        bounds = [record.bound_e for record in fitted.history]
        assert np.isfinite(bounds).all()
        unseen = np.zeros((1, 20))
        unseen[0, 7] = 3
        assert np.isfinite(model.log_prob(model.prepare(fitted.params), unseen)).all()
    few = dem.fit(LDA(8, Fixed(1e-3), Fixed(1e-3)), rows[:2], max_iter=30, tol=0)
    assert any("no words are left in the topics" in text for text in few.degenerate)


def test_mistakes() -> None:
    rows = corpus(20, 15, 2, 10.0)
    with pytest.raises(TypeError, match="mean field alone, and not by Hard"):
        dem.fit(LDA(2), rows, posterior=Hard())
    bad = rows.copy()
    bad.data[-1] = -2
    row, column = rows.shape[0] - 1, bad.indices[-1]
    with pytest.raises(DataError, match=rf"value -2: row {row}, column {column}.*Negative values"):
        dem.fit(LDA(2), bad)
    bad.data[-1] = np.nan
    with pytest.raises(DataError, match=rf"contains NaN: row {row}, column {column}, in block 0"):
        dem.fit(LDA(2), bad)
    model, params = LDA(2), beginning(2, 15)
    stats = model.e_step(model.prepare(params), rows, None, Exact())
    with pytest.raises(ValueError, match="no documents"):
        model.m_step(params, stats * -1.0)
    for params in (
        LDAParams(np.ones((3, 15)), np.ones(2), np.ones(15)),
        LDAParams(np.ones((2, 15)), np.ones(3), np.ones(15)),
        LDAParams(np.ones((2, 15)), np.ones(2), np.zeros(15)),
    ):
        with pytest.raises(ValueError, match="must be"):
            LDA(2).check(params)
    with pytest.raises(TypeError, match="imagined"):
        dem.fit(dem.Mixture(2, dem.Poisson()), rows.toarray(), schedule=Online())


def test_sparse_rows_are_for_those_who_take_them() -> None:
    rows = csr_array(corpus(20, 15, 2, 10.0))
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        dem.fit(dem.Mixture(2, dem.Poisson()), rows)
    with pytest.raises(DataError, match="The rows are sparse, and the model takes dense ones"):
        dem.fit(dem.Mixture(2, dem.Poisson()), dem.open_data(rows, sparse=True))
