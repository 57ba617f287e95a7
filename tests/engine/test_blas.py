"""One BLAS thread for each of ours, whichever threads they are, and as it was afterwards."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dem.engine.blas import one_blas_thread
from dem.engine.local import Local
from dem.engine.manifest import open_data
from dem.families import Full, Gaussian
from dem.fitting import fit
from dem.models.mixture import Mixture
from dem.stats import leaves

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(os.cpu_count() == 1, reason="BLAS has one thread anyway"),
]


def threads() -> set[int]:
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _two_before_and_after() -> Iterator[None]:
    with threadpool_limits(2, user_api="blas"):
        assert threads() == {2}
    with one_blas_thread():
        assert threads() == {1}
    yield
    with threadpool_limits(2, user_api="blas"):
        assert threads() == {2}


@pytest.fixture(params=["free", "limited by the caller"])
def ambient(request: pytest.FixtureRequest) -> Iterator[set[int]]:
    with nullcontext() if request.param == "free" else threadpool_limits(2, user_api="blas"):
        yield threads()


@pytest.mark.parametrize("first_to_leave", [0, 1])
def test_users_that_overlap(ambient: set[int], first_to_leave: int) -> None:
    """Whichever leaves last restores it, also while the other thread lives on."""
    inside, leave, left, die = ([Event(), Event()] for _ in range(4))

    def use(i: int) -> None:
        with one_blas_thread():
            inside[i].set()
            leave[i].wait(10)
        left[i].set()
        die[i].wait(10)

    users = [Thread(target=use, args=(i,)) for i in range(2)]
    for i, user in enumerate(users):
        user.start()
        inside[i].wait(10)
        assert threads() == {1}
    for i in (first_to_leave, 1 - first_to_leave):
        assert threads() == {1}
        leave[i].set()
        left[i].wait(10)
    assert threads() == ambient
    for i in range(2):
        die[i].set()
        users[i].join()


def test_every_pass_is_limited(ambient: set[int]) -> None:
    class Look:
        def prepare(self) -> None:
            return None

        def __call__(self, prepared: None, block: Any) -> np.ndarray:
            return np.array([float(threads() != {1}), 1.0])

    manifest = open_data(np.zeros((10 * 2**18, 1)))
    with Local(manifest, threads=3) as engine:
        for _ in range(5):
            (total,) = engine.sweep(Look(), [range(manifest.n_blocks)])
            assert total.tolist() == [0.0, manifest.n_blocks]
            assert threads() == ambient


def test_many_come_and_go(ambient: set[int]) -> None:
    def use(i: int) -> set[int]:
        with one_blas_thread():
            return threads()

    with ThreadPoolExecutor(8) as pool:
        assert set(map(frozenset, pool.map(use, range(500)))) == {frozenset({1})}
        assert threads() == ambient


def test_the_bits_do_not_depend_on_the_callers_threads() -> None:
    """Products of a size that OpenBLAS would split: rows by 96 columns, in the M-step too."""
    x = np.random.default_rng(0).normal(size=(10_000, 96))
    x[:, 1:] += x[:, :-1]
    bits = set()
    for n in (1, 2):
        with threadpool_limits(n, user_api="blas"):
            result = fit(Mixture(3, Gaussian(Full())), x, max_iter=3, tol=0.0)
        bits.add(b"".join(np.ascontiguousarray(part).tobytes() for part in leaves(result.params)))
    assert len(bits) == 1
