"""Latent Dirichlet allocation: h are the topics of words, and the mixture of topics of a document.

    β_k ~ Dir(η),   θ_d ~ Dir(α),   z_dn ~ θ_d,   w_dn ~ β_z       (Blei, Ng and Jordan 2003)

p(h | v) has no closed form. The E-step raises L in q(θ_d, z_d) = Dir(γ_d) ∏ φ_dn as far as its
inner loop goes; the M-step sets q(β_k) = Dir(λ_k), as in Hoffman, Blei and Bach (2010):

    L(v, q) = E_q[log p(v, z, θ | β)] + H(q(z, θ)) − KL(q(β) ‖ p(β))  ≤  log p(v)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_array, issparse
from scipy.special import gammaln

from dem.checks import check_number, check_offers
from dem.contract import Posterior, Sample
from dem.errors import SupportError
from dem.families.charts import Positive
from dem.kernels.gamma import digammas, total_log_gamma
from dem.kernels.topics import LEAST, Documents, Inferred, infer
from dem.models.concentrations import Concentration, Fixed, objective
from dem.posteriors import Exact
from dem.stats import Stats, Vector

Array = np.ndarray
LOGARITHMS = Positive(1e-10, 1e15)
UNUSED = 1e-3  # of a word: a topic with less has none


@dataclass(frozen=True, eq=False)
class LDAParams:
    """λ (K, V) of q(β_k) = Dir(λ_k), α (K,), η (V,)."""

    topics: Array
    alpha: Array
    eta: Array

    @cached_property
    def expected_log(self) -> Array:
        """E_q[log β_kv], (K, V)."""
        return digammas(self.topics) - digammas(self.topics.sum(axis=1, keepdims=True))

    @cached_property
    def divergence(self) -> float:
        """KL(q(β) ‖ p(β)), in nats."""
        logs = self.expected_log.sum(axis=0)
        own = gammaln(self.topics.sum(axis=1)).sum() - total_log_gamma(self.topics)
        own += np.vdot(self.topics, self.expected_log) - logs.sum()
        return float(own - objective(self.eta, len(self.topics), logs))

    def __reduce__(self) -> Any:
        return LDAParams, (self.topics, self.alpha, self.eta)  # without what can be made again


@dataclass(frozen=True, eq=False)
class LDASums(Vector):
    """What the M-step and the bound need of the documents, each counted wᵢ times.

    words : (K, V), Σ n_v φ_vk, how often each word came from each topic.
    log_theta : (K,), Σ E_q[log θ_k].
    choices : Σ E_q[log p(z | θ)].
    """

    words: Array
    log_theta: Array
    choices: float


@dataclass(frozen=True, eq=False)
class Prepared:
    """exp E_q[log β] over its largest for each word, (V, K); the log of that (V,); and α (K,)."""

    params: LDAParams
    topics: Array
    largest: Array


@dataclass(frozen=True)
class LDA:
    """Latent Dirichlet allocation by mean-field variational Bayes.

    Rows are documents, (n, V) counts of words, dense or `scipy.sparse` in rows (CSR); counts need
    not be whole. q of a document begins at equal shares of the topics in every E-step, and stops
    short of its optimum: L is that of the very q which the statistics are of. `log_prob` is what a
    document adds to it, below log p(v | β) averaged over q(β).

    k : number of topics.
    alpha, eta : α, and η of the words: `Fixed()`, `Symmetric()` or `Asymmetric()`.
    inner_iter, inner_tol : the inner loop ends for a document after so many iterations, or when
        γ_k changes by less in the mean.
    """

    sparse: ClassVar[bool] = True
    blind: ClassVar[bool] = True  # its start looks at no documents
    bound_charges: ClassVar[bool] = True
    unsuited: ClassVar[dict[str, str]] = {
        "bic": "its bound averages over topics, and so has charged for each of them already",
        "aic": "its bound averages over topics, and so has charged for each of them already",
        "icl": "a document has a mixture of topics, and is of no class",
    }

    k: int
    alpha: Concentration = Fixed()
    eta: Concentration = Fixed()
    inner_iter: int = 100
    inner_tol: float = 1e-3

    def __post_init__(self) -> None:
        check_number("k", self.k, int, 1)
        check_offers("alpha", self.alpha, Concentration)
        check_offers("eta", self.eta, Concentration)
        check_number("inner_iter", self.inner_iter, int, 0)
        check_number("inner_tol", self.inner_tol, float, 0)

    def start(self, sample: Sample, rng: np.random.Generator) -> LDAParams:
        """λ about 1, as in Hoffman's code: the documents break the symmetry."""
        n_words = sample.rows.shape[1]
        topics = rng.gamma(100.0, 0.01, (self.k, n_words))
        return LDAParams(topics, self.alpha.start(self.k, self.k), self.eta.start(n_words, self.k))

    def prepare(self, params: LDAParams) -> Prepared:
        logs = np.array(params.expected_log.T, order="C")
        largest = logs.max(axis=1)
        logs -= largest[:, None]
        topics = np.exp(logs, out=logs)
        topics[topics < LEAST] = 0.0  # with which no topic of a word goes that is not zero
        return Prepared(params, topics, largest)

    def e_step(
        self, prepared: Prepared, rows: Any, weights: Array | None, posterior: Posterior
    ) -> Stats:
        """The statistics of documents; `Exact()` stands for the best q that the inner loop finds.

        Raises `SupportError` for a negative count, TypeError for another posterior.
        """
        if not isinstance(posterior, Exact):
            raise TypeError(f"LDA sets q by mean field alone, and not by {posterior}.")
        counts = _counts(rows)
        w = np.ones(counts.shape[0]) if weights is None else weights
        q, shares = self._infer(prepared, counts, w)
        shares *= prepared.topics
        words = np.ascontiguousarray(shares.T)
        told = q.log_words + counts @ prepared.largest + q.entropy
        entropy = w @ told - np.vdot(words, prepared.params.expected_log)
        sums = LDASums(words, w @ q.log_theta, float(w @ q.choices))
        return Stats(float(w.sum()), float(entropy), sums)

    def m_step(self, params: LDAParams, stats: Stats) -> LDAParams:
        """λ = η + words, then α and η as `Concentration`; ValueError for less than no words."""
        topics = params.eta + stats.sums.words
        if not topics.min() > 0:
            raise ValueError("the statistics are those of no documents: a count is negative")
        alpha = self.alpha.maximise(params.alpha, stats.weight, stats.sums.log_theta)
        new = LDAParams(topics, alpha, params.eta)
        eta = self.eta.maximise(params.eta, self.k, new.expected_log.sum(axis=0))
        return new if eta is params.eta else LDAParams(topics, alpha, eta)

    def expected_log_joint(self, params: LDAParams, stats: Stats) -> float:
        """E_q[log p(v, z, θ | β)] − KL(q(β) ‖ p(β)), in nats."""
        sums = stats.sums
        words = float(np.vdot(sums.words, params.expected_log)) + sums.choices
        return words + objective(params.alpha, stats.weight, sums.log_theta) - params.divergence

    def log_prob(self, prepared: Prepared, rows: Any) -> Array:
        counts = _counts(rows)
        q, _ = self._infer(prepared, counts)
        alpha = prepared.params.alpha
        prior = gammaln(alpha.sum()) - gammaln(alpha).sum() + q.log_theta @ (alpha - 1.0)
        words = q.log_words + q.choices + counts @ prepared.largest
        return np.asarray(words + prior + q.entropy)

    def concentrations(self, prepared: Prepared, rows: Any) -> Array:
        """γ of q(θ_d) = Dir(γ_d) for each document, (n, K)."""
        return self._infer(prepared, _counts(rows))[0].gamma

    def imagined(self, params: LDAParams) -> Stats:
        """The statistics, of no documents, whose M-step is λ."""
        return Stats(0.0, 0.0, LDASums(params.topics - params.eta, np.zeros(self.k), 0.0))

    def posterior(self, prepared: Prepared, rows: Any) -> Array:
        """E_q[θ_d] for each document, (n, K)."""
        gamma = self.concentrations(prepared, rows)
        return np.asarray(gamma / gamma.sum(axis=1, keepdims=True))

    def flatten(self, params: LDAParams) -> Array:
        """The logarithms of λ, α and η."""
        parts = (params.topics, params.alpha, params.eta)
        return np.concatenate([LOGARITHMS.flatten(part).ravel() for part in parts])

    def unflatten(self, vector: Array, like: LDAParams) -> LDAParams:
        parts = np.split(LOGARITHMS.unflatten(vector), np.cumsum([like.topics.size, self.k]))
        return LDAParams(parts[0].reshape(like.topics.shape), *parts[1:])

    def check(self, params: LDAParams) -> None:
        """Raise ValueError unless params have the shapes and signs that this model's have."""
        topics, alpha, eta = params.topics, params.alpha, params.eta
        if topics.ndim != 2 or len(topics) != self.k or not (topics > 0).all():
            raise ValueError(f"topics must be positive, for {self.k} topics")
        if alpha.shape != (self.k,) or not (alpha > 0).all():
            raise ValueError(f"alpha must be {self.k} positive numbers")
        if eta.shape != topics.shape[1:] or not (eta > 0).all():
            raise ValueError("eta must be positive, one number for each word")

    def diagnose(self, params: LDAParams) -> tuple[str, ...]:
        """Which topics have no words."""
        used = (params.topics - params.eta).sum(axis=1)
        unused = np.flatnonzero(used < UNUSED).tolist()
        return (f"no words are left in the topics {unused}: use fewer.",)[: bool(unused)]

    def n_parameters(self, params: LDAParams) -> int:
        learned = sum(
            0 if isinstance(c, Fixed) else len(np.unique(values))
            for c, values in ((self.alpha, params.alpha), (self.eta, params.eta))
        )
        return self.k * (params.topics.shape[1] - 1) + learned

    def _infer(
        self, prepared: Prepared, counts: csr_array, weights: Array | None = None
    ) -> tuple[Inferred, Array]:
        documents = Documents(counts.data, counts.indices, counts.indptr)
        alpha = prepared.params.alpha
        return infer(documents, prepared.topics, alpha, self.inner_iter, self.inner_tol, weights)


def _counts(rows: Any) -> csr_array:
    """Documents as CSR; `SupportError` for a negative count."""
    counts = csr_array(rows) if not issparse(rows) or rows.format != "csr" else rows
    if counts.nnz and counts.data.min() < 0:
        place = int(np.argmax(counts.data < 0))
        row = int(np.searchsorted(counts.indptr, place, side="right")) - 1
        what = "Negative values in data passed to latent Dirichlet allocation: it takes counts"
        raise SupportError(what, float(counts.data[place]), row, int(counts.indices[place]))
    return counts
