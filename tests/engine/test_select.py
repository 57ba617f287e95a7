"""Many models on a cluster: the bits of threads, whoever dies; and what a race tells."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client

import dem
import faults
from dem.stats import leaves
from dem.table import Selected

BLOCK = 4096
X = np.random.default_rng(5).normal(size=(12 * BLOCK, 2)) * [1, 3] + [5, 0]
HOW: dict[str, Any] = {"restarts": 2, "max_iter": 5, "tol": 0.0, "seed": 1, "held_out": 0.1}
pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("small_blocks")]


def models(one: Any) -> dict[str, Any]:
    return {
        "one": dem.Mixture(2, dem.Gaussian()),
        "two": one,
        "three": dem.Mixture(4, dem.Gaussian()),
    }


def bits(found: Selected) -> Any:
    params = [[leaf.tobytes() for leaf in leaves(fit.params)] for fit in found.fits]
    return repr(found.table), found.best, params  # NaN is NaN


@pytest.mark.parametrize("kind", ["file", "array"])
def test_a_worker_dies(client: Client, kind: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    whole = dem.select(models(dem.Mixture(3, dem.Gaussian())), X, threads=1, **HOW)
    flag = tmp_path / "died"
    dying = faults.Dying(3, dem.Gaussian(), marker=X[7 * BLOCK, 0], flag=str(flag))
    client.wait_for_workers(2)
    before = set(client.run(os.getpid).values())
    data = dem.open_data(tmp_path / "x.npy", block_bytes=BLOCK * 16) if kind == "file" else X
    with client.as_current():
        found = dem.select(models(dying), data, **HOW)
    assert flag.exists()
    assert before - set(client.run(os.getpid).values())
    assert bits(found) == bits(whole)


def test_what_it_tells(client: Client) -> None:
    told: list[Any] = []

    class Telling(faults.Watching):
        def on_start(self, description: str, total_steps: int | None) -> None:
            told.append(description)

        def on_step(self, step: Any) -> None:
            told.append(step.bound_e)

    with client.as_current():
        found = dem.select(models(dem.Mixture(3, dem.Gaussian())), X, observer=Telling(), **HOW)
    assert told[0] == "EM"
    assert told[1:] == [record.bound_e for record in found.history]
    assert [record.turn for record in found.history] == list(range(1, len(found.history) + 1))


LENGTH = 300
SETTLED = {"restarts": 2, "max_iter": 4, "seed": 1, "held_out": 0.25}


@pytest.mark.parametrize("size", [100, 4096])
def test_chains_have_the_bits_of_threads(
    client: Client, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Sequences go on from block to block, or blocks are of whole sequences."""
    monkeypatch.setattr("dem.engine.readers.sequences.MOST_ROWS", size)
    data = dem.sequences(X[:6000], [LENGTH] * 20)
    chains = {f"K={k}": dem.HMM(k, dem.Gaussian()) for k in (1, 2)}
    here = dem.select(chains, data, threads=2, **SETTLED)
    with client.as_current():
        there = dem.select(chains, data, **SETTLED)
    assert bits(there) == bits(here)


def test_topics_and_factors_have_the_bits_of_threads(client: Client) -> None:
    counts = np.random.default_rng(2).poisson(0.3, (2 * BLOCK, 20)).astype(float)
    topics = {f"K={k}": dem.LDA(k) for k in (2, 3)}
    factors = {f"q={q}": dem.LinearGaussian(q) for q in (1, 2)}
    for several in (topics, factors):
        here = dem.select(several, counts, threads=2, **SETTLED)
        with client.as_current():
            there = dem.select(several, counts, **SETTLED)
        assert bits(there) == bits(here)
