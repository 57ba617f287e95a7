"""How a mixture is fitted, from an estimator's words to objects and back.

schedule="auto" stands for what reads the data the least, schedule="batch" for the textbook; the
other words that are "auto" go by it.
"""

from __future__ import annotations

from typing import Any

from dem.climb import Climb
from dem.contract import Accelerator, Posterior, Schedule
from dem.estimators import inputs
from dem.labelled import FromLabels
from dem.starts import Start
from dem.stopping import Aitken, Change


def policies_of(estimator: Any) -> dict[str, Any]:
    """schedule, accelerate, stop and posterior of a `Climb`; TypeError or ValueError for others."""
    textbook = is_textbook(estimator)
    accelerate = estimator.accelerate
    if isinstance(accelerate, str) and accelerate == "auto":
        accelerate = "none" if textbook else "quasi-newton"
    words = inputs.SCHEDULES, inputs.ACCELERATORS, inputs.POSTERIORS
    return {
        "schedule": inputs.resolve("schedule", estimator.schedule, words[0], Schedule),
        "accelerate": inputs.resolve("accelerate", accelerate, words[1], Accelerator),
        "stop": Change() if textbook else Aitken(),
        "posterior": inputs.resolve("posterior", estimator.posterior, words[2], Posterior),
    }


def start_of(estimator: Any) -> Start:
    """The start that `init_params` stands for."""
    word = estimator.init_params
    if isinstance(word, str) and word == "auto":
        word = "k-means||" if is_textbook(estimator) else "warm"
    start: Start = inputs.resolve("init_params", word, inputs.STARTS, Start)
    return start


def words_of(climb: Climb) -> dict[str, Any]:
    """The arguments that describe the policies of a climb."""
    textbook = climb.schedule == inputs.SCHEDULES["batch"] and isinstance(climb.stop, Change)
    usual = "none" if textbook else "quasi-newton"
    accelerate = inputs.word_of(climb.accelerate, inputs.ACCELERATORS)
    schedule = "batch" if textbook else inputs.word_of(climb.schedule, inputs.SCHEDULES)
    return {
        "schedule": schedule,
        "accelerate": "auto" if accelerate == usual else accelerate,
        "posterior": inputs.word_of(climb.posterior, inputs.POSTERIORS),
    }


def word_of(start: Start, warm: bool) -> Any:
    """The `init_params` that stands for a start, where a warm one would have been the usual."""
    if isinstance(start, FromLabels):
        return "auto"
    word = inputs.word_of(start, inputs.STARTS)
    return "auto" if word == ("warm" if warm else "k-means||") else word


def is_textbook(estimator: Any) -> bool:
    """Whether a fit is to be that of the textbook, turn by turn."""
    return isinstance(estimator.schedule, str) and estimator.schedule == "batch"
