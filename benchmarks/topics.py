"""Latent Dirichlet allocation: a pass over documents against scikit-learn's, and out of core.

    python benchmarks/topics.py                     Reuters, from PyPI's lda, in memory
    python benchmarks/topics.py --synthetic 5000    so many synthetic documents, in memory
    python benchmarks/topics.py --stored 1000000    so many in Zarr on disk, where only dem goes

In memory both fit from the same topics, and with the inner loop from equal shares, so that they
come to the same; batch and online, on one and two threads, one after the other, five times. Told
are medians of seconds per pass of a whole fit, and of the ratios, and both perplexities. On two
threads scikit-learn takes whichever of one and two jobs is faster. What is stored is removed at
the end; memory is the most that the process held while it was fitting, over what it held before.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from scipy.sparse import csr_array, csr_matrix
from scipy.special import psi
from sklearn.decomposition import LatentDirichletAllocation

import dem
from dem.models import LDAParams
from dem.schedules import Online
from dem.starts import Given

PASSES, THREADS = 10, 2
BATCH = 79  # documents, of which Reuters has five times as many
WORDS, TOPICS, LENGTH = 10_000, 20, 80


def reuters() -> csr_matrix:
    from lda.utils import ldac2dtm

    with (files("lda") / "tests" / "reuters.ldac").open() as lines:
        return csr_matrix(ldac2dtm(lines, offset=0).astype(float))


def documents(n: int, seed: int) -> csr_array:
    """n documents of about 80 words each, of 20 topics and 10 000 words."""
    rng = np.random.default_rng(0)
    edges = np.cumsum(rng.dirichlet(np.full(WORDS, 0.05), TOPICS), axis=1)
    rng = np.random.default_rng([1, seed])
    shares = np.cumsum(rng.dirichlet(np.full(TOPICS, 0.1), n), axis=1)
    lengths = rng.poisson(LENGTH, n)
    owner = np.repeat(np.arange(n), lengths)
    topic = (rng.random(len(owner))[:, None] > shares[owner]).sum(axis=1)
    topic = np.minimum(topic, TOPICS - 1)
    words = np.empty(len(owner), np.int32)
    for k in range(TOPICS):
        here = topic == k
        words[here] = np.searchsorted(edges[k], rng.random(np.count_nonzero(here)))
    ones = np.ones(len(owner), np.int32)
    counts = csr_array((ones, (owner, np.minimum(words, WORDS - 1))), shape=(n, WORDS))
    counts.sum_duplicates()
    return counts


class FromTopics(LatentDirichletAllocation):
    """scikit-learn's, from given topics, and each inner loop from equal shares."""

    start: np.ndarray

    def _init_latent_vars(self, n_features: int, dtype: Any = np.float64) -> None:
        super()._init_latent_vars(n_features, dtype=dtype)
        self.components_ = self.start.copy()
        logs = psi(self.start) - psi(self.start.sum(axis=1, keepdims=True))
        self.exp_dirichlet_component_ = np.exp(logs)

    def _e_step(self, X: Any, cal_sstats: bool, random_init: bool, parallel: Any = None) -> Any:
        return super()._e_step(X, cal_sstats, False, parallel)


def ours(rows: csr_matrix, start: np.ndarray, method: str, threads: int) -> tuple[float, float]:
    """Seconds of a pass, and the perplexity."""
    k, n_words = start.shape
    params = LDAParams(start, np.full(k, 1 / k), np.full(n_words, 1 / k))
    how: dict[str, Any] = {"start": Given(params), "max_iter": PASSES, "tol": 0.0}
    data: Any = rows
    if method == "online":
        data = [rows[first : first + BATCH] for first in range(0, rows.shape[0], BATCH)]
        how["schedule"] = Online(len(data), PASSES)
    began = time.perf_counter()
    fitted = dem.fit(dem.LDA(k), data, threads=threads, **how)
    seconds = time.perf_counter() - began
    return seconds / PASSES, dem.LatentDirichletAllocation.from_fit(fitted, rows).bound_


def theirs(rows: csr_matrix, start: np.ndarray, method: str, jobs: int) -> tuple[float, float]:
    """The last pass over the data, for `bound_`, counts as one."""
    how = {"learning_method": method, "batch_size": BATCH, "n_jobs": jobs}
    model = FromTopics(len(start), max_iter=PASSES, **how)
    model.start = start
    began = time.perf_counter()
    model.fit(rows)
    return (time.perf_counter() - began) / (PASSES + 1), model.bound_


def compare(rows: csr_matrix, k: int, method: str, threads: int, repeats: int) -> None:
    start = np.random.default_rng(0).gamma(100.0, 0.01, (k, rows.shape[1]))
    mine, other = [], []
    for _ in range(repeats):
        other.append(min(theirs(rows, start, method, jobs) for jobs in {1, threads}))
        mine.append(ours(rows, start, method, threads))
    ratios = [a / b for (a, _), (b, _) in zip(other, mine, strict=True)]
    (seconds, perplexity), (own, ours_too) = (np.median(told, axis=0) for told in (other, mine))
    print(
        f"K = {k:3}, {method:6}, {threads} threads: scikit-learn {seconds:.4f} s a pass, dem "
        f"{own:.4f} s, ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
        f"{max(ratios):.2f}); perplexity {perplexity:.6f} and {ours_too:.6f}",
        flush=True,
    )


def parts(n: int, at_once: int = 20_000) -> Iterator[csr_array]:
    for first in range(0, n, at_once):
        yield documents(min(at_once, n - first), first)


def watched(stop: threading.Event, most: list[int]) -> None:
    process = psutil.Process()
    while not stop.wait(0.05):
        most[0] = max(most[0], process.memory_info().rss)


def stored(n: int, k: int, passes: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = str(Path(place) / "counts.zarr")
        began = time.perf_counter()
        dem.write_csr(path, parts(n), WORDS)
        size = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
        manifest = dem.open_data(path, sparse=True)
        print(
            f"{n:,} documents made and written in {time.perf_counter() - began:.0f} s: "
            f"{size / 2**20:.0f} MiB on disk, {manifest.n_blocks} blocks of up to "
            f"{manifest.block_bytes / 2**20:.1f} MiB"
        )
        before = psutil.Process().memory_info().rss
        stop, most = threading.Event(), [before]
        thread = threading.Thread(target=watched, args=(stop, most))
        thread.start()
        used = resource.getrusage(resource.RUSAGE_SELF)
        fitted = dem.fit(dem.LDA(k), path, max_iter=passes, tol=0.0, threads=THREADS)
        spent = resource.getrusage(resource.RUSAGE_SELF)
        stop.set()
        thread.join()
        seconds = [record.seconds for record in fitted.history]
        cpu = spent.ru_utime + spent.ru_stime - used.ru_utime - used.ru_stime
        print(
            f"K = {k}: {', '.join(f'{s:.1f}' for s in seconds)} s a pass, "
            f"{cpu / fitted.n_passes:.1f} s of CPU; {(most[0] - before) / 2**20:.0f} MiB more "
            f"memory at the most; bound per document {fitted.lower_bound:.3f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--synthetic", type=int, metavar="N")
    parser.add_argument("--stored", type=int, metavar="N")
    parser.add_argument("-k", type=int, nargs="*", default=[20, 100])
    parser.add_argument("--methods", nargs="*", default=["batch", "online"])
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5, help="[5]")
    parser.add_argument("--passes", type=int, default=3, help="of stored documents  [3]")
    options = parser.parse_args()
    if options.stored:
        stored(options.stored, TOPICS, options.passes)
    else:
        rows = csr_matrix(documents(options.synthetic, 0)) if options.synthetic else reuters()
        print(f"{rows.shape[0]:,} documents, {rows.shape[1]:,} words, {rows.nnz:,} counts")
        dem.fit(dem.LDA(2), rows[:BATCH], max_iter=1)  # whatever is compiled is not timed
        for k, method, threads in product(options.k, options.methods, options.threads):
            compare(rows, k, method, threads, options.repeats)
