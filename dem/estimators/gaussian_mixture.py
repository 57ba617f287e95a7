"""Gaussian mixtures with scikit-learn's interface, for data of any size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from dem.engine.lazy import rowwise
from dem.estimators import given, inputs, stored
from dem.families import Diagonal, Full, Gaussian, Spherical, Tied
from dem.fitting import Fit, fit, resume, total
from dem.models.mixture import Mixture
from dem.passes import LogLikelihood
from dem.starts import Given
from dem.storable import storable

Array = np.ndarray
COVARIANCES = {"full": Full(), "tied": Tied(), "diag": Diagonal(), "spherical": Spherical()}


@storable("GaussianMixture")
class GaussianMixture(DensityMixin, BaseEstimator):
    """Gaussian mixture, fitted by EM to data in memory, on disk or on a cluster.

    p(x) = Σₖ πₖ N(x; μₖ, Σₖ). Arguments and attributes have the names, shapes and meanings of
    `sklearn.mixture.GaussianMixture`; from the same start it goes through the same parameters.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : {"full", "tied", "diag", "spherical"} or a `Covariance`, default="full"
    tol : float, default=1e-3
        Stop when the bound per row changes by less than this, in nats.
    reg_covar : float, default=1e-6
        Added to the variances, in the squared units of the data. With columns whose variance is
        not far above it, use 0: a relative floor then guards against collapse.
    max_iter, n_init : int
    init_params : {"k-means||", "k-means++", "kmeans", "random", "random_from_data"} or a start
        "k-means||" reads data that exceed the sample of some 65 000 rows five times; the others
        use only the sample, which "kmeans" clusters to the end.
    weights_init : (n_components,), means_init : (n_components, n_features), precisions_init
        Given parts of the start. `means_init` alone puts each row to its nearest mean.
    random_state : int, RandomState, Generator or None
    warm_start : bool
        Go on from the parameters of the last fit.
    verbose : int or an observer
        1 shows progress.
    schedule : {"auto", "batch"} or a `Schedule`
    posterior : {"exact", "hard"} or a `Posterior`
    checkpoint : path or URL, or None
        Where the fit is kept once a minute, for `GaussianMixture.resume` to go on from.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_, converged_, n_iter_,
    lower_bound_, lower_bounds_, n_features_in_, feature_names_in_ : as in scikit-learn.
    history_ : tuple of Record
        For each turn the bound after the E and after the M half-step, and seconds.
    n_passes_ : float
        Full reads of the data, those of the start included.

    X may be a NumPy array or memmap, a dataframe (pandas or Dask), a Dask or Zarr array, an
    xarray.DataArray, or the path or URL of a Zarr array, a .npy file or Parquet. With an active
    `distributed.Client` its workers do the work; they must see the same paths.
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Any = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "k-means||",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: Any = 0,
        schedule: Any = "auto",
        posterior: Any = "exact",
        checkpoint: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.schedule = schedule
        self.posterior = posterior
        self.checkpoint = checkpoint

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit to the rows of X (n_samples, n_features), each counted `sample_weight` times."""
        model = self._model()
        manifest = inputs.open_input(self, X, sample_weight, reset=True)
        inputs.check_rows(manifest, "n_components", self.n_components)
        again = self.warm_start and hasattr(self, "_fitted")
        start = (
            self._last(model, manifest.n_columns)
            if again
            else given.start_of(self, model, manifest.n_columns)
        )
        fitted = fit(
            model,
            manifest,
            start=start,
            schedule=inputs.resolve("schedule", self.schedule, inputs.SCHEDULES),
            posterior=inputs.resolve("posterior", self.posterior, inputs.POSTERIORS),
            max_iter=self.max_iter,
            tol=self.tol,
            n_init=1 if again else self.n_init,
            seed=inputs.seed_of(self.random_state),
            observer=inputs.observer_of(self.verbose),
            checkpoint=self.checkpoint,
        )
        self._keep(fitted)
        inputs.warn_about(fitted, self.max_iter, self.tol)
        return self

    @classmethod
    def resume(
        cls, checkpoint: Any, X: Any = None, sample_weight: Any = None, *, verbose: Any = 0
    ) -> Self:
        """Go on with a fit that was cut off, from its checkpoint; see `dem.resume`.

        X and sample_weight are those of the fit; an X that was a path is found again by it.
        """
        watch = inputs.observer_of(verbose)
        fitted = resume(checkpoint, X, weights=sample_weight, observer=watch)
        self = cls._of(fitted)
        inputs.warn_about(fitted, len(fitted.history), self.tol)
        return self

    @classmethod
    def _of(cls, fitted: Fit) -> Self:
        """The estimator of a fit that was made elsewhere."""
        model: Any = fitted.model
        if not isinstance(model, Mixture) or not isinstance(model.family, Gaussian):
            raise ValueError(f"not the fit of a Gaussian mixture but of {model}")
        family = model.family
        self = cls(model.k, covariance_type=family.covariance.name, reg_covar=family.reg_covar)
        self._keep(fitted)
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
        return self._score(X, sample_weight)[0]

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Bayesian information criterion, −2 log L + P log n: lower is better."""
        mean, n = self._score(X, sample_weight)
        return -2 * mean * n + self._n_parameters() * np.log(n)

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Akaike information criterion, −2 log L + 2 P: lower is better."""
        mean, n = self._score(X, sample_weight)
        return -2 * mean * n + 2 * self._n_parameters()

    def sample(self, n_samples: int = 1) -> tuple[Array, Array]:
        """Random rows (n_samples, n_features) and their components, ordered by component."""
        check_is_fitted(self)
        inputs.check_number("n_samples", n_samples, int, 1)
        rng = np.random.default_rng(inputs.seed_of(self.random_state))
        return self._fitted.model.sample(self._fitted.params, n_samples, rng)

    def to_sklearn(self) -> Any:
        """A fitted `sklearn.mixture.GaussianMixture` with these parameters."""
        from sklearn.mixture import GaussianMixture as Theirs

        check_is_fitted(self)
        theirs = Theirs(
            len(self.weights_), covariance_type=self._family.covariance.name,
            tol=self.tol, reg_covar=self.reg_covar, max_iter=self.max_iter,
        )  # fmt: skip
        for name in (
            *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"),
            *("converged_", "n_iter_", "lower_bound_", "lower_bounds_"),
            *("n_features_in_", "feature_names_in_"),
        ):
            if hasattr(self, name):
                setattr(theirs, name, getattr(self, name))
        return theirs

    def to_store(self) -> stored.Parts:
        """Arrays in the frame of the fit, and the rest as JSON; see `dem.save`."""
        check_is_fitted(self)
        return stored.parts_of(self, ("tol", "max_iter", "n_init"))

    @classmethod
    def from_store(cls, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Self:
        """The estimator that `to_store` described; ValueError if the parts do not fit together."""
        self = cls._of(stored.fit_of(arrays, attributes))
        stored.restore(self, attributes)
        return self

    def _model(self) -> Mixture:
        """The model that the arguments describe, after checking them."""
        inputs.check_number("n_components", self.n_components, int, 1)
        inputs.check_number("tol", self.tol, float, 0)
        inputs.check_number("reg_covar", self.reg_covar, float, 0)
        inputs.check_number("max_iter", self.max_iter, int, 0)
        inputs.check_number("n_init", self.n_init, int, 1)
        form = inputs.resolve("covariance_type", self.covariance_type, COVARIANCES)
        return Mixture(self.n_components, Gaussian(form, float(self.reg_covar)))

    def _last(self, model: Mixture, n_columns: int) -> Given:
        """The parameters of the last fit; ValueError if they do not suit this one."""
        form: Any = model.family
        asked = (model.k, n_columns, form.covariance.name)
        there = (*self.means_.shape, self._family.covariance.name)
        if asked != there:
            raise ValueError(
                "warm_start cannot go on from the last fit: it had {} components, {} features and "
                "covariance_type {!r}, now there are {}, {} and {!r}. Use warm_start=False.".format(
                    *there, *asked
                )
            )
        return Given(self._fitted.params)

    def _keep(self, fitted: Fit) -> None:
        """Set the attributes of a fit."""
        self._fitted = fitted
        family, params = self._family, fitted.params
        form = family.covariance
        self.weights_ = params.weights
        self.means_, self.covariances_, roots = family.public(params.components)
        self.precisions_cholesky_ = roots
        dense = form.name in ("full", "tied")
        self.precisions_ = roots @ roots.swapaxes(-1, -2) if dense else roots**2
        self.converged_, self.n_iter_ = fitted.converged, len(fitted.history)
        self.lower_bound_ = fitted.lower_bound
        self.lower_bounds_ = [record.bound_e for record in fitted.history]
        self.history_, self.n_passes_ = fitted.history, fitted.n_passes
        self.n_features_in_ = params.components.means.shape[1]

    @property
    def _family(self) -> Gaussian:
        """The family of the fitted model."""
        family: Any = self._fitted.model.family
        return family

    def _prepared(self) -> tuple[Mixture, Any]:
        check_is_fitted(self)
        return self._fitted.model, self._fitted.model.prepare(self._fitted.params)

    def _rowwise(self, X: Any, function: Any, dtype: Any, width: int | None = None) -> Any:
        return rowwise(X, inputs.usable(self, X, reset=False), function, dtype, width)

    def _score(self, X: Any, sample_weight: Any) -> tuple[float, float]:
        """(mean log-likelihood per row, number of rows), by one pass."""
        model, _ = self._prepared()
        manifest = inputs.open_input(self, X, sample_weight, reset=False)
        log_likelihood, n = total(LogLikelihood(model, self._fitted.params), manifest)
        return float(log_likelihood / n), float(n)

    def _n_parameters(self) -> int:
        return self._fitted.model.n_parameters(self._fitted.params)
