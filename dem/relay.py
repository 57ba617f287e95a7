"""Hidden variables that reach over the edges of blocks: what blocks tell each other.

The E-step of such a model takes two reads. In the first each block says what it means to the
others, in a message of a size that does not depend on its rows; whoever drives the fit makes of
all the messages what each block is to know of the rest; the second is the E-step, given that.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from dem.contract import Params, Posterior, Prepared
from dem.errors import DataError, SupportError
from dem.passes import Block, Expectation
from dem.reading import Sweep

Array = np.ndarray


class Reaching(Protocol):
    """What a model offers besides, whose hidden variables reach over the edges of blocks.

    Its `e_step` and `log_prob` take as a last argument what a block is told; without, the rows are
    taken for all there are.
    """

    def message(
        self, prepared: Prepared, rows: Array, weights: Array | None, posterior: Posterior,
        index: int,
    ) -> Any:  # fmt: skip
        """What block `index` has to say; messages are added."""
        ...

    def told(self, params: Params, messages: Any, posterior: Posterior) -> Any:
        """What each block is told, by its number; None if all of them can do without."""
        ...


def reaches(model: Any) -> bool:
    """Whether a model's hidden variables reach over the edges of blocks."""
    return hasattr(model, "told")


@dataclass(frozen=True)
class Transfer:
    """The pass of messages for an E-step."""

    expectation: Expectation

    @property
    def tentative(self) -> bool:
        return self.expectation.tentative

    def prepare(self) -> Any:
        return self.expectation.prepare()

    def __call__(self, prepared: Any, block: Block) -> Any:
        model: Any = self.expectation.model
        posterior = self.expectation.posterior
        try:
            return model.message(prepared, block.rows, block.weights, posterior, block.index)
        except SupportError:
            if not self.tentative:
                raise
            # The E-step comes upon it again, and says so.
            return model.message(prepared, block.rows[:0], None, posterior, block.index)


def informed(
    work: Expectation, groups: Sequence[Sequence[int]]
) -> Generator[Sweep, Any, Expectation]:
    """The E-step with what each block is told of the others; with nothing, if none need be told.

    groups : of blocks, all of them. Raises `DataError` for more than one, which do not get their q
        afresh together, if blocks need be told of others.
    """
    every = sorted(block for group in groups for block in group)
    (messages,) = yield Sweep(Transfer(work), [every])
    model: Any = work.model
    with np.errstate(all="ignore"):  # of a θ that is only tried, messages may be anything
        told = model.told(work.params, messages, work.posterior)
    if told is not None and len(groups) > 1:
        raise DataError(
            "Sequences go on from block to block, so that all blocks must get their q afresh "
            "together: use full batches (schedule='batch' or 'auto'), or blocks of whole sequences."
        )
    return replace(work, told=told)
