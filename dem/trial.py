"""Fits to a part of a sample, in memory: what a start tries before the data are read."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dem.accelerate import Plain
from dem.contract import Accelerator, Model, Params, Posterior, Sample
from dem.em import Step, em
from dem.errors import SupportError
from dem.passes import Block
from dem.posteriors import Exact
from dem.schedules import FullBatch
from dem.starts import Start, Steps
from dem.stopping import Aitken

Array = np.ndarray
SETTLED = 1e-6  # nats per row: what a sample is not worth climbing further for


@dataclass(frozen=True, eq=False)
class Trial:
    """An errand: EM on a sample in memory from a start; (θ, mean log-likelihood of held rows).

    None if the sample has a value that the model gives no density.
    """

    model: Model
    start: Start
    seed: int
    sample: Sample
    held: Sample
    turns: int
    accelerate: Accelerator = Plain()
    posterior: Posterior = Exact()

    def __call__(self) -> tuple[Params, float] | None:
        try:
            return self._climbed()
        except SupportError:  # a pass over the data will say which row it is
            return None

    def _climbed(self) -> tuple[Params, float]:
        params, bounds = _on(self.sample, self.start(self.model, self.sample, self.seed)), []
        for step in self._steps(params):
            params = step.params
            bounds.append(step.bound_e)
            if len(bounds) == self.turns or Aitken()(bounds, SETTLED):
                break
        log_prob = self.model.log_prob(self.model.prepare(params), self.held.rows)
        return params, float(self.held.weights @ log_prob / self.held.weights.sum())

    def _steps(self, params: Params) -> Generator[Step, None, None]:
        """The turns of EM on the sample, without end."""
        model, rows, weights = self.model, self.sample.rows, self.sample.weights
        loop = em(model, params, FullBatch(), 1, self.accelerate)
        request = next(loop)
        while True:
            if isinstance(request, Step):
                yield request
                request = next(loop)
            else:
                prepared = model.prepare(request.params)
                stats = model.e_step(prepared, rows, weights, self.posterior)
                request = loop.send((stats,))


def _on(sample: Sample, steps: Steps) -> Params:
    """What a start comes to, on a sample in the place of the data."""
    answer = None
    try:
        while True:
            work: Any = steps.send(answer)
            answer = work(work.prepare(), Block(0, 0, sample.rows, sample.weights))
    except StopIteration as end:
        return end.value


def part(sample: Sample, chosen: Array) -> Sample:
    """Some rows of a sample, for all that there are."""
    return Sample.of(sample.rows[chosen], sample.weights[chosen], complete=True)
