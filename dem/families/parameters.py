"""A maximiser and a diagnosis that several families share."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def floored(counts: Array, least: float | Array) -> Array:
    """Probabilities p ≥ least, Σ p = 1, that maximise Σ counts · log p along the last axis.

    Those that counts would put below stand there, and the others share what is left.

    least : one for all, or of the shape of counts.
    """
    low = np.zeros(counts.shape, bool)
    while True:
        rest = np.where(low, 0.0, np.maximum(counts, 0.0))
        share = 1.0 - (least * low).sum(axis=-1, keepdims=True)
        p = np.where(low, least, rest * (share / rest.sum(axis=-1, keepdims=True)))
        if not (p < least).any():
            return p
        low |= p < least


def at_the_limit(what: str, reached: object, why: str) -> tuple[str, ...]:
    """The diagnosis of components some of whose parameters, (K,) or (K, D), reached a limit."""
    which = np.asarray(reached)
    components = np.flatnonzero(which.reshape(len(which), -1).any(axis=1)).tolist()
    text = f"{what}: components {components}; {why} them. Use fewer components."
    return (text,) if components else ()
