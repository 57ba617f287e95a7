"""Probabilities of first states and transitions: their maximiser, bound, and coordinates.

A probability of 0 is never more: it says that this state cannot be there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaln

from dem.families.parameters import floored
from dem.kernels.walk import walk

Array = np.ndarray
LEAST = 1e-10  # of a probability that is not none, so that no state is out of reach for good


def likeliest(old: Array, counts: Array, prior: Any) -> Array:
    """The mode of the posterior of probabilities (..., K), which stay where there are no counts."""
    counts = np.where(old > 0, counts + (np.asarray(prior) - 1.0), 0.0)
    some = counts.sum(axis=-1, keepdims=True) > 0
    new = floored(np.where(some, counts, old), np.where(old > 0, LEAST, 0.0))
    return np.where(some, new, old)


def expected(probabilities: Array, counts: Array, prior: Any) -> float:
    """Σ counts log p + log p(p), in nats."""
    allowed, prior = probabilities > 0, np.broadcast_to(prior, probabilities.shape)
    logs = np.log(np.where(allowed, probabilities, 1.0))
    believed = np.where(allowed, prior, 0.0)
    norm = gammaln(believed.sum(axis=-1)).sum() - gammaln(np.where(allowed, prior, 1.0)).sum()
    if (prior == 1).all():
        norm = 0.0
    return float(np.vdot(counts, logs) + np.vdot(prior - 1.0, logs) + norm)


def logits(probabilities: Array) -> Array:
    allowed = probabilities > 0
    logs = np.log(np.where(allowed, probabilities, 1.0))
    mean = logs.sum(axis=-1, keepdims=True) / allowed.sum(axis=-1, keepdims=True)
    return np.where(allowed, logs - mean, 0.0)


def softmax(logits: Array, like: Array) -> Array:
    allowed = like > 0
    logits = np.where(allowed, logits, -np.inf)
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return floored(p, np.where(allowed, LEAST, 0.0))


def nested(value: Any) -> Any:
    return tuple(map(nested, value)) if isinstance(value, list) else float(value)


def walked(
    startprob: Array, transmat: Array, new: Array, rng: np.random.Generator, first: int | None
) -> Array:
    """The states (n,) of random chains that begin with the rows that are new, (n,) bool.

    first : the state that the first row is in, None for any.
    """
    edges = np.vstack([startprob, transmat]).cumsum(axis=1)
    states = np.empty(len(new), np.intp)
    walk(edges, new, rng.random(len(new)), -1 if first is None else first, states)
    return states
