"""Mean-field inference of the topics of documents, one after the other: the inner loop of LDA.

    φ_vk ∝ θ_k β_kv,   γ_k = α_k + Σ_v n_v φ_vk,   θ_k = exp E_q[log θ_k],  q = Dir(γ)

β of a document's words is put together once, topic by topic, so that a vector instruction is for
some of its words. An iteration goes over it twice, over those topics alone that the document has.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dem.kernels.compiled import compiled, contiguous, exp, inlined, log, summing
from dem.kernels.gamma import FLOOR, digamma, dirichlet, exp_digamma

Array = np.ndarray
GONE, GROWS = 1e-8, 1.1  # a topic with fewer words of a document is dropped, unless they get more
EVERY = 5  # iterations there is a look at that
LANES, FOUR = 8, 4  # words and topics are filled up to multiples, with such as do not count
LEAST = np.exp(FLOOR)  # as θ_k is: with β_kv up to 1 no sum over k is then zero


class Documents(NamedTuple):
    """N counts (N,) of words (N,), those of document d from starts[d] to starts[d + 1]."""

    counts: Array
    words: Array
    starts: Array


class Inferred(NamedTuple):
    """q(z, θ) of n documents, K topics.

    gamma : (n, K), of q(θ) = Dir(γ).
    log_theta : (n, K), E_q[log θ].
    choices : (n,), E_q[log p(z | θ)].
    log_words : (n,), E_q[log β] + H(q(z)), for the β that was given.
    entropy : (n,), H(q(θ)).
    """

    gamma: Array
    log_theta: Array
    choices: Array
    log_words: Array
    entropy: Array


def infer(
    documents: Documents,
    topics: Array,
    alpha: Array,
    max_iter: int,
    tol: float,
    weights: Array | None = None,
) -> tuple[Inferred, Array]:
    """Coordinate ascent in γ and φ from equal shares, for each document by itself.

    topics : (V, K), β up to a factor for each word, with 1 for its largest and none below `LEAST`
        but zeros.
    alpha : (K,). max_iter : iterations at most. tol : a document is done when the mean of
        |γ_k − its last| is less.
    weights : (n,), or None where no sums are wanted.

    Returns also Σ_d w_d n_v φ_vk / β_kv (V, K), or (0, K) without weights. A topic with less than
    `GONE` words of a document, and falling, is dropped from its q. What is returned belongs to the
    last γ: φ is set once more at the end. IndexError for a word that isn't there.
    """
    (n_words, k), n = topics.shape, len(documents.starts) - 1
    q = Inferred(np.empty((n, k)), np.empty((n, k)), np.empty(n), np.empty(n), np.empty(n))
    sums = np.zeros((0 if weights is None else n_words, k))
    counts, words, starts = documents
    if words.size and not 0 <= words.min() <= words.max() < n_words:  # the kernel doesn't look
        raise IndexError(f"a word is {words.min()} or {words.max()}, and there are {n_words}")
    _infer(
        contiguous(counts), contiguous(words, np.intp), contiguous(starts, np.intp),
        contiguous(topics), contiguous(alpha), max_iter, float(tol * k),
        np.empty(0) if weights is None else contiguous(weights), *q, sums,
    )  # fmt: skip
    return q, sums


@compiled
def _gather(topics, words, beta):  # type: ignore[no-untyped-def]
    """beta[k, i] = topics[words[i], k] for a multiple of `LANES` words."""
    for start in range(0, len(words), LANES):
        for k in range(topics.shape[1]):
            for i in range(LANES):
                beta[k, start + i] = topics[words[start + i], k]


@inlined
def _mix(beta, which, theta, norms):  # type: ignore[no-untyped-def]
    """Σ_k θ_k β_kv, over as many topics `which` as there are θ, a multiple of four."""
    n = len(norms)
    for j in range(0, len(theta), FOUR):
        a, b, c, d = which[j], which[j + 1], which[j + 2], which[j + 3]
        p, q, r, s = theta[j], theta[j + 1], theta[j + 2], theta[j + 3]
        if j == 0:
            for i in range(n):
                norms[i] = (p * beta[a, i] + q * beta[b, i]) + (r * beta[c, i] + s * beta[d, i])
        else:
            for i in range(n):
                norms[i] += (p * beta[a, i] + q * beta[b, i]) + (r * beta[c, i] + s * beta[d, i])


@summing
def _project(beta, which, ratios, shares):  # type: ignore[no-untyped-def]
    """Σ_v β_kv ratios_v, for as many topics `which` as there are shares, a multiple of four."""
    n = len(ratios)
    for j in range(0, len(shares), FOUR):
        a, b, c, d = which[j], which[j + 1], which[j + 2], which[j + 3]
        p = q = r = s = 0.0
        for i in range(n):
            ratio = ratios[i]
            p += beta[a, i] * ratio
            q += beta[b, i] * ratio
            r += beta[c, i] * ratio
            s += beta[d, i] * ratio
        shares[j], shares[j + 1], shares[j + 2], shares[j + 3] = p, q, r, s


@summing
def _distance(x, y):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(len(x)):
        total += abs(x[i] - y[i])
    return total


@inlined
def _assign(beta, which, theta, counts, norms, ratios, shares):  # type: ignore[no-untyped-def]
    """Σ_k θ_k β_kv, n_v over that, and Σ_v n_v φ_vk / θ_k."""
    _mix(beta, which, theta, norms)
    for i in range(len(counts)):
        ratios[i] = counts[i] / norms[i]
    _project(beta, which, ratios, shares)


@inlined
def _fill(which, gamma, prior, going):  # type: ignore[no-untyped-def]
    """How many topics there are with those that fill up a vector, which count as the first."""
    full = -(-going // FOUR) * FOUR
    for j in range(going, full):
        which[j] = 0
        gamma[j] = prior[j] = 1.0
    return full


@compiled
def _drop(which, gamma, prior, last, going):  # type: ignore[no-untyped-def]
    """How many topics go on, which come to the front; all of them rather than none."""
    left = 0
    for j in range(going):
        now, then = gamma[j] - prior[j], last[j] - prior[j]
        if not (now < GONE and now <= GROWS * then):  # nor if they are NaN
            which[left], gamma[left], prior[left] = which[j], gamma[j], prior[j]
            left += 1
    return left if left else going


@compiled
def _ascend(  # type: ignore[no-untyped-def]
    beta, counts, alpha, max_iter, limit, which, by_topic, norms, ratios
):  # fmt: skip
    """γ of a document in by_topic[0], for as many topics `which` as are returned."""
    going = len(alpha)
    for j in range(going):
        which[j] = j
        by_topic[0, j] = 1.0
        by_topic[1, j] = alpha[j]
    for iteration in range(max_iter):
        full = _fill(which, by_topic[0], by_topic[1], going)
        gamma, prior, theta = by_topic[0, :full], by_topic[1, :full], by_topic[2, :full]
        shares, last = by_topic[3, :full], by_topic[4, :full]
        for j in range(full):
            theta[j] = exp_digamma(gamma[j])
            last[j] = gamma[j]
        theta[going:] = 0.0
        _assign(beta, which, theta, counts, norms, ratios, shares)
        for j in range(full):
            gamma[j] = prior[j] + theta[j] * shares[j]
        done = _distance(gamma, last) < limit
        if done or iteration % EVERY == EVERY - 1:
            going = _drop(which, gamma, prior, last, going)
        if done:
            break
    return going


@compiled
def _settle(beta, counts, which, by_topic, norms, ratios, going):  # type: ignore[no-untyped-def]
    """φ of the last γ: θ, Σ_v n_v φ_vk / θ_k in by_topic[2:4]; returns E_q[log β] + H(q(z))."""
    full = _fill(which, by_topic[0], by_topic[1], going)
    theta, shares, logs = by_topic[2, :full], by_topic[3, :full], by_topic[4, :full]
    for j in range(full):
        value = digamma(by_topic[0, j])
        logs[j] = FLOOR if value < FLOOR else value
        theta[j] = exp(logs[j])
    theta[going:] = 0.0
    _assign(beta, which, theta, counts, norms, ratios, shares)
    return _log_norms(counts, norms) - _product(theta, shares, logs)


@summing
def _log_norms(counts, norms):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(len(counts)):
        total += counts[i] * log(norms[i])
    return total


@summing
def _product(x, y, z):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(len(x)):
        total += x[j] * y[j] * z[j]
    return total


@compiled
def _infer(  # type: ignore[no-untyped-def]
    counts, words, starts, topics, alpha, max_iter, limit, weights,
    gamma, log_theta, choices, log_words, entropy, sums,
):  # fmt: skip
    k, longest = len(alpha), 0
    for d in range(len(starts) - 1):
        longest = max(longest, starts[d + 1] - starts[d])
    longest, most = longest + LANES, k + FOUR
    memory, by_word, by_topic = np.empty(k * longest), np.empty((3, longest)), np.empty((5, most))
    own, which = np.empty(longest, np.intp), np.empty(most, np.intp)
    for d in range(len(starts) - 1):
        first, length = starts[d], starts[d + 1] - starts[d]
        n = -(-length // LANES) * LANES
        count, norms, ratios = by_word[0, :n], by_word[1, :n], by_word[2, :n]
        for i in range(n):  # filled up with the first word, none times
            own[i] = words[first + i if i < length else first]
            count[i] = counts[first + i] if i < length else 0.0
        beta, going = memory[: k * n].reshape(k, n), 0
        _gather(topics, own[:n], beta)
        gamma[d] = alpha
        if length:
            how = alpha, max_iter, limit
            going = _ascend(beta, count, *how, which, by_topic, norms, ratios)
        for j in range(going):
            gamma[d, which[j]] = by_topic[0, j]
        log_words[d] = _settle(beta, count, which, by_topic, norms, ratios, going)
        entropy[d] = dirichlet(gamma[d], log_theta[d])
        theta, shares = by_topic[2], by_topic[3]
        choices[d] = 0.0
        for j in range(going):
            choices[d] += theta[j] * shares[j] * log_theta[d, which[j]]
        if len(weights):
            for i in range(length):
                ratio, word = weights[d] * ratios[i], own[i]
                if going == k:  # in their order, so that this is vectorised
                    for j in range(k):
                        sums[word, j] += ratio * theta[j]
                else:
                    for j in range(going):
                        sums[word, which[j]] += ratio * theta[j]
