"""What the estimators of hidden Markov models share, whatever the family of their states."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from dem.checkpoint import Saved
from dem.checks import check_number
from dem.criteria import Criteria
from dem.em import bound
from dem.engine.chainwise import chainwise
from dem.engine.manifest import Manifest
from dem.errors import DataError
from dem.estimators import chain_start, inputs, recipe
from dem.estimators.emissions import Emissions
from dem.estimators.fitted import Fitted
from dem.estimators.grouped import in_sequences
from dem.estimators.mixture_fit import MixtureFit
from dem.fitting import Fit, total
from dem.models.hmm import HMM
from dem.models.states import HMMParams
from dem.models.topology import Ergodic, LeftRight, Topology
from dem.passes import Expectation, LogLikelihood
from dem.posteriors import Exact, Hard
from dem.relay import Transfer
from dem.starts import Given, Start

Array = np.ndarray
TOPOLOGIES: dict[str, Topology] = {"ergodic": Ergodic(), "left-right": LeftRight()}


class HiddenMarkov(MixtureFit):
    """A hidden Markov model of rows in sequences."""

    def __init__(
        self,
        n_components: int = 1,
        *,
        topology: Any = "ergodic",
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        startprob_init: Any = None,
        transmat_init: Any = None,
        **more: Any,
    ) -> None:
        super().__init__(n_components, **more)
        self.topology = topology
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.startprob_init = startprob_init
        self.transmat_init = transmat_init

    def fit(  # type: ignore[override]
        self, X: Any, lengths: Any = None, *, groups: Any = None, sample_weight: Any = None
    ) -> Self:
        """Fit to the rows of X (n_samples, n_features), sequence after sequence.

        lengths : of the sequences, in the order of the rows, which they add up to. None: X is one.
        groups : instead, a column of X by its name, which is then no feature, or a value for each
            row, such as a number, a string or a date: a sequence ends where it changes.
        sample_weight : (n_samples,), how often a sequence counts, the same for all its rows.
        """
        self._check()
        climb, manifest = self._asked(X, sample_weight, lengths, groups)
        self._conclude(self._carried_out(climb, manifest), manifest, X)
        return self

    def predict(self, X: Any, lengths: Any = None, *, groups: Any = None) -> Any:
        """The most probable path of states, (n_samples,), by Viterbi; lazy on lazy X."""
        return self._chainwise(X, lengths, groups, Hard(), HMM.decode, np.int64)

    def predict_proba(self, X: Any, lengths: Any = None, *, groups: Any = None) -> Any:
        """p(state | the whole sequence), (n_samples, n_components); lazy on lazy X."""
        width = self.n_components
        return self._chainwise(X, lengths, groups, Exact(), HMM.posterior, np.float64, width)

    def score_samples(self, X: Any, lengths: Any = None, *, groups: Any = None) -> Any:
        """log p(row | the rows before it), (n_samples,) in nats; lazy on lazy X."""
        return self._chainwise(X, lengths, groups, Exact(), HMM.log_prob, np.float64)

    def decode(self, X: Any, lengths: Any = None, *, groups: Any = None) -> tuple[float, Any]:
        """(log p(X, path), path): the most probable path of states, as `predict`, and its log."""
        check_is_fitted(self)
        manifest = self._open(X, None, lengths, groups, reset=False)
        model, params = self._fitted.model, self._fitted.params
        stats = total(self._told(manifest, Hard()), manifest)
        bare = HMM(model.k, model.family)
        return bound(bare, params, stats), self.predict(X, lengths, groups=groups)

    def score(
        self, X: Any, lengths: Any = None, *, groups: Any = None, sample_weight: Any = None
    ) -> float:
        """log p(X) in nats, of all the sequences together."""
        return self.criteria(X, sample_weight, lengths, groups=groups).log_likelihood

    def criteria(
        self, X: Any, sample_weight: Any = None, lengths: Any = None, *, groups: Any = None
    ) -> Criteria:
        """log_likelihood, n_samples, n_parameters, bic and aic."""
        check_is_fitted(self)
        manifest = self._open(X, sample_weight, lengths, groups, reset=False)
        told = self._told(manifest, Exact()).told
        work = LogLikelihood(self._fitted.model, self._fitted.params, told)
        found = total(work, manifest)
        return Criteria.of(float(found[0]), float(found[1]), self.n_parameters_)

    def bic(self, X: Any, lengths: Any = None, *, groups: Any = None) -> float:
        """Bayesian information criterion, −2 log L + P log n: lower is better."""
        return self.criteria(X, None, lengths, groups=groups).bic

    def aic(self, X: Any, lengths: Any = None, *, groups: Any = None) -> float:
        """Akaike information criterion, −2 log L + 2 P: lower is better."""
        return self.criteria(X, None, lengths, groups=groups).aic

    def sample(self, n_samples: int = 1, *, currstate: int | None = None) -> tuple[Array, Array]:
        """One random sequence, (n_samples, n_features), and its states, (n_samples,).

        currstate : the state that it begins in; None draws it from startprob_.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, int, 1)
        if currstate is not None:
            check_number("currstate", currstate, int, 0)
            if currstate >= self.n_components:
                raise ValueError(f"currstate must be below {self.n_components}, got {currstate}.")
        rng = np.random.default_rng(inputs.seed_of(self.random_state))
        return self._fitted.model.sample(self._fitted.params, n_samples, rng, currstate)

    def get_stationary_distribution(self) -> Array:
        """The distribution of states (n_components,) that a transition leaves as it is."""
        check_is_fitted(self)
        k = self.n_components
        equations = np.vstack([self.transmat_.T - np.eye(k), np.ones(k)])
        found = np.linalg.lstsq(equations, np.append(np.zeros(k), 1.0))[0]
        return np.asarray(np.clip(found, 0, None) / np.clip(found, 0, None).sum())

    def _chainwise(
        self, X: Any, lengths: Any, groups: Any, posterior: Any, function: Any, dtype: Any,
        width: int | None = None,
    ) -> Any:  # fmt: skip
        check_is_fitted(self)
        model, params = self._fitted.model, self._fitted.params
        source = in_sequences(self, X, lengths, groups, reset=False)

        def results(prepared: Any, rows: Array, told: Any) -> Array:
            return function(model, prepared, rows, told)

        work = Expectation(model, params, posterior)
        return chainwise(X, source, work, results, dtype, width)

    def _told(self, manifest: Manifest, posterior: Any) -> Expectation:
        """The E-step at the fitted θ, with what blocks are told of each other."""
        model, params = self._fitted.model, self._fitted.params
        work = Expectation(model, params, posterior)
        messages = total(Transfer(work), manifest)
        return Expectation(model, params, posterior, told=model.told(params, messages, posterior))

    def _asked(
        self, X: Any, sample_weight: Any, lengths: Any = None, groups: Any = None
    ) -> tuple[Any, Manifest]:
        manifest = self._open(X, sample_weight, lengths, groups)
        model: Any = self._model(manifest)
        return self._climb(model, manifest), manifest

    def _open(
        self,
        X: Any,
        sample_weight: Any = None,
        lengths: Any = None,
        groups: Any = None,
        *,
        reset: bool = True,
    ) -> Manifest:
        source = in_sequences(self, X, lengths, groups, reset=reset)
        return inputs.manifest_of(X, source, sample_weight)

    def _gone_on(self, saved: Saved, manifest: Manifest) -> Any:
        try:
            saved.check(manifest)
        except DataError as error:
            raise DataError(
                f"{error} Where sequences begin belongs to them: pass the lengths or groups of the "
                "fit too."
            ) from None
        return super()._gone_on(saved, manifest)

    def _check(self) -> None:
        super()._check()
        inputs.resolve("topology", self.topology, TOPOLOGIES, Topology)

    def _model(self, manifest: Manifest) -> HMM:  # type: ignore[override]
        topology = inputs.resolve("topology", self.topology, TOPOLOGIES, Topology)
        priors = self.startprob_prior, self.transmat_prior
        return HMM(self.n_components, self._family(manifest), topology, *priors)

    @classmethod
    def _arguments_of_model(cls, model: Any) -> dict[str, Any]:
        if not isinstance(model, HMM) or not isinstance(model.family, cls.family_type):
            raise ValueError(f"not the fit of {cls.what} but of {model}")
        return {
            "n_components": model.k,
            "topology": inputs.word_of(model.topology, TOPOLOGIES),
            "startprob_prior": model.startprob_prior,
            "transmat_prior": model.transmat_prior,
            **cls._arguments_of_family(model.family),
        }

    def _start(self, model: Any, n_columns: int) -> Start:
        k = model.k
        parts = {
            name: chain_start.probabilities(f"{name}_init", inputs.check_array_of(
                f"{name}_init", getattr(self, f"{name}_init"), shape
            ))
            for name, shape in (("startprob", (k,)), ("transmat", (k, k)))
        }  # fmt: skip
        own, emissions = self._given(model, n_columns - 1)
        return chain_start.chain_start(own, **parts, emissions=emissions)

    def _given(self, model: Any, d: int) -> tuple[Start, Emissions | None]:
        """The start of the mixture of states, and what the user has given of these."""
        return recipe.start_of(self), None

    @classmethod
    def _arguments_of_start(cls, start: Start, warm: bool) -> dict[str, Any]:
        return chain_start.arguments_of(start, warm)

    def _last(self, model: Any, n_columns: int) -> Given:
        """The parameters of the last fit; ValueError if they do not suit this model and data."""
        fitted = self._fitted
        if (fitted.model, self.n_features_in_) != (model, n_columns - 1):
            raise ValueError(
                f"warm_start cannot go on from the last fit, which was of {fitted.model}; this is "
                f"of {model}. Use warm_start=False."
            )
        return Given(fitted.params, fitted.lower_bound)

    def _keep(self, fitted: Fit) -> None:
        Fitted._keep(self, fitted)
        rows, _ = fitted.model.sample(fitted.params, 1, np.random.default_rng(0))
        self.n_features_in_ = rows.shape[1]
        self.n_parameters_ = fitted.model.n_parameters(fitted.params)
        self.lower_bound_ = fitted.lower_bound
        self.lower_bounds_ = [record.bound_e for record in fitted.history]
        self._describe(fitted)

    def _describe(self, fitted: Fit) -> None:
        params: HMMParams = fitted.params
        self.startprob_, self.transmat_ = params.startprob, params.transmat
        self.weights_ = self.get_stationary_distribution()
        self._describe_states(fitted.model.family, params.components)

    def _describe_states(self, family: Any, components: Any) -> None:
        """Set the attributes of the states, in the user's units."""
        raise NotImplementedError
