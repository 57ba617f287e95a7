"""Sums in logarithms against the long way, where numbers underflow and where states cannot be."""

import numpy as np
import pytest
from scipy.special import logsumexp

from dem.kernels.semirings import NEVER, LogSumProduct, logarithms

RNG = np.random.default_rng(0)
K, M = 5, 200
TRANSITIONS = np.triu(RNG.dirichlet(np.ones(K), K))
TRANSITIONS /= TRANSITIONS.sum(axis=1, keepdims=True)
RING = LogSumProduct(logarithms(np.eye(K)[0]), logarithms(TRANSITIONS))


def vectors(scale: float, never: float = 0.2) -> np.ndarray:
    drawn = RNG.normal(size=(K, M)) * scale
    return np.where(RNG.random((K, M)) < never, NEVER, drawn)


def alike(found: np.ndarray, expected: np.ndarray) -> None:
    there = expected > NEVER / 2
    np.testing.assert_array_equal(found > NEVER / 2, there)
    np.testing.assert_allclose(found[there], expected[there], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0, 1e6])
def test_steps_forward_and_backward(scale: float) -> None:
    now, density, out = vectors(scale), RNG.normal(size=(K, M)), np.empty((K, M))
    RING.advance(now, density, out)
    alike(out, logsumexp(now[:, None] + RING.transitions[:, :, None], axis=0) + density)
    RING.retreat(now, out)
    alike(out, logsumexp(now[None] + RING.transitions[:, :, None], axis=1))
    scaled = now.copy()
    total = RING.normalise(scaled)
    alike(total, logsumexp(now, axis=0))


def test_maps_are_vectors_from_each_state() -> None:
    maps = np.stack([vectors(300.0) for _ in range(K)])
    density, out, one = RNG.normal(size=(K, M)), np.empty((K, K, M)), np.empty((K, M))
    RING.advance(maps, density, out)
    for start, found in zip(maps, out, strict=True):
        RING.advance(start, density, one)
        np.testing.assert_array_equal(found, one)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
def test_pairs(scale: float, weighted: bool) -> None:
    before = vectors(scale)
    RING.normalise(before)
    behind = RNG.normal(size=(K, M)) * scale
    whole = before[:, None] + RING.transitions[:, :, None] + behind[None]
    behind -= logsumexp(whole, axis=(0, 1))  # the pairs of a row are a distribution
    weights = RNG.integers(0, 3, M).astype(float) if weighted else None
    expected = np.exp(before[:, None] + RING.transitions[:, :, None] + behind[None])
    expected = (expected * (1.0 if weights is None else weights)).sum(axis=2)
    found = RING.pairs(before, behind, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert (found[TRANSITIONS == 0] == 0).all()


def test_what_is_no_number_stays() -> None:
    now, out = vectors(10.0, 0.0), np.empty((K, M))
    now[2, 7] = np.nan
    RING.advance(now, np.zeros((K, M)), out)
    assert np.isnan(out[2:, 7]).all()
    assert np.isfinite(np.delete(out, 7, axis=1)).all()
