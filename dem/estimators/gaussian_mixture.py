"""Gaussian mixtures with scikit-learn's interface, for data of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from dem.checks import check_number
from dem.engine.manifest import Manifest
from dem.estimators import given, inputs
from dem.estimators.mixture import MixtureEstimator
from dem.families import Gaussian
from dem.families.covariance import Covariance
from dem.families.parsimonious import FORMS
from dem.fitting import Fit
from dem.models.mixture import Mixture
from dem.starts import Given, Start
from dem.storable import storable

Array = np.ndarray
WORDS = {
    **inputs.COVARIANCES,
    "tied_diag": FORMS["EEI"],
    "tied_spherical": FORMS["EII"],
    **FORMS,
}
NOT_THEIRS = ("history_", "n_passes_", "n_rows_read_", "phases_", "n_parameters_")


@storable("GaussianMixture")
class GaussianMixture(MixtureEstimator):
    """Gaussian mixture, fitted by EM to data in memory, on disk or on a cluster.

    p(x) = Σₖ πₖ N(x; μₖ, Σₖ). Arguments and attributes have the names, shapes and meanings of
    `sklearn.mixture.GaussianMixture`; from the same start it goes through the same parameters.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : {"full", "tied", "diag", "spherical"} or a `Covariance`, default="full"
        Also "tied_diag", "tied_spherical", and the 14 forms of mclust by their names, from "EII" to
        "VVV": a letter each for volume, shape and orientation, E if it is equal in all components,
        V if it varies, I if axes are the columns. Covariances have the shapes of "spherical" where
        the name ends in II, of "diag" where it ends in I, of "tied" if it is "EEE", else of "full".
    tol : float, default=1e-3
        Stop when less than this is left to gain in the bound per row, in nats, going by the last
        turns; with schedule="batch", when the bound changes by less.
    reg_covar : float, default=1e-6
        Added to the variances, in the squared units of the data. With columns whose variance is
        not far above it, use 0: a relative floor then guards against collapse.
    missing : bool, default=False
        Whether NaN is a missing value, as they are in `dem.MixedMixture`: missing at random, given
        the values of the row that are there. What is missing is integrated out; a row without any
        value has the density 1. Otherwise NaN is an error, as in scikit-learn.
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
    schedule : {"auto", "batch", "incremental", "stepwise", "variance-reduced"} or a `Schedule`
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

    family_type = Gaussian
    what = "a Gaussian mixture"

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Any = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        missing: bool = False,
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
        super().__init__(
            n_components, tol=tol, max_iter=max_iter, n_init=n_init, init_params=init_params,
            random_state=random_state, warm_start=warm_start, verbose=verbose, schedule=schedule,
            accelerate=accelerate, posterior=posterior, max_passes=max_passes, max_time=max_time,
            checkpoint=checkpoint,
        )  # fmt: skip
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.missing = missing
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = bool(self.missing)
        return tags

    def impute(self, X: Any) -> Any:
        """X with E[x | the values of the row that are there] for missing values; lazy on lazy X.

        float64, (n_samples, n_features), in the form of X. Raises DataError for a NaN unless
        `missing` was True in the fit.
        """
        model, prepared = self._prepared()
        family: Any = model.family
        components = self._fitted.params.components

        def filled(rows: Array) -> Array:
            lacking = np.isnan(rows)
            if not family.missing or not lacking.any():
                return np.asarray(rows, float)
            q = model.posterior(prepared, rows)
            return np.where(lacking, family.expected(components, rows, q), rows)

        return self._rowwise(X, filled, np.float64, self.n_features_in_, axis="")

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

    def _check(self) -> None:
        super()._check()
        check_number("reg_covar", self.reg_covar, float, 0)
        self._gaussian()

    def _model(self, manifest: Manifest) -> Mixture:
        return Mixture(self.n_components, self._gaussian())

    def _gaussian(self) -> Gaussian:
        return Gaussian(self._covariance(), float(self.reg_covar), self.missing)

    def _covariance(self) -> Covariance:
        form: Covariance = inputs.resolve(
            "covariance_type", self.covariance_type, WORDS, Covariance
        )
        return form

    @classmethod
    def _arguments_of_family(cls, family: Any) -> dict[str, Any]:
        word = inputs.word_of(family.covariance, WORDS)
        return {"covariance_type": word, "reg_covar": family.reg_covar, "missing": family.missing}

    _arguments_of_start = staticmethod(given.arguments_of_start)

    def _asks_for_a_start(self) -> bool:
        parts = (self.weights_init, self.means_init, self.precisions_init)
        return super()._asks_for_a_start() or any(part is not None for part in parts)

    def _start(self, model: Mixture, n_columns: int) -> Start:
        return given.start_of(self, model, n_columns)

    def _last(self, model: Mixture, n_columns: int) -> Given:
        return given.last_of(self._fitted, model, n_columns)

    def _describe(self, fitted: Fit) -> None:
        family = fitted.model.family
        self.means_, self.covariances_, roots = family.outward(fitted.params.components)
        self.precisions_cholesky_, self.precisions_ = roots, family.covariance.precisions(roots)
