"""Replicates of the data: their weights, their rows, the errors and tests that come of them."""

from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from scipy import stats

import dem
from components import COMPONENTS
from dem.inference.bootstrap import align
from dem.inference.named import Named, named
from dem.inference.replicates import Resampled, Simulated
from dem.models.mixture import MixtureParams
from dem.passes import Block
from dem.records import Fit
from dem.starts import FromModel, Given
from dem.wrap import Frozen

Array = np.ndarray
RNG = np.random.default_rng(4)
X = np.concatenate([RNG.normal(size=(700, 2)), RNG.normal(size=(300, 2)) * [1, 0.5] + [4, 1]])
X = RNG.permutation(X)
MODEL = dem.Mixture(2, dem.Gaussian())
FIT = dem.fit(MODEL, X, tol=1e-12, max_iter=500)
NOTHING = Fit(MODEL, FIT.params, (), True, False, 0.0)


def drawn(replicate: Any, number: int, rows: Array, weights: Any = None, size: int = 100) -> Array:
    """The weights of rows in a replicate, read in blocks of this size."""
    parts = []
    for i, start in enumerate(range(0, len(rows), size)):
        here = slice(start, start + size)
        w = None if weights is None else weights[here]
        parts.append(replicate.of(Block(i, start, rows[here], w), NOTHING, number).weights)
    return np.concatenate(parts)


def test_rows_count_by_poissons_law() -> None:
    rows = np.zeros((20_000, 1))
    counts = np.stack([drawn(Resampled(1), number, rows, size=5_000) for number in range(5)])
    expected = 20_000 * stats.poisson.pmf(np.arange(5), 1.0)
    for one in counts:
        seen = np.bincount(one.astype(int))[:5]
        assert stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-4
    # Rows and replicates are independent, also of those a row further on.
    both = np.vstack([counts[:, 1:], counts[:, :-1]])
    assert np.abs(np.corrcoef(both) - np.eye(10)).max() < 5 / np.sqrt(20_000)


def test_weights_do_not_depend_on_blocks_and_seeds_are_others() -> None:
    one = drawn(Resampled(3), 7, X)
    np.testing.assert_array_equal(one, drawn(Resampled(3), 7, X, size=333))
    assert (one != drawn(Resampled(4), 7, X)).any()
    assert (one != drawn(Resampled(3), 8, X)).any()


def test_a_row_of_weight_w_counts_poisson_w_times() -> None:
    weights = np.repeat([0.0, 1.0, 2.5, 400.0], 5_000)
    counts = drawn(Resampled(0), 0, np.zeros((20_000, 1)), weights, 20_000).reshape(4, -1)
    assert not counts[0].any()
    assert (counts == np.rint(counts)).all()
    for w, some in zip((1.0, 2.5, 400.0), counts[1:], strict=True):
        assert some.mean() == pytest.approx(w, abs=5 * np.sqrt(w / 5_000))
        assert some.var() == pytest.approx(w, rel=0.15)


def test_simulated_rows_come_from_the_fit_with_the_same_gaps() -> None:
    component = COMPONENTS["Gamma"]
    fit = Fit(component.model, component.mixture, (), True, False, 0.0)
    rows = component.rows(3_000)
    rows[::3, 1] = np.nan
    found = Simulated(2).of(Block(5, 100, rows, None), fit, 3)
    np.testing.assert_array_equal(np.isnan(found.rows), np.isnan(rows))
    for column in range(4):
        a, b = (r[:, column][np.isfinite(r[:, column])] for r in (rows, found.rows))
        assert stats.ks_2samp(a, b).pvalue > 1e-4
    again = Simulated(2).of(Block(5, 0, rows, None), fit, 3)
    np.testing.assert_array_equal(found.rows, again.rows)
    other = Simulated(2).of(Block(6, 100, rows, None), fit, 3)
    assert np.nanmax(np.abs(other.rows - found.rows)) > 0


@pytest.mark.parametrize("replicate", [None, Simulated(5)])
def test_the_errors_of_the_information(replicate: Any) -> None:
    expected = dem.standard_errors(FIT, X)
    found = dem.bootstrap(FIT, X, n_replicates=150, replicate=replicate, seed=1)
    assert (found.converged, found.switched) == (150, 0)
    for name, errors in expected.errors.items():
        np.testing.assert_allclose(found.errors[name], errors, rtol=0.35)
        np.testing.assert_allclose(found.estimates[name], expected.estimates[name], atol=5e-3)
        assert found.replicates[name].shape == (150, *errors.shape)
    lower, upper = found.intervals(0.9)["means"]
    reach = (upper - lower) / 2 / expected.errors["means"]
    np.testing.assert_allclose(reach, 1.645, rtol=0.35)
    assert "150 replicates" in repr(found)
    row = found.table(0.9)[2]
    assert (row.name, row.component, row.place) == ("means", 0, (0,))
    assert (row.lower, row.upper) == (lower[0, 0], upper[0, 0])


def test_a_replicate_is_a_fit_with_these_weights() -> None:
    found = dem.bootstrap(FIT, X, n_replicates=3, tol=1e-9, seed=6)
    for number in range(3):
        w = drawn(Resampled(6), number, X)
        fit = dem.fit(MODEL, X, weights=w, start=Given(FIT.params), tol=1e-12, max_iter=500)
        mean = dem.GaussianMixture.from_fit(fit).means_
        np.testing.assert_allclose(found.replicates["means"][number], mean, atol=1e-4)


def test_many_replicates_for_the_reads_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    few = dem.bootstrap(FIT, X, n_replicates=2)
    many = dem.bootstrap(FIT, X, n_replicates=60)
    assert many.n_passes < 2 * few.n_passes
    monkeypatch.setattr("dem.inference.replicates.MOST", 7)
    parts = dem.bootstrap(FIT, X, n_replicates=60)
    for name, values in many.replicates.items():
        np.testing.assert_array_equal(values, parts.replicates[name])


def test_data_anywhere() -> None:
    whole = dem.bootstrap(FIT, X, n_replicates=4)
    found = dem.bootstrap(FIT, da.from_array(X, chunks=(77, 2)), n_replicates=4)
    for name, values in whole.replicates.items():
        np.testing.assert_allclose(found.replicates[name], values, atol=1e-4)


def test_patterns_stand_for_their_rows() -> None:
    rows = COMPONENTS["Bernoulli"].rows(20_000)[:, :3]
    model = dem.Mixture(1, dem.Bernoulli())
    patterns = dem.compress(rows)
    fit = dem.fit(model, patterns)
    found = dem.bootstrap(fit, patterns, n_replicates=200)
    p = rows.mean(axis=0)
    expected = np.sqrt(p * (1 - p) / len(rows))
    np.testing.assert_allclose(found.errors["probabilities"][0], expected, rtol=0.3)


def test_components_are_put_back_in_order() -> None:
    order = np.array([1, 0])
    params = FIT.params
    components = params.components
    swapped = MixtureParams(
        params.weights[order],
        type(components)(
            components.means[order], components.covariances[order], components.roots[order],
            components.frame,
        ),
    )  # fmt: skip
    to = named(MODEL, params, ("a", "b"))
    near = [
        tuple(replace(part, values=part.values * (1 + e)) for part in to) for e in (0.01, -0.02)
    ]
    found = align([*near, named(MODEL, swapped, ("a", "b"))], to)
    assert [switched for _, switched in found] == [False, False, True]
    for a, b in zip(found[2][0], to, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
    gate = Named("concomitant_coef", np.array([[0.0], [2.0]]), True, ((0,),), relative=True)
    again = align([(*near[0], gate), (*named(MODEL, swapped, ("a", "b")), gate)], (*to, gate))
    np.testing.assert_array_equal(again[1][0][-1].values, [[0.0], [-2.0]])


def test_estimators_and_noise() -> None:
    rows = np.concatenate([X, RNG.uniform(-20, 20, (60, 2))])
    noisy = dem.Mixture(3, dem.WithNoise(dem.Gaussian()))
    found = dem.bootstrap(dem.fit(noisy, rows, tol=1e-10, max_iter=300), rows, n_replicates=5)
    assert found.errors["weights"].shape == (3,)
    assert found.errors["means"].shape == (2, 2)
    model = dem.PoissonMixture(2, random_state=0).fit(COMPONENTS["Poisson"].rows(400))
    found = dem.bootstrap(model, COMPONENTS["Poisson"].rows(400), n_replicates=5)
    assert found.errors["rates"].shape == (2, 4)


def test_how_many_components() -> None:
    rows = X[:400]
    one = dem.fit(dem.Mixture(1, dem.Gaussian()), rows)
    found = dem.likelihood_ratio_test(one, rows, n_replicates=19)
    assert found.p_value == 0.05
    assert found.monte_carlo_error == pytest.approx(np.sqrt(0.05 * 0.95 / 20))
    two = dem.fit(MODEL, rows, tol=1e-9, max_iter=300)
    assert found.alternative.lower_bound == pytest.approx(two.lower_bound, abs=1e-4)
    assert found.statistic == pytest.approx(2 * 400 * (two.lower_bound - one.lower_bound), abs=0.1)
    assert found.statistic > 5 * found.replicates.max()
    enough = dem.likelihood_ratio_test(found.alternative, rows, n_replicates=9, seed=3)
    assert enough.p_value >= 0.2
    assert enough.alternative.model.k == 3
    assert "by 9 replicates" in repr(enough)


def test_a_ratio_with_a_known_distribution() -> None:
    """Of a normal whose mean is given against one whose mean is not: χ² with one degree."""
    free, rows = dem.Mixture(1, dem.Normal()), RNG.normal(size=(100, 1))
    null: Any = Frozen(free, ("components.means",))
    test = dem.likelihood_ratio_test(
        dem.fit(null, rows), rows, alternative=free, n_replicates=199, start=FromModel()
    )
    assert stats.kstest(test.replicates, stats.chi2(1).cdf).pvalue > 1e-3
    assert test.statistic == pytest.approx(0.0, abs=0.02)  # it is given where it is the best
    assert test.p_value > 0.9


def test_mistakes() -> None:
    weights = np.full(len(X), 2.0)
    with pytest.raises(dem.DataError, match="Rows with weights cannot be simulated"):
        dem.bootstrap(FIT, X, replicate=Simulated(), weights=weights, n_replicates=2)
    with pytest.raises(ValueError, match="n_replicates must be >= 2"):
        dem.bootstrap(FIT, X, n_replicates=1)
    with pytest.raises(TypeError, match="replicate must be a Replicate"):
        dem.bootstrap(FIT, X, replicate="parametric")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="fitted estimator of a mixture, or the Fit"):
        dem.bootstrap(MODEL, X)
    with pytest.raises(ValueError, match="without weights"):
        dem.likelihood_ratio_test(FIT, dem.open_data(X, weights=weights))
    with pytest.raises(TypeError, match="alternative must be a Model"):
        dem.likelihood_ratio_test(FIT, X, alternative=3)  # type: ignore[arg-type]
