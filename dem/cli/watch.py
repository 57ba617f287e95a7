"""An observer that remembers how a fit ended."""

from __future__ import annotations

from dem.report.progress import Observer, Step


class Watch:
    """Passes all on to another observer, and keeps the reason for which the last fit ended."""

    def __init__(self, shown: Observer) -> None:
        self._shown = shown
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

    def on_end(self, reason: str) -> None:
        self._reason = reason
        self._shown.on_end(reason)
