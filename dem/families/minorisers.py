"""Functions of coefficients that lie below a log-likelihood and touch it: what regressions add up.

Σ r log p(y | η), η = βᵀx, is no function of sums of fixed size unless it is quadratic in η. So the
E-step takes for each row a function of β that is nowhere above and touches it at the β of that
E-step, from a space of finite dimension: those add up, their sum has a maximiser, and the climb
never falls (Lange, Hunter and Yang 2000). What is lost in between the next E-step regains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from dem.errors import SupportError
from dem.kernels.normal import products, unpack
from dem.stats import Vector

Array = np.ndarray
RANK = 1e-10  # directions with less than this share of the curvature are not resolved
NEWTON = 100
HALVINGS = 60
SETTLED = 1e-14  # nats per unit of weight
STEEPEST = 700.0  # exp of more overflows
INNER, OUTER = -2, 20  # exponents of the radii


class Form(Protocol):
    """What is subtracted from a linear function: convex, with value and slope 0 at δ = 0."""

    def size(self, p: int) -> int:
        """F, the features that p coefficients have."""
        ...

    def features(self, x: Array, out: Array) -> Array:
        """The features of the tile x (P, n), the first (≤ F, n) of `out`; those beyond are 0."""
        ...

    def excess(self, curvature: Array, delta: Array) -> tuple[Array, Array, Array]:
        """(K,) values at δ (K, P), gradients (K, P) and Hessians (K, P, P), for sums (K, F)."""
        ...

    def moved(self, curvature: Array, delta: Array) -> Array:
        """The sums (K, F) about centres that are further by δ (K, P)."""
        ...


@dataclass(frozen=True, eq=False)
class Minoriser(Vector):
    """Qₖ(β) = value + gradient·δ − excess(δ), δ = β − centre, for each component.

    Those about any centre are coordinates on one vector space: they add and scale. The centre is
    the β of the E-step, where the gradient is a sum of residuals, so that nothing cancels.

    weight : Σ r, (K,). value : Σ r log p, (K,). gradient, centre : (K, P). curvature : (K, F).
    """

    weight: Array
    value: Array
    gradient: Array
    curvature: Array
    centre: Array
    form: Form

    def about(self, centre: Array) -> Minoriser:
        """The same function about other centres (K, P)."""
        delta = centre - self.centre
        if not delta.any():
            return self
        excess, slope, _ = self.form.excess(self.curvature, delta)
        return replace(
            self,
            value=self.value + np.vecdot(self.gradient, delta) - excess,
            gradient=self.gradient - slope,
            curvature=self.form.moved(self.curvature, delta),
            centre=centre,
        )

    def at(self, coefficients: Array) -> Array:
        """Qₖ(βₖ), (K,)."""
        delta = coefficients - self.centre
        excess, _, _ = self.form.excess(self.curvature, delta)
        return np.asarray(self.value + np.vecdot(self.gradient, delta) - excess)

    def climbed(self) -> Array:
        """βₖ that maximises Qₖ, (K, P), by Newton's method from the centre; never lower.

        Directions without curvature, as where covariates are collinear, keep their coefficients.
        """
        delta, gain = np.zeros_like(self.gradient), np.zeros(len(self.gradient))
        settled = SETTLED * np.maximum(np.abs(self.weight), np.abs(self.value))
        for _ in range(NEWTON):
            _, slope, hessian = self.form.excess(self.curvature, delta)
            rest = self.gradient - slope
            step = resolved(hessian, rest)
            left = np.vecdot(rest, step)
            moving = left > settled
            for _ in range(HALVINGS):
                if not moving.any():
                    break
                there = np.where(moving[:, None], delta + step, delta)
                value = np.vecdot(self.gradient, there)
                value = value - self.form.excess(self.curvature, there)[0]
                better = moving & (value > gain)
                delta = np.where(better[:, None], there, delta)
                gain = np.where(better, value, gain)
                moving &= ~better
                step = step / 2
            if not (left > settled).any():
                break
        return np.asarray(self.centre + delta)

    def __add__(self, other: Minoriser) -> Minoriser:
        other = other.about(self.centre)
        return replace(
            self,
            weight=self.weight + other.weight,
            value=self.value + other.value,
            gradient=self.gradient + other.gradient,
            curvature=self.curvature + other.curvature,
        )

    def __mul__(self, factor: float) -> Minoriser:
        return replace(
            self,
            weight=self.weight * factor,
            value=self.value * factor,
            gradient=self.gradient * factor,
            curvature=self.curvature * factor,
        )


def resolved(hessian: Array, gradient: Array) -> Array:
    """H⁺ g (K, P), after scaling to a unit diagonal, without the directions lost in rounding."""
    diagonal = np.einsum("kpp->kp", hessian)
    there = diagonal > 0
    scale = np.where(there, 1.0 / np.sqrt(np.where(there, diagonal, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(hessian * scale[:, :, None] * scale[:, None, :])
    kept = values > RANK * hessian.shape[1]
    along = np.einsum("kpj,kp->kj", vectors, scale * gradient)
    along = np.where(kept, along / np.where(kept, values, 1.0), 0.0)
    return np.asarray(scale * np.einsum("kpj,kj->kp", vectors, along))


@dataclass(frozen=True)
class Pairs:
    """½ δᵀHδ with H = Σ c x xᵀ, packed: for log p that has a quadratic below it."""

    def size(self, p: int) -> int:
        return p * (p + 1) // 2

    def features(self, x: Array, out: Array) -> Array:
        products(x, 0, out)
        return out

    def excess(self, curvature: Array, delta: Array) -> tuple[Array, Array, Array]:
        hessian = unpack(curvature, delta.shape[1])
        slope = np.vecdot(hessian, delta[:, None, :])
        return np.vecdot(slope, delta) / 2, slope, hessian

    def moved(self, curvature: Array, delta: Array) -> Array:
        return curvature


@dataclass(frozen=True)
class Corners:
    """Σⱼ mⱼ (exp(uⱼᵀδ) − 1 − uⱼᵀδ) at fixed points uⱼ: for log p that has a −exp(η) in it.

    A row x in between of the points, x = Σⱼ αⱼ uⱼ with α ≥ 0 and Σ α = 1, has exp(xᵀδ) ≤
    Σⱼ αⱼ exp(uⱼᵀδ), as exp is convex (De Pierro 1995), with the same value and slope at δ = 0. So
    μ α adds up. The points are the origin and ±R on each axis, with R in powers of two from 1/4
    on; a row is between those of two R, or the origin, and with one covariate close to one of
    them. The intercept, which all points have, costs nothing.

    intercept : whether the first of the coefficients is one.
    """

    intercept: bool = True

    def size(self, p: int) -> int:
        return 1 + 2 * (p - self.intercept) * (OUTER - INNER + 1)

    def features(self, x: Array, out: Array) -> Array:
        x = x[self.intercept :]
        d, n = x.shape
        size = np.abs(x)
        total = size.sum(axis=0)
        _check_distance(x, total)
        level = np.frexp(np.maximum(total, 2.0 ** (INNER - 1)))[1] - INNER
        upper = np.ldexp(1.0, level + INNER)
        lower = np.where(level > 0, upper / 2, 0.0)
        share = (total - lower) / (upper - lower)
        size /= np.where(total > 0, total, 1.0)
        top = int(level.max(initial=0))
        out = out[: 1 + 2 * d * (top + 1)]
        out.fill(0.0)
        out[0] = np.where(level > 0, 0.0, 1.0 - share)
        axis = 1 + 2 * np.arange(d)[:, None] + (x < 0)
        column = np.arange(n)
        # Where there is no lower radius its place is taken again by the upper one.
        out[axis + 2 * d * np.maximum(level - 1, 0), column] = (1.0 - share) * size
        out[axis + 2 * d * level, column] = share * size
        return out

    def points(self, p: int) -> Array:
        """u (F, P)."""
        d = p - self.intercept
        signs = np.stack([np.eye(d), -np.eye(d)], axis=1).reshape(2 * d, d)
        radii = np.ldexp(1.0, np.arange(INNER, OUTER + 1))
        around = (radii[:, None, None] * signs).reshape(len(radii) * len(signs), d)
        points = np.vstack([np.zeros((1, d)), around])
        return np.hstack([np.ones((len(points), 1)), points]) if self.intercept else points

    def excess(self, curvature: Array, delta: Array) -> tuple[Array, Array, Array]:
        used = (curvature != 0).any(axis=0)
        u, m = self.points(delta.shape[1])[used], curvature[:, used]
        along = np.minimum(delta @ u.T, STEEPEST)
        rise = np.expm1(along)
        slope = (m * rise) @ u
        hessian = np.stack([(own * u.T) @ u for own in m * (rise + 1.0)])
        return np.vecdot(m, rise - along), slope, hessian

    def moved(self, curvature: Array, delta: Array) -> Array:
        used = (curvature != 0).any(axis=0)
        along = delta @ self.points(delta.shape[1])[used].T
        result = np.zeros_like(curvature)
        result[:, used] = curvature[:, used] * np.exp(np.clip(along, -STEEPEST, STEEPEST))
        return result


def _check_distance(x: Array, total: Array) -> None:
    """Raise `SupportError` for a row of x (D, n) beyond the last radius."""
    for row in np.flatnonzero(total >= 2.0**OUTER)[:1].tolist():
        column = int(np.abs(x[:, row]).argmax())
        what = f"Covariates must be within {2**OUTER} standard deviations of the others"
        raise SupportError(what, float(x[column, row]), row, column)
