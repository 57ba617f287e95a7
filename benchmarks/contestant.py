"""A library at work in a process of its own, and what its iterations take."""

from __future__ import annotations

import json
import math
import os
import select
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

RUNNER = Path(__file__).with_name("runner.py")
FEW, SOME = 1, 4  # iterations of the shortest fits; what `SOME` come to is compared
# Two threads that have just begun may share a core for a tenth of a second or two.
SETTLED_SECONDS = 0.3
GROWTH = 1.5, 10.0


class Failed(Exception):
    """A library did not do what it was asked for."""


class Refused(Failed):
    """It is not there, or does not claim to do that."""


class Peer:
    """A process that fits with one library on command."""

    def __init__(self, name: str, python: str, place: Path, threads: int, patience: float) -> None:
        self.name, self._place, self._patience = name, place, patience
        limits = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
        # Threads that spin while another peer is at work would slow it down.
        env = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYSPARK_PYTHON": python}
        env |= {f"{name}_NUM_THREADS": str(threads) for name in limits}
        with (place / f"{name}.log").open("w") as log:
            self._process = subprocess.Popen(
                [python, str(RUNNER), name, str(place)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=env,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()

    def answer(self) -> dict[str, Any]:
        """The next one; raises Failed with the reason if there is none."""
        if not select.select([self._process.stdout], [], [], self._patience)[0]:
            self._process.kill()
            raise Failed(f"no answer in {self._patience:g} seconds")
        line = self._process.stdout.readline()
        if not line:
            last = (self._place / f"{self.name}.log").read_text().splitlines()[-1:]
            raise Failed(f"it died with exit code {self._process.wait()}: {' '.join(last)}")
        said = json.loads(line)
        if "refused" in said:
            raise Refused(said["refused"])
        if "error" in said:
            raise Failed(" ".join(said["error"].split()))
        return said

    def fit(self, iterations: int) -> dict[str, Any]:
        self._process.stdin.write(f"{iterations}\n")
        self._process.stdin.flush()
        return self.answer()

    def found(self) -> dict[str, np.ndarray]:
        with np.load(self._place / f"{self.name}.npz") as arrays:
            return dict(arrays)


@dataclass
class Contestant:
    """Seconds per iteration, from fits of which one is longer than the other by `least` seconds.

    What a fit does once, and the time until its threads have settled, is in both.
    """

    peer: Peer
    least: float
    before: int = 0
    peak: int = 0
    exact: bool = True
    spent: float = 0.0
    lengths: tuple[int, int] = (FEW, SOME)
    known: dict[int, dict[str, Any]] = field(default_factory=dict)  # fits that need not be again
    iterations: list[float] = field(default_factory=list)  # seconds

    @property
    def seconds(self) -> float:
        return statistics.median(self.iterations)

    def begin(self) -> dict[str, np.ndarray]:
        """Learns how long fits have to be; returns the parameters after `SOME` iterations."""
        self.before = self.peer.answer()["before"]
        once = self._fit(FEW)["seconds"]
        done, n, enough = self._fit(SOME), SOME, SETTLED_SECONDS + self.least
        self.exact = done["iterations"] == SOME
        found = self.peer.found()
        if done["seconds"] - once >= enough:
            self.known[SOME] = done
            return found
        while (more := done["seconds"] - once) < enough and done["iterations"] == n:
            n = math.ceil(n * min(max(GROWTH[0], 1.2 * enough / max(more, 1e-3)), GROWTH[1]))
            done = self._fit(n)
        n = min(n, done["iterations"])  # where it stands still, more of them are none
        self.lengths = max(FEW, int(n * SETTLED_SECONDS / enough)), n
        return found

    def measure(self) -> None:
        short, long = (self.known.pop(n, None) or self._fit(n) for n in self.lengths)
        more = long["iterations"] - short["iterations"]
        if more <= 0:
            raise Failed(f"it stands still after {long['iterations']} iterations")
        self.iterations.append((long["seconds"] - short["seconds"]) / more)

    def _fit(self, n: int) -> dict[str, Any]:
        done = self.peer.fit(n)
        self.spent += done["seconds"]
        self.peak = done["peak"]
        return done
