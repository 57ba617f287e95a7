"""Fits that live on a cluster's scheduler: submit one, leave, and let anybody attach to it."""

from __future__ import annotations

import asyncio
import time
import warnings
from asyncio import CancelledError
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from html import escape
from typing import Any
from uuid import uuid4

from dem import checkpoint as checkpoints
from dem import html
from dem.checkpoint import SECONDS, Keeper, Saved
from dem.climb import Climb
from dem.dashboard import PATH
from dem.engine.cache import configured
from dem.engine.hosts import active_client, synchronous
from dem.engine.manifest import Manifest, open_data
from dem.engine.run import ENDED, Kept, Lost, Order, Unhosted, repeat
from dem.history import History
from dem.records import Ascent, Fit, Record, State
from dem.report.progress import Observer
from dem.store.place import URI, Place

HOW = tuple(field.name for field in fields(Climb) if field.name != "model")
PATIENCE_SECONDS = 10.0  # how long the scheduler keeps a question before it says "nothing new"
TIMES_SENT = 4
ERRORS = {error.__name__: error for error in (KeyError, Unhosted, ValueError)}
NO_CLIENT = "There is no active distributed.Client: make one, or pass it as `client`."


@dataclass(frozen=True)
class Job:
    """A fit on the scheduler: a name, and the client to ask through.

    Any client of the same cluster can make one for a run that it did not start: `dem.attach`.
    """

    run: str
    client: Any

    def status(self) -> dict[str, Any]:
        """run, state (waiting, running, done, cancelled, failed), attempt, turns, max_iter, bound,
        blocks (done, in all, of the pass under way), began (seconds since the epoch), checkpoint
        (where it is kept, None if nowhere or if it rests on what a client sent from its memory)."""
        return self._ask("status")

    @property
    def history(self) -> tuple[Record, ...]:
        """A `Record` for each turn so far, of the present attempt."""
        return History(Record(*entry) for entry in self._ask("history"))

    def _repr_html_(self) -> str:
        if self.client.asynchronous:
            return html.card("Job", html.facts({"run": self.run}))
        try:
            status = self.status()
        except (KeyError, OSError) as error:
            return html.card("Job", html.facts({"run": self.run, "state": error}))
        done, blocks = status["blocks"]
        shown = {
            "run": self.run,
            "state": status["state"],
            "turns": f"{status['turns']} of at most {status['max_iter']}",
            "bound, nats per row": "–" if status["bound"] is None else status["bound"],
        }
        if status["state"] not in ENDED and blocks:
            shown["blocks of this turn"] = f"{done} of {blocks}"
        page = self.client.dashboard_link.removesuffix("/status") + PATH
        link = f'<a href="{escape(page)}" target="_blank">on the dashboard</a>'
        curve = html.curve([record.bound for record in self.history])
        return html.card("Job", " ", curve, html.facts(shown), link)

    def cancel(self) -> None:
        """End the fit now; its result is then that of the turn before."""
        self._ask("cancel")

    def result(self, timeout: float | None = None) -> Fit:
        """Wait for the end: the `Fit`.

        Raises what the fit raised, asyncio.CancelledError if it was cancelled before its first
        turn, TimeoutError after `timeout` seconds, ConnectionError if the scheduler is gone.
        """
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            patience = min(max(deadline - time.monotonic(), 0.0), PATIENCE_SECONDS)
            outcome = self._ask("outcome", timeout=patience)
            if outcome is not None:
                value = _opened(outcome)
                if not isinstance(value, Kept):
                    return value
                try:
                    return _fetched(self.client, value)
                except futures.CancelledError:  # its worker has died just now: ask once more
                    continue
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{self.run} is still at work after {timeout} seconds")

    async def result_async(self) -> Fit:
        """As `result`, to be awaited, with a client of either kind."""
        if not self.client.asynchronous:
            return await asyncio.to_thread(self.result)
        while True:
            outcome = await self._ask_async("outcome", timeout=PATIENCE_SECONDS)
            if outcome is None:
                continue
            value = _opened(outcome)
            if not isinstance(value, Kept):
                return value
            try:
                return await _fetched(self.client, value)
            except futures.CancelledError:
                continue

    async def status_async(self) -> dict[str, Any]:
        """As `status`, for a client made with asynchronous=True."""
        status: dict[str, Any] = await self._ask_async("status")
        return status

    async def cancel_async(self) -> None:
        """As `cancel`, for a client made with asynchronous=True."""
        await self._ask_async("cancel")

    def follow(self, observer: Observer, cancel: bool = True) -> Fit:
        """As `result`, telling an observer what there is to tell, from the beginning.

        Ctrl-C, of the user or raised by the observer, cancels the fit, and a second one leaves it;
        with cancel=False the first one does. Any other error of the observer leaves it as well.
        """
        from dem.engine.cluster import seceded

        with seceded():
            try:
                self._tell(observer)
            except KeyboardInterrupt:
                if not cancel:
                    raise
                self.cancel()
                self._tell(observer, only="on_end")
            return self.result()

    def _tell(self, observer: Observer, only: str = "") -> None:
        """Repeat to an observer what that of the run was told, to the end."""
        seen, state = 0, ""
        while state not in ENDED:
            news = self._ask("follow", since=seen, timeout=PATIENCE_SECONDS)
            state, log, blocks = news["state"], news["log"], news["blocks"]
            seen += len(log)
            for name, told in log:
                if name == "on_warning":
                    warnings.warn(told[0], stacklevel=5)
                elif not only or name == only:
                    repeat(observer, name, told)
            if not log and not only and state not in ENDED:
                observer.on_blocks(*blocks)

    async def _ask_async(self, handler: str, **message: Any) -> Any:
        with _reached():
            reply = await getattr(self.client.scheduler, f"dem_{handler}")(run=self.run, **message)
        return _answer_in(reply)

    def _ask(self, handler: str, **message: Any) -> Any:
        return _ask(self.client, handler, run=self.run, **message)


def submit(
    model: Any,
    data: Any,
    *,
    weights: Any = None,
    client: Any = None,
    run: str | None = None,
    checkpoint: URI | None = None,
    checkpoint_seconds: float = SECONDS,
    **how: Any,
) -> Job:
    """Begin a fit on the scheduler and return at once.

    model, data, weights, checkpoint : as for `dem.fit`; paths must be visible to workers and
        scheduler. An array in this process is sent to the workers, and is lost with them.
    client : the active one by default. run : a name for the run.
    how : start, schedule, posterior, max_iter, tol, n_init, seed, as for `dem.fit`.

    Raises ValueError where there is no client, or a run of that name already.
    """
    if unknown := how.keys() - HOW:
        raise TypeError(
            f"submit() got an unexpected argument {min(unknown)!r}: of how to fit it takes "
            f"{', '.join(HOW)}; what is fitted is the model's business."
        )
    sparse = getattr(model, "sparse", False)
    known = isinstance(data, Manifest)
    manifest = data if known else open_data(data, weights=weights, sparse=sparse)
    return begin(
        Climb(model, **how),
        manifest,
        client=client,
        run=run,
        checkpoint=checkpoint,
        checkpoint_seconds=checkpoint_seconds,
    )


async def submit_async(model: Any, data: Any, *, client: Any = None, **how: Any) -> Job:
    """As `submit`, to be awaited: for a client that was made with asynchronous=True.

    What it takes is done in a thread, through another connection to the same scheduler. Of the
    job use `result_async`, `status_async` and `cancel_async`.
    """
    found = client or active_client()
    if found is None:
        raise ValueError(NO_CLIENT)

    def done_here() -> str:
        with synchronous(found) as own:
            return submit(model, data, client=own, **how).run

    return Job(await asyncio.to_thread(done_here), found)


def begin(
    climb: Ascent,
    manifest: Manifest,
    *,
    client: Any = None,
    run: str | None = None,
    checkpoint: URI | None = None,
    checkpoint_seconds: float = SECONDS,
) -> Job:
    """Begin a climb on the scheduler and return at once; the rest of `submit`."""
    found = _client(client)
    keeper = checkpoints.keeper(checkpoint, climb, manifest, checkpoint_seconds)
    return order(found, climb, manifest, run=run, keeper=keeper)


def carry_out(
    client: Any,
    climb: Ascent,
    manifest: Manifest,
    observer: Observer,
    state: State | None = None,
    keeper: Keeper | None = None,
) -> Any:
    """Have the scheduler do a climb, and stay with it to the end.

    Data that live in this process are sent again if they are lost with a worker: a few times, or
    as often as there was a turn in between.
    Raises what `order` and the fit raise, KeyboardInterrupt if it was ended before its first turn.
    """
    client, sent_in_vain = _client(client), 0
    while True:
        job = order(client, climb, manifest, state=state, keeper=keeper)
        try:
            return job.follow(observer)
        except CancelledError:
            raise KeyboardInterrupt from None
        except Lost as lost:
            went_on = lost.state and (state is None or lost.state.stands > state.stands)
            sent_in_vain = 0 if went_on else sent_in_vain + 1
            if not lost.sent or sent_in_vain == TIMES_SENT:
                raise
            state = lost.state or state
            keeper = keeper and replace(keeper, take_over=True)


def attach(run: str, client: Any = None) -> Job:
    """The run of that name, whoever submitted it. Raises KeyError if there is none.

    With an asynchronous client nothing is asked yet: what is asked of the job tells.
    """
    found = client or active_client()
    if found is not None and found.asynchronous:
        return Job(run, found)
    job = Job(run, _client(client))
    host(job.client)
    job.status()
    return job


def runs(client: Any = None) -> list[dict[str, Any]]:
    """The status of every run that the scheduler knows, the oldest first, without history."""
    client = _client(client)
    host(client)
    known: list[dict[str, Any]] = _ask(client, "names")
    return known


def join(client: Any, saved: Saved, observer: Observer) -> Fit | None:
    """What the fit of a checkpoint comes to, if it is still at work on the scheduler; else None.

    So a client that comes back, as a process that was started again does, loses no turn.
    """
    place = str(Place.of(saved.uri).target)
    try:
        known = runs(client)
    except Unhosted:
        return None
    for status in known:
        same = (status["checkpoint"], status["max_iter"]) == (place, saved.climb.max_iter)
        if same and status["state"] not in ENDED:
            try:
                return Job(status["run"], _client(client)).follow(observer)
            except CancelledError:
                raise KeyboardInterrupt from None
    return None


def order(
    client: Any,
    climb: Ascent,
    manifest: Manifest,
    *,
    state: State | None = None,
    keeper: Keeper | None = None,
    run: str | None = None,
) -> Job:
    """Have the scheduler begin a climb, from a state or the start.

    Raises `Unhosted` if it cannot, ValueError if there is a run of that name already.
    """
    from dem.engine.placement import on_workers
    from dem.engine.scheduler import dumps

    host(client)
    name = run or f"run-{uuid4().hex[:8]}"
    budget = configured()
    try:
        placed, scattered = on_workers(manifest, client)
        sent = bool(scattered)
        asked = dumps(Order(climb, placed, state, keeper, sent, budget))
        _ask(client, "submit", run=name, order=asked)
        del scattered  # not before the scheduler holds them for the run
    except Unhosted:
        raise  # the fit will be done elsewhere
    except BaseException:
        if keeper:
            keeper.close()  # else its place would stay taken
        raise
    return Job(name, client)


def host(client: Any) -> None:
    """Make sure that the scheduler can host fits. Raises `Unhosted` with the reason if not."""
    from dem.engine.scheduler import Runs

    try:
        client.register_plugin(Runs())
    except OSError:  # no connection: nothing will work
        raise
    except Exception as error:  # whatever unpickling or a policy of the scheduler's raises
        raise Unhosted(f"The scheduler cannot host fits: {error}") from error


def _client(client: Any) -> Any:
    found = client or active_client()
    if found is None:
        raise ValueError(NO_CLIENT)
    if found.asynchronous:
        raise TypeError(
            "The client is asynchronous: `await dem.submit_async(...)`, or make one that is not."
        )
    return found


def _ask(client: Any, handler: str, **message: Any) -> Any:
    """What the plugin on the scheduler answers, or the error it answers with."""
    with _reached():
        reply = client.sync(getattr(client.scheduler, f"dem_{handler}"), **message)
    return _answer_in(reply)


@contextmanager
def _reached() -> Iterator[None]:
    """Says what becomes of a fit whose scheduler does not answer."""
    try:
        yield
    except OSError as error:
        raise ConnectionError(
            f"The scheduler is gone, or cannot be reached ({error}). If it is there, the fit goes "
            "on, and dem.attach finds it; if not, dem.resume takes it up from its checkpoint."
        ) from error


def _answer_in(reply: dict[str, Any]) -> Any:
    if "error" in reply:
        raise ERRORS[reply["error"]](reply["text"])
    return reply["answer"]


def _fetched(client: Any, kept: Kept) -> Any:
    from dem.engine.outpost import fetched

    return fetched(client, kept)


def _opened(outcome: bytes) -> Fit | Kept:
    from dem.engine.scheduler import loads

    value = loads(outcome)
    if isinstance(value, BaseException):
        raise value
    return value
