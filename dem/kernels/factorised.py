"""The best product of distributions below a joint one, for many rows at once: mean field."""

from __future__ import annotations

import math

import numpy as np

Array = np.ndarray
FLOOR = -500.0  # of log-joints below the largest: no state is out of the question


def respond_factorised(
    log_joint: Array,
    out: Array,
    weights: Array | None,
    shape: tuple[int, ...],
    max_iter: int,
    tol: float,
) -> float:
    """Coordinate ascent of E_q[log p(h, v)] + H(q) in the factors of q(h) = ∏_g q_g(h_g).

    Each is set to q_g ∝ exp E_{q of the others}[log p(h, v)], from the marginals of p(h | v) on.

    log_joint : (K, n), overwritten. out : (K, n), receives w q. weights : (n,) or None.
    shape : the numbers of states of the factors, whose product is K; those of h are in C order.
    max_iter, tol : sweeps over the factors at most, and the change of q that is none.

    Returns Σ w H(q).
    """
    n = log_joint.shape[1]
    if math.prod(shape) != len(log_joint):
        raise ValueError(f"q has {shape} states, and there are {len(log_joint)}")
    log_joint -= log_joint.max(axis=0)
    np.maximum(log_joint, FLOOR, out=log_joint)
    table = log_joint.reshape(*shape, n)
    exact = np.exp(table)
    axes = range(len(shape))
    factors = [_normalised(exact.sum(axis=tuple(a for a in axes if a != g))) for g in axes]
    going = np.ones(n, bool)  # each row ends for itself, whatever rows are beside it
    for _ in range(max_iter):
        change = np.zeros(n)
        for g in axes:
            logs = _expected(table, factors, g)
            new = _normalised(np.exp(logs - logs.max(axis=0)))
            change = np.maximum(change, np.abs(new - factors[g]).max(axis=0))
            factors[g] = np.where(going, new, factors[g])
        going &= change > tol
        if not going.any():
            break
    w = np.ones(n) if weights is None else weights
    product = w.reshape(*(1 for _ in shape), n)
    for g in axes:
        product = product * _along(factors[g], g, len(shape))
    out[...] = product.reshape(out.shape)
    tiny = np.finfo(float).tiny
    return -sum(float(w @ (q * np.log(np.maximum(q, tiny))).sum(axis=0)) for q in factors)


def _expected(table: Array, factors: list[Array], but: int) -> Array:
    """E of the table (*shape, n) under all factors but one, (states of that, n)."""
    for g in reversed(range(len(factors))):
        if g != but:
            table = (table * _along(factors[g], g, table.ndim - 1)).sum(axis=g)
    return table


def _along(factor: Array, axis: int, ndim: int) -> Array:
    """A factor (states, n) so that it is multiplied along an axis of `ndim` before the rows."""
    shape = [1] * ndim + [factor.shape[1]]
    shape[axis] = len(factor)
    return factor.reshape(shape)


def _normalised(values: Array) -> Array:
    return np.asarray(values / values.sum(axis=0))
