"""scikit-learn's callbacks (1.9 and later): each turn of a fit is a task of theirs."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dem.climb import Climb
from dem.fitting import Fit
from dem.records import State, Turn
from dem.report.progress import Observer

__all__ = ["CallbackSupportMixin", "told"]

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback._callback_support import callback_management_context
except ImportError:  # before 1.9 estimators have no `set_callbacks`

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""


class Telling:
    """An observer that tells callbacks of each turn, and another observer of everything.

    Where this process drives the fit, callbacks are given an estimator as of that turn. One that
    asks to stop ends the fit, as Ctrl-C does.
    """

    def __init__(self, estimator: Any, climb: Climb, observer: Observer) -> None:
        self._estimator, self._climb, self._observer = estimator, climb, observer
        self._state: State | None = None
        self._left = climb.max_iter * climb.schedule.groups * climb.n_init
        self._context = estimator._init_callback_context(max_subtasks=self._left)
        self._context.call_on_fit_task_begin(estimator=estimator)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._observer, name)  # what is optional is so here

    def on_turn(self, turn: Turn) -> None:
        self._state = turn.state

    def on_step(self, step: Any) -> None:
        self._observer.on_step(step)
        if self._left == 0:  # turns that were lost with a worker, and are made again
            return
        self._left -= 1
        task = self._context.subcontext(task_name=f"turn {step.turn}")
        task.call_on_fit_task_begin(estimator=self._estimator)
        if self._ended(task):
            raise KeyboardInterrupt

    def close(self) -> None:
        """The fit is over."""
        self._ended(self._context)

    def _ended(self, task: Any) -> bool:
        stop: bool = task.call_on_fit_task_end(
            estimator=self._estimator, reconstruction_attributes=self._attributes
        )
        return stop

    def _attributes(self) -> dict[str, Any] | None:
        """Those of the estimator as of the last turn; None where that is not known here."""
        state = self._state
        if state is None:
            return None
        other = copy.copy(self._estimator)
        other._keep(Fit(self._climb.model, state.params, state.history, False, False, 0.0))
        return vars(other)


@contextmanager
def told(estimator: Any, climb: Climb, observer: Observer) -> Iterator[Any]:
    """The observer of a fit, so that the estimator's callbacks, if it has any, hear of it."""
    if not getattr(estimator, "_skl_callbacks", ()):
        yield observer
        return
    with callback_management_context(estimator):
        telling = Telling(estimator, climb, observer)
        yield telling
        telling.close()
