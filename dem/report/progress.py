"""Progress of a fit: iterations outside, blocks of data inside while an iteration is slow.

An observer is told of a fit by whoever drives it: `on_phase` of each pass over the data that comes
before the first iteration, such as "sampling rows"; `on_start`; then `on_step` of each iteration
as it is done; then `on_end`. `on_blocks` comes within phases and iterations, and from any thread,
the others from one at a time. A fit with several starts goes through phases and `on_start` for
each. An observer may watch several fits, one after another, and may have no `on_phase`. If it has
an `on_warning`, that is told of a checkpoint that could not be written; else it is warned of.
An `on_turn` is told of each turn with the parameters, where this process drives the fit.
"""

import sys
import time
import warnings
from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol, TextIO


class Step(Protocol):
    """What an observer reads of an iteration that is done; `dem.records.Record` has it."""

    @property
    def turn(self) -> int: ...
    @property
    def bound(self) -> float: ...
    @property
    def seconds(self) -> float: ...


class Observer(Protocol):
    """Who is told how a fit gets on."""

    def on_phase(self, description: str) -> None:
        """A pass over the data begins, which prepares the iterations."""
        ...

    def on_start(self, description: str, total_steps: int | None) -> None:
        """The iterations of a fit begin, so many at most."""
        ...

    def on_blocks(self, done: int, total: int) -> None:
        """So many blocks of the phase or iteration under way have been read."""
        ...

    def on_step(self, step: Step) -> None:
        """An iteration is done."""
        ...

    def on_end(self, reason: str) -> None:
        """The fit is over, for a reason such as "converged"."""
        ...


class Silent:
    """Says nothing."""

    def on_phase(self, description: str) -> None:
        pass

    def on_start(self, description: str, total_steps: int | None) -> None:
        pass

    def on_blocks(self, done: int, total: int) -> None:
        pass

    def on_step(self, step: Step) -> None:
        pass

    def on_end(self, reason: str) -> None:
        pass


class Progress:
    """Bars in a terminal or a notebook, plain lines anywhere else.

    Parameters
    ----------
    stream
        Where to, standard error (as it is when the fit starts) by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._shown: Observer | None = None  # while a fit is under way

    def on_phase(self, description: str) -> None:
        self._chosen().on_phase(description)

    def on_start(self, description: str, total_steps: int | None) -> None:
        self._chosen().on_start(description, total_steps)

    def on_blocks(self, done: int, total: int) -> None:
        if shown := self._shown:  # which another thread may be about to unset
            shown.on_blocks(done, total)

    def on_step(self, step: Step) -> None:
        if self._shown:
            self._shown.on_step(step)

    def on_end(self, reason: str) -> None:
        if self._shown:
            self._shown.on_end(reason)
            self._shown = None

    def _chosen(self) -> Observer:
        """What suits the stream as it is when the fit begins."""
        if self._shown is None:
            stream = sys.stderr if self._stream is None else self._stream
            if stream is None:  # a program without a console has none
                self._shown = Silent()
            elif stream.isatty() or (self._stream is None and _in_notebook()):
                self._shown = Bars(stream)
            else:
                self._shown = Lines(stream)
        return self._shown


class Bars:
    """A bar of blocks for each phase; then one of iterations, and under it again one of blocks once
    an iteration takes over `slow` seconds.

    The time left is that to the last iteration allowed; converging ends the fit before.
    """

    def __init__(
        self, stream: TextIO, *, slow: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._slow = slow
        self._clock = clock
        self._lock = Lock()
        self._steps: Any = None
        self._blocks: Any = None
        self._previous: float | None = None
        self._begun = clock()

    def on_phase(self, description: str) -> None:
        with self._lock:
            self._close()
            self._blocks = self._bar(desc=description, total=None, unit="block", leave=False)

    def on_start(self, description: str, total_steps: int | None) -> None:
        with self._lock:
            self._close()
            self._previous = None
            self._steps = self._bar(desc=description, total=total_steps, unit="it", position=0)
            self._begun = self._clock()

    def on_blocks(self, done: int, total: int) -> None:
        with self._lock:
            if self._blocks is None:
                if self._steps is None or self._clock() - self._begun < self._slow:
                    return
                self._blocks = self._bar(
                    desc="  blocks", total=total, unit="block", position=1, leave=False
                )
            self._blocks.total = total
            # Threads may report out of order; a bar does not go back.
            self._blocks.update(max(0, done - self._blocks.n))

    def on_step(self, step: Step) -> None:
        with self._lock:
            if self._steps is None:
                return
            self._close_blocks()
            self._steps.set_postfix_str(_figures(step.bound, self._previous), refresh=False)
            self._steps.update(step.turn - self._steps.n)
            self._previous = step.bound
            self._begun = self._clock()

    def on_end(self, reason: str) -> None:
        with self._lock:
            if self._steps is not None:
                figures = self._steps.postfix
                self._steps.set_postfix_str(f"{figures}, {reason}" if figures else reason)
                if reason not in ("failed", "interrupted"):
                    _fill(self._steps)
            self._close()

    def _bar(self, **options: Any) -> Any:
        # Imported here because in a notebook it looks for widgets; without them a bar is text.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm

        return tqdm(file=self._stream, dynamic_ncols=True, **options)

    def _close_blocks(self) -> None:
        if self._blocks is not None:
            self._blocks.close()
            self._blocks = None

    def _close(self) -> None:
        self._close_blocks()
        if self._steps is not None:
            self._steps.close()
            self._steps = None


class Lines:
    """A line for each phase and iteration, and within one that lasts every `interval` seconds."""

    def __init__(
        self,
        stream: TextIO,
        *,
        interval: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._interval = interval
        self._clock = clock
        self._lock = Lock()
        self._doing = ""  # what blocks are read for, if anything
        self._description = "EM"
        self._total: int | None = None
        self._turn = 0
        self._previous: float | None = None
        self._spent: list[float] = []  # on each iteration; one of long ago is told in no time
        self._started = self._printed = clock()

    def on_phase(self, description: str) -> None:
        with self._lock:
            if not self._doing:
                self._turn, self._started = 0, self._clock()
            self._doing = description
            self._print(description)

    def on_start(self, description: str, total_steps: int | None) -> None:
        with self._lock:
            self._description, self._total = description, total_steps
            self._turn, self._previous, self._doing = 0, None, "iteration 1"
            self._started, self._spent = self._clock(), []
            limit = "" if total_steps is None else f", at most {total_steps} iterations"
            self._print(f"started{limit}")

    def on_blocks(self, done: int, total: int) -> None:
        with self._lock:
            if self._doing and self._clock() - self._printed >= self._interval:
                self._print(f"{self._doing}: {done} of {total} blocks")

    def on_step(self, step: Step) -> None:
        with self._lock:
            self._spent.append(step.seconds)
            each = sum(self._spent) / len(self._spent)
            self._turn, self._doing = step.turn, f"iteration {step.turn + 1}"
            figures = _figures(step.bound, self._previous)
            left = (
                "" if self._total is None else f", {_span(each * (self._total - step.turn))} left"
            )
            of = "" if self._total is None else f" of {self._total}"
            self._print(f"iteration {step.turn}{of}: {figures} ({_span(each)} each{left})")
            self._previous = step.bound

    def on_end(self, reason: str) -> None:
        with self._lock:
            elapsed = _span(max(self._clock() - self._started, sum(self._spent)))
            self._print(f"{reason} (iteration {self._turn}, {elapsed})")
            self._doing = ""

    def _print(self, text: str) -> None:
        print(f"{self._description}: {text}", file=self._stream, flush=True)
        self._printed = self._clock()


def _fill(bar: Any) -> None:
    """Show a notebook's bar as full, which else is red as if the fit had failed."""
    if hasattr(bar, "container"):
        bar.total = bar.n
        bar.container.children[1].max = max(bar.n, 1)
        bar.refresh()


def _figures(bound: float, previous: float | None) -> str:
    change = "" if previous is None else f", change {bound - previous:+.1e}"
    return f"bound {bound:.6g}{change}"


def _span(seconds: float) -> str:
    """A duration as a person says it: 12 ms, 3.4 s, 12 min 30 s, 2 h 5 min."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in shell.config
