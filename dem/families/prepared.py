"""Parameters of Gaussian components, and what their E-step wants of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from dem.families.covariance import Covariance
from dem.families.frame import Frame
from dem.families.marginals import Patterns
from dem.kernels.normal import affine, tile_shape
from dem.kernels.sweep import Task

Array = np.ndarray
LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class GaussianParams:
    """Means (K, D), covariances and precision roots (see `Covariance`), in units of the frame."""

    means: Array
    covariances: Array
    roots: Array
    frame: Frame


@dataclass(frozen=True, eq=False)
class GaussianPrepared:
    """η (K, P) with T(x) = (1, x, second order), and which components go about their mean.

    short : whether float32 is enough for rows of that precision, unless they are far away.
    """

    params: GaussianParams
    eta: Array
    tight: Array
    centre: Array
    log_norm: Array  # log-density at the mean, plus the offset
    form: Covariance
    offset: Array
    short: bool
    patterns: Patterns | None  # of missing values, where columns are correlated

    @property
    def size(self) -> int:
        """Rows of a tile."""
        return tile_shape(*self.eta.shape[::-1])[0]

    @cached_property
    def edges(self) -> Array:
        """Where panels of features begin and end, (panels + 1,); 1 and x are in the first."""
        (k, p), d = self.eta.shape, self.centre.shape[1]
        width = tile_shape(p, k)[1]
        return np.array([0, *range(min(max(width, d + 1), p), p, width), p])

    @cached_property
    def double(self) -> Task:
        """For a sweep in float64."""
        return self._task(np.float64)

    @cached_property
    def single(self) -> Task:
        """For a sweep in float32."""
        return self._task(np.float32)

    def _task(self, dtype: Any) -> Task:
        frame = self.params.frame
        origin, inverse = affine(frame.origin, frame.scale, dtype)
        panels = [self.eta[:, a:b].ravel() for a, b in pairwise(self.edges)]
        return Task(
            origin=origin.ravel(),
            inverse=np.ones(len(origin), dtype) if inverse is None else inverse.ravel(),
            eta=np.concatenate(panels).astype(dtype),
            edges=self.edges,
            second=int(self.form.second),
        )
