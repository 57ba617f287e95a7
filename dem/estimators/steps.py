"""Steps of online learning on data that come bit by bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dem.contract import Params
from dem.engine.hosts import choose
from dem.engine.manifest import Manifest
from dem.passes import Expectation
from dem.posteriors import Exact
from dem.schedules import Online


def stepped(
    model: Any, params: Params, manifest: Manifest, schedule: Online, done: int, rows: float
) -> tuple[Params, int]:
    """θ after a step for each block, which stands for so many rows; and how many steps there were.

    done : steps before.
    """
    average = replace(schedule.begin(model, params), count=done)
    with choose(manifest) as engine:
        for block in range(manifest.n_blocks):
            (fresh,) = engine.sweep(Expectation(model, params, Exact()), [[block]])
            # `merge` scales a group up by their number: here it is one of two.
            fresh = fresh * (rows / max(fresh.weight, 1.0) / 2)
            average, stats = schedule.merge(average, (0,), (fresh,), 2)
            params = model.m_step(params, stats)
    return params, average.count
