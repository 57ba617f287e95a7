"""The E-step of a single Gaussian: its moments, whatever its parameters are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dem.families.moments import Moments
from dem.kernels.normal import NEAR, load_tile

if TYPE_CHECKING:
    from dem.families.prepared import GaussianPrepared

Array = np.ndarray
MOST = 4096


def moments(prepared: GaussianPrepared, rows: Array, weights: Array | None) -> Moments:
    """Σ w, Σ w (x − c) and Σ w (x − c)(x − c)ᵀ of complete rows (n, D).

    A tile costs one product of a matrix with itself, for which BLAS needs half the work.
    """
    frame, form, centre = prepared.params.frame, prepared.form, prepared.centre
    d = rows.shape[1]
    size = min(max(NEAR // d, 32), MOST)
    first, second = np.zeros(d), np.zeros_like(form.cross(centre, centre))
    for start in range(0, len(rows), size):
        here = slice(start, min(start + size, len(rows)))
        z = np.empty((d, here.stop - start))
        load_tile(rows[here], frame.origin, frame.scale, z)
        z -= centre[0][:, None]
        if weights is None:
            first += z.sum(axis=1)
        else:
            first += z @ weights[here]
            z *= np.sqrt(weights[here])
        second += form.outer(z, None)
    weight = float(len(rows) if weights is None else weights.sum())
    return Moments(np.array([weight]), first[None], second, centre, form)
