"""Columns between 0 and 1: beta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import betaln, polygamma, psi

from dem.contract import Sample
from dem.families.charts import Charts, Positive
from dem.families.exponential import ExponentialFamily
from dem.families.features import FeatureSums
from dem.families.parameters import at_the_limit

Array = np.ndarray
SHAPES = 1e-3, 1e8
CLOSE = 1e-9  # each step squares what is left to go
ROUNDING = 8 * np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class BetaParams:
    """Shapes a, of the values near 1, and b, of those near 0, (K, D)."""

    a: Array
    b: Array


@dataclass(frozen=True)
class Beta(ExponentialFamily):
    """p(v | k) = ∏ v^(a − 1) (1 − v)^(b − 1) / B(a, b): columns of 0 < v < 1, NaN for missing.

    The M-step is Newton's method on both shapes, to rounding; it never lowers the likelihood.
    Shapes stay between 1e-3 and 1e8.
    """

    neutral = 0.5
    order = 2
    charts: ClassVar[Charts] = {"a": Positive(*SHAPES), "b": Positive(*SHAPES)}
    support = "Beta columns hold values between 0 and 1, both excluded"

    def outside(self, x: Array) -> Array:
        return np.asarray((x <= 0) | (x >= 1))

    def features(self, params: BetaParams, x: Array, out: Array) -> None:
        d = len(x)
        np.log(x, out=out[:d])
        np.log1p(-x, out=out[d:])

    def natural(self, params: BetaParams) -> tuple[Array, Array]:
        return np.hstack([params.a - 1, params.b - 1]), betaln(params.a, params.b)

    def blank(self, k: int, sample: Sample) -> BetaParams:
        shape = k, sample.rows.shape[1]
        return BetaParams(np.ones(shape), np.ones(shape))

    def maximise(self, params: BetaParams, sums: FeatureSums) -> BetaParams:
        alive = sums.alive
        logs = np.where(alive, sums.averages, np.log(0.5))
        a, b = beta_shapes(logs[0], logs[1], params.a, params.b)
        return BetaParams(np.where(alive, a, params.a), np.where(alive, b, params.b))

    def averages(self, params: BetaParams) -> Array:
        return np.asarray(params.a / (params.a + params.b))

    def draw(self, params: BetaParams, j: int, n: int, rng: np.random.Generator) -> Array:
        drawn = rng.beta(params.a[j], params.b[j], (n, params.a.shape[1]))
        return np.clip(drawn, np.finfo(float).tiny, 1 - np.finfo(float).epsneg)

    def diagnose(self, params: BetaParams) -> tuple[str, ...]:
        high = np.maximum(params.a, params.b) >= 0.5 * SHAPES[1]
        return at_the_limit(
            "a column's shape is at its limit", high, "hardly any spread is left to"
        )


def beta_shapes(log_x: Array, log_rest: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """The shapes that maximise a E[log x] + b E[log (1 − x)] − log B(a, b), which is concave.

    Newton's method from a, b, elementwise on arrays of one shape. A step that would lower it by
    more than rounding, or leave the bounds, is halved until it does not.
    """

    def value(a: Array, b: Array) -> Array:
        return np.asarray(a * log_x + b * log_rest - betaln(a, b))

    for _ in range(100):
        both, shared = psi(a + b), polygamma(1, a + b)
        slope_a, slope_b = log_x + both - psi(a), log_rest + both - psi(b)
        bend_a, bend_b = polygamma(1, a), polygamma(1, b)  # −Hessian: diag(these) − shared
        determinant = bend_a * bend_b - shared * (bend_a + bend_b)
        step_a = ((bend_b - shared) * slope_a + shared * slope_b) / determinant
        step_b = ((bend_a - shared) * slope_b + shared * slope_a) / determinant
        # At a bound, go along it.
        stuck_a, stuck_b = (
            ((s >= SHAPES[1]) & (step > 0)) | ((s <= SHAPES[0]) & (step < 0))
            for s, step in ((a, step_a), (b, step_b))
        )
        step_a, step_b = (
            np.where(stuck_a, 0.0, np.where(stuck_b, slope_a / (bend_a - shared), step_a)),
            np.where(stuck_b, 0.0, np.where(stuck_a, slope_b / (bend_b - shared), step_b)),
        )
        last = max(np.max(np.abs(step_a) / a), np.max(np.abs(step_b) / b)) <= CLOSE
        before = value(a, b)
        rounding = ROUNDING * (1 + np.abs(a * log_x) + np.abs(b * log_rest))
        for _ in range(60):
            new_a, new_b = (
                np.clip(a + step_a, a / 10, SHAPES[1]),
                np.clip(b + step_b, b / 10, SHAPES[1]),
            )
            new_a, new_b = np.maximum(new_a, SHAPES[0]), np.maximum(new_b, SHAPES[0])
            worse = value(new_a, new_b) < before - rounding
            if not worse.any():
                break
            step_a, step_b = (
                np.where(worse, step_a / 2, step_a),
                np.where(worse, step_b / 2, step_b),
            )
        a, b = new_a, new_b
        if last:
            break
    return a, b
