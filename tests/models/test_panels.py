"""The statistics of a block by their definition, in one tile or more, of one panel or more."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dem.posteriors import Annealed, Exact, Hard
from mixtures import FORMS, problem, start

# (rows, columns, components, panels where the covariances are full)
SHAPES = [(9000, 3, 2, 1), (700, 24, 20, 6), (900, 70, 30, 40), (700, 30, 45, 1)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize(("n", "d", "k", "panels"), SHAPES)
def test_the_e_step_by_its_definition(
    form: str, tight: bool, n: int, d: int, k: int, panels: int
) -> None:
    """Also where every other component, or all with one covariance, goes about its mean."""
    here, covariance = problem(form, n, d, k, seed=d), FORMS[form]
    model, rows, weights = here.model, here.rows, here.weights
    params = start(model, rows)
    if form == "full":  # few rows make poor covariances
        some = np.tile(np.eye(d) + 0.3 * np.eye(d, k=1) + 0.3 * np.eye(d, k=-1), (k, 1, 1))
        some *= np.linspace(0.7, 1.3, k)[:, None, None]
        components = replace(params.components, covariances=some, roots=covariance.roots(some))
        params = replace(params, components=components)
    c, prepared = params.components, model.prepare(params)
    if tight:
        chosen = (np.arange(k) % 2 == 0) | covariance.pooled
        prepared = replace(prepared, tight=chosen, centre=np.where(chosen[:, None], c.means, 0.0))

    x = c.frame.inward(rows).T
    whitened = [covariance.whiten(c.roots, j, x - c.means[j, :, None]) for j in range(k)]
    log_joint = prepared.log_norm[:, None] - [np.square(y).sum(axis=0) / 2 for y in whitened]
    log_prob = np.logaddexp.reduce(log_joint, axis=0)
    r = np.exp(log_joint - log_prob) * weights
    about = [x - centre[:, None] for centre in prepared.centre]
    second: Any = [covariance.outer(z, rk) for z, rk in zip(about, r, strict=True)]
    second = np.sum(second, axis=0) if covariance.pooled else np.stack(second)

    stats = model.e_step(prepared, rows, weights, Exact())
    near = {"rtol": 1e-9, "atol": 1e-9 * np.abs(second).max()}
    np.testing.assert_allclose(stats.sums.weight, r.sum(axis=1), **near)
    first = [z @ rk for z, rk in zip(about, r, strict=True)]
    np.testing.assert_allclose(stats.sums.first, first, **near)
    np.testing.assert_allclose(stats.sums.second, second, **near)
    assert stats.entropy == pytest.approx(-np.sum(r * (log_joint - log_prob)), rel=1e-9)
    np.testing.assert_allclose(model.log_prob(prepared, rows), log_prob, rtol=1e-9)
    if form == "full":
        assert len(model.family.tiles(prepared, rows, None)._edges) == panels + 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("posterior", [Exact(), Hard(), Annealed(0.3)], ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32"])
def test_one_loop_over_all_tiles_or_tile_by_tile(
    form: str, posterior: Any, weighted: bool, dtype: str
) -> None:
    """The same sums, also where some of the tiles want more digits than float32 has."""
    here = problem(form, 4000, 5, 3, seed=8)
    rows = np.asfortranarray(here.rows)
    rows[1700:1702] *= 80
    rows = (rows * 50).astype(dtype)
    weights = here.weights if weighted else None
    model = here.model
    prepared = model.prepare(start(model, rows[:1500].astype(float)))
    sizes = [None, 96, 1000]
    for size in sizes:
        at_once = model.family.tiles(prepared, rows, weights, size)
        entropy = at_once.sweep(posterior)
        one_by_one, other = model.family.tiles(prepared, rows, weights, size), 0.0
        for part, log_joint, out in one_by_one:
            w = None if weights is None else weights[part]
            other += posterior.respond(log_joint, out, w)
            one_by_one.add(out)
        near = 1e-12 if dtype != "float32" else 1e-4
        assert entropy == pytest.approx(other, rel=near, abs=near)
        got, expected = at_once.sums(), one_by_one.sums()
        assert got.short == expected.short
        if dtype == "float32" and size == 96:
            assert len(rows) - got.short == 96 * (1 + (1702 % 96 < 2))
        for name in ("weight", "first", "second"):
            value = getattr(expected, name)
            allowed = near * np.abs(value).max()
            np.testing.assert_allclose(getattr(got, name), value, rtol=near, atol=allowed)
