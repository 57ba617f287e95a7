"""Fits by one library, on command: what `peers.py` starts, once for each peer.

    python benchmarks/runner.py PEER DIRECTORY

DIRECTORY holds rows.npy, start.npz (weights, means and, but for k-means, covariances) and
task.json (covariance, dtype, threads). This process loads them, fits once to warm up, and says so;
then for each number of iterations on its standard input it makes a fit of so many from that start,
writes the parameters to DIRECTORY/PEER.npz, and a line of JSON with the seconds. What goes wrong
is such a line too: `refused` if the library is not there or does not do this, else `error`.
Nothing but NumPy and the library is needed.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from memory import memory
from runners import KMEANS, MIXTURES
from runners.task import Fit, Refused, Task


def fitted(peer: str, place: Path, fit: Fit, n: int) -> dict[str, Any]:
    began = time.perf_counter()
    arrays = fit(n)
    seconds = time.perf_counter() - began
    made = arrays.pop("iterations", n)
    np.savez(place / f"{peer}.npz", **arrays)
    return {"seconds": seconds, "iterations": made, "peak": memory("VmHWM")}


def main(peer: str, place: Path) -> None:
    # What libraries print must not get among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")

    def answer(**fields: Any) -> None:
        print(json.dumps(fields), file=answers, flush=True)

    try:
        task = Task.read(place)
        fit = (KMEANS if task.covariance == "kmeans" else MIXTURES)[peer](task)
        before = memory("VmRSS")
        fit(1)
        answer(before=before)
        for line in sys.stdin:
            answer(**fitted(peer, place, fit, int(line)))
    except (Refused, ImportError) as error:
        answer(refused=f"{type(error).__name__}: {error}")
    except Exception as error:
        answer(error=f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
