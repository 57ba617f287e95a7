"""Gaussians of which some columns are seen: marginals of those, conditionals of the others.

With o the columns that are seen and m those that are not, for B patterns at once:

    x_o ~ N(μ_o, Σ_oo),   x_m | x_o ~ N(μ_m + Σ_mo Σ_oo⁻¹ (x_o − μ_o), Σ_mm − Σ_mo Σ_oo⁻¹ Σ_om)

Matrices are (D, D), with zeros where a column has no part in them, so that rows go through products
of one shape whatever is missing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Conditionals(NamedTuple):
    """For K components and B patterns.

    whitening : (K, B, D, D), W with WᵀW = Σ_oo⁻¹, lower triangular.
    log_det : (K, B), ½ log |Σ_oo|.
    regression : (K, B, D, D), which takes x − μ to E[x − μ | x_o].
    residual : (K, B, D, D), the covariance of x given x_o.
    """

    whitening: Array
    log_det: Array
    regression: Array
    residual: Array


def conditionals(covariances: Array, observed: Array) -> Conditionals:
    """From covariances (K, D, D) and which columns are seen in each pattern, (B, D) bool.

    Raises LinAlgError if a covariance is not positive definite.
    """
    seen = observed.astype(float)
    unseen, eye, own = 1.0 - seen, np.eye(observed.shape[1]), covariances[:, None]
    nothing = eye * unseen[:, None]  # a one in place of each variance that has no part
    lower = np.linalg.cholesky(own * _outer(seen) + nothing)
    log_det = np.log(np.einsum("kbii->kbi", lower)).sum(axis=-1)
    whitening = np.linalg.inv(lower) - nothing
    loadings = own @ _turned(whitening)  # Cholesky's factor of Σ_oo; Σ_mo times its inverse
    regression = loadings @ whitening * unseen[:, :, None] + eye * seen[:, None]
    residual = (own - loadings @ _turned(loadings)) * _outer(unseen)
    return Conditionals(whitening, log_det, regression, residual)


def _outer(flags: Array) -> Array:
    return flags[:, :, None] * flags[:, None, :]


def _turned(matrices: Array) -> Array:
    """Transposes, as arrays of their own: products of many small matrices are fast with those."""
    return np.ascontiguousarray(matrices.swapaxes(-1, -2))
