"""Kernels and posteriors against their definitions."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dem.kernels.logspace import log_sum_exp, respond_exactly, respond_with_the_best
from dem.kernels.normal import load_tile, pack, pairs, products, tile_shape, turned, unpack
from dem.kernels.seeding import (
    draw,
    lloyd,
    nearest,
    plus_plus,
    relocate,
    squared_distances,
)
from dem.posteriors import Exact, Hard

sizes = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=300)
@given(st.integers(1, 10_000), st.integers(1, 2_000))
def test_tiles_have_a_sensible_shape(features: int, components: int) -> None:
    rows, width = tile_shape(features, components)
    assert rows % 64 == 32  # an odd multiple of 32
    assert 300 <= rows <= 8192
    assert width == features or 64 <= width < features
    assert width * rows <= 450_000
    fits = (width + 2 * components) * rows <= 450_000
    assert fits or rows == 352


@given(sizes, st.integers(1, 200), st.integers(0, 60), seeds)
def test_turned(k: int, p: int, n: int, seed: int) -> None:
    """Both its ways are the same matrix."""
    r, scratch = np.random.default_rng(seed).random((k, n)), np.empty((n, k))
    np.testing.assert_array_equal(turned(r, p, scratch), r.T)


@given(sizes, st.integers(0, 20), seeds, st.data())
def test_products_are_the_packed_outer_products(d: int, n: int, seed: int, data: Any) -> None:
    """All of them, or some in the middle."""
    x, p = np.random.default_rng(seed).normal(size=(d, n)), d * (d + 1) // 2
    start = data.draw(st.integers(0, p))
    stop = data.draw(st.integers(start, p))
    out = np.full((stop - start, n), np.nan)
    products(x, start, out)
    packed = pack(np.einsum("in,jn->nij", x, x)).T
    np.testing.assert_array_equal(out, packed[start:stop])


@given(sizes)
def test_every_pair_once(d: int) -> None:
    assert sorted(map(sorted, zip(*pairs(d), strict=True))) == sorted(
        [i, j] for j in range(d) for i in range(j + 1)
    )


@given(sizes, st.integers(0, 5), seeds)
def test_unpack_is_the_inverse_of_pack(d: int, k: int, seed: int) -> None:
    packed = np.random.default_rng(seed).normal(size=(k, d * (d + 1) // 2))
    matrices = unpack(packed, d)
    assert matrices.shape == (k, d, d)
    np.testing.assert_array_equal(matrices, matrices.transpose(0, 2, 1))
    np.testing.assert_array_equal(pack(matrices), packed)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, np.bool_, ">f4"])
def test_load_tile_subtracts_in_float64(dtype: Any) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (7, 3)).astype(dtype)
    origin, scale, out = (
        np.array([0.1, 1e8 + 0.3, -5.0]),
        np.array([0.5, 1.0, 8.0]),
        np.empty((3, 7)),
    )
    load_tile(rows, origin, scale, out)
    np.testing.assert_array_equal(out, ((rows.astype(np.float64) - origin) / scale).T)


logits = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 8)),
    elements=st.floats(-1e12, 1e12) | st.floats(-30, 30) | st.just(-1e300),
)


def reference(column: np.ndarray) -> tuple[list[Any], Any, Any]:
    """(softmax, its entropy, log Σ exp) of one column, in mpmath."""
    values = [mp.mpf(float(v)) for v in column]
    above = [v - max(values) for v in values]
    log_total = mp.log(sum(map(mp.exp, above)))
    q = [mp.exp(v - log_total) for v in above]
    return q, -sum(p * mp.log(p) for p in q if p > 0), log_total + max(values)


@settings(max_examples=60)
@given(logits, st.booleans())
def test_exact_posterior(log_joint: np.ndarray, weighted: bool) -> None:
    """Softmax and its entropy, whatever the size of the log-densities."""
    n = log_joint.shape[1]
    w = np.linspace(0.0, 3.0, n) if weighted else None
    out = np.empty_like(log_joint)
    with mp.workdps(50):
        expected = [reference(column) for column in log_joint.T]
        q = np.array([[float(p) for p in row] for row, _, _ in expected]).T
        entropies = np.array([float(h) for _, h, _ in expected])
        totals = np.array([float(t) for _, _, t in expected])
    entropy = Exact().respond(log_joint.copy(), out, w)
    masses = np.ones(n) if w is None else w
    np.testing.assert_allclose(out, q * masses, rtol=1e-12, atol=1e-200)
    # log-joints of up to 500 are taken as they are, and rounded as such
    assert entropy == pytest.approx(masses @ entropies, rel=1e-10, abs=5e-13 * masses.sum())
    assert not ((out > 0) & (out < np.finfo(float).tiny)).any()  # no denormals
    scratch = np.empty_like(log_joint)
    np.testing.assert_allclose(
        log_sum_exp(log_joint.copy(), scratch), totals, rtol=1e-14, atol=1e-13
    )


@given(logits, st.booleans())
def test_hard_posterior(log_joint: np.ndarray, weighted: bool) -> None:
    """All the mass on the first of the largest, no entropy."""
    n = log_joint.shape[1]
    w = np.linspace(0.0, 3.0, n) if weighted else None
    out = np.full_like(log_joint, np.nan)
    assert Hard().respond(log_joint.copy(), out, w) == 0.0
    expected = np.zeros_like(log_joint)
    expected[np.argmax(log_joint, axis=0), np.arange(n)] = 1.0 if w is None else w
    np.testing.assert_array_equal(out, expected)


def test_posteriors_of_extreme_logits() -> None:
    """−∞ for what cannot be; infinite gaps; equal values; one state."""
    out = np.empty((2, 3))
    impossible = np.array([[-np.inf, -np.inf, 0.0], [0.0, -1e308, -np.inf]])
    entropy = respond_exactly(impossible.copy(), out, None)
    np.testing.assert_allclose(out, [[0, 0, 1], [1, 1, 0]], atol=1e-200)
    assert entropy == pytest.approx(0.0, abs=1e-200)
    np.testing.assert_array_equal(
        log_sum_exp(impossible.copy(), np.empty((2, 3))), [0.0, -1e308, 0.0]
    )
    even = np.full((4, 5), 1e9)
    out = np.empty_like(even)
    assert respond_exactly(even.copy(), out, None) == pytest.approx(5 * np.log(4))
    assert (out == 0.25).all()
    assert respond_exactly(np.full((1, 3), -7.0), np.empty((1, 3)), None) == 0.0


@pytest.mark.parametrize("respond", [respond_exactly, respond_with_the_best])
def test_no_rows(respond: Any) -> None:
    assert respond(np.empty((3, 0)), np.empty((3, 0)), None) == 0.0
    assert respond(np.empty((3, 0)), np.empty((3, 0)), np.empty(0)) == 0.0


@given(sizes, sizes, st.integers(1, 4), seeds)
def test_distances(n: int, c: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, centres = rng.normal(size=(n, d)), rng.normal(size=(c, d))
    direct = ((rows[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(rows, centres), direct, rtol=1e-9, atol=1e-12)
    index, least = nearest(rows * 4.0 + 3.0, centres, np.full(d, 3.0), np.full(d, 4.0))
    np.testing.assert_allclose(least, direct.min(axis=1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        direct[np.arange(n), index], direct.min(axis=1), rtol=1e-9, atol=1e-12
    )


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.sampled_from([0.0, 1e-9, 1.0, 1e9])))
def test_draws_never_take_what_has_no_mass(mass: np.ndarray) -> None:
    drawn = draw(mass, np.random.default_rng(0), 50)
    assert ((drawn >= 0) & (drawn < len(mass))).all()
    assert (mass[drawn] > 0).all() or not mass.any()


def test_draws_are_in_proportion() -> None:
    mass = np.array([1.0, 0.0, 3.0, 6.0])
    counts = np.bincount(draw(mass, np.random.default_rng(1), 20_000), minlength=4)
    np.testing.assert_allclose(counts / 20_000, mass / 10, atol=5 * 0.5 / np.sqrt(20_000))


@given(st.integers(1, 6), st.integers(1, 3), seeds)
def test_plus_plus_and_lloyd(k: int, d: int, seed: int) -> None:
    """Centres are rows; Lloyd never raises the inertia, and stands still where it ends."""
    rng = np.random.default_rng(seed)
    rows, w = rng.normal(size=(30, d)), rng.random(30) + 0.1
    centres = plus_plus(rows, w, k, rng)
    assert centres.shape == (k, d)
    assert all((row == rows).all(axis=1).any() for row in centres)
    after = lloyd(rows, w, centres)
    assert w @ nearest(rows, after)[1] <= w @ nearest(rows, centres)[1] + 1e-12
    np.testing.assert_allclose(lloyd(rows, w, after), after, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_centres_are_moved_to_where_they_lack(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(30, 8)) * 6
    rows = np.repeat(truth, 40, axis=0) + rng.normal(size=(1200, 8))
    weights = rng.gamma(2.0, size=len(rows))
    missed = np.concatenate([truth[:15], truth[:15] + 0.1])  # two in each of half the clusters
    found = relocate(rows, weights, missed)
    assert len(np.unique(nearest(found, truth)[0])) == 30
    before = nearest(rows, lloyd(rows, weights, missed))[1]
    assert weights @ nearest(rows, found)[1] < 0.5 * (weights @ before)


def test_moves_that_do_not_pay_change_nothing() -> None:
    rng = np.random.default_rng(0)
    rows, weights = rng.normal(size=(300, 2)), np.ones(300)
    for k in (1, 2, 7):
        settled = lloyd(rows, weights, plus_plus(rows, weights, k, rng))
        cost = weights @ nearest(rows, settled)[1]
        assert weights @ nearest(rows, relocate(rows, weights, settled))[1] <= cost * (1 + 1e-12)
    same = np.zeros((20, 2))
    np.testing.assert_array_equal(relocate(same, np.ones(20), same[:3]), same[:3])
