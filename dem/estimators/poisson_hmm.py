"""Hidden Markov models of counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.engine.manifest import Manifest
from dem.estimators import inputs, recipe
from dem.estimators.emissions import Emissions, GivenRates
from dem.estimators.hidden_markov import HiddenMarkov
from dem.families import Poisson
from dem.starts import Start
from dem.storable import storable

Array = np.ndarray


@storable("PoissonHMM")
class PoissonHMM(HiddenMarkov):
    """Hidden Markov model with independent Poisson counts, fitted by EM to sequences of any length.

    Names are those of `hmmlearn.hmm.PoissonHMM`. Columns hold counts 0, 1, 2, ...; NaN is a missing
    value, whose factor drops out.

    Parameters
    ----------
    n_components : int, default=1
        States.
    topology : {"ergodic", "left-right"} or a `Topology`, default="ergodic"
        Which state may follow which; "left-right" goes on from 0 to 1, and so forth.
    startprob_prior, transmat_prior : float, (n_components,) and (n_components, n_components)
        Concentrations of Dirichlet priors, at least 1, which is none.
    startprob_init : (n_components,), transmat_init : (n_components, n_components)
        Given parts of the start. What is 0 there stays 0.
    lambdas_init : (n_components, n_features)
        Likewise.
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
    lambdas_ : (n_components, n_features)
        The mean of each count; at least 1e-10.
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.
    """

    family_type = Poisson
    what = "a Poisson hidden Markov model"

    def __init__(
        self,
        n_components: int = 1,
        *,
        topology: Any = "ergodic",
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        startprob_init: Any = None,
        transmat_init: Any = None,
        lambdas_init: Any = None,
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
        self.lambdas_init = lambdas_init

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = tags.input_tags.categorical = True  # whole numbers from 0
        return tags

    def _family(self, manifest: Manifest) -> Poisson:
        return Poisson()

    def _given(self, model: Any, d: int) -> tuple[Start, Emissions | None]:
        rates = inputs.check_array_of("lambdas_init", self.lambdas_init, (model.k, d))
        if rates is not None and not (rates > 0).all():
            raise ValueError("lambdas_init must be positive.")
        return recipe.start_of(self), None if rates is None else GivenRates(rates)

    def _describe_states(self, family: Any, components: Any) -> None:
        self.lambdas_ = components.rates
