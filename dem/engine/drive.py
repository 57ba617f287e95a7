"""Driving a climb: compute what it asks for, hand on what it tells.

Every host of a fit runs this: the process that called `fit`, or a thread of the scheduler.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from dem.engine.blas import one_blas_thread
from dem.engine.hosts import Engine, check_memory
from dem.engine.plan import Seconds
from dem.engine.vitals import Clock
from dem.reading import Sweep
from dem.records import Begin, Fit, Interrupted, Requests, State
from dem.starts import Errands


class Observer(Protocol):
    """Who is told how a fit gets on; see `dem.report.progress`, also for what is optional."""

    def on_start(self, description: str, total_steps: int | None) -> None: ...
    def on_blocks(self, done: int, total: int) -> None: ...
    def on_step(self, step: Any) -> None: ...
    def on_end(self, reason: str) -> None: ...


class Keeper(Protocol):
    """Who keeps checkpoints; see `dem.checkpoint`."""

    def offer(self, state: State) -> None: ...
    def close(self) -> None: ...


class TooHeavy(Exception):
    """A fit asks more of the process that drives it than it should; it stands at this state."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


@dataclass(frozen=True)
class Limits:
    """What a fit may ask of the process that drives it.

    stats_bytes : the size of the statistics. m_step_seconds : from their arrival to the next pass.
    """

    stats_bytes: float = math.inf
    m_step_seconds: float = math.inf


def drive(
    requests: Requests,
    engine: Engine,
    observer: Observer,
    keeper: Keeper | None = None,
    limits: Limits = Limits(),
) -> Fit:
    """What the climb comes to.

    Raises `TooHeavy` at a limit. A KeyboardInterrupt, of the user or raised by the observer, ends
    the climb, which then returns what it has; it goes on up if that is nothing.
    """
    answer, begun, otherwise = None, False, "failed"
    on_phase = getattr(observer, "on_phase", None)
    on_vitals = getattr(observer, "on_vitals", None)
    on_turn = getattr(observer, "on_turn", None)
    clock = Clock(engine.manifest.boundaries)

    def begin(phase: str) -> None:
        nonlocal begun
        if phase and on_phase:
            begun = True
            on_phase(phase)

    try:
        check_memory(engine, 0)  # before anything is read; with statistics once there are some
        while True:
            try:
                began = time.perf_counter()
                with one_blas_thread():  # the M-step: small matrices, and the same bits anywhere
                    request = requests.send(answer)
                seconds = time.perf_counter() - began
                clock.drove(seconds)
                answer = None
                if isinstance(request, Sweep):
                    begin(getattr(request.work, "description", ""))
                    answer = engine.sweep(request.work, request.groups)
                    clock.swept(request.groups, getattr(engine, "seconds", Seconds()))
                elif isinstance(request, Errands):
                    begin(request.description)
                    answer = engine.run(request.tasks)
                elif isinstance(request, Begin):
                    if request.stats_bytes > limits.stats_bytes:
                        raise TooHeavy(request.state)
                    check_memory(engine, request.stats_bytes)
                    count = f" {request.state.attempt + 1}/{request.attempts}"
                    observer.on_start(f"EM{count * (request.attempts > 1)}", request.max_iter)
                    begun = True
                    clock.clear()
                else:
                    if keeper:
                        with _told(observer):
                            keeper.offer(request.state)
                    if on_vitals:
                        on_vitals(clock.done(request, getattr(keeper, "kept", 0.0)))
                    if on_turn:
                        on_turn(request)
                    observer.on_step(request.record)
                    if seconds > limits.m_step_seconds:
                        raise TooHeavy(request.state)
            except KeyboardInterrupt:
                otherwise = "interrupted"
                _interrupt(requests)
    except StopIteration as end:
        fitted: Fit = end.value
        state = "converged" if fitted.converged else "stopped"
        observer.on_end("interrupted" if fitted.interrupted else state)
        begun = False
        return fitted
    except TooHeavy:
        begun = False  # it is not over
        raise
    finally:
        if keeper:
            with _told(observer):
                keeper.close()
        if begun:
            observer.on_end(otherwise)


@contextmanager
def _told(observer: Observer) -> Iterator[None]:
    """A checkpoint that cannot be written is told of; hours of work are not thrown away for it."""
    try:
        yield
    except OSError as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        text = f"The fit goes on without a checkpoint of this turn: {error} {notes}".rstrip()
        getattr(observer, "on_warning", warnings.warn)(text)


def _interrupt(requests: Requests) -> None:
    """End the climb: StopIteration with its fit, or KeyboardInterrupt if there is none yet."""
    try:
        requests.throw(Interrupted())
    except Interrupted:
        raise KeyboardInterrupt from None
