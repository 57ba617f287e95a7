"""Gaussian mixtures with scikit-learn's interface, for data of any size."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils.validation import check_is_fitted

from dem.checks import check_number
from dem.climb import Climb
from dem.engine.manifest import Manifest
from dem.estimators import given, inputs, recipe
from dem.estimators.criteria import Criteria
from dem.estimators.fitted import Fitted
from dem.families import Gaussian
from dem.families.covariance import Covariance
from dem.fitting import Fit, total
from dem.models.mixture import Mixture
from dem.passes import LogLikelihood
from dem.starts import Start
from dem.storable import storable

Array = np.ndarray
NOT_THEIRS = ("history_", "n_passes_", "n_rows_read_", "phases_", "n_parameters_")


@storable("GaussianMixture")
class GaussianMixture(DensityMixin, Fitted):
    """Gaussian mixture, fitted by EM to data in memory, on disk or on a cluster.

    p(x) = Σₖ πₖ N(x; μₖ, Σₖ). Arguments and attributes have the names, shapes and meanings of
    `sklearn.mixture.GaussianMixture`; from the same start it goes through the same parameters.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : {"full", "tied", "diag", "spherical"} or a `Covariance`, default="full"
    tol : float, default=1e-3
        Stop when less than this is left to gain in the bound per row, in nats, going by the last
        turns; with schedule="batch", when the bound changes by less.
    reg_covar : float, default=1e-6
        Added to the variances, in the squared units of the data. With columns whose variance is
        not far above it, use 0: a relative floor then guards against collapse.
    max_iter, n_init : int
    init_params : {"auto", "warm", "k-means||", "k-means++", "kmeans", "random",
            "random_from_data"} or a start
        "warm" fits several candidates to a sample of some 65 000 rows and goes on with the best;
        it is "auto", unless schedule is "batch" or a part of the start is given, where that is
        "k-means||". This reads data that exceed the sample five times; the others use only the
        sample, which "kmeans" clusters to the end. They measure distances in standard deviations
        of each column, so that a start does not depend on units; in the user's units where
        covariances are spherical, as those do depend on them.
    weights_init : (n_components,), means_init : (n_components, n_features), precisions_init
        Given parts of the start. `means_init` alone puts each row to its nearest mean.
    random_state : int, RandomState, Generator or None
    warm_start : bool
        Go on from the parameters and the bound of the last fit.
    verbose : int or an observer
        1 shows progress.
    schedule : {"auto", "batch", "incremental", "stepwise"} or a `Schedule`
        "auto" reads the data the least: full batches, accelerated, from a warm start, until what
        is left to gain is below tol. "batch" is the textbook, turn by turn as in scikit-learn.
    accelerate : {"auto", "quasi-newton", "none"} or an `Accelerator`
        "auto" is "quasi-newton" unless schedule is "batch".
    posterior : {"exact", "hard"} or a `Posterior`
    max_passes, max_time : float or None
        Full reads of the data and seconds, start included, after which no other turn begins.
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
    n_rows_read_ : int
    phases_ : tuple of Phase
        Rows read and seconds, of the sample, the start and the turns.
    n_parameters_ : int
        Free parameters of the model.

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
        init_params: Any = "auto",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
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
        self.accelerate = accelerate
        self.posterior = posterior
        self.max_passes = max_passes
        self.max_time = max_time
        self.checkpoint = checkpoint

    @classmethod
    def from_fit(cls, fit: Fit) -> Self:
        """The estimator of a fit by `dem.fit`, `dem.resume` or a job, in the user's units.

        Raises TypeError or ValueError unless it is the `Fit` of a mixture of Gaussians.
        """
        if not isinstance(fit, Fit):
            raise TypeError(f"from_fit takes the Fit that dem.fit returns, got {fit!r:.60}.")
        self = cls(**cls._arguments_of_model(fit.model))
        self._keep(fit)
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
        manifest = inputs.open_input(self, X, sample_weight, reset=False)
        found = total(LogLikelihood(self._fitted.model, self._fitted.params), manifest)
        return Criteria.of(float(found[0]), float(found[1]), self.n_parameters_)

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Bayesian information criterion, −2 log L + P log n: lower is better."""
        return self.criteria(X, sample_weight).bic

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Akaike information criterion, −2 log L + 2 P: lower is better."""
        return self.criteria(X, sample_weight).aic

    def sample(self, n_samples: int = 1) -> tuple[Array, Array]:
        """Random rows (n_samples, n_features) and their components, ordered by component."""
        check_is_fitted(self)
        check_number("n_samples", n_samples, int, 1)
        rng = np.random.default_rng(inputs.seed_of(self.random_state))
        return self._fitted.model.sample(self._fitted.params, n_samples, rng)

    def to_sklearn(self) -> Any:
        """A fitted `sklearn.mixture.GaussianMixture` with these parameters.

        Raises ValueError where scikit-learn has no such form of covariance.
        """
        from sklearn.mixture import GaussianMixture as Theirs

        check_is_fitted(self)
        word = inputs.word_of(self._fitted.model.family.covariance, inputs.COVARIANCES)
        if word not in inputs.COVARIANCES:
            raise ValueError(f"scikit-learn has no covariance_type for {word!r}.")
        theirs = Theirs(
            len(self.weights_), covariance_type=word,
            tol=self.tol, reg_covar=self.reg_covar, max_iter=self.max_iter,
        )  # fmt: skip
        for name, value in vars(self).items():
            if name.endswith("_") and name not in NOT_THEIRS:
                setattr(theirs, name, value)
        return theirs

    def _model(self) -> Mixture:
        """The model that the arguments describe, after checking them."""
        check_number("n_components", self.n_components, int, 1)
        check_number("reg_covar", self.reg_covar, float, 0)
        words = inputs.COVARIANCES
        form = inputs.resolve("covariance_type", self.covariance_type, words, Covariance)
        return Mixture(self.n_components, Gaussian(form, float(self.reg_covar)))

    _arguments_of_model = staticmethod(given.arguments_of_model)
    arguments_of = staticmethod(given.arguments_of)

    def _climb(self, model: Mixture, manifest: Manifest) -> Climb:
        inputs.check_rows(manifest, "n_components", self.n_components)
        policies = recipe.policies_of(self)
        if self.warm_start and hasattr(self, "_fitted"):
            start: Start = given.last_of(self._fitted, model, manifest.n_columns)
            n_init = 1
        else:
            start = given.start_of(self, model, manifest.n_columns)
            n_init = self.n_init
        return Climb(
            model,
            start=start,
            max_iter=self.max_iter,
            tol=self.tol,
            n_init=n_init,
            seed=inputs.seed_of(self.random_state),
            max_passes=self.max_passes,
            max_time=self.max_time,
            **policies,
        )

    def _keep(self, fitted: Fit) -> None:
        super()._keep(fitted)
        params, family = fitted.params, fitted.model.family
        self.weights_ = params.weights
        self.means_, self.covariances_, roots = family.outward(params.components)
        self.precisions_cholesky_, self.precisions_ = roots, family.covariance.precisions(roots)
        self.n_parameters_ = fitted.model.n_parameters(params)
        self.lower_bound_ = fitted.lower_bound
        self.lower_bounds_ = [record.bound_e for record in fitted.history]

    def _conclude(self, fitted: Fit, manifest: Manifest, X: Any) -> None:
        self._keep(fitted)
        inputs.warn_about(fitted, self.max_iter, self.tol)

    def _prepared(self) -> tuple[Mixture, Any]:
        check_is_fitted(self)
        return self._fitted.model, self._fitted.model.prepare(self._fitted.params)
