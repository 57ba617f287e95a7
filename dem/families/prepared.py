"""Parameters of Gaussian components, and what their E-step wants of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dem.families.covariance import Covariance
from dem.families.frame import Frame
from dem.families.marginals import Patterns

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
