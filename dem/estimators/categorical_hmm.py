"""Hidden Markov models of categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dem.checks import check_number
from dem.engine.manifest import Manifest
from dem.errors import DataError
from dem.estimators import chain_start, inputs, recipe
from dem.estimators.emissions import Emissions, GivenProbabilities
from dem.estimators.hidden_markov import HiddenMarkov
from dem.families import Categorical
from dem.families.counts import LEAST
from dem.fitting import total
from dem.passes import Block
from dem.starts import Start
from dem.storable import storable

Array = np.ndarray


@storable("CategoricalHMM")
class CategoricalHMM(HiddenMarkov):
    """Hidden Markov model with independent categories, fitted by EM to sequences of any length.

    Names are those of `hmmlearn.hmm.CategoricalHMM`. Columns hold codes 0, 1, ..., n_features − 1;
    NaN is a missing value, whose factor drops out.

    Parameters
    ----------
    n_components : int, default=1
        States.
    n_features : int or None, default=None
        How many codes there are in each column; None is one more than the largest, to find which
        is one more pass.
    topology : {"ergodic", "left-right"} or a `Topology`, default="ergodic"
        Which state may follow which; "left-right" goes on from 0 to 1, and so forth.
    startprob_prior, transmat_prior : float, (n_components,) and (n_components, n_components)
        Concentrations of Dirichlet priors, at least 1, which is none.
    startprob_init : (n_components,), transmat_init : (n_components, n_components)
        Given parts of the start. What is 0 there stays 0.
    emissionprob_init : (n_components, n_features)
        A given part too, of one column; of several, theirs side by side. At least 1e-10 remains.
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
    emissionprob_ : (n_components, n_features)
        p(code | state), at least 1e-10; of several columns, theirs side by side.
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.
    """

    family_type = Categorical
    what = "a categorical hidden Markov model"

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_features: int | None = None,
        topology: Any = "ergodic",
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        startprob_init: Any = None,
        transmat_init: Any = None,
        emissionprob_init: Any = None,
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
        self.n_features = n_features
        self.emissionprob_init = emissionprob_init

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = True
        return tags

    def _check(self) -> None:
        super()._check()
        if self.n_features is not None:
            check_number("n_features", self.n_features, int, 1)

    def _family(self, manifest: Manifest) -> Categorical:
        if self.n_features is not None:
            return Categorical(int(self.n_features))
        largest = total(Largest(), manifest).value
        if largest < 0:
            raise DataError("X has no values, and so no codes.")
        return Categorical(int(largest) + 1)

    @classmethod
    def _arguments_of_family(cls, family: Any) -> dict[str, Any]:
        return {"n_features": family.levels}

    def _given(self, model: Any, d: int) -> tuple[Start, Emissions | None]:
        levels = model.family.levels
        given = inputs.check_array_of(
            "emissionprob_init", self.emissionprob_init, (model.k, d * levels)
        )
        if given is None:
            return recipe.start_of(self), None
        split = given.reshape(model.k, d, levels)
        chain_start.probabilities("emissionprob_init", split)
        split = np.maximum(split, LEAST)
        split = (split / split.sum(axis=-1, keepdims=True)).reshape(model.k, -1)
        return recipe.start_of(self), GivenProbabilities(split)

    def _describe_states(self, family: Any, components: Any) -> None:
        self.emissionprob_ = components.probabilities


@dataclass(frozen=True)
class Highest:
    """A number; + takes the larger one."""

    value: float

    def __add__(self, other: Highest) -> Highest:
        return Highest(max(self.value, other.value))


@dataclass(frozen=True)
class Largest:
    """The largest number in all columns but the last; a pass over the data."""

    description: ClassVar[str] = "looking for codes"

    def prepare(self) -> None:
        return None

    def __call__(self, prepared: None, block: Block) -> Highest:
        values = np.asarray(block.rows[:, :-1], float)
        return Highest(float(np.max(values, initial=-1.0, where=~np.isnan(values))))
