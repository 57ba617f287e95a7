"""What estimators of linear-Gaussian models share: one component, and coordinates within it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from dem.accelerate import Plain, QuasiNewton
from dem.checkpoint import Saved
from dem.checks import check_number
from dem.climb import Climb
from dem.criteria import Criteria
from dem.engine.manifest import Manifest
from dem.estimators import inputs
from dem.estimators.fitted import Fitted
from dem.families import Diagonal, Factors, Gaussian, Principal
from dem.fitting import Fit, total
from dem.models.factor import LinearGaussian
from dem.models.mixture import Mixture
from dem.passes import LogLikelihood
from dem.schedules import FullBatch, Once
from dem.starts import FromModel, Start
from dem.stopping import Aitken

Array = np.ndarray
METHODS = ("auto", "moments", "em")
MOST_COLUMNS = 1500  # whose second moments are 9 MB for each block at work
MOST_WITH_GAPS = 32  # each pattern of missing values takes a D × D inverse


class LatentEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Fitted):
    """An estimator of a single Gaussian whose covariance has few factors."""

    method: Any
    missing: Any
    tol: Any
    max_iter: Any
    components_: Array
    mean_: Array
    kept: ClassVar[tuple[str, ...]] = ("tol", "max_iter", "method")
    forms: ClassVar[tuple[type, ...]]  # of covariances that are such fits

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = bool(self.missing)
        return tags

    @classmethod
    def from_fit(cls, fit: Fit, X: Any = None, **face: Any) -> Self:
        """The estimator of a fit by `dem.fit`, `dem.resume` or a job, in the user's units.

        X : the data of the fit, or others like them, for the names of its columns. face : arguments
        that the fit does not depend on.

        Raises TypeError or ValueError unless it is the `Fit` of such a model.
        """
        if not isinstance(fit, Fit):
            raise TypeError(f"from_fit takes the Fit that dem.fit returns, got {fit!r:.60}.")
        self = cls(**cls._arguments_of_model(fit.model) | face)
        if X is not None:
            self._open(X)
        self._keep(fit)
        return self

    def transform(self, X: Any) -> Any:
        """Coordinates of the rows, (n_samples, n_components); lazy on lazy X."""
        check_is_fitted(self)
        projection, mean = self._projection(), self.mean_

        def project(rows: Array) -> Array:
            return np.asarray((self._filled(rows) - mean) @ projection)

        return self._rowwise(X, project, np.float64, len(self.components_))

    def impute(self, X: Any) -> Any:
        """X with E[x | the values of the row that are there] for missing values; lazy on lazy X.

        float64, (n_samples, n_features). Raises DataError for a NaN unless `missing` was True.
        """
        check_is_fitted(self)
        return self._rowwise(X, self._filled, np.float64, self.n_features_in_, axis="")

    def score_samples(self, X: Any) -> Any:
        """log p(row) in nats, (n_samples,); lazy on lazy X."""
        check_is_fitted(self)
        model, params = self._density()
        prepared = model.prepare(params)
        return self._rowwise(X, lambda rows: model.log_prob(prepared, rows), np.float64)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The mean of log p(row) over the rows, in nats."""
        found = self.criteria(X, sample_weight)
        return found.log_likelihood / found.n_samples

    def criteria(self, X: Any, sample_weight: Any = None) -> Criteria:
        """log_likelihood, n_samples, n_parameters, bic and aic, by one pass over X."""
        check_is_fitted(self)
        manifest = self._open(X, sample_weight, reset=False)
        found = total(LogLikelihood(*self._density()), manifest)
        return Criteria.of(float(found[0]), float(found[1]), self.n_parameters_)

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Bayesian information criterion, −2 log L + P log n: lower is better."""
        return self.criteria(X, sample_weight).bic

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Akaike information criterion, −2 log L + 2 P: lower is better."""
        return self.criteria(X, sample_weight).aic

    def get_precision(self) -> Array:
        """The inverse of `get_covariance()`."""
        return np.linalg.inv(self.get_covariance())

    def get_covariance(self) -> Array:
        """The covariance of the model, (n_features, n_features)."""
        raise NotImplementedError

    def _restore(self, attributes: Mapping[str, Any]) -> None:
        self._check()

    def _check(self) -> None:
        check_number("tol", self.tol, float, 0)
        check_number("max_iter", self.max_iter, int, 1)
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {self.method!r}.")
        if not isinstance(self.missing, (bool, np.bool_)):
            raise TypeError(f"missing must be bool, got {self.missing!r:.60}.")

    def _by_moments(self, n_columns: int) -> bool:
        """Whether the fit is to go by second moments, D × D."""
        most = MOST_WITH_GAPS if self.missing else MOST_COLUMNS
        return self.method == "moments" or (self.method == "auto" and n_columns <= most)

    def _climb(self, model: Any, manifest: Manifest) -> Climb:
        fixed = getattr(model, "fixed", False)
        return Climb(
            model,
            start=self._start(manifest.n_columns),
            schedule=Once() if fixed else FullBatch(),
            accelerate=Plain() if fixed else QuasiNewton(),
            stop=Aitken(),
            max_iter=self.max_iter,
            tol=self.tol,
        )

    def _start(self, n_columns: int) -> Start:
        return FromModel()

    @classmethod
    def _arguments_of_model(cls, model: Any) -> dict[str, Any]:
        form, by_moments = _form_of(model), isinstance(model, Mixture)
        if type(form) not in cls.forms:
            raise ValueError(f"not the fit of {cls.__name__} but of {model}")
        return {
            "n_components": getattr(form, "q", None),
            "missing": model.missing,
            "method": "moments" if by_moments else "em",
        }

    @classmethod
    def arguments_of(cls, saved: Saved) -> dict[str, Any]:
        climb = saved.climb
        own = cls._arguments_of_model(climb.model)
        return {**own, "max_iter": climb.max_iter, "tol": climb.tol}

    def _keep(self, fitted: Fit) -> None:
        super()._keep(fitted)
        last = fitted.history[-1]
        self.n_samples_, self.lower_bound_ = last.weight, last.bound
        self.loglike_ = [record.bound * record.weight for record in fitted.history]
        self.n_parameters_ = fitted.model.n_parameters(fitted.params)
        self._describe(fitted)
        self.n_features_in_ = len(self.mean_)

    def _describe(self, fitted: Fit) -> None:
        """Set the attributes of the model, in the user's units."""
        raise NotImplementedError

    def _conclude(self, fitted: Fit, manifest: Manifest, X: Any) -> None:
        self._keep(fitted)
        inputs.warn_about(self._told(fitted), self.max_iter, self.tol)

    def _told(self, fitted: Fit) -> Fit:
        """The fit, with what a user should be told of what is wrong with it."""
        return fitted

    def _projection(self) -> Array:
        """What takes rows less their mean to coordinates, (n_features, n_components)."""
        raise NotImplementedError

    def _density(self) -> tuple[Any, Any]:
        """The model and parameters of `score`."""
        return self._fitted.model, self._fitted.params

    def _filled(self, rows: Array) -> Array:
        """Rows (n, D) with what is expected for what is missing, if it may be."""
        lacking = np.isnan(rows)
        model, params = self._fitted.model, self._fitted.params
        if not model.missing or not lacking.any():
            return np.asarray(rows, float)
        if isinstance(model, Mixture):
            family: Any = model.family
            likely = family.expected(params.components, rows, np.ones((len(rows), 1)))
        else:
            likely = model.expected(params, rows)
        return np.where(lacking, likely, rows)

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)


def _form_of(model: Any) -> Any:
    """The form of covariance of a single Gaussian; None for other models."""
    match model:
        case LinearGaussian(q=q, noise=Diagonal()):
            return Factors(q)
        case LinearGaussian(q=q):
            return Principal(q)
        case Mixture(k=1, family=Gaussian(covariance=form)):
            return form
    return None


def estimator_of(model: Any) -> type[LatentEstimator] | None:
    """Whose fit this is; None if it may be another's."""
    form = _form_of(model)
    fitting = (cls for cls in LatentEstimator.__subclasses__() if type(form) is cls.forms[0])
    return next(fitting, None)


def loaded(model: Any, params: Any) -> tuple[Array, Array, Array]:
    """(μ (D,), W (D, q), Ψ (D,)) in the user's units, of a fit of few factors."""
    if isinstance(model, LinearGaussian):
        return model.outward(params)
    own, form = params.components, model.family.covariance
    scale = own.frame.scale
    loadings, noise = form.split(own.covariances, scale)
    return own.frame.outward(own.means)[0], loadings[0], noise[0]


def single(form: Any, missing: Any) -> Mixture:
    """One Gaussian."""
    return Mixture(1, Gaussian(form, missing=bool(missing)))
