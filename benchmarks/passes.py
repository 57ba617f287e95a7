"""How often a fit reads the data: the default against batch EM from a k-means‖ start.

    python benchmarks/passes.py [--rows 100000] [--seeds 5] [--only full ...] [--csv FILE]

For each problem and seed, batch EM climbs to where a turn gains less than 1e-9 nats per row (or
to --longest turns); that is the limit. Then, for each method, full reads of the data, those of
sample and start included, until the mean log-likelihood is within 1e-3 ... 1e-6 nats of that limit
("–": never), and how far above or below the limit it ends. The last lines are geometric means of
the ratios of passes to 1e-4, where both arrive, by overlap; and how often a method ends more than
1e-3 nats above and below the limit.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import dem
from dem.accelerate import QuasiNewton
from dem.climb import Climb
from dem.engine.drive import drive
from dem.engine.local import Local
from dem.engine.manifest import Manifest
from dem.engine.readers.arrays import ArraySource
from dem.records import Turn
from dem.report.progress import Silent
from dem.schedules import Incremental, Stepwise, VarianceReduced
from dem.starts import KMeansParallel
from dem.stopping import Aitken, Change
from dem.warm import WarmStart

EPSILONS = (1e-3, 1e-4, 1e-5, 1e-6)
SEPARATION = {"separated": 6.0, "moderate": 2.2, "strong": 1.3}


@dataclass(frozen=True)
class Problem:
    """Rows of K clusters: `overlap` of their centres, covariances, tails and shares."""

    covariance: str
    d: int
    k: int
    overlap: str
    tails: bool = False  # Student's t of 4 degrees: the model is wrong
    unequal: bool = False

    @property
    def name(self) -> str:
        more = " tails" * self.tails + " unequal" * self.unequal
        return f"{self.covariance} D={self.d} K={self.k} {self.overlap}{more}"

    def rows(self, n: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng([seed, self.d, self.k])
        d, k = self.d, self.k
        if self.covariance == "categorical":  # each column 4 levels, the sharper the more separate
            sharp = SEPARATION[self.overlap] / 2
            logits = sharp * rng.normal(size=(k, d, 4))
            return (logits[rng.integers(0, k, n)] + rng.gumbel(size=(n, d, 4))).argmax(-1) * 1.0
        spread = SEPARATION[self.overlap] / math.sqrt(2) * min(1.0, 2 / math.sqrt(d))
        means = rng.normal(size=(k, d)) * spread
        shares = rng.dirichlet(np.full(k, 2.0)) if self.unequal else np.full(k, 1 / k)
        labels = rng.choice(k, size=n, p=shares)
        rows = rng.standard_t(4, (n, d)) if self.tails else rng.normal(size=(n, d))
        for j in range(k):
            shape = np.diag(rng.uniform(0.5, 1.5, d))
            if self.covariance == "full":
                shape = rng.normal(size=(d, d)) / math.sqrt(d) + np.eye(d) / 2
            here = labels == j
            rows[here] = rows[here] @ shape.T + means[j]
        return rows

    @property
    def model(self) -> dem.Mixture:
        families = {
            "full": dem.Gaussian(dem.Full()),
            "diag": dem.Gaussian(dem.Diagonal()),
            "categorical": dem.Categorical((4,) * self.d),
        }
        return dem.Mixture(self.k, families[self.covariance])


SIZES = ((2, 5), (2, 10), (8, 10), (16, 5), (16, 10))
PROBLEMS = (
    *(Problem("full", d, k, overlap) for d, k in SIZES for overlap in SEPARATION),
    *(Problem("diag", d, k, overlap) for d, k in ((16, 10), (64, 50)) for overlap in SEPARATION),
    *(Problem("categorical", 12, 5, overlap) for overlap in SEPARATION),
    *(Problem("full", 8, 20, overlap, tails=True) for overlap in ("moderate", "strong")),
    *(Problem("full", 2, 10, overlap, unequal=True) for overlap in ("moderate", "strong")),
    Problem("diag", 16, 20, "moderate", tails=True, unequal=True),
)
METHODS = {
    "batch": {"start": KMeansParallel(), "stop": Change(), "tol": 1e-9},
    "accelerated": {"start": KMeansParallel(), "accelerate": QuasiNewton()},
    "incremental": {"start": KMeansParallel(), "schedule": Incremental()},
    "stepwise": {"start": KMeansParallel(), "schedule": Stepwise()},
    "variance-reduced": {"start": KMeansParallel(), "schedule": VarianceReduced()},
    "warm": {"start": WarmStart()},
    "default": {"start": WarmStart(), "accelerate": QuasiNewton()},
    "default reduced": {
        "start": WarmStart(), "accelerate": QuasiNewton(), "schedule": VarianceReduced(),
    },
}  # fmt: skip
SETTLED = {"stop": Aitken(), "tol": 1e-7}
BLOCKS = 64


def in_blocks(rows: np.ndarray) -> Manifest:
    """So many as the schedules have groups: rows in memory would come in one or two."""
    edges = np.linspace(0, len(rows), BLOCKS + 1).astype(np.int64)
    return Manifest(ArraySource(rows).reader(edges), edges, rows.shape[1], rows.dtype)


def climbed(climb: Climb, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Passes read and bound per row after each E-step whose bound is one, and seconds."""
    manifest, passes, bounds = in_blocks(rows), [], []
    estimates = getattr(climb.schedule, "estimates", False)
    groups = min(climb.schedule.groups, BLOCKS)
    began = time.perf_counter()
    with Local(manifest) as engine:

        def watched() -> Iterator:
            requests = climb.run(manifest.boundaries, manifest.n_columns)
            answer = None
            try:
                while True:
                    request = requests.send(answer)
                    if isinstance(request, Turn) and (
                        not estimates or request.record.groups == groups
                    ):
                        read = sum(phase.rows for phase in request.state.phases)
                        passes.append(read / manifest.n_rows)
                        bounds.append(request.record.bound_e)
                    answer = yield request
            except StopIteration as end:
                return end.value

        drive(watched(), engine, Silent())
    return np.array(passes), np.array(bounds), time.perf_counter() - began


def arrival(passes: np.ndarray, bounds: np.ndarray, goal: float) -> float:
    there = np.flatnonzero(bounds >= goal)
    return passes[there[0]] if len(there) else math.inf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--longest", type=int, default=400)
    parser.add_argument(
        "--only", nargs="*", default=[""], help="problems whose name contains one of these"
    )
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--csv", help="write every run there")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = [name for name in METHODS if name in arguments.methods.split(",") or name == "batch"]
    found: list[dict] = []
    print(
        f"{'problem':38} seed {'method':18}", *(f"{e:>7.0e}" for e in EPSILONS), "     ends", "   s"
    )
    for problem in PROBLEMS:
        if not any(part in problem.name for part in arguments.only):
            continue
        for seed in range(arguments.seeds):
            rows, limit = problem.rows(arguments.rows, seed), None
            for method in chosen:
                how = {**SETTLED, **METHODS[method], "max_iter": arguments.longest, "seed": seed}
                passes, bounds, seconds = climbed(Climb(problem.model, **how), rows)
                limit = bounds.max() if limit is None else limit
                reached = [arrival(passes, bounds, limit - e) for e in EPSILONS]
                ends = bounds[-1] - limit
                shown = (f"{p:7.1f}" if math.isfinite(p) else "      –" for p in reached)
                print(
                    f"{problem.name:38} {seed:4} {method:18}",
                    *shown,
                    f"{ends:+9.1e} {seconds:5.1f}",
                    flush=True,
                )
                run = {"problem": problem.name, "overlap": problem.overlap, "seed": seed}
                run |= {"method": method, "ends": ends, "seconds": seconds}
                found.append(run | dict(zip(map(str, EPSILONS), reached, strict=True)))
    summary(found, chosen)
    if arguments.csv:
        with open(arguments.csv, "w", newline="") as file:
            table = csv.DictWriter(file, found[0])
            table.writeheader()
            table.writerows(found)


def summary(found: list[dict], methods: list[str]) -> None:
    """Ratios of passes to 1e-4 against batch, and where the runs end."""
    key = str(EPSILONS[1])
    batch = {(run["problem"], run["seed"]): run[key] for run in found if run["method"] == "batch"}
    print(f"\n{'method':18}", *(f"{o:>10}" for o in SEPARATION), "     worst  above  below  of")
    for method in methods[1:]:
        mine = [run for run in found if run["method"] == method]
        ratios = {overlap: [] for overlap in SEPARATION}
        for run in mine:
            if math.isfinite(run[key]):
                ratios[run["overlap"]].append(run[key] / batch[run["problem"], run["seed"]])
        means = (
            f"{math.exp(np.mean(np.log(r))):10.2f}" if r else f"{'–':>10}" for r in ratios.values()
        )
        worst = max((ratio for some in ratios.values() for ratio in some), default=math.nan)
        above, below = (sum(sign * run["ends"] > 1e-3 for run in mine) for sign in (1, -1))
        print(f"{method:18}", *means, f"{worst:10.2f} {above:6} {below:6} {len(mine):4}")


if __name__ == "__main__":
    sys.exit(main())
