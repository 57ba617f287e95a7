"""Posteriors of continuous latent variables z ~ N(0, I)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Latent(NamedTuple):
    """Posteriors N(·, V) of z, of q dimensions.

    covariance : V (B, q, q).
    log_det : ½ log |V⁻¹|, (B,).
    entropy : in nats, (B,).
    """

    covariance: Array
    log_det: Array
    entropy: Array


def conditional(information: Array) -> Latent:
    """From what the data say, Wᵀ Ψ⁻¹ W (B, q, q): V⁻¹ = I + that."""
    q = information.shape[-1]
    lower = np.linalg.cholesky(information + np.eye(q))
    inverse = np.linalg.inv(lower)
    log_det = np.log(np.einsum("bii->bi", lower)).sum(axis=-1)
    entropy = q * (1 + np.log(2 * np.pi)) / 2 - log_det
    return Latent(inverse.swapaxes(-1, -2) @ inverse, log_det, entropy)
