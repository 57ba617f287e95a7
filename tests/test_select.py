"""Many models on shared reads: the same winner, the same bits, cut off or not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dem
from dem.accelerate import QuasiNewton
from dem.engine.readers import arrays
from dem.errors import DataError
from dem.passes import Block
from dem.race import Race
from dem.shared import Holdout
from dem.stats import leaves
from dem.table import Selected
from dem.warm import WarmStart
from faults import Cut, CutAfter

RNG = np.random.default_rng(1)
CENTRES = np.array([[0, 0], [5, 0], [0, 5], [5, 5]])
X = CENTRES[RNG.integers(0, 4, 12_000)] + RNG.normal(size=(12_000, 2))
MODELS = {f"K={k}": dem.Mixture(k, dem.Gaussian(dem.Diagonal())) for k in range(1, 8)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)


def bits(found: Selected) -> Any:
    params = [[leaf.tobytes() for leaf in leaves(fit.params)] for fit in found.fits]
    return found.table, found.best, params, found.n_passes


def select(**options: Any) -> Selected:
    return dem.select(MODELS, X, restarts=3, seed=2, **options)


def test_the_winner_is_that_of_separate_fits() -> None:
    found = select()
    assert found.n_rows_read == round(found.n_passes * len(X))
    alone = [
        dem.fit(model, X, start=WarmStart(candidates=3), max_iter=200, tol=1e-7, seed=2)
        for model in MODELS.values()
    ]
    log_n = np.log(len(X))
    bics = [
        fit.model.n_parameters(fit.params) * log_n - 2 * len(X) * fit.lower_bound for fit in alone
    ]
    assert found.table[found.best].name == "K=4"
    assert int(np.argmin(bics)) == found.best == 3
    winner = found.table[found.best]
    assert winner.converged
    assert winner.bic == pytest.approx(bics[3], abs=1.0)
    mixture = dem.GaussianMixture.from_fit(found.fit)
    assert mixture.bic(X) == pytest.approx(winner.bic, rel=1e-12)
    assert mixture.aic(X) == pytest.approx(winner.aic, rel=1e-12)
    proba = mixture.predict_proba(X)
    entropy = -(proba * np.log(np.maximum(proba, 1e-300))).sum()
    assert winner.icl == pytest.approx(winner.bic + 2 * entropy, rel=1e-9)


def test_reads_are_shared() -> None:
    found = select()
    turns = max(len(fit.history) for fit in found.fits)
    assert found.n_passes <= 1 + turns + 3 + 1  # the sample, turns, leaps too far, the table
    assert len(found.history) <= found.n_passes


def test_held_out_rows_are_seen_by_nobody() -> None:
    found = select(held_out=0.25, criterion="held_out")
    block = Block(0, 0, X, None)
    kept = Holdout(0.25, 2)(block)
    assert kept.mean() == pytest.approx(0.25, abs=0.02)
    scores = [
        fit.model.log_prob(fit.model.prepare(fit.params), X[kept]).mean() for fit in found.fits
    ]
    np.testing.assert_allclose([row.held_out for row in found.table], scores, rtol=1e-12)
    without = dem.select(MODELS, X[~kept], restarts=3, seed=2)
    assert found.fits[0].params.components.means == pytest.approx(
        without.fits[0].params.components.means, rel=1e-6
    )
    seen = X[~kept]
    loglik = [fit.model.log_prob(fit.model.prepare(fit.params), seen).sum() for fit in found.fits]
    np.testing.assert_allclose([row.log_likelihood for row in found.table], loglik, rtol=1e-12)


def test_the_worse_half_is_given_up() -> None:
    found = select(rungs=(2, 3))
    given_up = [
        row.name for row, fit in zip(found.table, found.fits, strict=True) if fit.interrupted
    ]
    assert given_up
    assert found.table[found.best].name not in given_up
    assert all(not row.converged for row in found.table if row.name in given_up)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_resumed(tmp_path: Path, turns: int) -> None:
    whole = select(rungs=(2, 4))
    with pytest.raises(Cut):
        select(
            rungs=(2, 4), checkpoint=tmp_path / "kept", checkpoint_seconds=0,
            observer=CutAfter(turns),
        )  # fmt: skip
    assert bits(dem.resume(tmp_path / "kept", X)) == bits(whole)


def test_what_cannot_win_is_given_up_at_once() -> None:
    found = select(rungs=())
    one, winner = found.fits[0], found.fits[3]
    assert one.converged  # a single component has nothing to gain
    assert winner.converged
    assert all(fit.interrupted or fit.converged for fit in found.fits)
    assert any(fit.interrupted for fit in found.fits)


def test_weights_and_threads() -> None:
    weights = RNG.random(len(X))
    one, four = (
        dem.select(MODELS, X, weights=weights, restarts=2, threads=t, max_iter=4) for t in (1, 4)
    )
    assert bits(one) == bits(four)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "best"}, "criterion must be one of"),
        ({"held_out": 1.0}, "held_out must be a share"),
        ({"criterion": "held_out"}, "held_out must be a share"),
        ({"restarts": 0}, "restarts must be >= 1"),
    ],
)
def test_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dem.select(MODELS, X, **options)


def test_what_is_missing_is_not_blamed() -> None:
    rows = RNG.normal(size=(500, 2))
    rows[10, 0], rows[77, 1] = np.nan, np.inf
    with pytest.raises(DataError, match="contains infinity: row 77, column 1"):
        dem.select({f"K={k}": dem.Mixture(k, dem.Normal()) for k in (1, 2)}, rows)


def test_no_models() -> None:
    with pytest.raises(ValueError, match="there must be candidates"):
        dem.select({}, X)
    with pytest.raises(ValueError, match="there must be candidates"):
        Race((), ("a",))


def test_interrupted() -> None:
    class Stopping(CutAfter):
        def on_step(self, step: Any) -> None:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    found = dem.select(MODELS, X, restarts=2, observer=Stopping(3))
    assert found.interrupted
    assert len(found.table) == len(MODELS)
    assert found.fits[0].converged  # K=1, which must not win by that
    best = min(found.table, key=lambda row: row.bic)
    assert found.table[found.best].name == best.name != "K=1"


def test_more_turns_can_be_had(tmp_path: Path) -> None:
    how = {"restarts": 2, "seed": 2, "tol": 1e-7, "rungs": ()}
    dem.select(MODELS, X, checkpoint=tmp_path / "kept", max_iter=3, **how)
    longer = dem.resume(tmp_path / "kept", X, max_iter=30)
    whole = dem.select(MODELS, X, max_iter=30, **how)
    assert max(row.turns for row in longer.table) > 3
    assert longer.table[longer.best].name == whole.table[whole.best].name


def test_the_candidate_that_has_no_density_is_named() -> None:
    models = {"numbers": dem.Mixture(2, dem.Normal()), "counts": dem.Mixture(2, dem.Poisson())}
    with pytest.raises(DataError, match="counts: Poisson columns hold"):
        dem.select(models, X)


@dataclass(frozen=True)
class Rigid(dem.Normal):
    """A family whose parameters are not to be had as a vector."""

    @property
    def flatten(self) -> Any:
        raise AttributeError("flatten")


def test_families_without_flatten_are_not_accelerated() -> None:
    rigid = dem.Mixture(2, Rigid())
    found = dem.select({"rigid": rigid, "normal": dem.Mixture(2, dem.Normal())}, X[:2000])
    assert found.table[0].bic == pytest.approx(found.table[1].bic, rel=1e-4)
    with pytest.raises(TypeError, match="its family has no flatten"):
        dem.fit(rigid, X, accelerate=QuasiNewton())


def test_a_degenerate_winner_is_told_of() -> None:
    rows = np.repeat(RNG.normal(size=(4, 2)), 100, axis=0)
    with pytest.warns(dem.DegenerateComponentWarning, match="The best of them: variance is at"):
        dem.select({"K=4": dem.Mixture(4, dem.Gaussian())}, rows)
