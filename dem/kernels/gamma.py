"""log Γ and its derivative ψ for positive numbers in compiled code, without a branch.

All go up by eight, Γ(x + 8) = x (x + 1) ... (x + 7) Γ(x), to where Stirling's series is enough.
With u = x (x + 7) the product is u (u + 6) (u + 10) (u + 12), and Σ 1 / (x + i) its relative slope.
"""

from __future__ import annotations

import numpy as np

from dem.kernels.compiled import compiled, contiguous, exp, inlined, log, summing

Array = np.ndarray
FLOOR = -300.0  # of ψ, for exp ψ to be a comfortable number
HUGE = 1e35  # whose eighth power is still a number
HALF_LOG_2PI = 0.9189385332046727418
# ψ(y) ~ log y − 1/(2y) − Σ D y^(−2n); log Γ(y) ~ (y − ½) log y − y + ½ log 2π + Σ G y^(1−2n).
D1, D2, D3, D4, D5 = 1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132
D6, D7, D8 = -691 / 32760, 1 / 12, -3617 / 8160
G1, G2, G3, G4, G5 = 1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188
G6, G7, G8 = -691 / 360360, 1 / 156, -3617 / 122400
# exp ψ(z + ½) ~ z (1 + Σ E z^(−2n)), the exponential of the series with Bernoulli's numbers at ½.
E1, E2, E3 = 0.041666666666666666667, -0.0064236111111111111111, 0.0035524829144620811287
E4, E5, E6 = -0.0039535574489730305703, 0.0073650332693086689759, -0.020734675824368138063
E7, E8 = 0.082381852238787764509, -0.43960443686008127178


@inlined
def _rising(x):  # type: ignore[no-untyped-def]
    """x (x + 1) ... (x + 7)."""
    x = HUGE if x > HUGE else x
    u = x * (x + 7.0)
    return (u * (u + 6.0)) * ((u + 10.0) * (u + 12.0))


@inlined
def _reciprocals(x):  # type: ignore[no-untyped-def]
    """1 / x + 1 / (x + 1) + ... + 1 / (x + 7)."""
    x = HUGE if x > HUGE else x
    u = x * (x + 7.0)
    a, b = u * (u + 6.0), (u + 10.0) * (u + 12.0)
    return (2.0 * x + 7.0) * (((2.0 * u + 6.0) * b + (2.0 * u + 22.0) * a) / (a * b))


@inlined
def digamma(x):  # type: ignore[no-untyped-def]
    """ψ(x), to 1e-15 or the last digits if that is more, for 1e-300 < x."""
    y = x + 8.0
    v = 1.0 / y
    w = v * v
    w2 = w * w
    series = (D1 + w * D2 + w2 * (D3 + w * D4)) + w2 * w2 * (D5 + w * D6 + w2 * (D7 + w * D8))
    return log(y) - 0.5 * v - w * series - _reciprocals(x)


@inlined
def log_gamma(x):  # type: ignore[no-untyped-def]
    """log Γ(x), to 1e-14 or the last digits if that is more, for 1e-300 < x."""
    y = x + 8.0
    v = 1.0 / y
    w = v * v
    w2 = w * w
    series = (G1 + w * G2 + w2 * (G3 + w * G4)) + w2 * w2 * (G5 + w * G6 + w2 * (G7 + w * G8))
    return (y - 0.5) * log(y) - y + HALF_LOG_2PI + v * series - log(_rising(x))


@inlined
def exp_digamma(x):  # type: ignore[no-untyped-def]
    """exp ψ(x), as exact as ψ(x), and not below about e^`FLOOR`."""
    z = x + 7.5
    v = 1.0 / z
    w = v * v
    w2 = w * w
    series = (E1 + w * E2 + w2 * (E3 + w * E4)) + w2 * w2 * (E5 + w * E6 + w2 * (E7 + w * E8))
    down = -_reciprocals(x)
    return (z + z * w * series) * exp(FLOOR if down < FLOOR else down)


@summing
def dirichlet(gamma, log_theta):  # type: ignore[no-untyped-def]
    """Set E[log θ] (K,) under Dir(γ), γ (K,); returns its entropy."""
    total, entropy = 0.0, 0.0
    for j in range(len(gamma)):
        total += gamma[j]
    common = digamma(total)
    for j in range(len(gamma)):
        log_theta[j] = digamma(gamma[j]) - common
    for j in range(len(gamma)):
        entropy += log_gamma(gamma[j]) - (gamma[j] - 1.0) * log_theta[j]
    return entropy - log_gamma(total)


@compiled
def _digammas(x, out):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        out[i] = digamma(x[i])


@summing
def _log_gammas(x):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(len(x)):
        total += log_gamma(x[i])
    return total


@compiled
def _total_log_gamma(x):  # type: ignore[no-untyped-def]
    return _log_gammas(x)


def digammas(x: Array) -> Array:
    """ψ of each number of an array."""
    out = np.empty(x.size)
    _digammas(contiguous(x).ravel(), out)
    return out.reshape(x.shape)


def total_log_gamma(x: Array) -> float:
    """The sum of log Γ of the numbers of an array."""
    return float(_total_log_gamma(contiguous(x).ravel()))
