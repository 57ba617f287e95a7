"""Where a hidden Markov model begins: at a mixture of its states, whose rows are as if apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dem.checks import check_offers
from dem.contract import Sample
from dem.models.hmm import HMM
from dem.passes import Expectation
from dem.posteriors import Exact
from dem.starts import Start, Steps
from dem.warm import WarmStart


@dataclass(frozen=True)
class FromMixture:
    """The fit of another start to the mixture of the states; states follow by their shares.

    The first E-step tells how they follow each other. Where the topology has an order, the states
    are put into it by one more read.

    start : of the mixture.
    """

    start: Start = field(default_factory=WarmStart)

    def __post_init__(self) -> None:
        check_offers("start", self.start, Start)

    def __call__(self, model: HMM, sample: Sample, seed: int) -> Steps:
        mixture = model.independent(sample.rows.shape[1])
        params = yield from self.start(mixture, sample, seed)
        if model.topology.ordered:
            free = HMM(model.k, model.family)
            sums: Any = (yield Expectation(free, free.after(params), Exact())).sums
            order = model.topology.order(sums.starts, sums.transitions)
            shares = mixture.posterior(mixture.prepare(params), sample.rows)
            params = mixture.start_from(sample, shares.T[order])
        return model.after(params)
