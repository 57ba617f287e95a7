"""A fit on a scheduler: what is ordered, what may be asked of it, and how it may end."""

from __future__ import annotations

import asyncio
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from dem.engine.cache import Budget
from dem.engine.drive import Keeper
from dem.engine.manifest import Manifest
from dem.engine.vitals import Vitals
from dem.records import Ascent, Record, State

ENDED = ("done", "cancelled", "failed")
TOLD = ("on_phase", "on_start", "on_blocks", "on_step", "on_vitals", "on_warning", "on_end")
TOLD_AS: dict[str, Callable[..., Any]] = {"on_step": Record, "on_vitals": Vitals}


class Lasting(Keeper, Protocol):
    """Who keeps checkpoints where they outlive a process: at a path or URL."""

    uri: Any

    def latest(self) -> State | None: ...


class Unhosted(Exception):
    """A scheduler cannot host a fit: it lacks dem or the model's module, or allows no plugins."""


class Lost(Exception):
    """Blocks in the memory of the workers went with one of them.

    state : where the fit stood, for who can bring them again; None before its first turn.
    sent : whether a client had sent them; otherwise they were persisted.
    """

    def __init__(self, state: State | None = None, sent: bool = True) -> None:
        super().__init__(state, sent)
        self.state, self.sent = state, sent

    def __str__(self) -> str:
        if not self.sent:
            return (
                "The persisted data are no longer on the cluster: it was restarted, or the workers "
                "that had them died. Persist them again, and then submit the fit again, or resume "
                "it from its checkpoint if it kept one."
            )
        return (
            "A worker died with data that the client had sent from its memory. Submit the fit "
            "again, or put the data where the workers can read them (a file, a persisted array)."
        )


@dataclass(frozen=True, eq=False)
class Order:
    """What a client asks the scheduler to do: a climb over data, from a state or the start.

    sent : whether the data came out of the client's memory.
    budget : of blocks that workers keep once they have read them; None for none.
    """

    climb: Ascent
    manifest: Manifest
    state: State | None = None
    keeper: Lasting | None = None
    sent: bool = False
    budget: Budget | None = None


@dataclass(frozen=True)
class Kept:
    """Where the Fit of a run is that is too large for the scheduler: the key of a task."""

    key: str


@dataclass
class Run:
    """A fit on the scheduler, and what may be asked of it.

    log : what its observer was told, call by call.
    turns : (turn, bound_e, bound, seconds) of each, of the present attempt.
    vitals : how each of these turns went that were made here.
    blocks : (done, in all) of the pass under way.
    """

    name: str
    max_iter: int
    began: float = field(default_factory=time.time)
    state: str = "waiting"  # then running; then one of ENDED
    attempt: int = -1
    log: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    turns: list[tuple[int, float, float, float]] = field(default_factory=list)
    vitals: list[Vitals] = field(default_factory=list)
    blocks: tuple[int, int] = (0, 0)
    logged: int = 0  # turns that have been told as events
    outcome: bytes = b""  # a pickled Fit, exception, or `Kept`
    kept: Kept | None = None
    checkpoint: str | None = None  # where it keeps itself, if whoever resumes it may join it
    reporter: Reporter | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def status(self) -> dict[str, Any]:
        """In words and numbers."""
        return {
            "run": self.name,
            "state": self.state,
            "attempt": max(self.attempt, 0),
            "max_iter": self.max_iter,
            "began": self.began,
            "turns": len(self.turns),
            "bound": self.turns[-1][2] if self.turns else None,
            "blocks": self.blocks,
            "checkpoint": self.checkpoint,
        }


@dataclass
class Reporter:
    """The observer of a run: writes down what it is told, and ends a fit that is cancelled.

    tell : called with the run when there is news of it.
    before : the turns of an attempt that is taken up again.
    """

    run: Run
    tell: Callable[[Run, str], None]
    before: Sequence[Any] = ()

    def on_phase(self, description: str) -> None:
        self._log("on_phase", description)

    def on_start(self, description: str, total_steps: int | None) -> None:
        self.run.attempt += 1
        self.run.turns, self.before = [entry(record) for record in self.before], ()
        self.run.vitals = []
        self._log("on_start", description, total_steps)

    def on_blocks(self, done: int, total: int) -> None:
        if self.run.cancelled.is_set():
            raise KeyboardInterrupt
        if (done, total) != self.run.blocks and done < total:
            self.run.blocks = (done, total)
            self.tell(self.run, "running")

    def on_step(self, step: Any) -> None:
        self.run.turns.append(entry(step))
        self._log("on_step", *entry(step))
        self.on_blocks(0, 0)

    def on_vitals(self, vitals: Vitals) -> None:
        compact = array("d", vitals.weights)  # of every turn, of every run
        self.run.vitals.append(replace(vitals, weights=compact))

    def on_warning(self, text: str) -> None:
        self._log("on_warning", text)

    def on_end(self, reason: str) -> None:
        self._log("on_end", reason)

    def _log(self, name: str, *told: Any) -> None:
        self.run.log.append((name, told))
        self.tell(self.run, "running")


def repeat(observer: Any, name: str, told: Sequence[Any]) -> None:
    """Tell an observer what another was told, by the name of the method; it may not have it."""
    if name not in TOLD:
        raise ValueError(f"observers are not told {name!r}")
    given = (TOLD_AS[name](*told),) if name in TOLD_AS else told
    getattr(observer, name, lambda *_: None)(*given)


def entry(record: Any) -> tuple[int, float, float, float]:
    return record.turn, record.bound_e, record.bound, record.seconds


@dataclass
class Standing:
    """Keeps where a fit stands in memory, and hands it on to who keeps it on disk."""

    keeper: Keeper | None
    state: State | None

    def offer(self, state: State) -> None:
        self.state = state
        if self.keeper:
            self.keeper.offer(state)

    def close(self) -> None:
        if self.keeper:
            self.keeper.close()

    @property
    def kept(self) -> float:
        """When it was last written to disk, in seconds since the epoch; 0 if it never was."""
        return getattr(self.keeper, "kept", 0.0)
