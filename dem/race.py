"""Many climbs on shared reads of the data, of which those that cannot win are given up.

A `Race` is a generator of the same kind as a `Climb`: it drives the generators of its climbs side
by side, and puts what they ask for at the same time as one request.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dem.checks import check_all, check_number
from dem.climb import Climb
from dem.contract import Array, Model, Params
from dem.criteria import WORDS, unsuited
from dem.errors import DataError
from dem.passes import Draw, Expectation
from dem.posteriors import Exact
from dem.reading import Phase, Reads, Sweep
from dem.records import Begin, Fit, Interrupted, Record, Requests, State, Turn
from dem.relay import Transfer, reaches
from dem.shared import Evaluate, Holdout, Results, Together
from dem.starts import Errands
from dem.stats import Stats
from dem.stopping import left_to_gain
from dem.table import Selected, best_of, by_bounds, tabulate
from dem.units import ROWS, Beginnings, Units

HOPE = 10.0


@dataclass(frozen=True, eq=False)
class RaceState:
    """Where a race stands after a read of the data.

    states, fits : of each climb that goes on, or would with more turns; of each that has ended for
        good; None otherwise.
    weight : Σ w of the rows.
    history : of the leader, after each read of the data.
    phases : what was read and spent so far.
    entering : where chains are held out, see `dem.units.Units`.
    """

    states: tuple[State | None, ...]
    fits: tuple[Fit | None, ...]
    weight: float
    history: tuple[Record, ...]
    phases: tuple[Phase, ...]
    attempt: int = 0
    entering: Array | None = None

    @property
    def params(self) -> tuple[Params, ...]:
        return tuple(one.params for one in (*self.states, *self.fits) if one is not None)

    @property
    def stands(self) -> tuple[int, int]:
        return self.attempt, len(self.history)


class _Runner:
    """A climb in a race: what it asks for, where it stands, what it came to."""

    def __init__(
        self, name: str, model: Model, requests: Requests, state: State | None = None
    ) -> None:
        self.name, self.model, self._requests, self.state = name, model, requests, state
        self.fit: Fit | None = None
        self.request: Sweep | Errands | None = None
        self.size = 0
        self.advance(None)

    def advance(self, answer: Any) -> None:
        """Go on with what it has asked for, until it asks for more or ends."""
        self.at_turn = False
        try:
            while True:
                request = self._requests.send(answer)
                answer = None
                if isinstance(request, Begin):
                    self.state, self.size = request.state, request.stats_bytes
                elif isinstance(request, Turn):
                    self.state, self.at_turn = request.state, True
                else:
                    self.request = request
                    return
        except StopIteration as end:
            self._end(end.value)

    @property
    def standing(self) -> State | None:
        """Where it goes on from: also one whose turns ran out, as there may be more of them."""
        ended = self.fit is not None and (self.fit.converged or self.fit.interrupted)
        return None if ended else self.state

    @property
    def ended(self) -> Fit:
        """What it came to."""
        assert self.fit is not None
        return self.fit

    def give_up(self) -> None:
        """End it with what it has; Interrupted if that is nothing."""
        try:
            self._requests.throw(Interrupted())
        except StopIteration as end:
            self._end(end.value)

    def _end(self, fit: Fit) -> None:
        self.fit, self.request, self.at_turn = fit, None, True


@dataclass(frozen=True, eq=False)
class Race:
    """Climbs on shared reads of the data.

    climbs : with full batches, whose every turn is a read that all share.
    names : of the candidates.
    criterion : of `dem.criteria.WORDS`, by which the best wins.
    held_out : share of the rows, or of chains, that no climb sees.
    rungs : reads after which the worse half of those that are left is given up, but for two: by
        AIC if that is the criterion, or held-out rows are, else by BIC; by their bounds if these
        have charged for parameters. In any turn one is given up that cannot come up with the best,
        by ten times what it seems to have left to gain. Climbs that begin at random, without a look
        at the data, have up to the last rung to find their way.
    """

    climbs: tuple[Climb, ...]
    names: tuple[str, ...]
    criterion: str = "bic"
    held_out: float = 0.0
    rungs: tuple[int, ...] = (5, 10, 20)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.criterion not in WORDS:
            raise ValueError(f"criterion must be one of {WORDS}, got {self.criterion!r}.")
        check_number("held_out", self.held_out, float, 0)
        if self.held_out >= 1 or (self.held_out == 0 and self.criterion == "held_out"):
            raise ValueError(f"held_out must be a share of the rows, got {self.held_out}.")
        check_all("climbs", self.climbs, Climb)
        for climb in self.climbs:
            if why := unsuited(climb.model, self.criterion):
                raise ValueError(f"{climb.model} cannot be chosen by {self.criterion}: {why}.")
        if len({reaches(climb.model) for climb in self.climbs}) > 1:
            raise TypeError(
                "Models of chains and of rows are not of the same data: race them apart."
            )
        check_all("names", self.names, str)
        check_all("rungs", self.rungs, int)
        check_number("seed", self.seed, int, 0)
        if not self.climbs or len(self.climbs) != len(self.names):
            raise ValueError("there must be candidates, each with a name")

    @property
    def model(self) -> tuple[Model, ...]:
        return tuple(climb.model for climb in self.climbs)

    @property
    def max_iter(self) -> int:
        return max(climb.max_iter for climb in self.climbs)

    def longer(self, max_iter: int) -> Race:
        """The same with another limit to the turns of each climb."""
        return replace(self, climbs=tuple(climb.longer(max_iter) for climb in self.climbs))

    def run(
        self, boundaries: Array, n_columns: int, state: RaceState | None = None
    ) -> Generator[Any, Any, Selected]:
        """The race over data whose blocks have these row offsets; from a state, or the start."""
        reads = Reads(boundaries, n_columns, 1, state.phases if state else ())
        reads.enter("race")
        runners = self._runners(boundaries, n_columns, state)
        history, weight = list(state.history if state else ()), state.weight if state else 0.0
        begun = state is not None
        early = not any(getattr(climb.model, "blind", False) for climb in self.climbs)
        try:
            holdout = yield from self._apart(reads, state)
            while active := [runner for runner in runners if runner.request]:
                if errands := [r for r in active if isinstance(r.request, Errands)]:
                    yield from _together(errands)
                    continue
                weight = (yield from self._read(active, reads, holdout)) or weight
                if not all(runner.state or runner.fit for runner in runners):
                    continue
                if not begun:
                    size = sum(runner.size for runner in runners)
                    yield Begin(
                        self._state(runners, (), weight, reads, holdout), 1, self.max_iter, size
                    )
                    begun = True
                if all(runner.at_turn for runner in runners):
                    history.append(self._record(runners, weight, len(history) + 1))
                    if len(history) in self.rungs[-1:] or (early and len(history) in self.rungs):
                        self._halve(runners, weight)
                    if early or len(history) >= max(self.rungs, default=0):
                        self._drop(runners, weight)
                    kept = self._state(runners, tuple(history), weight, reads, holdout)
                    yield Turn(history[-1], kept)
            fits = tuple(runner.ended for runner in runners)
            lost = [fit.interrupted for fit in fits]
            works = yield from self._evaluations(fits, reads, holdout)
            request = Together(works, names=self.names)
            (total,) = yield reads.counted(Sweep(request, [reads.every]))
            found, interrupted = total.parts, False
        except (Interrupted, KeyboardInterrupt):
            if not history:
                raise
            lost = [bool(runner.fit and runner.fit.interrupted) for runner in runners]
            for runner in runners:
                if runner.fit is None:
                    runner.give_up()
            fits = tuple(runner.ended for runner in runners)
            found, interrupted = by_bounds(fits, weight), True
        table = tabulate(self.names, fits, found)
        best = best_of(table, lost, self.criterion)
        return Selected(
            table, fits, best, reads.passes, tuple(history), interrupted, reads.phases,
            self.criterion,
        )  # fmt: skip

    def _apart(self, reads: Reads, state: RaceState | None) -> Generator[Sweep, Any, Holdout]:
        """What is held out; `DataError` if that is none of the chains, or all of them."""
        if not self.held_out or not reaches(self.climbs[0].model):
            return Holdout(self.held_out, self.seed, ROWS)
        if state is not None:
            return Holdout(self.held_out, self.seed, Units(state.entering))
        work = Beginnings(self.held_out, self.seed)
        (begun,) = yield reads.counted(Sweep(work, [reads.every]))
        chains, ours = begun.count.tolist()
        if not 0 < ours < chains:
            raise DataError(
                f"{ours} of the {chains} sequences would be held out, which are held out as a "
                "whole: take another share, or more sequences."
            )
        return Holdout(self.held_out, self.seed, begun.units)

    def _evaluations(
        self, fits: Sequence[Fit], reads: Reads, holdout: Holdout
    ) -> Generator[Sweep, Any, tuple[Evaluate, ...]]:
        """The passes that make the table; those of chains are told what comes into blocks."""
        works = tuple(Evaluate(fit.model, fit.params, holdout) for fit in fits)
        if not reaches(fits[0].model):
            return works
        steps = [Expectation(fit.model, fit.params, Exact()) for fit in fits]
        request = Together(tuple(map(Transfer, steps)), holdout, self.names)
        (total,) = yield reads.counted(Sweep(request, [reads.every]))
        told = [
            step.model.told(step.params, messages, step.posterior)  # type: ignore[attr-defined]
            for step, messages in zip(steps, total.parts, strict=True)
        ]
        return tuple(replace(work, told=own) for work, own in zip(works, told, strict=True))

    def _runners(self, boundaries: Array, n_columns: int, state: RaceState | None) -> list[_Runner]:
        runners = []
        for i, climb in enumerate(self.climbs):
            before = state.states[i] if state else None
            if state and before is None:
                runners.append(_Runner(self.names[i], climb.model, _ended(state.fits[i])))
            else:
                requests = climb.run(boundaries, n_columns, before)
                runners.append(_Runner(self.names[i], climb.model, requests, before))
        return runners

    def _read(
        self, active: Sequence[_Runner], reads: Reads, holdout: Holdout
    ) -> Generator[Sweep, Any, float]:
        """One read for all who want the same blocks as the first; Σ w if it was a turn.

        Those who wait for messages of chains come first, so that all make their turns together.
        """
        waiting = [r for r in active if isinstance(r.request.work, Transfer)]  # type: ignore[union-attr]
        active = waiting or active
        groups = active[0].request.groups  # type: ignore[union-attr]
        here = [r for r in active if r.request.groups == groups]  # type: ignore[union-attr]
        works = [runner.request.work for runner in here]  # type: ignore[union-attr]
        # The sample is the same for all who ask for as many rows.
        keys = [work if isinstance(work, Draw) else id(work) for work in works]
        once = dict(zip(keys, works, strict=True))
        names = tuple(dict(zip(keys, [runner.name for runner in here], strict=True)).values())
        request = Together(tuple(once.values()), holdout, names)
        totals: tuple[Results, ...] = yield reads.counted(Sweep(request, groups))
        parts = [dict(zip(once, total.parts, strict=True)) for total in totals]
        weight = 0.0
        for runner, key in zip(here, keys, strict=True):
            answer = tuple(part[key] for part in parts)
            if isinstance(answer[0], Stats):
                weight = sum(stats.weight for stats in answer)
            runner.advance(answer)
        return weight

    def _halve(self, runners: Sequence[_Runner], weight: float) -> None:
        """Give up the worse half of those that are not given up yet, but for two."""
        left = [i for i, r in enumerate(runners) if not (r.fit and r.fit.interrupted)]
        left.sort(key=lambda i: self._penalised(runners[i], weight))
        for i in left[max((len(left) + 1) // 2, 2) :]:
            if runners[i].fit is None:
                runners[i].give_up()

    def _drop(self, runners: Sequence[_Runner], weight: float) -> None:
        """Give up those that cannot come up with the best by ten times what they seem to gain."""
        best = min(self._penalised(runner, weight) for runner in runners)
        for runner in runners:
            if runner.fit is None and runner.state is not None:
                bounds = [record.bound_e for record in runner.state.history]
                hope = 2 * weight * HOPE * left_to_gain(bounds)
                if self._penalised(runner, weight) - hope > best:
                    runner.give_up()

    def _penalised(self, runner: _Runner, weight: float) -> float:
        """−2 log L + penalty, by the last bound."""
        now = runner.fit or runner.state
        assert now is not None
        bound = now.history[-1].bound_e if now.history else -math.inf
        model = runner.model
        each = 2.0 if self.criterion in ("aic", "held_out") else math.log(max(weight, 1.0))
        if self.criterion == "bound" or unsuited(model, "bic"):
            each = 0.0  # the bound has charged for them
        return each * model.n_parameters(now.params) - 2 * weight * bound

    def _record(self, runners: Sequence[_Runner], weight: float, turn: int) -> Record:
        """That of the leader."""
        leader = min(runners, key=lambda runner: self._penalised(runner, weight))
        now = leader.fit or leader.state
        assert now is not None
        return (
            replace(now.history[-1], turn=turn)
            if now.history
            else Record(turn, -math.inf, -math.inf, 0.0)
        )

    def _state(
        self,
        runners: Sequence[_Runner],
        history: tuple[Record, ...],
        weight: float,
        reads: Reads,
        holdout: Holdout,
    ) -> RaceState:
        return RaceState(
            states=tuple(runner.standing for runner in runners),
            fits=tuple(None if runner.standing else runner.fit for runner in runners),
            weight=weight,
            history=history,
            phases=reads.phases,
            entering=holdout.units.entering,
        )


def _together(runners: Sequence[_Runner]) -> Generator[Errands, Any, None]:
    """The errands of all of them, side by side."""
    wanted = [runner.request.tasks for runner in runners]  # type: ignore[union-attr]
    tasks = tuple(task for some in wanted for task in some)
    results = iter((yield Errands(tasks, runners[0].request.description)))  # type: ignore[union-attr]
    for runner, some in zip(runners, wanted, strict=True):
        runner.advance(tuple(next(results) for _ in some))


def _ended(fit: Fit | None) -> Requests:
    """A climb that has come to this already."""
    yield from ()
    assert fit is not None
    return fit
