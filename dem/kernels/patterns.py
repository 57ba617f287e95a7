"""Rows by the pattern of their missing values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Grouped(NamedTuple):
    """Rows in the order of their patterns.

    order : (n,), the rows, those of a pattern one after the other and in order.
    edges : (B + 1,), where each pattern begins in that order, and n.
    observed : (B, D) bool, which columns each pattern has.
    """

    order: Array
    edges: Array
    observed: Array


def grouped(missing: Array) -> Grouped:
    """The rows of a mask (n, D) by their patterns; complete rows come first."""
    words = _words(missing)
    order = np.lexsort(words) if len(words) > 1 else np.argsort(words[0], kind="stable")
    new = np.zeros(len(order) + 1, bool)
    new[[0, -1]] = True
    for word in words:
        new[1:-1] |= np.diff(word[order]) != 0
    edges = np.flatnonzero(new)
    return Grouped(order, edges, ~missing[order[edges[:-1]]])


def _words(missing: Array) -> list[Array]:
    """The bits of each row, as 16 columns a number: NumPy sorts such numbers in linear time."""
    words = []
    for start in range(0, missing.shape[1], 16):
        word = np.zeros(len(missing), np.uint16)
        for bit, column in enumerate(missing.T[start : start + 16]):
            word |= column.astype(np.uint16) << np.uint16(bit)
        words.append(word)
    return words
