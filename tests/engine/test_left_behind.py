"""Interrupted, failing and simultaneous fits leave nothing behind, and nothing hangs."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client
from threadpoolctl import threadpool_info, threadpool_limits

import faults
from dem import GaussianMixture
from dem.engine.blas import one_blas_thread
from dem.engine.hosts import active_client
from dem.engine.manifest import open_data
from dem.errors import DataError
from dem.families import Full, Gaussian
from dem.fitting import fit
from dem.models.mixture import Mixture
from dem.starts import Centres

BLOCK = 4096
X = np.random.default_rng(3).normal(size=(20 * BLOCK, 2))
MODEL, START = Mixture(2, Gaussian(Full())), Centres(X[:2])
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("small_blocks")]


def fitted(data: Any = X, model: Any = MODEL, **options: Any) -> Any:
    return fit(model, data, **{"start": START, "max_iter": 3, "tol": 0.0, **options})


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it comes true in time: schedulers forget released keys a moment later."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def on_scheduler(client: Client) -> tuple[int, int]:
    """Tasks, and spans, that the scheduler keeps."""
    return client.run_on_scheduler(
        lambda dask_scheduler: (
            len(dask_scheduler.tasks),
            len(dask_scheduler.extensions["spans"].spans),
        )
    )


def our_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("dem")}


FAULTS: dict[str, Callable[[], Any]] = {
    "nothing": lambda: fitted(),
    "NaN": lambda: fitted(np.where(np.arange(len(X))[:, None] == 50_000, np.nan, X)),
    "model": lambda: fitted(X, faults.Raising(2, Gaussian(Full()), marker=X[9 * BLOCK, 0])),
    "start": lambda: fitted(start=Centres(X[:2, [0, 1, 1]])),
    "persisted NaN": lambda: fitted(da.from_array(X * np.nan, chunks=(BLOCK, 2)).persist()),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_thread_task_future_or_span_is_left(engine: Any, fault: str, tmp_path: Path) -> None:
    def attempt() -> None:
        try:
            FAULTS[fault]()
        except (DataError, faults.ModelFault, ValueError):
            assert fault != "nothing"
        else:
            assert fault == "nothing"

    def clean() -> bool:
        if fault == "persisted NaN":
            gc.collect()  # distributed's traceback is a cycle, in which the caller's array hangs
        return on_scheduler(engine)[0] == 0

    attempt()
    if engine is not None:
        assert eventually(clean)
        spans = on_scheduler(engine)[1]
        attempt()
        assert eventually(clean)
        assert on_scheduler(engine)[1] <= spans + 2
        assert not engine.futures
    assert eventually(lambda: not our_threads(), 2.0)


def test_fifty_passes_leave_one_span_and_no_tasks(client: Client) -> None:
    counts = []

    class Counting(faults.Watching):
        def on_step(self, step: Any) -> None:
            counts.append(on_scheduler(client))

    with client.as_current():
        fitted(max_iter=50, observer=Counting())
    tasks, spans = zip(*counts, strict=True)
    assert len(counts) == 50
    assert max(tasks[25:]) <= max(tasks[:25])
    assert len(set(spans)) == 1


def test_reading_ahead_stops_when_a_fit_fails(tmp_path: Path) -> None:
    x = X.copy()
    x[3 * BLOCK + 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(DataError):
        fitted(open_data(tmp_path / "x.npy", block_bytes=BLOCK * 16), threads=3)
    assert not our_threads()


@pytest.mark.parametrize("fault", ["nothing", "NaN", "model"])
def test_blas_has_its_threads_back(fault: str) -> None:
    def threads() -> list[int]:
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    with one_blas_thread():
        assert set(threads()) == {1}
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        assert set(before) == {2}
        try:
            FAULTS[fault]()
        except (DataError, faults.ModelFault):
            assert fault != "nothing"
        assert threads() == before


def test_two_fits_at_once_on_one_client(client: Client) -> None:
    alone = [fitted(X[: 10 * BLOCK]), fitted(X)]
    with client.as_current(), ThreadPoolExecutor(2) as pool:
        # The current client is a context variable, which threads do not inherit by themselves.
        futures = [pool.submit(copy_context().run, fitted, x) for x in (X[: 10 * BLOCK], X)]
        together = [future.result() for future in futures]
    for a, b in zip(alone, together, strict=True):
        assert a.history[-1].bound == b.history[-1].bound


def test_two_fits_at_once_on_threads() -> None:
    alone = [fitted(X[: 10 * BLOCK]), fitted(X)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(fitted, [X[: 10 * BLOCK], X]))
    for a, b in zip(alone, together, strict=True):
        assert a.history[-1].bound == b.history[-1].bound


def test_fits_inside_tasks_of_the_cluster(client: Client) -> None:
    """As many as there are threads: each gives up its own while it waits for its passes."""

    def inside(seed: int) -> tuple[bool, float]:
        x = np.random.default_rng(seed).normal(size=(20_000, 2))
        mixture = GaussianMixture(2, random_state=0, max_iter=3, tol=0.0)
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bound = mixture.fit(x).lower_bound_
        return active_client() is not None, bound

    results = client.gather(client.map(inside, range(4), pure=False))
    assert all(on_cluster for on_cluster, _ in results)
    x = np.random.default_rng(2).normal(size=(20_000, 2))
    with pytest.warns(match="did not converge"):
        here = GaussianMixture(2, random_state=0, max_iter=3, tol=0.0).fit(x)
    # The blocks of workers are of 4 MB, as they are by default: here all the rows in one.
    assert results[2][1] == pytest.approx(here.lower_bound_, abs=1e-12)


INTERRUPTED = """
import sys, warnings
import numpy as np
import dem, faults
from dem.engine.readers import arrays
from dem.estimators import gaussian_mixture

class Says(faults.Watching):
    def on_start(self, description, total): print("started", flush=True)
    def on_step(self, step): print("step", flush=True)

class Slow(faults.Slow): pass

if __name__ == "__main__":
    arrays.MEMORY_BLOCK_BYTES = 1
    gaussian_mixture.Mixture = faults.Slow
    x = np.random.default_rng(0).normal(size=(40 * 4096, 2))
    client = None
    if sys.argv[1] == "cluster":
        from distributed import Client
        client = Client(n_workers=1, threads_per_worker=2, dashboard_address=":0",
                        host="127.0.0.1")
    mixture = dem.GaussianMixture(2, tol=0, verbose=Says(), init_params="random_from_data")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            mixture.fit(x)
        print([str(w.message) for w in caught], mixture.n_iter_, mixture.converged_)
        print(np.isfinite(mixture.means_).all(), mixture.score(x) > -10)
    except KeyboardInterrupt:
        print("KeyboardInterrupt", hasattr(mixture, "means_"))
    if client is not None:
        print("answers", client.submit(sum, [1, 2]).result())
        client.close()
        client.cluster.close()
"""


@pytest.mark.parametrize(
    ("where", "turns"),
    [
        ("threads", 0),
        ("threads", 2),
        ("cluster", 0),
        pytest.param("cluster", 2, marks=pytest.mark.faults),
    ],
)
def test_control_c(where: str, turns: int, tmp_path: Path) -> None:
    """Before the first turn it is raised; later the fit keeps what it has and says so."""
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    paths = [str(Path(faults.__file__).parent), *sys.path]
    with subprocess.Popen(
        [sys.executable, script, where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    ) as process:
        try:
            seen = 0
            for line in process.stdout:  # type: ignore[union-attr]
                seen += line == "step\n"
                if seen == turns and (turns or line == "started\n"):
                    break
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, err
    if turns:
        assert f"Interrupted: kept the parameters of turn {turns}" in out
        assert f"{turns} False\nTrue True" in out
    else:
        assert "KeyboardInterrupt False" in out
    assert ("answers 3" in out) == (where == "cluster")
