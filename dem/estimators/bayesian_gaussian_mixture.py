"""Bayesian Gaussian mixtures with scikit-learn's interface, for data of any size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sklearn.utils.validation import check_is_fitted

from dem.checkpoint import Saved
from dem.climb import Climb
from dem.engine.manifest import Manifest
from dem.estimators import inputs, known, recipe
from dem.estimators.mixture import MixtureEstimator
from dem.families.bayesian_gaussian import BayesianGaussian
from dem.families.covariance import Covariance
from dem.families.normal_wishart import NormalWishart, shape_of_one
from dem.fitting import Fit
from dem.informed import Informed
from dem.models.mixing import Dirichlet, StickBreaking
from dem.models.variational import VariationalMixture
from dem.starts import Start
from dem.storable import storable

MIXINGS: dict[str, type] = {
    "dirichlet_process": StickBreaking,
    "dirichlet_distribution": Dirichlet,
}
LEAST_TOL = 1e-10  # per row: rounding is not far below
# Attributes of a fit of scikit-learn's
THEIRS = (
    *("weights_", "weight_concentration_", "means_", "mean_precision_", "covariances_"),
    *("precisions_", "precisions_cholesky_", "degrees_of_freedom_", "weight_concentration_prior_"),
    *("mean_precision_prior_", "mean_prior_", "degrees_of_freedom_prior_", "covariance_prior_"),
    *("converged_", "n_iter_", "lower_bound_", "lower_bounds_"),
    *("n_features_in_", "feature_names_in_"),
)


@storable("BayesianGaussianMixture")
class BayesianGaussianMixture(MixtureEstimator):
    """Gaussian mixture by mean-field variational Bayes, for data in memory, on disk or a cluster.

    Components that the data have no need of lose their rows. Arguments and attributes have the
    names, shapes and meanings of `sklearn.mixture.BayesianGaussianMixture`; from the same start it
    goes through the same parameters. `lower_bound_` is per row, with all its constants: it is the
    bound on log p(X), the evidence, over the number of rows, and may be compared between models.

    Parameters
    ----------
    n_components : int, default=1
        The most there may be.
    covariance_type : {"full", "tied", "diag", "spherical"} or a `Covariance`, default="full"
        The form of q. The model is that of full precisions in any case.
    weight_concentration_prior_type : {"dirichlet_process", "dirichlet_distribution"}
    weight_concentration_prior : float or None, default=None
        α₀; None is 1 / n_components. The smaller, the fewer components.
    mean_prior : (n_features,) or None
        m₀; None is the mean of the rows.
    mean_precision_prior : float or None
        β₀, how many rows the mean of the prior is worth; None is 1.
    degrees_of_freedom_prior : float or None
        ν₀, above n_features - 1; None is n_features.
    covariance_prior : (n_features, n_features), (n_features,), float or None
        W₀⁻¹, in the shape of one component; None is the covariance of the rows.
    tol : float, default=1e-3
        Stop when less than this is left to gain in the bound of all rows, in nats, as components
        that are not needed lose their rows slowly; but at 1e-10 per row.
    reg_covar, max_iter, n_init, init_params, random_state, warm_start, verbose,
    schedule, accelerate, posterior, max_passes, max_time, checkpoint : as in `dem.GaussianMixture`.

    What of the prior is None comes from a sample of the rows, which is all of them up to some
    65 000.

    Attributes
    ----------
    weights_, weight_concentration_, means_, mean_precision_, covariances_, degrees_of_freedom_,
    precisions_, precisions_cholesky_, weight_concentration_prior_, mean_precision_prior_,
    mean_prior_, degrees_of_freedom_prior_, covariance_prior_ : as in scikit-learn.
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.

    `score_samples` is log Σₖ exp E_q[log πₖ N(x; μₖ, Λₖ⁻¹)], as scikit-learn's.
    """

    family_type = BayesianGaussian
    what = "a Bayesian Gaussian mixture"

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
        weight_concentration_prior_type: Any = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: Any = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: Any = None,
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
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior

    def to_sklearn(self) -> Any:
        """A fitted `sklearn.mixture.BayesianGaussianMixture` with these parameters.

        Raises ValueError where scikit-learn has no such form of covariance.
        """
        from sklearn.mixture import BayesianGaussianMixture as Theirs

        check_is_fitted(self)
        arguments = self._arguments_of_model(self._fitted.model)
        word = arguments["covariance_type"]
        if word not in inputs.COVARIANCES:
            raise ValueError(f"scikit-learn has no covariance_type for {word!r}.")
        theirs = Theirs(**arguments, tol=self.tol, max_iter=self.max_iter)
        for name in THEIRS:
            if hasattr(self, name):
                setattr(theirs, name, getattr(self, name))
        return theirs

    def _check(self) -> None:
        super()._check()
        self._mixing()
        self._prior()
        self._components()

    def _model(self, manifest: Manifest) -> Any:
        family, d = self._components(), manifest.n_columns
        df, form = self.degrees_of_freedom_prior, family.covariance
        if df is not None and not df > d - 1:
            raise ValueError(
                "The parameter 'degrees_of_freedom_prior' should be greater than "
                f"{d - 1}, but got {df:.3f}."
            )
        inputs.check_array_of("mean_prior", self.mean_prior, (d,))
        covariance = inputs.check_array_of(
            "covariance_prior", self.covariance_prior, shape_of_one(form, d)
        )
        if covariance is not None:
            form.check("covariance_prior", covariance.reshape(form.shape(1, d)))
        return VariationalMixture(self.n_components, family, self._mixing())

    def _components(self) -> BayesianGaussian:
        words = inputs.COVARIANCES
        form = inputs.resolve("covariance_type", self.covariance_type, words, Covariance)
        return BayesianGaussian(form, self.reg_covar, self._prior())

    def _prior(self) -> NormalWishart:
        return NormalWishart(
            self.mean_prior,
            self.mean_precision_prior,
            self.degrees_of_freedom_prior,
            self.covariance_prior,
        )

    def _mixing(self) -> Any:
        given = self.weight_concentration_prior_type
        if given not in list(MIXINGS):
            raise ValueError(
                f"weight_concentration_prior_type must be one of {sorted(MIXINGS)}, got {given!r}."
            )
        return MIXINGS[given](self.weight_concentration_prior)

    @classmethod
    def _arguments_of_model(cls, model: Any) -> dict[str, Any]:
        model = known.bare(model, cls.family_type)
        family, mixing = getattr(model, "family", None), getattr(model, "mixing", None)
        word = inputs.word_of(type(mixing), MIXINGS)
        if word not in list(MIXINGS) or not isinstance(family, BayesianGaussian):
            raise ValueError(f"not the fit of {cls.what} but of {model}")
        prior = family.prior
        return {
            "n_components": model.k,
            "covariance_type": inputs.word_of(family.covariance, inputs.COVARIANCES),
            "reg_covar": family.reg_covar,
            "weight_concentration_prior_type": word,
            "weight_concentration_prior": getattr(mixing, "concentration", None),
            "mean_precision_prior": prior.mean_precision,
            "mean_prior": prior.mean,
            "degrees_of_freedom_prior": prior.degrees_of_freedom,
            "covariance_prior": prior.covariance,
        }

    def _climb(self, model: Any, manifest: Manifest) -> Climb:
        climb = super()._climb(model, manifest)
        return replace(climb, tol=_per_row(self.tol, manifest.n_rows))

    @classmethod
    def arguments_of(cls, saved: Saved) -> dict[str, Any]:
        total = saved.climb.tol * saved.data["number_of_rows"]
        return {**super().arguments_of(saved), "tol": float(f"{total:.15g}")}

    def _conclude(self, fitted: Fit, manifest: Manifest, X: Any) -> None:
        self._keep(fitted)
        tol = _per_row(self.tol, manifest.n_rows)
        asked = f"tol={self.tol:g} asks for a change below {tol:.2g}"
        inputs.warn_about(fitted, self.max_iter, self.tol, asked)

    def _start(self, model: Any, n_columns: int) -> Start:
        return Informed(recipe.start_of(self))

    @classmethod
    def _arguments_of_start(cls, start: Start, warm: bool) -> dict[str, Any]:
        own = start.start if isinstance(start, Informed) else start
        return super()._arguments_of_start(own, warm)

    def _describe(self, fitted: Fit) -> None:
        model, params = fitted.model, fitted.params
        family, form = model.family, model.family.covariance
        self.means_, self.covariances_, roots = family.outward(params.components)
        self.precisions_cholesky_, self.precisions_ = roots, form.precisions(roots)
        q, prior = params.components.posterior, family.prior_of(params.components)
        self.mean_precision_ = q.mean_precision
        self.degrees_of_freedom_ = q.degrees_of_freedom[0] if form.pooled else q.degrees_of_freedom
        sticks = params.concentration.ndim == 2
        self.weight_concentration_ = tuple(params.concentration) if sticks else params.concentration
        self.weight_concentration_prior_ = model.mixing.of(model.k)
        self.mean_prior_, self.mean_precision_prior_ = prior.mean, prior.mean_precision
        self.degrees_of_freedom_prior_ = prior.degrees_of_freedom
        self.covariance_prior_ = prior.covariance[()]


def _per_row(tol: float, n_rows: int) -> float:
    """What a tol for the bound of all rows comes to per row; 0 stays 0, and NaN what it is."""
    return max(tol / max(n_rows, 1), LEAST_TOL) if tol > 0 else tol
