"""The fits of a scheduler among what it shows Prometheus under /metrics.

They are there once a client of the scheduler has used dem, or from the beginning after
``dask scheduler --preload dem.observe.metrics``; and, as Dask's own, if prometheus_client is
installed. Those of a run are shown while it is at work; of the last few that have ended, what they
came to (bound and turns).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from dem.dashboard.feed import runs_of

STATES = ("waiting", "running", "done", "cancelled", "failed")
AT_WORK = ("waiting", "running")
ENDED = 10  # runs that have ended and are still shown
HELP = {
    "bound": "Lower bound on the log-likelihood after the last turn, nats per row",
    "turns": "Turns of EM that are done, of the present attempt",
    "max_turns": "Turns of EM at most",
    "blocks_done": "Blocks of data done of the pass under way",
    "blocks": "Blocks of data in all of the pass under way",
    "rows_per_second": "Rows read a second in the last turn",
    "starved_components": "Components with less than the weight of a row",
    "turn_age_seconds": "Seconds since the last turn was done, or since the run began",
    "checkpoint_age_seconds": "Seconds since the last checkpoint was written; none without one",
}


class Metrics:
    """Collects from the plugin of a scheduler whenever it is asked to."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def collect(self) -> Iterator[Any]:
        """Metric families, as prometheus_client wants them."""
        from prometheus_client.core import GaugeMetricFamily

        runs = runs_of(self.scheduler)
        counts = Counter(run.state for run in runs)
        states = GaugeMetricFamily("dem_runs", "Runs that the scheduler knows", labels=["state"])
        for state in STATES:
            states.add_metric([state], counts[state])
        yield states
        shown = [run for run in runs if run.state in AT_WORK]
        shown += islice((run for run in runs if run.state not in AT_WORK), ENDED)
        now = time.time()
        values = [(run.name, measures(run, now)) for run in shown]
        for name, text in HELP.items():
            family = GaugeMetricFamily(f"dem_run_{name}", text, labels=["run"])
            for run, measured in values:
                if name in measured:
                    family.add_metric([run], measured[name])
            yield family


def measures(run: Any, now: float) -> dict[str, float]:
    """What is known of a run, by the names of `HELP`, at a time in seconds since the epoch."""
    turns, vitals = tuple(run.turns), tuple(run.vitals)  # a thread may be adding to them
    done, blocks = run.blocks
    at_work = run.state in AT_WORK
    known: dict[str, float] = {"turns": len(turns), "max_turns": run.max_iter}
    if turns:
        known["bound"] = turns[-1][2]
    if at_work:
        known |= {"blocks_done": done, "blocks": blocks}
        known["turn_age_seconds"] = now - (vitals[-1].at if vitals else run.began)
    if vitals and at_work:
        last = vitals[-1]
        seconds = last.read + last.compute + last.gather + last.m_step
        known["rows_per_second"] = last.rows / seconds if seconds else 0.0
        known["starved_components"] = last.starved
        if last.kept:
            known["checkpoint_age_seconds"] = now - last.kept
    return known


_metrics = Metrics(None)  # Prometheus' registry is one for the process, whose scheduler this has


def expose(scheduler: Any) -> bool:
    """Add the fits of a scheduler to what it shows Prometheus; whether it can."""
    try:
        from prometheus_client import REGISTRY
    except ImportError:
        return False
    if _metrics.scheduler is None:
        _metrics.scheduler = scheduler  # it is asked as it is registered
        REGISTRY.register(_metrics)
    _metrics.scheduler = scheduler
    return True


def dask_setup(scheduler: Any) -> None:
    """What ``--preload dem.observe.metrics`` calls."""
    expose(scheduler)
