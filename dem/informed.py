"""A start for components whose prior comes from the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dem.checks import check_offers
from dem.contract import Sample
from dem.starts import Start, Steps


@dataclass(frozen=True)
class Informed:
    """Another start, with the prior that all of the sample gives: a `WarmStart` sees parts of it.

    For a model that has a method `informed(sample)`, as `VariationalMixture` does.
    """

    start: Start

    def __post_init__(self) -> None:
        check_offers("start", self.start, Start)

    def __call__(self, model: Any, sample: Sample, seed: int) -> Steps:
        return (yield from self.start(model.informed(sample), sample, seed))
