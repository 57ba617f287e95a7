"""Mean-field inference of the topics of many documents at once: the inner loop of LDA.

    φ_vk ∝ θ_k β_kv,   γ_k = α_k + Σ_v n_v φ_vk,   θ_k = exp E_q[log θ_k],  q = Dir(γ)

Documents of about one length make a tile, (m, L, K) numbers that stay in the cache, in which each
half of an iteration is one product of a stack of matrices and vectors. Now and then those that are
not done yet are put together anew, without the topics that they no longer have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import psi

Array = np.ndarray
TILE = 2**17  # numbers in a tile: 1 MB
KEPT = 0.7  # a tile is cut down when fewer of its documents go on
SLACK = 3.0  # the longest document of a tile over the shortest
WIDE_SLACK = 1.5  # and while it has all its topics, as what is not there then takes more time
FIRST = 10  # iterations until documents are put together anew; then as many as there were
FEW = 16  # topics, along which sums would take longer than a copy with the words along the rows
WIDTHS = 2 ** np.arange(2, 16)  # topics left: documents of one tile are between two of these
GONE, GROWS = 1e-8, 1.1  # a topic with fewer words of a document is dropped, unless they get more
FLOOR = -300.0  # of log θ_k: with β_kv up to 1 no sum over k is then zero
LEAST = np.exp(FLOOR)


@dataclass(frozen=True, eq=False)
class Inferred:
    """q(z, θ) of n documents with altogether N different words each, K topics.

    gamma : (n, K), of q(θ) = Dir(γ).
    theta : (n, K), θ_k in φ: exp E_q[log θ_k] up to a factor for each document, 0 if dropped.
    log_theta : (n, K), its logarithm where it is not 0.
    ratios : (N,), n_v / Σ_k θ_k β_kv, so that n_v φ_vk = ratio · θ_k β_kv.
    assigned : (n, K), Σ_v n_v φ_vk.
    log_norms : (n,), Σ_v n_v log Σ_k θ_k β_kv.
    """

    gamma: Array
    theta: Array
    log_theta: Array
    ratios: Array
    assigned: Array
    log_norms: Array


@dataclass(frozen=True, eq=False)
class Documents:
    """N counts (N,) of words (N,), those of document d from starts[d] to starts[d + 1]."""

    counts: Array
    words: Array
    starts: Array


def infer(documents: Documents, topics: Array, alpha: Array, max_iter: int, tol: float) -> Inferred:
    """Coordinate ascent in γ and φ from equal shares, for each document by itself.

    topics : (V, K), β up to a factor for each word, with 1 for its largest and none below `LEAST`
        but zeros.
    alpha : (K,). max_iter : iterations at most. tol : a document is done when the mean of
        |γ_k − its last| is less.

    A topic with less than `GONE` words of a document, and falling, is dropped from its q. What is
    returned belongs to the last γ: φ is set once more at the end.
    """
    starts, k = documents.starts, len(alpha)
    n = len(starts) - 1
    gamma, alive = np.ones((n, k)), np.ones((n, k), bool)
    going, done = np.arange(n), 0
    while done < max_iter and len(going):
        more, left = min(max(done, FIRST), max_iter - done), []
        for tile in _tiles(documents, topics, alive, going):
            at = tile.docs[:, None], tile.topics
            prior = alpha[tile.topics]
            new, old, slow = tile.ascend(prior, gamma[at], more, tol * k)
            alive[at] &= ~((new - prior < GONE) & (new - prior <= GROWS * (old - prior)))
            gamma[at] = np.where(alive[at], new, prior)
            left.append(tile.docs[slow])
        going, done = np.sort(np.concatenate([going[:0], *left])), done + more
    gamma[starts[1:] == starts[:-1]] = alpha
    log_theta = _log_theta(gamma)
    theta = np.where(alive, np.exp(log_theta), 0.0)
    ratios, assigned = np.zeros(len(documents.counts)), np.zeros((n, k))
    log_norms = np.zeros(n)
    for tile in _tiles(documents, topics, alive, np.arange(n)):
        at = tile.docs[:, None], tile.topics
        norms, ratio, assigned[at] = tile.assign(theta[at])
        ratios[tile.place[tile.there]] = ratio[tile.there]
        log_norms[tile.docs] = np.einsum("ml,ml->m", tile.counts, np.log(norms))
    return Inferred(gamma, theta, log_theta, ratios, assigned, log_norms)


@dataclass(frozen=True, eq=False)
class _Tile:
    """m documents with up to L words and W topics.

    docs : (m,). topics : (m, W).
    place, there : (m, L), where their words are, and whether there are so many.
    counts : (m, L). beta : (m, W, L), β_kv, 0 for topics that are dropped.
    """

    docs: Array
    topics: Array
    place: Array
    there: Array
    counts: Array
    beta: Array

    def ascend(
        self, alpha: Array, gamma: Array, max_iter: int, limit: float
    ) -> tuple[Array, Array, Array]:
        """γ (m, W) after some iterations, the γ before the last, and which documents would go on.

        limit : of Σ_k |γ_k − its last|.
        """
        last, before, index, tile = gamma.copy(), gamma.copy(), np.arange(len(gamma)), self
        going, ones = np.ones(len(gamma), bool), np.ones(gamma.shape[1])
        for _ in range(max_iter):
            new = tile.assign(np.exp(_log_theta(gamma)))[2]
            new += alpha
            change = new - gamma
            ends = going & (np.abs(change, out=change) @ ones < limit)
            before_new, gamma = gamma, new
            if ends.any():
                last[index[ends]], before[index[ends]] = new[ends], before_new[ends]
                going &= ~ends
                left = np.count_nonzero(going)
                if not left:
                    return last, before, index[going]
                if left <= KEPT * len(going):  # those that are done take time
                    index, alpha, gamma = index[going], alpha[going], gamma[going]
                    before_new = before_new[going]
                    tile = replace(tile, counts=tile.counts[going], beta=tile.beta[going])
                    going = going[going]
        last[index[going]], before[index[going]] = gamma[going], before_new[going]
        return last, before, index[going]

    def assign(self, theta: Array) -> tuple[Array, Array, Array]:
        """Σ_k θ_k β_kv (m, L), the counts over that (m, L), and Σ_v n_v φ_vk (m, W)."""
        norms = np.matmul(theta[:, None, :], self.beta)[:, 0, :]
        ratios = self.counts / norms
        return norms, ratios, theta * np.matmul(self.beta, ratios[:, :, None])[:, :, 0]


def _tiles(documents: Documents, topics: Array, alive: Array, docs: Array) -> Iterator[_Tile]:
    """Tiles of those documents that have words, of about as many words and topics each."""
    k = topics.shape[1]
    docs = docs[documents.starts[docs + 1] > documents.starts[docs]]
    lengths = documents.starts[docs + 1] - documents.starts[docs]
    widths = np.count_nonzero(alive[docs], axis=1)
    classes = np.searchsorted(WIDTHS, widths)
    order = np.lexsort([lengths, classes])
    docs, lengths, widths, classes = (values[order] for values in (docs, lengths, widths, classes))
    first = 0
    while first < len(docs):
        end = int(np.searchsorted(classes, classes[first], side="right"))
        width = int(widths[first:end].max())
        slack = SLACK if width < k else WIDE_SLACK
        end = first + int(np.searchsorted(lengths[first:end], slack * lengths[first], side="right"))
        end = min(end, first + max(TILE // (width * int(lengths[end - 1])), 1))
        own = docs[first:end]
        slots = np.arange(lengths[end - 1])
        there = slots < lengths[first:end, None]
        place = documents.starts[own][:, None] + np.where(there, slots, 0)
        words = documents.words[place].astype(np.intp)
        if width == k:
            chosen = np.broadcast_to(np.arange(k), (len(own), k))
            beta = topics.take(words, axis=0).transpose(0, 2, 1)
            if k <= FEW:
                beta = np.ascontiguousarray(beta)
        else:
            chosen = np.argsort(~alive[own], axis=1, kind="stable")[:, :width]
            beta = topics.take((words * k)[:, None, :] + chosen[:, :, None])
            beta *= alive[own[:, None], chosen][:, :, None]
        yield _Tile(own, chosen, place, there, np.where(there, documents.counts[place], 0.0), beta)
        first = end


def _log_theta(gamma: Array) -> Array:
    """E_q[log θ] under Dir(γ), but for a constant and not below `FLOOR`."""
    logs = psi(gamma)
    return np.asarray(np.maximum(logs, FLOOR, out=logs))
