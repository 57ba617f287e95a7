"""Whether what was read from a file can be where a fit stands: what its words and shapes allow.

A checkpoint may be damaged, or made by hand. What would only be found out in the middle of a fit,
or not at all, is found out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from dem.checks import check_all, check_number, check_offers
from dem.climb import Climb
from dem.contract import Model, Params
from dem.race import Race, RaceState
from dem.reading import Phase
from dem.records import Fit, Record, State
from dem.relay import reaches
from dem.stats import Stats, leaves


@singledispatch
def check_standing(climb: Any, state: Any, n_blocks: int, n_columns: int) -> None:
    """Raise TypeError or ValueError unless a climb, or a race, can stand there.

    n_blocks, n_columns : of the data. What else nonsense makes of a model may be raised as well.
    """
    raise TypeError(f"a {type(climb).__name__} is nothing that can be fitted")


@check_standing.register
def _(climb: Climb, state: Any, n_blocks: int, n_columns: int) -> None:
    check_all("state", (state,), State)
    check_number("attempt", state.attempt, int, 0)
    if state.attempt >= climb.n_init:
        raise ValueError(f"attempt {state.attempt} of {climb.n_init} is none")
    _check_history(state.history)
    check_all("phases", state.phases, Phase)
    _check_params(climb.model, state.params)
    _check_memory(climb, state, min(climb.schedule.groups, n_blocks), n_columns)
    if state.best is not None:
        _check_fit(climb, state.best)
    elif state.attempt:
        raise ValueError(f"before attempt {state.attempt} there was another, and none is best")


@check_standing.register
def _(race: Race, state: Any, n_blocks: int, n_columns: int) -> None:
    check_all("state", (state,), RaceState)
    if state.attempt != 0:
        raise ValueError(f"a race has one attempt, not {state.attempt}")
    check_number("weight", state.weight, float, 0)
    _check_history(state.history)
    check_all("phases", state.phases, Phase)
    check_all("states", state.states, State | None)
    check_all("fits", state.fits, Fit | None)
    if race.held_out and reaches(race.climbs[0].model):
        _check_entering(state.entering, n_blocks)
    elif state.entering is not None:
        raise ValueError("nothing is held out of chains")
    for climb, going, ended in zip(race.climbs, state.states, state.fits, strict=True):
        if (going is None) == (ended is None):
            raise ValueError("a climb has either ended or goes on")
        if going is not None:
            check_standing(climb, going, n_blocks, n_columns)
        else:
            _check_fit(climb, ended)


def _check_entering(entering: Any, n_blocks: int) -> None:
    check_all("entering", (entering,), np.ndarray)
    if entering.shape != (n_blocks,) or entering.dtype.kind != "i" or entering.min() < 0:
        raise ValueError("the rows with which chains begin are numbers, one for each block")


def _check_fit(climb: Climb, fit: Any) -> None:
    check_all("fit", (fit,), Fit)
    _check_history(fit.history)
    check_all("converged and interrupted", (fit.converged, fit.interrupted), bool)
    check_number("n_passes", fit.n_passes, float, 0)
    check_all("phases", fit.phases, Phase)
    check_all("degenerate", fit.degenerate, str)
    check_all("attempts", fit.attempts, tuple)
    for history in fit.attempts:
        _check_history(history)
    check_offers("model", fit.model, Model)
    for model in (climb.model, fit.model):
        _check_params(model, fit.params)


def _check_history(history: Any) -> None:
    check_all("history", history, Record)
    turns = [record.turn for record in history]
    if turns != list(range(1, len(turns) + 1)):
        raise ValueError(f"the turns of the history are {turns[:9]}, not 1, 2, ...")


def _check_params(model: Any, params: Params) -> None:
    if not all(np.isfinite(leaf).all() for leaf in leaves(params)):
        raise ValueError("a parameter is not finite")
    check = getattr(model, "check", lambda params: None)
    check(params)


def _check_memory(climb: Climb, state: State, n_groups: int, n_columns: int) -> None:
    """Try it on statistics of no rows: whoever remembers it has to be able to use it."""
    model, params = climb.model, state.params
    nothing = np.empty((0, n_columns))
    blank = model.e_step(model.prepare(params), nothing, None, climb.posterior)
    if state.memory is None:
        return
    kept, trail = state.memory
    for stats in _statistics(kept):
        if _shapes(stats) != _shapes(blank):
            raise ValueError("statistics are not of the shape that this model has")
        if not all(np.isfinite(leaf).all() for leaf in leaves(stats)):
            raise ValueError("a statistic is not finite")
    groups = climb.schedule.choose(len(state.history) + 1, n_groups)
    _, merged = climb.schedule.merge(kept, groups, (blank,) * len(groups), n_groups)
    if _shapes(merged) != _shapes(blank):
        raise ValueError("what the schedule remembers are no statistics")
    climb.accelerate.leap(model, params, trail)
    trail = climb.accelerate.follow(model, trail, params, params, None)
    climb.accelerate.leap(model, params, trail)


def _statistics(value: Any) -> Iterator[Stats]:
    """Those inside a value."""
    if isinstance(value, Stats):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _statistics(part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _statistics(getattr(value, field.name))


def _shapes(stats: Stats) -> tuple[Any, ...]:
    return type(stats.sums), *(leaf.shape for leaf in leaves(stats))
