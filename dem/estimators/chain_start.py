"""Where a hidden Markov model begins, from its arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.chains import FromMixture
from dem.checks import check_offers
from dem.contract import Sample
from dem.estimators import recipe
from dem.families import Categorical, Gaussian, Poisson
from dem.models.hmm import HMM
from dem.models.states import HMMParams
from dem.starts import Start, Steps
from dem.stretches import FromRuns
from dem.warm import WarmStart

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class ChainGiven:
    """Another start, with those parts that the user has given; None for the others.

    means, covariances : of Gaussian states, in the user's units and the form's own shape.
    rates, probabilities : of Poisson and of categorical states.
    """

    start: Start
    startprob: Array | None = None
    transmat: Array | None = None
    means: Array | None = None
    covariances: Array | None = None
    rates: Array | None = None
    probabilities: Array | None = None

    def __post_init__(self) -> None:
        check_offers("start", self.start, Start)

    def __call__(self, model: HMM, sample: Sample, seed: int) -> Steps:
        _check_allowed("startprob_init", self.startprob, model.topology.starts(model.k))
        _check_allowed("transmat_init", self.transmat, model.topology.transitions(model.k))
        params: HMMParams = yield from self.start(model, sample, seed)
        return replace(
            params,
            startprob=params.startprob if self.startprob is None else self.startprob,
            transmat=params.transmat if self.transmat is None else self.transmat,
            components=self._components(model.family, params.components),
        )

    def _components(self, family: Any, params: Any) -> Any:
        if isinstance(family, Gaussian) and not (self.means is None and self.covariances is None):
            means, covariances, _ = family.outward(params)
            means = means if self.means is None else self.means
            covariances = covariances if self.covariances is None else self.covariances
            return family.inward(means, covariances, params.frame)
        if isinstance(family, Poisson) and self.rates is not None:
            return replace(params, rates=self.rates)
        if isinstance(family, Categorical) and self.probabilities is not None:
            return replace(params, probabilities=self.probabilities)
        return params


def _check_allowed(name: str, given: Array | None, allowed: Array) -> None:
    """Raise ValueError for probabilities above 0 of what the topology does not allow."""
    if given is not None and (wrong := np.argwhere((given > 0) & ~allowed)).size:
        place = ", ".join(map(str, wrong[0]))
        raise ValueError(f"{name}[{place}] must be 0: the topology does not allow it.")


def chain_start(start: Start, **parts: Array | None) -> Start:
    """The start of a chain, with the parts that are given.

    Its states begin as a mixture does, but for a warm start, which is that of chains.
    """
    own: Start = FromRuns() if start == WarmStart() else FromMixture(start)
    return own if all(part is None for part in parts.values()) else ChainGiven(own, **parts)


def probabilities(name: str, array: Array | None) -> Array | None:
    """Given probabilities (..., K), made to sum to one; ValueError if they are none."""
    if array is None:
        return None
    if (array < 0).any() or (abs(array.sum(axis=-1) - 1) > 1e-6).any():
        raise ValueError(f"{name} must be non-negative and sum to 1.")
    return np.asarray(array / array.sum(axis=-1, keepdims=True))


def arguments_of(start: Start, warm: bool) -> dict[str, Any]:
    """The arguments that describe a start, where a warm one would have been the usual."""
    if isinstance(start, ChainGiven):
        parts = {"startprob_init": start.startprob, "transmat_init": start.transmat}
        return {**arguments_of(start.start, warm and start.means is None), **parts}
    own = start.start if isinstance(start, FromMixture) else start
    own = WarmStart() if own == FromRuns() else own
    return {"init_params": recipe.word_of(own, warm)}
