"""Chains, factors and topics on shared reads: the winner, what is held out, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import dem
from dem.engine.readers import arrays
from dem.errors import DataError
from dem.shared import Holdout
from dem.stats import leaves
from dem.table import Selected
from dem.units import Beginnings
from faults import Cut, CutAfter

RNG = np.random.default_rng(3)
LENGTH, COUNT = 120, 60


def chains() -> np.ndarray:
    """Two sticky states whose rows overlap."""
    state = np.zeros(LENGTH * COUNT, int)
    stays = RNG.random(len(state)) < 0.9
    for t in range(1, len(state)):
        state[t] = state[t - 1] if stays[t] else 1 - state[t - 1]
    return state[:, None] * 2.5 + RNG.normal(size=(len(state), 2))


X = chains()
LENGTHS = np.full(COUNT, LENGTH)
MODELS = {f"K={k}": dem.HMM(k, dem.Gaussian(dem.Diagonal())) for k in (1, 2, 3)}
HOW: dict[str, Any] = {"restarts": 3, "seed": 1}


def blocks_of(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Blocks of so many rows, however sequences lie."""
    from dem.engine.readers import sequences

    monkeypatch.setattr(sequences, "MOST_ROWS", rows)


def bits(found: Selected) -> Any:
    params = [[leaf.tobytes() for leaf in leaves(fit.params)] for fit in found.fits]
    return repr(found.table), found.best, params


def test_the_states_are_found_and_the_criteria_are_those_of_the_estimator() -> None:
    found = dem.select(MODELS, dem.sequences(X, LENGTHS), **HOW)
    assert found.table[found.best].name == "K=2"
    assert found.criterion == "bic"
    hmm = dem.GaussianHMM.from_fit(found.fit)
    winner = found.table[found.best]
    assert winner.bic == pytest.approx(hmm.bic(X, LENGTHS), rel=1e-12)
    assert winner.aic == pytest.approx(hmm.aic(X, LENGTHS), rel=1e-12)
    assert np.isnan(winner.bound)
    assert winner.icl > winner.bic
    # Each chain's path entropy is log p(v) less what the posterior expects of log p(v, h)
    model, params = found.fit.model, found.fit.params
    rows = np.column_stack([X, np.arange(len(X)) % LENGTH == 0])
    stats = model.e_step(model.prepare(params), rows, None, dem.Exact())
    assert winner.icl == pytest.approx(winner.bic + 2 * stats.entropy, rel=1e-10)


@pytest.mark.parametrize("rows", [50, 500])
def test_whole_chains_are_held_out(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Also where they go on over several blocks."""
    blocks_of(monkeypatch, rows)
    data = dem.sequences(X, LENGTHS)
    assert data.n_blocks >= len(X) // 500
    assert (data.boundaries[1] % LENGTH != 0) == (rows < LENGTH)
    found = dem.select(MODELS, data, held_out=0.3, criterion="held_out", **HOW)
    begun = sum_of(Beginnings(0.3, 1), data)
    holdout = Holdout(0.3, 1, begun.units)
    out = np.concatenate([holdout(block) for block in blocks(data)]).reshape(COUNT, LENGTH)
    assert (out.all(axis=1) | ~out.any(axis=1)).all()
    chosen = out[:, 0]
    assert begun.count.tolist() == [COUNT, chosen.sum()]
    assert 0 < chosen.sum() < COUNT
    parts = X.reshape(COUNT, LENGTH, 2)
    for row, fit in zip(found.table, found.fits, strict=True):
        hmm = dem.GaussianHMM.from_fit(fit)
        kept, seen = parts[chosen].reshape(-1, 2), parts[~chosen].reshape(-1, 2)
        total = hmm.score(kept, [LENGTH] * int(chosen.sum()))
        assert row.held_out == pytest.approx(total / len(kept), rel=1e-10)
        rest = hmm.score(seen, [LENGTH] * int((~chosen).sum()))
        assert row.log_likelihood == pytest.approx(rest, rel=1e-10)
    assert found.table[found.best].name != "K=1"


def blocks(data: Any) -> list[Any]:
    from dem.passes import Block

    return [
        Block(i, int(data.boundaries[i]), data.reader.read(i), None) for i in range(data.n_blocks)
    ]


def sum_of(work: Any, data: Any) -> Any:
    first, *rest = [work(work.prepare(), block) for block in blocks(data)]
    return sum(rest, first)


def test_the_cuts_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    short = dem.sequences(X[:600], LENGTHS[:5])
    start = dem.fit(dem.HMM(2, dem.Gaussian()), short, max_iter=3).params
    models = {"a": dem.HMM(2, dem.Gaussian())}
    tables = []
    for rows in (50, 10_000):
        blocks_of(monkeypatch, rows)
        data = dem.sequences(X, LENGTHS)
        tables.append(
            dem.select(
                models, data, held_out=0.3, start=dem.starts.Given(start), max_iter=5, tol=0.0
            ).table[0]
        )
    np.testing.assert_allclose(tables[0][1:7], tables[1][1:7], rtol=1e-9)


@pytest.mark.parametrize("turns", [1, 3])
def test_resumed_and_on_threads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, turns: int
) -> None:
    blocks_of(monkeypatch, 500)
    data, how = dem.sequences(X, LENGTHS), {**HOW, "held_out": 0.2, "rungs": (2, 4)}
    whole = dem.select(MODELS, data, threads=1, **how)
    assert bits(dem.select(MODELS, data, threads=4, **how)) == bits(whole)
    with pytest.raises(Cut):
        dem.select(
            MODELS, data, checkpoint=tmp_path / "kept", checkpoint_seconds=0,
            observer=CutAfter(turns), **how,
        )  # fmt: skip
    resumed = dem.resume(tmp_path / "kept", data)
    assert bits(resumed) == bits(whole)
    # Where blocks begin with sequences is asked once more
    assert resumed.n_passes - whole.n_passes in (0, 1)


def test_one_chain_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match="0 of the 1 sequences would be held out"):
        dem.select(MODELS, dem.sequences(X), held_out=0.2)


def test_chains_are_not_raced_against_rows() -> None:
    models = {**MODELS, "rows": dem.Mixture(2, dem.Gaussian())}
    with pytest.raises(TypeError, match="not of the same data"):
        dem.select(models, dem.sequences(X, LENGTHS))


W = RNG.normal(size=(6, 2)) * 2
Y = RNG.normal(size=(2000, 2)) @ W.T + RNG.normal(size=(2000, 6))


@pytest.mark.parametrize("missing", [False, True])
def test_factors(missing: bool) -> None:
    rows = np.where(RNG.random(Y.shape) < 0.05, np.nan, Y) if missing else Y
    by_em = {f"q={q}": dem.LinearGaussian(q, missing=missing) for q in (1, 2, 3)}
    found = dem.select(by_em, rows, held_out=0.1, **HOW)
    assert found.table[found.best].name == "q=2"
    assert all(np.isnan(row.icl) and np.isfinite(row.held_out) for row in found.table)
    forms = {q: dem.Gaussian(dem.Factors(q), missing=missing) for q in (1, 2, 3)}
    by_moments = {f"q={q}": dem.Mixture(1, form) for q, form in forms.items()}
    once = dem.select(by_moments, rows, held_out=0.1, **HOW)
    assert once.best == found.best
    assert found.fit.lower_bound == pytest.approx(once.fit.lower_bound, abs=1e-3)
    assert found.table[1].bic == pytest.approx(once.table[1].bic, abs=2.0)


def test_mixtures_of_factor_analysers() -> None:
    rows = np.concatenate([Y[:1000], Y[1000:] + 6.0])
    models = {
        f"K={k}, q={q}": dem.Mixture(k, dem.Gaussian(dem.Factors(q)))
        for k in (1, 2)
        for q in (1, 2)
    }
    found = dem.select(models, rows, **HOW)
    assert found.table[found.best].name == "K=2, q=2"


WORDS = np.random.default_rng(1)
BETA = WORDS.dirichlet(np.full(60, 0.1), 4)
COUNTS = np.array(
    [WORDS.multinomial(60, theta @ BETA) for theta in WORDS.dirichlet(np.full(4, 0.3), 500)]
)
TOPICS = {f"K={k}": dem.LDA(k) for k in (2, 3, 4, 6)}


def test_topics() -> None:
    found = dem.select(TOPICS, csr_array(COUNTS))
    assert found.criterion == "bound"
    assert found.table[found.best].name == "K=4"
    row = found.table[found.best]
    assert np.isnan([row.bic, row.aic, row.icl]).all()
    assert row.bound == pytest.approx(found.fit.lower_bound * len(COUNTS))
    assert row.bound < row.log_likelihood  # by what is charged for q(β)
    dense = dem.select(TOPICS, COUNTS)
    assert dense.table[dense.best].bound == pytest.approx(row.bound, rel=1e-9)
    axes = found.plot()
    assert "bound" in axes.get_legend().get_texts()[0].get_text()


def test_documents_are_held_out() -> None:
    found = dem.select(TOPICS, csr_array(COUNTS), held_out=0.25, criterion="held_out")
    assert found.table[found.best].name == "K=4"
    out = Holdout(0.25, 0)(_block(COUNTS))
    fit = found.fit
    scores = fit.model.log_prob(fit.model.prepare(fit.params), csr_array(COUNTS[out]))
    assert found.table[found.best].held_out == pytest.approx(scores.mean(), rel=1e-10)


def _block(rows: np.ndarray) -> Any:
    from dem.passes import Block

    return Block(0, 0, rows, None)


def test_topics_resumed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
    how = {**HOW, "max_iter": 6}
    whole = dem.select(TOPICS, csr_array(COUNTS), **how)
    with pytest.raises(Cut):
        dem.select(
            TOPICS, csr_array(COUNTS), checkpoint=tmp_path / "kept", checkpoint_seconds=0,
            observer=CutAfter(3), **how,
        )  # fmt: skip
    assert bits(dem.resume(tmp_path / "kept", csr_array(COUNTS))) == bits(whole)


@pytest.mark.parametrize(
    ("model", "criterion", "why"),
    [
        (dem.LDA(2), "bic", "averages over topics"),
        (dem.LDA(2), "aic", "averages over topics"),
        (dem.LDA(2), "icl", "mixture of topics"),
        (dem.LinearGaussian(2), "icl", "h is continuous"),
        (dem.Mixture(2, dem.Gaussian()), "bound", "parameters are points"),
        (dem.HMM(2, dem.Gaussian()), "bound", "parameters are points"),
    ],
)
def test_refused(model: Any, criterion: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be chosen by {criterion}: .*{why}"):
        dem.select({"one": model}, COUNTS, criterion=criterion)


def test_variational_mixtures_may_go_by_their_bound() -> None:
    models = {f"K={k}": dem.VariationalMixture(k, dem.BayesianGaussian()) for k in (1, 2)}
    found = dem.select(models, X, criterion="bound", max_iter=20, **HOW)
    assert all(np.isfinite(row.bound) for row in found.table)
    assert found.table[found.best].bound == max(row.bound for row in found.table)
