"""Fits by one library, on command: what `peers.py` starts, once for each peer.

    python benchmarks/runners.py PEER DIRECTORY

DIRECTORY holds rows.npy, start.npz (weights, means and, but for k-means, covariances) and
task.json (covariance, dtype, threads). This process loads them, fits once to warm up, and says so;
then for each number of iterations on its standard input it makes a fit of so many from that start,
writes the parameters to DIRECTORY/PEER.npz, and a line of JSON with the seconds. Nothing but
NumPy and the library is needed, so that each library can have an environment of its own.

A peer is a function of a `Task` that returns a function of the number of iterations, to weights,
means, covariances and the iterations that it made, as far as it has and tells them. Nothing is
added to covariances, and tolerances are 0.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

Array = np.ndarray
Found = dict[str, Any]
Fit = Callable[[int], Found]


@dataclass(frozen=True)
class Task:
    """What to fit: rows (N, D), weights (K,), means (K, D), covariances as scikit-learn's."""

    rows: Array
    weights: Array
    means: Array
    covariances: Array
    covariance: str
    threads: int

    @classmethod
    def read(cls, place: Path) -> Task:
        said = json.loads((place / "task.json").read_text())
        rows = np.load(place / "rows.npy")
        with np.load(place / "start.npz") as start:
            given = {name: start[name].astype(rows.dtype) for name in start.files}
        return cls(rows, **given, covariance=said["covariance"], threads=said["threads"])

    @property
    def k(self) -> int:
        return len(self.means)

    @property
    def precisions(self) -> Array:
        """Inverses of the covariances."""
        if self.covariance in ("full", "tied"):
            return np.linalg.inv(self.covariances)
        return 1 / self.covariances


def dem(task: Task) -> Fit:
    import dask

    from dem import GaussianMixture

    dask.config.set(num_workers=task.threads)

    def fit(n: int) -> Found:
        done = GaussianMixture(task.k, **same_start(task), schedule="batch", max_iter=n)
        return found(done.fit(task.rows))

    return fit


def dem_kmeans(task: Task) -> Fit:
    import dask

    from dem import KMeans

    dask.config.set(num_workers=task.threads)

    def fit(n: int) -> Found:
        return found(KMeans(task.k, init=task.means, max_iter=n, tol=0).fit(task.rows))

    return fit


def sklearn(task: Task) -> Fit:
    from sklearn.mixture import GaussianMixture

    def fit(n: int) -> Found:
        return found(GaussianMixture(task.k, **same_start(task), max_iter=n).fit(task.rows))

    return fit


def same_start(task: Task) -> dict[str, Any]:
    """The arguments that dem and scikit-learn have in common."""
    return {
        "covariance_type": task.covariance,
        "reg_covar": 0.0,
        "tol": 0.0,
        "weights_init": task.weights / task.weights.sum(),
        "means_init": task.means,
        "precisions_init": task.precisions,
    }


def found(done: Any) -> Found:
    """What an estimator with scikit-learn's attributes has found."""
    if hasattr(done, "cluster_centers_"):
        return {"means": done.cluster_centers_, "iterations": done.n_iter_}
    return {
        "weights": done.weights_,
        "means": done.means_,
        "covariances": done.covariances_,
        "iterations": done.n_iter_,
    }


def sklearn_kmeans(task: Task) -> Fit:
    from sklearn.cluster import KMeans

    def fit(n: int) -> Found:
        how = {"init": task.means, "n_init": 1, "algorithm": "lloyd"}
        return found(KMeans(task.k, **how, tol=0.0, max_iter=n).fit(task.rows))

    return fit


def onedal(task: Task) -> Fit:
    import daal4py

    refuse(task.covariance not in ("full", "diag"), "full and diagonal covariances only")
    daal4py.daalinit(task.threads)
    storage = {"full": "full", "diag": "diagonal"}[task.covariance]
    tables = [np.ascontiguousarray(np.atleast_2d(table)) for table in task.covariances]

    def fit(n: int) -> Found:
        # Its own regularisation must be positive: it acts on what is not positive definite.
        algorithm = daal4py.em_gmm(
            task.k, fptype=daal_type(task), maxIterations=n, accuracyThreshold=0.0,
            regularizationFactor=1e-300, covarianceStorage=storage,
        )  # fmt: skip
        done = algorithm.compute(task.rows, task.weights[None], task.means, tables)
        return {
            "weights": done.weights.ravel(),
            "means": done.means,
            "covariances": np.reshape(done.covariances, task.covariances.shape),
            "iterations": int(np.ravel(done.nIterations)[0]),
        }

    return fit


def onedal_kmeans(task: Task) -> Fit:
    import daal4py

    daal4py.daalinit(task.threads)

    def fit(n: int) -> Found:
        algorithm = daal4py.kmeans(
            task.k, n, fptype=daal_type(task), accuracyThreshold=0.0, assignFlag=False
        )
        return {"means": algorithm.compute(task.rows, task.means).centroids}

    return fit


def daal_type(task: Task) -> str:
    return "float" if task.rows.dtype == np.float32 else "double"


def spark(task: Task) -> Fit:
    """MLlib's RDD interface: the newer one takes no start."""
    from pyspark.mllib.clustering import GaussianMixture
    from pyspark.mllib.linalg import DenseMatrix, Vectors
    from pyspark.mllib.stat.distribution import MultivariateGaussian
    from pyspark.sql import SparkSession

    refuse(task.covariance != "full" or task.rows.dtype != float, "full, float64 only")
    session = (
        SparkSession.builder.master(f"local[{task.threads}]")
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    data = session.sparkContext.parallelize(map(Vectors.dense, task.rows), task.threads).cache()
    data.count()
    d = task.rows.shape[1]
    start = SimpleNamespace(
        k=task.k,
        weights=task.weights.tolist(),
        gaussians=[
            MultivariateGaussian(Vectors.dense(mean), DenseMatrix(d, d, table.ravel()))
            for mean, table in zip(task.means, task.covariances, strict=True)
        ],
    )

    def fit(n: int) -> Found:
        done = GaussianMixture.train(
            data, task.k, convergenceTol=0.0, maxIterations=n, initialModel=start
        )
        return {
            "weights": done.weights,
            "means": [one.mu.toArray() for one in done.gaussians],
            "covariances": [one.sigma.toArray() for one in done.gaussians],
        }

    return fit


def gmmx(task: Task) -> Fit:
    import jax
    from gmmx import EMFitter, GaussianMixtureModelJax
    from gmmx.gmm import CovarianceType

    refuse(task.covariance not in ("full", "diag"), "full and diagonal covariances only")
    refuse(task.rows.dtype != np.float32, "float32 only")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task.threads])
    rows = jax.device_put(task.rows)
    start = GaussianMixtureModelJax.from_squeezed(
        means=task.means, covariances=task.covariances, weights=task.weights,
        covariance_type=CovarianceType(task.covariance),
    )  # fmt: skip

    def fit(n: int) -> Found:
        done = EMFitter(max_iter=n, tol=0.0, reg_covar=0.0).fit(rows, start)
        return {
            "weights": np.asarray(done.gmm.weights_numpy),
            "means": np.reshape(done.gmm.means, task.means.shape),
            "covariances": np.reshape(done.gmm.covariances.values, task.covariances.shape),
            "iterations": int(done.n_iter),
        }

    return fit


def pomegranate(task: Task) -> Fit:
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    refuse(task.covariance not in ("full", "diag"), "full and diagonal covariances only")
    torch.set_num_threads(task.threads)
    torch.set_default_dtype(torch.float32 if task.rows.dtype == np.float32 else torch.float64)
    rows = torch.from_numpy(task.rows)

    def fit(n: int) -> Found:
        components = [
            # Copies, since they are changed in place.
            Normal(torch.tensor(mean), torch.tensor(table), covariance_type=task.covariance)
            for mean, table in zip(task.means, task.covariances, strict=True)
        ]
        done = GeneralMixtureModel(
            components, priors=torch.tensor(task.weights), max_iter=n, tol=-float("inf")
        )
        for _ in range(n):  # in parts, its documented way for data of any size, and the faster one
            for part in rows.split(8192):
                done.summarize(part)
            done.from_summaries()
        return {
            "weights": done.priors.numpy(),
            "means": np.stack([one.means.numpy() for one in done.distributions]),
            "covariances": np.stack([one.covs.numpy() for one in done.distributions]),
        }

    return fit


def faiss_kmeans(task: Task) -> Fit:
    import faiss

    refuse(task.rows.dtype != np.float32, "float32 only")
    faiss.omp_set_num_threads(task.threads)
    n_rows, d = task.rows.shape

    def fit(n: int) -> Found:
        # By default it takes 256 rows for each cluster.
        done = faiss.Kmeans(d, task.k, niter=n, max_points_per_centroid=n_rows + 1)
        done.train(task.rows, init_centroids=task.means)
        return {"means": done.centroids}

    return fit


def dask_ml_kmeans(task: Task) -> Fit:
    import dask
    import dask.array as da
    from dask_ml.cluster import KMeans

    dask.config.set(scheduler="threads", num_workers=task.threads)
    share = -(-len(task.rows) // (4 * task.threads))
    rows = da.from_array(task.rows, chunks=(share, task.rows.shape[1])).persist()

    def fit(n: int) -> Found:
        return found(KMeans(task.k, init=task.means, tol=0.0, max_iter=n).fit(rows))

    return fit


MIXTURES = {
    "dem": dem, "sklearn": sklearn, "onedal": onedal, "spark": spark, "gmmx": gmmx,
    "pomegranate": pomegranate,
}  # fmt: skip
KMEANS = {
    "dem": dem_kmeans, "sklearn": sklearn_kmeans, "onedal": onedal_kmeans,
    "faiss": faiss_kmeans, "dask-ml": dask_ml_kmeans,
}  # fmt: skip


class Refused(Exception):
    """The library does not do that."""


def refuse(this: bool, why: str) -> None:
    if this:
        raise Refused(why)


def memory(field: str, process: str = "self") -> int:
    """Bytes, of a process and of those that it has started (Spark's is a JVM)."""
    try:
        status = Path(f"/proc/{process}/status").read_text().split()
    except FileNotFoundError:  # it has ended meanwhile
        return 0
    own = int(status[status.index(f"{field}:") + 1]) * 1024 if f"{field}:" in status else 0
    children = Path(f"/proc/{process}/task").glob("*/children")
    return own + sum(
        memory(field, child) for file in children for child in file.read_text().split()
    )


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
        fit(2)
    except Exception as error:
        answer(error=f"{type(error).__name__}: {error}")
        return
    answer(ready=True)
    for line in sys.stdin:
        began = time.perf_counter()
        arrays = fit(int(line))
        seconds = time.perf_counter() - began
        made = arrays.pop("iterations", int(line))
        np.savez(place / f"{peer}.npz", **arrays)
        answer(seconds=seconds, iterations=made, before=before, peak=memory("VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
