"""What posteriors say of the rows, against sums over them by hand."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr

import dem
from components import COMPONENTS
from dem.inference import Summary
from dem.records import Fit
from dem.stats import leaves

Array = np.ndarray
COMPONENT = COMPONENTS["Bernoulli"]
X = COMPONENT.rows(2_000)
FIT = Fit(COMPONENT.model, COMPONENT.mixture, (), True, False, 0.0)
WEIGHTS = np.random.default_rng(3).integers(0, 4, len(X))


def by_hand(rows: Array) -> dict[str, Any]:
    model, params = FIT.model, FIT.params
    q = model.posterior(model.prepare(params), rows)
    to = q.argmax(axis=1)
    entropy = -(q * np.log(q)).sum(axis=1)
    k = q.shape[1]
    return {
        "expected": q.sum(axis=0),
        "assigned": np.bincount(to, minlength=k),
        "certainty": [q[to == j, j].mean() for j in range(k)],
        "entropy": [entropy[to == j].mean() for j in range(k)],
        "recovered": [q[to == j, j].sum() / q[:, j].sum() for j in range(k)],
        "posterior": [q[to == j].mean(axis=0) for j in range(k)],
        "log_likelihood": COMPONENT.log_prob(rows).sum(),
        "total": entropy.sum(),
        "wrong": (1 - q.max(axis=1)).mean(),
    }


def same(found: Summary, expected: dict[str, Any], rows: int) -> None:
    for name in ("expected", "assigned", "certainty", "entropy", "recovered"):
        values = [getattr(row, name) for row in found.classes]
        np.testing.assert_allclose(values, expected[name], rtol=1e-10)
    np.testing.assert_allclose(found.posterior, expected["posterior"], rtol=1e-10)
    np.testing.assert_allclose(found.confusion.sum(axis=1), 1.0)
    bic = -2 * expected["log_likelihood"] + 14 * np.log(rows)
    assert found.criteria.bic == pytest.approx(bic)
    assert found.icl == pytest.approx(bic + 2 * expected["total"])
    assert found.relative_entropy == pytest.approx(1 - expected["total"] / (rows * np.log(3)))
    assert found.error_rate == pytest.approx(expected["wrong"])


def test_by_hand() -> None:
    same(dem.summarise(FIT, X), by_hand(X), len(X))


def test_weights_are_repeated_rows() -> None:
    repeated = np.repeat(X, WEIGHTS, axis=0)
    same(dem.summarise(FIT, X, weights=WEIGHTS), by_hand(repeated), len(repeated))


def test_data_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices and blocks of any size, in memory or on disk, to rounding."""
    whole = dem.summarise(FIT, X)
    monkeypatch.setattr("dem.inference.summary.NUMBERS", 100)
    zarr.create_array(str(tmp_path / "x"), data=X, chunks=(170, 4))
    for data in (X, da.from_array(X, chunks=(301, 4)), str(tmp_path / "x")):
        for a, b in zip(leaves(dem.summarise(FIT, data)), leaves(whole), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10)


def test_an_estimator_and_what_it_says() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(100, 2)) + 30])
    model = dem.GaussianMixture(2, random_state=0).fit(rows)
    found = model.summarise(rows)
    assert found.relative_entropy == pytest.approx(1.0)
    assert sorted(row.assigned for row in found.classes) == [100, 300]
    assert found.criteria == model.criteria(rows)
    text = repr(found)
    assert "400 rows, 2 components, 11 parameters" in text
    assert len(text.splitlines()) == 7
    one = dem.GaussianMixture(1).fit(rows).summarise(rows)
    assert one.relative_entropy == 1.0
    assert one.classes[0].nearest == -1
    null = one.criteria.log_likelihood
    with_null = dem.summarise(model, rows, null_log_likelihood=null)
    gain = found.criteria.log_likelihood - null
    assert with_null.nec == pytest.approx(found.entropy / gain)
    assert np.isnan(found.nec)


def test_a_component_without_rows() -> None:
    params = COMPONENT.mixture
    starved = type(params)(np.array([0.6, 0.4, 0.0]), params.components)
    found = dem.summarise(Fit(COMPONENT.model, starved, (), True, False, 0.0), X)
    last = found.classes[2]
    assert (last.expected, last.assigned) == (pytest.approx(0.0, abs=1e-100), 0.0)
    assert np.isnan(last.certainty)
    assert np.isnan(found.posterior[2]).all()
    assert 0 < found.error_rate < 1


def test_mistakes() -> None:
    with pytest.raises(TypeError, match="GaussianMixture that is not fitted"):
        dem.summarise(dem.GaussianMixture(2), X)
    with pytest.raises(TypeError, match="fitted estimator of a mixture, or the Fit"):
        dem.summarise(3, X)
    with pytest.raises(TypeError, match="fitted estimator of a mixture, or the Fit"):
        dem.summarise(COMPONENT.model, X)
    with pytest.raises(dem.DataError, match="weights are zero"):
        dem.summarise(FIT, X, weights=np.zeros(len(X)))
    with pytest.raises(dem.DataError, match="row 7, column 1"):
        dem.summarise(FIT, np.where(np.arange(len(X))[:, None] == 7, [0, 3, 0, 0], X))
    means = dem.KMeans(2, random_state=0).fit(X)
    with pytest.raises(TypeError, match="estimator of a mixture"):
        dem.summarise(means, X)
    alone = Fit(Alone(), None, (), True, False, 0.0)
    with pytest.raises(TypeError, match="Alone has no posterior over components"):
        dem.summarise(alone, X)


class Alone:
    """A model without components."""
