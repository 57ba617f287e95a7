"""What the estimators of mixtures share, whatever the family of their components."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils.validation import check_is_fitted

from dem.checks import check_number
from dem.climb import Climb
from dem.criteria import Criteria
from dem.engine.manifest import Manifest
from dem.estimators import inputs, known
from dem.estimators.mixture_fit import MixtureFit
from dem.fitting import Fit, total
from dem.inference import StandardErrors, Summary, standard_errors, summarise
from dem.passes import LogLikelihood

Array = np.ndarray


class MixtureEstimator(DensityMixin, MixtureFit):
    """A mixture of densities of whole rows."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, labels: Any = None) -> Self:
        """Fit to the rows of X (n_samples, n_features), each counted `sample_weight` times.

        labels : (n_samples,), the component that each row is known to come from, from 0 to
            n_components - 1, and -1 or NaN for unknown; an array, a column, or a path, as X. They
            number the components, and restrict q. `lower_bound_` is then that of log p(row, label).
        y is not used.
        """
        self._check()
        climb, manifest = self._asked(X, sample_weight, labels)
        self._conclude(self._carried_out(climb, manifest), manifest, X)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit, then the most probable component of each row."""
        return self.fit(X, sample_weight=sample_weight).predict(X)

    def predict(self, X: Any) -> Any:
        """The most probable component of each row, (n_samples,); lazy on lazy X."""
        model, prepared = self._prepared()

        def label(rows: Array) -> Array:
            proba = model.posterior(prepared, rows)
            return proba.argmax(axis=1) + 0.0 * proba[:, 0]  # NaN for a row that has one

        return self._rowwise(X, label, np.int64)

    def predict_proba(self, X: Any) -> Any:
        """p(component | row), (n_samples, n_components); lazy on lazy X."""
        model, prepared = self._prepared()
        width = len(self.weights_)
        return self._rowwise(X, lambda r: model.posterior(prepared, r), np.float64, width)

    def score_samples(self, X: Any) -> Any:
        """log p(row) in nats, (n_samples,); lazy on lazy X."""
        model, prepared = self._prepared()
        return self._rowwise(X, lambda r: model.log_prob(prepared, r), np.float64)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The mean of log p(row) over the rows, in nats."""
        found = self.criteria(X, sample_weight)
        return found.log_likelihood / found.n_samples

    def criteria(self, X: Any, sample_weight: Any = None) -> Criteria:
        """log_likelihood, n_samples, n_parameters, bic and aic, by one pass over X."""
        check_is_fitted(self)
        manifest = self._open(X, sample_weight, reset=False)
        found = total(LogLikelihood(self._fitted.model, self._fitted.params), manifest)
        return Criteria.of(float(found[0]), float(found[1]), self.n_parameters_)

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Bayesian information criterion, −2 log L + P log n: lower is better."""
        return self.criteria(X, sample_weight).bic

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Akaike information criterion, −2 log L + 2 P: lower is better."""
        return self.criteria(X, sample_weight).aic

    def summarise(self, X: Any, sample_weight: Any = None, *, labels: Any = None) -> Summary:
        """How well components are told apart on X, and criteria; see `dem.summarise`."""
        check_is_fitted(self)
        return summarise(self, X, weights=sample_weight, labels=labels)

    def standard_errors(
        self, X: Any, sample_weight: Any = None, *, labels: Any = None
    ) -> StandardErrors:
        """How sure one can be of the parameters, by one pass; all arguments are those of the fit.

        See `dem.standard_errors`, and `dem.bootstrap` for another way.
        """
        check_is_fitted(self)
        return standard_errors(self, X, weights=sample_weight, labels=labels)

    def sample(self, n_samples: int = 1) -> tuple[Array, Array]:
        """Random rows (n_samples, n_features) and their components, ordered by component."""
        check_is_fitted(self)
        check_number("n_samples", n_samples, int, 1)
        rng = np.random.default_rng(inputs.seed_of(self.random_state))
        return self._fitted.model.sample(self._fitted.params, n_samples, rng)

    def _asked(self, X: Any, sample_weight: Any, labels: Any = None) -> tuple[Climb, Manifest]:
        climb, manifest = super()._asked(X, sample_weight)
        if labels is None:
            return climb, manifest
        climb = known.with_labels(climb, manifest.n_columns, self._asks_for_a_start())
        return climb, self._open(X, sample_weight, labels)

    def _labelled_fit(self, n_columns: int) -> Fit:
        """The fit to rows and a column of labels, where it was one."""
        return known.labelled(self._fitted, n_columns)

    def _asks_for_a_start(self) -> bool:
        return not (isinstance(self.init_params, str) and self.init_params == "auto")

    def _open(
        self, X: Any, sample_weight: Any = None, labels: Any = None, *, reset: bool = True
    ) -> Manifest:
        source = self._source(X, reset=reset)
        if labels is not None:
            source = known.beside(source, labels)
        return inputs.manifest_of(X, source, sample_weight)
