"""An observer that remembers how a fit ended, and ends one that missed its signal."""

from __future__ import annotations

from dem.cli.signals import Ending, Stopped
from dem.report.progress import Observer, Step


class Watch:
    """Passes all on to another observer, and keeps the reason for which the last fit ended.

    What a signal raises may be lost, where it strikes in the midst of code that drops exceptions
    (a finaliser, a callback). So it is asked for after each turn as well.
    """

    def __init__(self, shown: Observer, ending: Ending | None = None) -> None:
        self._shown, self._ending = shown, ending
        self._reason = ""

    @property
    def converged(self) -> bool:
        return self._reason == "converged"

    @property
    def interrupted(self) -> bool:
        return self._reason == "interrupted"

    def on_phase(self, description: str) -> None:
        self._shown.on_phase(description)

    def on_start(self, description: str, total_steps: int | None) -> None:
        self._shown.on_start(description, total_steps)

    def on_blocks(self, done: int, total: int) -> None:
        self._shown.on_blocks(done, total)

    def on_step(self, step: Step) -> None:
        self._shown.on_step(step)
        if self._ending and self._ending.heard:
            raise Stopped

    def on_end(self, reason: str) -> None:
        self._reason = reason
        self._shown.on_end(reason)
