"""Latent Dirichlet allocation with scikit-learn's interface, for documents of any number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from dem.checkpoint import Saved
from dem.checks import check_number
from dem.climb import Climb
from dem.contract import Sample, Schedule
from dem.engine.manifest import Manifest, open_source
from dem.engine.readers.base import Source
from dem.engine.readers.batches import InBatches
from dem.engine.readers.sparse import is_sparse
from dem.errors import DataError
from dem.estimators import inputs, stored
from dem.estimators.fitted import Fitted
from dem.estimators.steps import stepped
from dem.estimators.topic_priors import argument_of, concentration_of, plain
from dem.fitting import Fit, total
from dem.models.lda import LDA, LDAParams
from dem.passes import LogLikelihood
from dem.schedules import FullBatch, Incremental, Online
from dem.stopping import Change, Stop
from dem.storable import storable
from dem.topics import Completion, Perplexity, Words

Array = np.ndarray
ONLINE = "online"
METHODS = {"batch": FullBatch(), "incremental": Incremental(), ONLINE: ONLINE}


@storable("LatentDirichletAllocation")
class LatentDirichletAllocation(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Fitted):
    """Latent Dirichlet allocation by variational Bayes: topics of documents in memory, on disk or
    on a cluster.

    X are counts of words, (n_documents, n_words): a scipy sparse matrix, a list of them, a Dask
    array of sparse blocks, a Zarr group of CSR arrays (or its path, see `dem.write_csr`), or any
    dense data. Arguments and attributes have the names, shapes and meanings of
    `sklearn.decomposition.LatentDirichletAllocation`; from the same topics, and with the inner
    loop from equal shares, it goes through the same ones.

    Parameters
    ----------
    n_components : int, default=10
        Topics.
    doc_topic_prior, topic_word_prior : float, None, "symmetric", "asymmetric" or a Concentration
        α and η. None is 1 / n_components. The words are for one that is learned, the same for all
        topics (words) or not: the bound never falls by it.
    learning_method : {"batch", "online", "incremental"} or a schedule, default="batch"
    learning_decay, learning_offset : float, default=0.7 and 10
        The k-th step of online learning has the length (learning_offset + k)^-learning_decay.
    batch_size : int, default=128
        Documents in a step of online learning.
    max_iter : int, default=10
        Reads of the data, but for one for `bound_`.
    evaluate_every, perp_tol : int and float, default=-1 and 0.1
        If positive: stop when the perplexity of the data, looked at every so many reads, changes by
        less. It comes with the bound and takes no time.
    total_samples : float, default=1e6
        Documents there are, in `partial_fit`.
    mean_change_tol, max_doc_update_iter : float and int, default=1e-3 and 100
        When the inner loop of a document ends.
    random_state, verbose, checkpoint, max_time : as in `dem.GaussianMixture`.

    Attributes
    ----------
    components_ : (n_components, n_words)
        λ of q(β_k) = Dir(λ_k): pseudo-counts of words.
    exp_dirichlet_component_ : (n_components, n_words)
        exp E_q[log β].
    doc_topic_prior_, topic_word_prior_ : float, or an array where "asymmetric"
    bound_ : float
        The perplexity of the training data.
    n_batch_iter_, n_iter_ : int
        M-steps plus one, as scikit-learn counts them, those of `partial_fit` too; reads of the data
        by `fit`, none before it.
    lower_bound_, lower_bounds_ : the bound on log p(X) per document, at the end and after each turn
    converged_, history_, n_passes_, n_rows_read_, phases_, n_features_in_, feature_names_in_ :
        as in `dem.GaussianMixture`.
    """

    sparse: ClassVar[bool] = True
    n_batch_iter_: int
    kept = ("max_iter", "perp_tol")
    face = ("batch_size", "evaluate_every", "total_samples")

    def __init__(
        self,
        n_components: int = 10,
        *,
        doc_topic_prior: Any = None,
        topic_word_prior: Any = None,
        learning_method: Any = "batch",
        learning_decay: float = 0.7,
        learning_offset: float = 10.0,
        max_iter: int = 10,
        batch_size: int = 128,
        evaluate_every: int = -1,
        total_samples: float = 1e6,
        perp_tol: float = 1e-1,
        mean_change_tol: float = 1e-3,
        max_doc_update_iter: int = 100,
        verbose: Any = 0,
        random_state: Any = None,
        max_time: float | None = None,
        checkpoint: Any = None,
    ) -> None:
        self.n_components = n_components
        self.doc_topic_prior = doc_topic_prior
        self.topic_word_prior = topic_word_prior
        self.learning_method = learning_method
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.evaluate_every = evaluate_every
        self.total_samples = total_samples
        self.perp_tol = perp_tol
        self.mean_change_tol = mean_change_tol
        self.max_doc_update_iter = max_doc_update_iter
        self.verbose = verbose
        self.random_state = random_state
        self.max_time = max_time
        self.checkpoint = checkpoint

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = tags.input_tags.sparse = True
        return tags

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Steps of online learning on batches of X, which are taken for a part of all documents."""
        self._check()
        first = not hasattr(self, "_fitted")
        source = InBatches(self._source(X, reset=first), self.batch_size)
        manifest, schedule = inputs.manifest_of(X, source), self._online(1)
        model, n_iter = self._priors(), getattr(self, "n_iter_", 0)
        if first:
            nothing = Sample(np.empty((0, manifest.n_columns)), np.empty(0), complete=False)
            seed = inputs.seed_of(self.random_state)
            params, done = model.start(nothing, np.random.default_rng([seed, 2])), 0
        else:
            self._check_same(model, self._fitted.model)
            params, done = self._fitted.params, self.n_batch_iter_ - 1
        params, done = stepped(model, params, manifest, schedule, done, self.total_samples)
        self._keep(Fit(model, params, (), False, False, 0.0))
        self.n_iter_, self.n_batch_iter_ = n_iter, done + 1
        return self

    @staticmethod
    def _check_same(model: LDA, before: LDA) -> None:
        """Raise ValueError for a model that partial_fit cannot go on with."""
        names = {"n_components": "k", "doc_topic_prior": "alpha", "topic_word_prior": "eta"}
        for argument, name in names.items():
            now, then = getattr(model, name), getattr(before, name)
            if now != then:
                raise ValueError(
                    f"partial_fit goes on with the topics there are, for which {argument} was "
                    f"{then!r}, and now is {now!r}. Use fit to begin anew."
                )

    def transform(self, X: Any, *, normalize: bool = True) -> Any:
        """E_q[θ] of each document, (n_documents, n_components); lazy on lazy X.

        normalize : whether to divide γ by its sum.
        """
        check_is_fitted(self)
        model, prepared = self._fitted.model, self._fitted.model.prepare(self._fitted.params)
        made = model.posterior if normalize else model.concentrations
        return self._rowwise(X, lambda rows: made(prepared, rows), np.float64, model.k)

    def score(self, X: Any, y: Any = None) -> float:
        """The bound on log p(X) and the topics, in nats, as scikit-learn's."""
        return self._bound(self._open(X, reset=False))

    def perplexity(self, X: Any, sub_sampling: bool = False) -> float:
        """exp(−bound per word), as scikit-learn's: lower is better.

        sub_sampling : whether X stands for `total_samples` documents.
        """
        check_is_fitted(self)
        manifest = self._open(X, reset=False)
        ratio = self.total_samples / manifest.n_rows if sub_sampling else 1.0
        return self._perplexity(manifest, _words(manifest)[0], ratio)

    def completion_perplexity(self, X: Any, seed: int = 0) -> float:
        """exp(−log p of a word of one random half of a document, given the other half).

        For documents that the fit has not seen: lower is better. See `dem.topics.Completion`.
        """
        check_is_fitted(self)
        manifest = self._open(X, reset=False)
        likely, words = total(Completion(self._fitted.model, self._fitted.params, seed), manifest)
        if not words:
            raise DataError("No document of X has two words, of which one could be told.")
        return float(np.exp(-likely / words))

    def top_words(self, n: int = 10, feature_names: Any = None) -> list[list[Any]]:
        """The n words of each topic with the largest E_q[β], the first first.

        feature_names : (n_words,); by default those of the fit, or the numbers of the columns.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None) if feature_names is None else feature_names
        names = np.arange(self.n_features_in_) if names is None else np.asarray(names, object)
        if len(names) != self.n_features_in_:
            raise ValueError(f"There are {len(names)} names for {self.n_features_in_} words.")
        return [names[np.argsort(-row, kind="stable")[:n]].tolist() for row in self.components_]

    @classmethod
    def from_fit(cls, fit: Fit, X: Any = None) -> Self:
        """The estimator of a fit by `dem.fit`, `dem.resume` or a job.

        X : the data of the fit, for `bound_` and the names of its columns.
        """
        if not isinstance(fit, Fit):
            raise TypeError(f"from_fit takes the Fit that dem.fit returns, got {fit!r:.60}.")
        self = cls(**cls._arguments_of_model(fit.model))
        manifest = None if X is None else self._open(X)
        self._keep(fit)
        if manifest is not None:
            self.bound_ = self._perplexity(manifest, _words(manifest)[0])
        return self

    def _bound(self, manifest: Manifest, ratio: float = 1.0) -> float:
        check_is_fitted(self)
        model, params = self._fitted.model, self._fitted.params
        documents = float(total(LogLikelihood(model, params), manifest)[0])
        return documents * ratio - params.divergence

    def _perplexity(self, manifest: Manifest, words: float, ratio: float = 1.0) -> float:
        return float(np.exp(-self._bound(manifest, ratio) / (words * ratio)))

    def _check(self) -> None:
        check_number("max_iter", self.max_iter, int, 0)
        check_number("batch_size", self.batch_size, int, 1)
        check_number("perp_tol", self.perp_tol, float, 0)
        check_number("total_samples", self.total_samples, float, 1)
        self._priors()
        self._schedule(1)

    def _priors(self) -> LDA:
        alpha = concentration_of("doc_topic_prior", self.doc_topic_prior)
        eta = concentration_of("topic_word_prior", self.topic_word_prior)
        return LDA(self.n_components, alpha, eta, self.max_doc_update_iter, self.mean_change_tol)

    def _model(self, manifest: Manifest) -> LDA:
        return self._priors()

    def _online(self, groups: int) -> Online:
        return Online(groups, self.max_iter, self.learning_decay, self.learning_offset)

    def _schedule(self, blocks: int) -> Any:
        if isinstance(self.learning_method, str) and self.learning_method == ONLINE:
            return self._online(blocks)
        return inputs.resolve("learning_method", self.learning_method, METHODS, Schedule)

    def _climb(self, model: LDA, manifest: Manifest) -> Climb:
        stop: Stop = Change()
        if self.evaluate_every > 0:
            words, documents = _words(manifest)
            stop = Perplexity(float(words / documents), self.evaluate_every)
        return Climb(
            model,
            schedule=self._schedule(manifest.n_blocks),
            stop=stop,
            max_iter=self.max_iter,
            tol=self.perp_tol if self.evaluate_every > 0 else 0.0,
            seed=inputs.seed_of(self.random_state),
            max_time=self.max_time,
        )

    def _source(self, X: Any, *, reset: bool) -> Source:
        inputs.check_unopened(X)
        if inputs.elsewhere(X) or (isinstance(X, (list, tuple)) and is_sparse(X)):
            source = open_source(X, sparse=True)
            inputs.note(self, source, reset=reset)
            return source
        rows = validate_data(
            self, X, reset=reset, accept_sparse="csr", dtype="numeric", ensure_all_finite=False
        )
        return open_source(rows, sparse=True)

    def _open(self, X: Any, sample_weight: Any = None, *, reset: bool = True) -> Manifest:
        source = self._source(X, reset=reset)
        if reset and self.learning_method == ONLINE:
            source = InBatches(source, self.batch_size)
        return inputs.manifest_of(X, source, sample_weight)

    def _keep(self, fitted: Fit) -> None:
        super()._keep(fitted)
        params: LDAParams = fitted.params
        self.components_ = params.topics
        self.exp_dirichlet_component_ = np.exp(params.expected_log)
        self.doc_topic_prior_ = plain(params.alpha)
        self.topic_word_prior_ = plain(params.eta)
        self.n_features_in_ = params.topics.shape[1]
        self.lower_bound_ = fitted.lower_bound
        self.lower_bounds_ = [record.bound_e for record in fitted.history]
        self.n_batch_iter_ = len(fitted.history) + 1
        turns = [phase.rows for phase in fitted.phases if phase.name == "turns"]
        if turns and fitted.n_passes:
            self.n_iter_ = round(turns[0] * fitted.n_passes / max(self.n_rows_read_, 1))

    def _conclude(self, fitted: Fit, manifest: Manifest, X: Any) -> None:
        words, _ = _words(manifest)
        self._keep(fitted)
        self.bound_ = self._perplexity(manifest, words)
        asked = self.evaluate_every > 0
        told = fitted if asked else replace(fitted, converged=True)
        inputs.warn_about(told, self.max_iter, self.perp_tol)

    def to_store(self) -> stored.Parts:
        arrays, attributes = super().to_store()
        counts = {"bound": getattr(self, "bound_", None), "steps": self.n_batch_iter_}
        return arrays, {**attributes, **counts, "reads": self.n_iter_}

    @classmethod
    def from_store(cls, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Self:
        self = super().from_store(arrays, attributes)
        check_number("steps", attributes["steps"], int, 1)
        check_number("reads", attributes["reads"], int, 0)
        self.n_batch_iter_, self.n_iter_ = attributes["steps"], attributes["reads"]
        return self

    def _restore(self, attributes: Mapping[str, Any]) -> None:
        self._check()
        if attributes["bound"] is not None:
            self.bound_ = float(attributes["bound"])

    @classmethod
    def _arguments_of_model(cls, model: Any) -> dict[str, Any]:
        if not isinstance(model, LDA):
            raise ValueError(f"not the fit of latent Dirichlet allocation but of {model}")
        return {
            "n_components": model.k,
            "doc_topic_prior": argument_of(model.alpha),
            "topic_word_prior": argument_of(model.eta),
            "max_doc_update_iter": model.inner_iter,
            "mean_change_tol": model.inner_tol,
        }

    @classmethod
    def arguments_of(cls, saved: Saved) -> dict[str, Any]:
        climb, own = saved.climb, cls._arguments_of_model(saved.climb.model)
        schedule, stop = climb.schedule, climb.stop
        if isinstance(schedule, Online):
            how = {"learning_decay": schedule.power, "learning_offset": schedule.offset}
            own |= {"learning_method": ONLINE, **how}
        else:
            own |= {"learning_method": inputs.word_of(schedule, METHODS)}
        if isinstance(stop, Perplexity):
            own |= {"evaluate_every": stop.every, "perp_tol": climb.tol}
        return {**own, "max_iter": climb.max_iter, "random_state": climb.seed}

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)


def _words(manifest: Manifest) -> tuple[float, float]:
    """How many words and documents there are; DataError if there are no words."""
    words, documents = total(Words(), manifest)
    if not words:
        raise DataError("X has no words: all documents are empty, and tell nothing of topics.")
    return float(words), float(documents)
