"""Documents made by latent Dirichlet allocation, and scikit-learn's estimator without its noise."""

from importlib.resources import files
from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix
from scipy.special import psi
from sklearn.decomposition import LatentDirichletAllocation

from dem.models import LDAParams


def corpus(n: int, n_words: int, k: int, length: float, seed: int = 0) -> csr_array:
    """Counts (n, n_words) of documents with about so many words; some have none."""
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(n_words, 0.1), k)
    shares = rng.dirichlet(np.full(k, 0.3), n)
    return csr_array(rng.multinomial(rng.poisson(length, n), shares @ topics).astype(float))


def beginning(k: int, n_words: int, seed: int = 0) -> LDAParams:
    """Random topics, as of scikit-learn's start, with the concentrations 1/k."""
    topics = np.random.default_rng(seed).gamma(100.0, 0.01, (k, n_words))
    return LDAParams(topics, np.full(k, 1 / k), np.full(n_words, 1 / k))


class FromEqualShares(LatentDirichletAllocation):
    """scikit-learn's, with the topics given, and the inner loop from equal shares of topics."""

    def begin(self, topics: np.ndarray) -> Any:
        self._init_latent_vars(topics.shape[1])
        self.components_ = topics.copy()
        logs = psi(topics) - psi(topics.sum(axis=1, keepdims=True))
        self.exp_dirichlet_component_ = np.exp(logs)
        return self

    def turn(self, rows: Any, of: int | None = None) -> None:
        """A pass over the rows; or, of so many rows, a step of the online kind."""
        self._em_step(rows, of or rows.shape[0], batch_update=of is None)

    def _e_step(self, X: Any, cal_sstats: bool, random_init: bool, parallel: Any = None) -> Any:
        return super()._e_step(X, cal_sstats, False, parallel)


def reuters() -> csr_matrix:
    """The counts (395, 4258) of PyPI's `lda`, which is to be there."""
    from lda.utils import ldac2dtm

    with (files("lda") / "tests" / "reuters.ldac").open() as lines:
        return csr_matrix(ldac2dtm(lines, offset=0).astype(float))
