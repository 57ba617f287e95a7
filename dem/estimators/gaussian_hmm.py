"""Hidden Markov models with Gaussian states."""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.checks import check_number
from dem.engine.manifest import Manifest
from dem.estimators import inputs, recipe
from dem.estimators.emissions import Emissions, GivenGaussians
from dem.estimators.hidden_markov import HiddenMarkov
from dem.families import Gaussian
from dem.families.covariance import Covariance
from dem.starts import Centres, Start
from dem.storable import storable
from dem.warm import WarmStart

Array = np.ndarray


@storable("GaussianHMM")
class GaussianHMM(HiddenMarkov):
    """Hidden Markov model with Gaussian states, fitted by EM to sequences of any length.

    p(x, h) = ∏ₜ A[hₜ₋₁, hₜ] N(xₜ; μ, Σ of hₜ), p(h₁) = π. Names are those of
    `hmmlearn.hmm.GaussianHMM`; from the same start it goes through the same parameters. Sequences
    may be cut by chunks, of an array or of a file, anywhere.

    Parameters
    ----------
    n_components : int, default=1
        States.
    covariance_type : {"diag", "full", "tied", "spherical"} or a `Covariance`, default="diag"
    reg_covar : float, default=1e-6
        Added to the variances.
    missing : bool, default=False
        Whether NaN is a missing value, which is integrated out.
    topology : {"ergodic", "left-right"} or a `Topology`, default="ergodic"
        Which state may follow which; "left-right" goes on from 0 to 1, and so forth.
    startprob_prior, transmat_prior : float, (n_components,) and (n_components, n_components)
        Concentrations of Dirichlet priors, at least 1, which is none.
    startprob_init : (n_components,), transmat_init : (n_components, n_components)
        Given parts of the start. What is 0 there stays 0.
    means_init : (n_components, n_features), covars_init : in the shape of `covariances_`
        Likewise. `means_init` alone puts each row to its nearest mean.
    tol, max_iter, n_init, init_params, random_state, warm_start, verbose, schedule, accelerate,
    posterior, max_passes, max_time, checkpoint : as in `dem.GaussianMixture`
        init_params="warm" tries fits to runs of rows, by one read; the others are the start of
        the mixture of the states, as if rows did not depend on each other. schedule="batch" is the
        textbook, turn by turn as in hmmlearn. posterior="hard" is Viterbi training.

    Attributes
    ----------
    startprob_ : (n_components,), transmat_ : (n_components, n_components)
        p(first state), and p(state j after i).
    weights_ : (n_components,)
        The share of each state in the long run, as of `get_stationary_distribution`.
    means_ : (n_components, n_features)
    covars_ : (n_components, n_features, n_features), as in hmmlearn
    covariances_ : in the shape of covariance_type, as of `dem.GaussianMixture`
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.
    """

    family_type = Gaussian
    what = "a Gaussian hidden Markov model"

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Any = "diag",
        reg_covar: float = 1e-6,
        missing: bool = False,
        topology: Any = "ergodic",
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        startprob_init: Any = None,
        transmat_init: Any = None,
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
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.missing = missing
        self.means_init = means_init
        self.covars_init = covars_init

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = bool(self.missing)
        return tags

    def _check(self) -> None:
        super()._check()
        check_number("reg_covar", self.reg_covar, float, 0)
        self._gaussian()

    def _family(self, manifest: Manifest) -> Gaussian:
        return self._gaussian()

    def _gaussian(self) -> Gaussian:
        form: Covariance = inputs.resolve(
            "covariance_type", self.covariance_type, inputs.COVARIANCES, Covariance
        )
        return Gaussian(form, float(self.reg_covar), self.missing)

    @classmethod
    def _arguments_of_family(cls, family: Any) -> dict[str, Any]:
        word = inputs.word_of(family.covariance, inputs.COVARIANCES)
        return {"covariance_type": word, "reg_covar": family.reg_covar, "missing": family.missing}

    def _given(self, model: Any, d: int) -> tuple[Start, Emissions | None]:
        k, form = model.k, model.family.covariance
        means = inputs.check_array_of("means_init", self.means_init, (k, d))
        covariances = inputs.check_array_of("covars_init", self.covars_init, form.shape(k, d))
        if covariances is not None:
            form.check("covars_init", covariances)
        start = recipe.start_of(self)
        if means is None and covariances is None:
            return start, None
        if means is not None:  # and where sequences begin is nothing to a start
            start = Centres(np.hstack([means, np.zeros((k, 1))]))
        elif isinstance(start, WarmStart):
            start = start.start
        return start, GivenGaussians(means, covariances)

    def _describe_states(self, family: Any, components: Any) -> None:
        self.means_, self.covariances_, _ = family.outward(components)
        self.covars_ = _matrices(self.covariances_, *self.means_.shape)


def _matrices(covariances: Array, k: int, d: int) -> Array:
    """Covariances of any of scikit-learn's shapes as (K, D, D)."""
    if covariances.shape == (k, d, d):
        return covariances
    if covariances.shape == (d, d):
        return np.repeat(covariances[None], k, axis=0)
    return np.eye(d) * covariances.reshape(k, 1, -1)
