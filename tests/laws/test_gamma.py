"""Logarithm, log Γ and ψ of compiled code against NumPy and mpmath."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest

from dem.kernels.compiled import compiled, log
from dem.kernels.gamma import FLOOR, digammas, exp_digamma, log_gamma, total_log_gamma

DIGIT = np.finfo(float).eps


@compiled
def logs(x, out):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        out[i] = log(x[i])


@compiled
def log_gammas(x, out):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        out[i] = log_gamma(x[i])


@compiled
def exp_digammas(x, out):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        out[i] = exp_digamma(x[i])


def test_logarithms() -> None:
    rng = np.random.default_rng(0)
    near = 1 + rng.normal(size=1001) * np.geomspace(1e-15, 1e-1, 1001)
    edges = np.array([0.5, np.sqrt(0.5), 1.0, np.sqrt(2.0), 2.0, 2.3e-308, 1.7e308])
    beside = np.concatenate([np.nextafter(edges, 0), edges, np.nextafter(edges[:-1], np.inf)])
    x = np.concatenate([np.exp(rng.uniform(-708, 709, 20_001)), near, beside])
    found = np.empty_like(x)
    logs(x, found)
    exact = np.log(x)
    assert (np.abs(found - exact) <= np.spacing(np.abs(exact))).all()


def test_logarithms_of_no_ordinary_numbers() -> None:
    x = np.array([0.0, -0.0, -1.0, -np.inf, np.inf, np.nan, 1.0])
    found = np.empty_like(x)
    logs(x, found)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.testing.assert_array_equal(found, np.log(x))


@pytest.mark.parametrize("count", [1, 7, 300])  # in a vector or not
@pytest.mark.parametrize(("low", "high"), [(1e-290, 1e-3), (1e-3, 1.0), (1.0, 30.0), (30.0, 1e290)])
def test_gamma_and_its_slope(low: float, high: float, count: int) -> None:
    x = np.exp(np.random.default_rng(1).uniform(np.log(low), np.log(high), count))

    def exactly(function: Any) -> np.ndarray:
        return np.array([float(function(mp.mpf(value))) for value in x])

    psi, exact, found = exactly(mp.digamma), exactly(mp.loggamma), np.empty_like(x)
    assert (np.abs(digammas(x) - psi) <= 8 * DIGIT * np.maximum(np.abs(psi), 1)).all()
    log_gammas(x, found)
    assert (np.abs(found - exact) <= 40 * DIGIT * np.maximum(np.abs(exact), 1)).all()
    assert total_log_gamma(x) == pytest.approx(exact.sum(), rel=1e-13)
    exp_digammas(x, found)
    above = psi > FLOOR + 3
    exact = exactly(lambda value: mp.exp(mp.digamma(value)))[above]
    slack = 8 * DIGIT * np.maximum(np.abs(psi), 1)[above]
    assert (np.abs(found[above] / exact - 1) <= slack).all()
    assert (found[~above] < np.exp(FLOOR + 4)).all()
    assert (found >= np.exp(FLOOR)).all()


def test_gamma_keeps_shapes_and_nan() -> None:
    x = np.full((3, 5), 2.0)[:, ::2]
    x[1, 1] = np.nan
    x.flags.writeable = False
    expected = np.where(np.isnan(x), np.nan, 1 - np.euler_gamma)
    np.testing.assert_allclose(digammas(x), expected, atol=1e-14)
    assert np.isnan(total_log_gamma(x))
    assert total_log_gamma(x[:1]) == pytest.approx(0.0, abs=1e-14)
