"""Mixtures of regressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from dem.criteria import Criteria
from dem.elemental import ElementalSets
from dem.engine.lazy import rowwise
from dem.engine.manifest import Manifest
from dem.engine.readers.base import Source
from dem.estimators import covariates, inputs, recipe, stored
from dem.estimators.mixture_fit import MixtureFit
from dem.families import BinomialResponse, NormalResponse, PoissonResponse, Regression
from dem.families.responses import Response
from dem.fitting import Fit, total
from dem.inference import StandardErrors, Summary, standard_errors, summarise
from dem.models.concomitant import Concomitant
from dem.models.mixture import Mixture
from dem.passes import LogLikelihood
from dem.starts import Start
from dem.storable import storable
from dem.warm import WarmStart

Array = np.ndarray
FAMILIES = {
    "gaussian": NormalResponse(),
    "poisson": PoissonResponse(),
    "logistic": BinomialResponse(),
}
# Slopes take longer to come apart than means do.
STARTS = inputs.STARTS | {
    "warm": WarmStart(ElementalSets(), turns=30),
    "elemental": ElementalSets(),
}


@storable("MixtureOfRegressions")
class MixtureOfRegressions(RegressorMixin, MixtureFit):
    """Mixture of generalised linear models, fitted by EM to data of any size.

    p(y | x) = Σₖ πₖ p(y | βₖᵀ(1, x)): each row follows one of K regressions, and nobody knows which
    (DeSarbo and Cron 1988; Grün and Leisch 2008). With `concomitant` the weights depend on x as
    well, πₖ(x) = softmax(γₖᵀ(1, x)): a mixture of experts (Jordan and Jacobs 1994).

    Parameters
    ----------
    n_components : int, default=1
    family : {"gaussian", "poisson", "logistic"} or a `Response`, default="gaussian"
        What y is: a number with a variance for each component; a count, with a log link; 0 or 1,
        with a logit link. `BinomialResponse(n)` is how many of n trials. Mixtures of logistic
        regressions tell components apart only if rows have several trials.
    concomitant : bool, default=False
        Whether the mixing weights depend on x.
    fit_intercept : bool, default=True
    init_params : {"auto", "warm", "elemental", "random", ...} or a `Start`, default="auto"
        "elemental" begins each component at a few random rows; "warm" tries several such starts on
        a sample and is "auto", but with schedule="batch", where that is "elemental". The others
        are those of `dem.GaussianMixture`, for which x and y are one.
    tol, max_iter, n_init, random_state, warm_start, verbose, schedule, accelerate, posterior,
    max_passes, max_time, checkpoint : as in `dem.GaussianMixture`.

    Attributes
    ----------
    weights_ : (n_components,)
        With `concomitant` the mean of πₖ(x) over the rows.
    coef_ : (n_components, n_features)
    intercept_ : (n_components,)
    sigma_ : (n_components,)
        Standard deviations of y about its means, if the family is "gaussian".
    concomitant_coef_ : (n_components, n_features)
    concomitant_intercept_ : (n_components,)
        γ, that of the first component 0, if `concomitant`.
    response_ : str, int or None
        The column of X that y was, if it was one.
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.
    """

    family_type = Regression
    what = "a mixture of regressions"

    def __init__(
        self,
        n_components: int = 1,
        *,
        family: Any = "gaussian",
        concomitant: bool = False,
        fit_intercept: bool = True,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: Any = 0,
        schedule: Any = "auto",
        accelerate: Any = "auto",
        posterior: Any = "exact",
        max_passes: float | None = None,
        max_time: float | None = None,
        checkpoint: Any = None,
    ) -> None:
        super().__init__(
            n_components, tol=tol, max_iter=max_iter, n_init=n_init, init_params=init_params,
            random_state=random_state, warm_start=warm_start, verbose=verbose, schedule=schedule,
            accelerate=accelerate, posterior=posterior, max_passes=max_passes, max_time=max_time,
            checkpoint=checkpoint,
        )  # fmt: skip
        self.family = family
        self.concomitant = concomitant
        self.fit_intercept = fit_intercept

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # it is a log-likelihood
        return tags

    @classmethod
    def from_fit(cls, fit: Fit, X: Any = None, y: Any = None) -> Self:
        """The estimator of a fit by `dem.fit` or a job to rows (x, y).

        X, y : the data of the fit, or others like them, for the names of the columns.
        """
        self = super().from_fit(fit)
        if X is not None:
            width = self.n_features_in_
            self._open(X, y=y)
            if self.n_features_in_ != width:
                raise ValueError(f"X has {self.n_features_in_} features, the fit had {width}.")
        return self

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit to covariates X (n_samples, n_features) and responses y (n_samples,).

        y : in any form that X may have; or the name or number of the column of X that it is.
        """
        self._check()
        climb, manifest = self._asked(X, sample_weight, y)
        self._conclude(self._carried_out(climb, manifest), manifest, X)
        return self

    def predict(self, X: Any) -> Any:
        """E[y | x] = Σₖ πₖ(x) E[y | x, k], (n_samples,); lazy on lazy X."""
        check_is_fitted(self)
        model, params = self._fitted.model, self._fitted.params

        def mean(rows: Array) -> Array:
            means = model.family.means(params.components, rows)
            mixing = params.weights
            if isinstance(model, Concomitant):
                mixing = model.mixing(params, rows)
            means = np.vecdot(mixing, means.T)
            return np.where(np.isfinite(rows).all(axis=1), means, np.nan)

        return self._rowwise(X, mean, np.float64)

    def assign(self, X: Any, y: Any = None) -> Any:
        """The most probable component of each row, given x and y, (n_samples,); lazy on lazy X.

        y : as in `fit`; None for the column that it was then, here and in the other methods.
        """
        model, prepared = self._prepared()

        def label(rows: Array) -> Array:
            proba = model.posterior(prepared, rows)
            return proba.argmax(axis=1) + 0.0 * proba[:, 0]  # NaN for a row that has one

        return self._jointly(X, y, label, np.int64)

    def assign_proba(self, X: Any, y: Any = None) -> Any:
        """p(component | x, y), (n_samples, n_components); lazy on lazy X."""
        model, prepared = self._prepared()
        width = len(self.weights_)
        return self._jointly(X, y, lambda r: model.posterior(prepared, r), np.float64, width)

    def log_prob(self, X: Any, y: Any = None) -> Any:
        """log p(y | x) in nats, (n_samples,); lazy on lazy X."""
        model, prepared = self._prepared()
        return self._jointly(X, y, lambda r: model.log_prob(prepared, r), np.float64)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The mean of log p(y | x) over the rows, in nats; not R², which says little here."""
        found = self.criteria(X, sample_weight, y=y)
        return found.log_likelihood / found.n_samples

    def criteria(self, X: Any, sample_weight: Any = None, *, y: Any = None) -> Criteria:
        """log_likelihood, n_samples, n_parameters, bic and aic, by one pass over X and y."""
        check_is_fitted(self)
        manifest = self._open(X, sample_weight, y, reset=False)
        found = total(LogLikelihood(self._fitted.model, self._fitted.params), manifest)
        return Criteria.of(float(found[0]), float(found[1]), self.n_parameters_)

    def bic(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Bayesian information criterion, −2 log L + P log n: lower is better."""
        return self.criteria(X, sample_weight, y=y).bic

    def aic(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Akaike information criterion, −2 log L + 2 P: lower is better."""
        return self.criteria(X, sample_weight, y=y).aic

    def summarise(self, X: Any, y: Any = None, sample_weight: Any = None) -> Summary:
        """How well components are told apart on X and y, and criteria; see `dem.summarise`."""
        check_is_fitted(self)
        return summarise(self, X, weights=sample_weight, y=y)

    def standard_errors(self, X: Any, y: Any = None, sample_weight: Any = None) -> StandardErrors:
        """How sure one can be of the parameters, by one pass; all arguments are those of the fit.

        See `dem.standard_errors`, and `dem.bootstrap` for another way.
        """
        check_is_fitted(self)
        return standard_errors(self, X, weights=sample_weight, y=y)

    def to_store(self) -> stored.Parts:
        arrays, attributes = super().to_store()
        return arrays, {**attributes, "response": self.response_}

    def _restore(self, attributes: Mapping[str, Any]) -> None:
        column = attributes["response"]
        if column is not None and not isinstance(column, (str, int)):
            raise ValueError("the response is no column")
        self.response_ = column

    def _jointly(self, X: Any, y: Any, function: Any, dtype: Any, width: int | None = None) -> Any:
        return rowwise(X, self._both(X, y, reset=False), function, dtype, width)

    def _source(self, X: Any, *, reset: bool) -> Source:
        return covariates.without_response(self, X, self.response_)

    def _both(self, X: Any, y: Any, *, reset: bool) -> Source:
        """Covariates and response side by side."""
        if not reset:
            check_is_fitted(self)
            y = self.response_ if y is None else y
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        source = covariates.with_response(self, X, y, reset=reset)
        if reset:
            self.response_ = covariates.column_of(X, y)
        return source

    def _open(
        self, X: Any, sample_weight: Any = None, y: Any = None, *, reset: bool = True
    ) -> Manifest:
        return inputs.manifest_of(X, self._both(X, y, reset=reset), sample_weight)

    def _asked(self, X: Any, sample_weight: Any, y: Any = None) -> Any:
        manifest = self._open(X, sample_weight, y)
        return self._climb(self._model(manifest), manifest), manifest

    def _check(self) -> None:
        super()._check()
        for name in ("concomitant", "fit_intercept"):
            if not isinstance(value := getattr(self, name), (bool, np.bool_)):
                raise TypeError(f"{name} must be bool, got {value!r}.")
        self._regression()

    def _regression(self) -> Regression:
        response = inputs.resolve("family", self.family, FAMILIES, Response)
        return Regression(response, bool(self.fit_intercept))

    def _model(self, manifest: Manifest) -> Any:
        mixture = Mixture(self.n_components, self._regression())
        columns = tuple(range(manifest.n_columns - 1))
        return Concomitant(mixture, columns) if self.concomitant else mixture

    @classmethod
    def _arguments_of_model(cls, model: Any) -> dict[str, Any]:
        gated = isinstance(model, Concomitant)
        own = super()._arguments_of_model(model.mixture if gated else model)
        return {**own, "concomitant": gated}

    @classmethod
    def _arguments_of_family(cls, family: Any) -> dict[str, Any]:
        word = inputs.word_of(family.response, FAMILIES)
        return {"family": word, "fit_intercept": family.intercept}

    def _start(self, model: Any, n_columns: int) -> Start:
        word = self.init_params
        if isinstance(word, str) and word == "auto":
            word = "elemental" if recipe.is_textbook(self) else "warm"
        start: Start = inputs.resolve("init_params", word, STARTS, Start)
        return start

    @classmethod
    def _arguments_of_start(cls, start: Start, warm: bool) -> dict[str, Any]:
        word = inputs.word_of(start, STARTS)
        return {"init_params": "auto" if word == ("warm" if warm else "elemental") else word}

    def _keep(self, fitted: Fit) -> None:
        super()._keep(fitted)
        self.n_features_in_ -= 1  # of which the response is none
        if not hasattr(self, "response_"):
            self.response_ = None

    def _describe(self, fitted: Fit) -> None:
        super()._describe(fitted)
        if isinstance(fitted.model, Concomitant):
            for name, values in fitted.model.described(fitted.params).items():
                setattr(self, f"concomitant_{name}_", values)
