from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster

from dem.engine.readers import arrays
from machines import Machines
from trials import Trial


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays in memory have 4 096 rows a block."""
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Of 2 worker processes, or as many as the test asks for; not the default of this process."""
    with (
        # Else LocalCluster gives up, for good, a worker that is away at the moment 15 s after it
        # was lost: one that restarted and was killed again.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        LocalCluster(
            n_workers=getattr(request, "param", 2),
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=":0",
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(params=["threads", "cluster"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Fits run on threads, and then on a cluster: None, or its client."""
    if request.param == "threads":
        yield None
    else:
        client = request.getfixturevalue("client")
        with client.as_current():
            yield client


LOST = pytest.StashKey[list[tuple[str, float, float]]]()


@pytest.fixture
def lost(request: pytest.FixtureRequest) -> Callable[[str, float, float], None]:
    """Note (fault, seconds of the undisturbed fit, of the disturbed one) for the summary."""
    noted = request.config.stash.setdefault(LOST, [])
    return lambda fault, undisturbed, disturbed: noted.append((fault, undisturbed, disturbed))


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A scheduler as a process of its own, without workers; see `Machines.staff`."""
    with Machines(tmp_path_factory.mktemp("machines")) as machines:
        yield machines


@pytest.fixture(scope="module")
def trials(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(machines, tmp_path_factory.mktemp("trials"))


@pytest.fixture
def trial(trials: Trial, lost: Callable[[str, float, float], None]) -> Trial:
    """Fits on these machines, of which the times are noted."""
    return replace(trials, note=lost)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What the faults cost."""
    if noted := config.stash.get(LOST, []):
        terminalreporter.section("time lost to faults")
        terminalreporter.line(f"{'fault':44} undisturbed s  disturbed s  lost s")
        for fault, before, after in noted:
            terminalreporter.line(f"{fault:44} {before:13.2f}{after:13.2f}{after - before:8.2f}")
