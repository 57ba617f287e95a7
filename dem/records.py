"""What a fit asks for, tells of, and comes to."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dem import html
from dem.checks import check_number
from dem.contract import Params
from dem.history import History, as_table
from dem.reading import Phase, Sweep
from dem.starts import Errands


class Interrupted(Exception):
    """Thrown into a fit to end it: it returns what it has, or raises this if that is nothing."""


@dataclass(frozen=True)
class Begin:
    """An announcement: attempt so-and-so of so many begins here, with statistics of this size."""

    state: Any  # a State
    attempts: int
    max_iter: int
    stats_bytes: int


@dataclass(frozen=True)
class Record:
    """One turn as the history keeps it: bounds in nats per row, seconds of wall time.

    groups : how many groups of blocks had their q set afresh in it.
    weight : Σᵢ wᵢ of the rows behind it; 0 where that is not told.
    """

    turn: int
    bound_e: float
    bound: float
    seconds: float
    groups: int = 1
    weight: float = 0.0

    def __post_init__(self) -> None:
        check_number("turn", self.turn, int, 1)
        check_number("weight", self.weight, float, 0)
        check_number("groups", self.groups, int, 1)
        check_number("seconds", self.seconds, float, 0)
        for name in ("bound_e", "bound"):
            if not isinstance(getattr(self, name), (float, int)):
                raise TypeError(f"{name} must be float, got {getattr(self, name)!r}.")


@dataclass(frozen=True, eq=False)
class Fit:
    """What a fit has come to.

    params : the parameters after the last M-step.
    history : a `Record` for each turn.
    converged : whether the bound stood still before the turns ran out.
    interrupted : whether it was ended from outside.
    n_passes : full reads of the data, start and sample included (a partial read counts in part).
    phases : rows read and seconds, of the sample, the start, and the turns.
    degenerate : what is wrong with components that collapsed or starved, in words.
    attempts : the history of each start, where there were several.
    """

    model: Any  # a Model
    params: Params
    history: tuple[Record, ...]
    converged: bool
    interrupted: bool
    n_passes: float
    phases: tuple[Phase, ...] = ()
    degenerate: tuple[str, ...] = ()
    attempts: tuple[tuple[Record, ...], ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.history, tuple):  # a file may have anything here
            object.__setattr__(self, "history", History(self.history))

    @property
    def lower_bound(self) -> float:
        """The bound after the last E half-step, per row; −∞ before the first."""
        return self.history[-1].bound_e if self.history else -math.inf

    def plot(self, ax: Any = None) -> Any:
        """The bound per row after each turn, of every attempt, as matplotlib Axes.

        Raises ModuleNotFoundError without matplotlib, which the extra `plot` brings.
        """
        from dem.plots import plot_bounds

        attempts = self.attempts or (self.history,)
        return plot_bounds(attempts, attempts.index(self.history), ax)

    def _repr_html_(self) -> str:
        ended = "interrupted" if self.interrupted else "converged" if self.converged else "stopped"
        seconds = sum(phase.seconds for phase in self.phases)
        shown = {
            "model": self.model,
            "bound, nats per row": self.lower_bound,
            "turns": f"{len(self.history)}, {ended}",
            "passes over the data": f"{self.n_passes:.3g}",
            "seconds": f"{seconds:.3g}",
        }
        curve = html.curve([record.bound for record in self.history])
        turns = html.folded("turn by turn", as_table(self.history))
        return html.card("Fit", " ", curve, html.facts(shown), html.listed(self.degenerate), turns)


@dataclass(frozen=True, eq=False)
class State:
    """Where a fit stands after a turn: all that it takes to go on to the same bits.

    attempt : which of the starts this is, from 0.
    params, memory : θ, and what schedule and acceleration remember.
    history : of this attempt.
    best : the best of the attempts before, or None.
    phases : what was read and spent so far.
    """

    attempt: int
    params: Params
    memory: Any
    history: tuple[Record, ...]
    best: Fit | None
    phases: tuple[Phase, ...]

    @property
    def stands(self) -> tuple[int, int]:
        """(attempt, turns of it): the higher the later."""
        return self.attempt, len(self.history)


@dataclass(frozen=True, eq=False)
class Turn:
    """An announcement: a turn is done."""

    record: Record
    state: Any  # a State


class Ascent(Protocol):
    """What can be driven: a `Climb`, or a `dem.race.Race` of several."""

    @property
    def model(self) -> Any: ...

    @property
    def max_iter(self) -> int: ...

    def longer(self, max_iter: int) -> Any:
        """The same with another limit to its turns."""
        ...

    def run(self, boundaries: np.ndarray, n_columns: int, state: Any = None) -> Any:
        """The requests over data whose blocks have these row offsets; from a state, or the start.

        A generator that returns what has `converged` and `interrupted`, such as a `Fit`.
        """
        ...


Requests = Generator[Sweep | Errands | Begin | Turn, Any, Fit]
