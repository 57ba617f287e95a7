"""Modified Bessel functions of the first kind where they over- and underflow."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, ive

Array = np.ndarray
LARGE = 50.0  # orders from here on: Debye's expansion is good to 1e-12
TERMS = 200


def log_bessel(order: float, x: Array) -> Array:
    """log I_ν(x) for ν ≥ 0 and x > 0 (K,).

    By SciPy where that does not underflow, which is so for orders that are large against x:
    there by Debye's uniform expansion (DLMF 10.41.3), or the power series for a small order.
    """
    with np.errstate(divide="ignore", under="ignore"):
        scaled = ive(order, x)
    fine = scaled > 1e-290
    other = _debye(order, x) if order >= LARGE else _series(order, x)
    return np.where(fine, np.log(np.where(fine, scaled, 1.0)) + x, other)


def _series(order: float, x: Array) -> Array:
    """The first terms of the power series, for x² far below ν."""
    q = x * x / 4
    more = q / (order + 1) * (1 + q / (2 * (order + 2)) * (1 + q / (3 * (order + 3))))
    return np.asarray(order * np.log(x / 2) - gammaln(order + 1) + np.log1p(more))


def _debye(order: float, x: Array) -> Array:
    z = x / order
    root = np.sqrt(1 + z * z)
    t = 1 / root
    t2 = t * t
    u = (
        t * (3 - 5 * t2) / 24,
        t2 * (81 - 462 * t2 + 385 * t2**2) / 1152,
        t * t2 * (30375 - 369603 * t2 + 765765 * t2**2 - 425425 * t2**3) / 414720,
        t2**2
        * (4465125 - 94121676 * t2 + 349922430 * t2**2 - 446185740 * t2**3 + 185910725 * t2**4)
        / 39813120,
    )
    total = sum(term / order ** (i + 1) for i, term in enumerate(u))
    phase = order * (root + np.log(z / (1 + root)))
    return np.asarray(phase - np.log(2 * np.pi * order * root) / 2 + np.log1p(total))


def ratio(order: float, x: Array) -> Array:
    """I_{ν+1}(x) / I_ν(x) (K,): by SciPy, or where that underflows by its continued fraction."""
    with np.errstate(all="ignore"):
        above, below = ive(order + 1, x), ive(order, x)
        fine = above > 1e-290
        quotient = above / below
    fraction = np.zeros_like(x)
    for n in range(TERMS, 0, -1):
        fraction = 1 / (2 * (order + n) / x + fraction)
    return np.where(fine, quotient, fraction)


def concentration(d: int, length: Array, bounds: tuple[float, float]) -> Array:
    """κ with I_{D/2}(κ) / I_{D/2−1}(κ) = length in [0, 1], within bounds: by Newton's method.

    It begins at the approximation of Banerjee et al. (2005), and is elementwise on (K,).
    """
    order = d / 2 - 1
    length = np.clip(length, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        kappa = np.clip(length * (d - length**2) / (1 - length**2), *bounds)
    for _ in range(50):
        a = ratio(order, kappa)
        slope = 1 - a * a - (d - 1) / kappa * a
        new = kappa - (a - length) / np.where(slope > 0, slope, np.inf)
        new = np.clip(new, np.maximum(bounds[0], kappa / 10), np.minimum(bounds[1], kappa * 10))
        if (np.abs(new - kappa) <= 1e-14 * kappa).all():
            break
        kappa = new
    return np.asarray(kappa)
