"""Exponential families: log-densities that are linear in features of a row.

A family of one's own says what its features are, their coefficients under θ, and which θ maximises
the likelihood given their means; the E-step, missing values, checks of the data, starts and the
bound are here.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from dem.contract import Sample, Space, Tiles
from dem.families.charts import Charted
from dem.families.features import FeatureSums, FeatureTiles, Linear, fill_in, fill_tile
from dem.families.space import Scaled

Array = np.ndarray
Params = Any  # a frozen dataclass of arrays
CHUNK = 4096


class ExponentialFamily(Charted):
    """p(v | k) = ∏_d exp(η_kd·T(v_d) − A_kd + h(v_d)): independent columns, given k.

    Most families have this form: a subclass writes `outside`, `features`, `natural`, `blank`,
    `maximise` and `draw`, and `base` if it has one. x are rows as columns, (D, n) float64.

    charts : the fields of θ that are to be fitted, (K, D) each, and which values they may have.

    missing : whether NaN is a missing value, whose factor drops out (missing at random).
    neutral : any value of the support, put in place of a missing one for a moment.
    order : features of a column, m; P = m · D.
    joint : whether columns are *not* independent: A is (K, 1), and rows are missing as a whole.
    support : what values there may be, for messages.
    """

    missing: ClassVar[bool] = True
    neutral: ClassVar[float] = 0.0
    order: ClassVar[int] = 1
    joint: ClassVar[bool] = False
    support: ClassVar[str]

    @abstractmethod
    def outside(self, x: Array) -> Array:
        """(D, n) bool: which values have no density. NaN may come out either way."""

    @abstractmethod
    def features(self, params: Params, x: Array, out: Array) -> None:
        """T(x) → out (P, n): the first feature of all columns, the second of all, ..."""

    @abstractmethod
    def natural(self, params: Params) -> tuple[Array, Array]:
        """η (K, P), and A (K, D), whose difference is the log-density without h."""

    def base(self, params: Params, x: Array) -> Array | float:
        """h(x), (D, n) or, if `joint`, (n,), in nats: what all components share; 0 for none."""
        return 0.0

    @abstractmethod
    def blank(self, k: int, sample: Sample) -> Params:
        """Some parameters of k components: for those that get no rows in a start."""

    @abstractmethod
    def maximise(self, params: Params, sums: FeatureSums) -> Params:
        """θ that maximises `expected_log_density`; where not `sums.alive` it stays."""

    @abstractmethod
    def draw(self, params: Params, j: int, n: int, rng: np.random.Generator) -> Array:
        """n rows (n, D) of component j."""

    def diagnose(self, params: Params) -> tuple[str, ...]:
        return ()

    def allowed(self, column: int) -> str:
        """What values there may be in a column, in words."""
        return self.support

    def units(self, d: int) -> int:
        """U, the parts of a row of D columns that may be missing on their own."""
        return 1 if self.joint else d

    def drop(self, observed: Array, features: Array) -> None:
        """Make 0 the features (P, n) of units where observed, (U, n), is 0 and not 1."""
        parts = features.reshape(-1, *observed.shape)
        np.multiply(parts, observed, out=parts)

    def frame(self, sample: Sample) -> Space:
        """Standard deviations of each column; a missing value is at the mean."""
        return Scaled.of(sample)

    def start(self, sample: Sample, responsibilities: Array) -> Params:
        """The M-step on a sample under responsibilities (K, m).

        Values outside of the support are passed over here, and found by the first E-step.
        """
        params = self.blank(len(responsibilities), sample)
        parts, r = [], responsibilities * sample.weights
        with np.errstate(all="ignore"):
            for start in range(0, len(sample.rows), CHUNK):
                here = slice(start, start + CHUNK)
                x = np.array(sample.rows[here].T, dtype=float)
                x[self.outside(x)] = np.nan
                parts.append(self._sums(params, x, r[:, here]))
            return self.maximise(params, sum(parts[1:], parts[0]))

    def _sums(self, params: Params, x: Array, r: Array) -> FeatureSums:
        """Statistics of x (D, n) with NaN, under weighted responsibilities (K, n), without h."""
        natural, log_norm = self.natural(params)
        units = log_norm.shape[1]
        tile = np.empty((units + 1 + natural.shape[1], x.shape[1]))
        fill_tile(self, params, x, fill_in(self, x), tile)
        sums = r @ tile.T
        return FeatureSums(sums[:, units], sums[:, :units], sums[:, units + 1 :], 0.0)

    def prepare(self, params: Params, offset: Array) -> Linear:
        return Linear.of(params, *self.natural(params), offset)

    def tiles(
        self, prepared: Linear, rows: Array, weights: Array | None, size: int | None = None
    ) -> Tiles:
        return FeatureTiles(self, prepared, rows, weights, size)

    def expected_log_density(self, params: Params, sums: FeatureSums) -> float:
        natural, log_norm = self.natural(params)
        linear = np.vdot(natural, sums.features) - np.vdot(log_norm, sums.observed)
        return float(linear) + sums.base

    def sample(self, params: Params, counts: Array, rng: np.random.Generator) -> Array:
        return np.concatenate([self.draw(params, j, int(n), rng) for j, n in enumerate(counts)])
