"""Hidden Markov models whose states are mixtures of Gaussians."""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.checks import check_number
from dem.engine.manifest import Manifest
from dem.estimators import chain_start, inputs, recipe
from dem.estimators.emissions import Emissions, GivenMixtures
from dem.estimators.hidden_markov import HiddenMarkov
from dem.families import Gaussian, MixtureOf
from dem.families.covariance import Covariance
from dem.starts import Centres, Start
from dem.storable import storable
from dem.warm import WarmStart

Array = np.ndarray


@storable("GMMHMM")
class GMMHMM(HiddenMarkov):
    """Hidden Markov model with mixtures of Gaussians as states, fitted to sequences of any length.

    p(x, h) = ∏ₜ A[hₜ₋₁, hₜ] Σⱼ w N(xₜ; μ, Σ of hₜ and j), p(h₁) = π. Names are those of
    `hmmlearn.hmm.GMMHMM`; from the same start it goes through the same parameters. Other mixtures
    as states: `dem.HMM(k, dem.MixtureOf(m, family))`.

    Parameters
    ----------
    n_components : int, default=1
        States.
    n_mix : int, default=1
        Gaussians of each state.
    covariance_type : {"diag", "full", "tied", "spherical"} or a `Covariance`, default="diag"
        "tied" is one for all Gaussians of all states (in hmmlearn one for each state).
    weights_init : (n_components, n_mix), means_init : (n_components, n_mix, n_features),
    covars_init : in the shape of `covars_`
        Given parts of the start. `means_init` alone puts each row to the state with the nearest
        mean of means.
    reg_covar, missing, topology, startprob_prior, transmat_prior, startprob_init, transmat_init,
    tol, max_iter, n_init, init_params, random_state, warm_start, verbose, schedule, accelerate,
    posterior, max_passes, max_time, checkpoint : as in `dem.GaussianHMM`

    Attributes
    ----------
    startprob_ : (n_components,), transmat_ : (n_components, n_components)
        p(first state), and p(state j after i).
    weights_ : (n_components, n_mix)
    means_ : (n_components, n_mix, n_features)
    covars_, covariances_ : of each Gaussian, (n_components, n_mix, ...)
        ..., n_features, n_features if "full", ..., n_features if "diag", ... if "spherical"; of
        "tied" one, (n_features, n_features).
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.
    """

    family_type = MixtureOf
    what = "a hidden Markov model of Gaussian mixtures"

    def __init__(
        self,
        n_components: int = 1,
        n_mix: int = 1,
        *,
        covariance_type: Any = "diag",
        reg_covar: float = 1e-6,
        missing: bool = False,
        topology: Any = "ergodic",
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        startprob_init: Any = None,
        transmat_init: Any = None,
        weights_init: Any = None,
        means_init: Any = None,
        covars_init: Any = None,
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
            n_components, topology=topology, startprob_prior=startprob_prior,
            transmat_prior=transmat_prior, startprob_init=startprob_init,
            transmat_init=transmat_init, tol=tol, max_iter=max_iter, n_init=n_init,
            init_params=init_params, random_state=random_state, warm_start=warm_start,
            verbose=verbose, schedule=schedule, accelerate=accelerate, posterior=posterior,
            max_passes=max_passes, max_time=max_time, checkpoint=checkpoint,
        )  # fmt: skip
        self.n_mix = n_mix
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.missing = missing
        self.weights_init = weights_init
        self.means_init = means_init
        self.covars_init = covars_init

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = bool(self.missing)
        return tags

    def _check(self) -> None:
        super()._check()
        check_number("n_mix", self.n_mix, int, 1)
        check_number("reg_covar", self.reg_covar, float, 0)
        self._mixtures()

    def _family(self, manifest: Manifest) -> MixtureOf:
        return self._mixtures()

    def _mixtures(self) -> MixtureOf:
        form: Covariance = inputs.resolve(
            "covariance_type", self.covariance_type, inputs.COVARIANCES, Covariance
        )
        return MixtureOf(self.n_mix, Gaussian(form, float(self.reg_covar), self.missing))

    @classmethod
    def _arguments_of_family(cls, family: Any) -> dict[str, Any]:
        own = family.family
        if not isinstance(own, Gaussian):
            raise ValueError(f"not the fit of {cls.what} but of mixtures of {own}")
        word = inputs.word_of(own.covariance, inputs.COVARIANCES)
        return {
            "n_mix": family.m,
            "covariance_type": word,
            "reg_covar": own.reg_covar,
            "missing": own.missing,
        }

    def _given(self, model: Any, d: int) -> tuple[Start, Emissions | None]:
        k, m, form = model.k, model.family.m, model.family.family.covariance
        weights = inputs.check_array_of("weights_init", self.weights_init, (k, m))
        means = inputs.check_array_of("means_init", self.means_init, (k, m, d))
        shape = form.shape(k * m, d)
        outer = shape if form.pooled else (k, m, *shape[1:])
        covariances = inputs.check_array_of("covars_init", self.covars_init, outer)
        if covariances is not None:
            form.check("covars_init", covariances.reshape(shape))
        weights = chain_start.probabilities("weights_init", weights)
        start = recipe.start_of(self)
        if weights is None and means is None and covariances is None:
            return start, None
        if means is not None:  # and where sequences begin is nothing to a start
            start = Centres(np.hstack([means.mean(axis=1), np.zeros((k, 1))]))
        elif isinstance(start, WarmStart):
            start = start.start
        return start, GivenMixtures(weights, means, covariances)

    def _describe_states(self, family: Any, components: Any) -> None:
        means, covariances, _ = family.family.outward(components.components)
        k, m = components.weights.shape
        self.weights_, self.means_ = components.weights, means.reshape(k, m, -1)
        pooled = family.family.covariance.pooled
        self.covars_ = covariances if pooled else covariances.reshape(k, m, *covariances.shape[1:])
        self.covariances_ = self.covars_
