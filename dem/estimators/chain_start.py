"""Where a hidden Markov model begins, from its arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.chains import FromMixture
from dem.checks import check_offers
from dem.contract import Sample
from dem.estimators import recipe
from dem.estimators.emissions import Emissions
from dem.models.hmm import HMM
from dem.models.states import HMMParams
from dem.starts import NO_PASS, Start, Steps
from dem.stretches import FromRuns
from dem.warm import WarmStart

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class ChainGiven:
    """Another start, with those parts that the user has given; None for the others.

    Where all of them are given, the other start is not asked.
    """

    start: Start
    startprob: Array | None = None
    transmat: Array | None = None
    emissions: Emissions | None = None

    def __post_init__(self) -> None:
        check_offers("start", self.start, Start)

    def __call__(self, model: HMM, sample: Sample, seed: int) -> Steps:
        _check_allowed("startprob_init", self.startprob, model.topology.starts(model.k))
        _check_allowed("transmat_init", self.transmat, model.topology.transitions(model.k))
        components, begin, follow = None, self.startprob, self.transmat
        if self.emissions is not None:
            own = replace(sample, rows=sample.rows[:, :-1])
            components = self.emissions.whole(model.family, own)
        if begin is not None and follow is not None and components is not None:
            yield from NO_PASS
            return HMMParams(begin, follow, components)
        params: HMMParams = yield from self.start(model, sample, seed)
        if self.emissions is not None:
            params = replace(
                params, components=self.emissions.into(model.family, params.components)
            )
        return replace(
            params,
            startprob=params.startprob if begin is None else begin,
            transmat=params.transmat if follow is None else follow,
        )


def _check_allowed(name: str, given: Array | None, allowed: Array) -> None:
    """Raise ValueError for probabilities above 0 of what the topology does not allow."""
    if given is not None and (wrong := np.argwhere((given > 0) & ~allowed)).size:
        place = ", ".join(map(str, wrong[0]))
        raise ValueError(f"{name}[{place}] must be 0: the topology does not allow it.")


def chain_start(
    start: Start, startprob: Array | None, transmat: Array | None, emissions: Emissions | None
) -> Start:
    """The start of a chain, with the parts that are given.

    Its states begin as a mixture does, but for a warm start, which is that of chains.
    """
    own: Start = FromRuns() if start == WarmStart() else FromMixture(start)
    if startprob is None and transmat is None and emissions is None:
        return own
    return ChainGiven(own, startprob, transmat, emissions)


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
        emissions = {} if start.emissions is None else start.emissions.arguments
        chain = {"startprob_init": start.startprob, "transmat_init": start.transmat}
        return {**arguments_of(start.start, warm), **chain, **emissions}
    own = start.start if isinstance(start, FromMixture) else start
    own = WarmStart() if own == FromRuns() else own
    return {"init_params": recipe.word_of(own, warm)}
