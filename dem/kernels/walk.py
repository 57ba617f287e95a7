"""Random walks of Markov chains."""

from __future__ import annotations

import numpy as np

from dem.kernels.compiled import compiled

Array = np.ndarray


@compiled
def walk(edges: Array, new: Array, u: Array, first: int, states: Array) -> None:
    """Write the states (n,) of chains that begin with the rows that are `new`.

    edges : (1 + K, K), sums of probabilities: of first states, then of what follows each state.
    u : (n,) uniform. first : the state of the very first row, or -1 for any.
    """
    k = edges.shape[1]
    for t in range(len(u)):
        row = 0 if new[t] else states[t - 1] + 1
        at, j = u[t] * edges[row, k - 1], 0
        while j < k - 1 and edges[row, j] <= at:
            j += 1
        states[t] = first if t == 0 and first >= 0 else j
