"""Every family gives the same bits on threads and on workers, complete or with missing values."""

from typing import Any

import numpy as np
import pytest
from distributed import Client

import dem
import trials
from components import COMPONENTS, with_gaps
from dem.accelerate import QuasiNewton
from dem.contract import Schedule
from dem.schedules import FullBatch, Incremental
from dem.starts import Given

pytestmark = pytest.mark.usefixtures("small_blocks")
ROWS = 10_000


@pytest.mark.parametrize("schedule", [FullBatch(), Incremental(2)], ids=["batch", "incremental"])
@pytest.mark.parametrize("name", COMPONENTS)
def test_bits(client: Client, name: str, schedule: Schedule) -> None:
    here = COMPONENTS[name]
    rows = here.rows(ROWS)
    rows = with_gaps(here, rows) if here.missing else rows
    weights = np.random.default_rng(3).gamma(2.0, size=ROWS)
    quick = hasattr(here.model, "flatten") and schedule.groups == 1
    how: dict[str, Any] = {"accelerate": QuasiNewton()} if quick else {}

    def fitted(**more: Any) -> tuple[Any, ...]:
        fit = dem.fit(
            here.model, rows, weights=weights, start=Given(here.mixture), schedule=schedule,
            max_iter=4, tol=0.0, **how, **more,
        )  # fmt: skip
        assert len(fit.history) >= 4
        return trials.bits(fit)

    expected = fitted(threads=1)
    assert fitted(threads=2) == expected
    with client.as_current():
        assert fitted() == expected


@pytest.mark.parametrize("name", COMPONENTS)
def test_bounds_of_one_block(client: Client, name: str) -> None:
    """Statistics that were added to no others round alike, wherever they come from."""
    here = COMPONENTS[name]
    rows = here.rows(3000)

    def bounds() -> list[tuple[float, float]]:
        fit = dem.fit(here.model, rows, start=Given(here.mixture), max_iter=6, tol=0.0)
        return [(record.bound_e, record.bound) for record in fit.history]

    expected = bounds()
    with client.as_current():
        assert bounds() == expected
