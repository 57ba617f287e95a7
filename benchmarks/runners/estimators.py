"""dem, and the libraries that have the same interface: scikit-learn and dask-ml."""

from __future__ import annotations

from typing import Any

from runners.task import Fit, Found, Task


def dem(task: Task) -> Fit:
    """As anyone would call it: an array in memory, and no client."""
    import dask

    from dem import GaussianMixture

    dask.config.set(num_workers=task.threads)

    def fit(n: int) -> Found:
        done = GaussianMixture(task.k, **same_start(task), schedule="batch", max_iter=n)
        return found(done.fit(task.rows))

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


def dem_kmeans(task: Task) -> Fit:
    import dask

    from dem import KMeans

    dask.config.set(num_workers=task.threads)

    def fit(n: int) -> Found:
        return found(KMeans(task.k, init=task.means, max_iter=n, tol=0).fit(task.rows))

    return fit


def sklearn_kmeans(task: Task) -> Fit:
    from sklearn.cluster import KMeans

    def fit(n: int) -> Found:
        how = {"init": task.means, "n_init": 1, "algorithm": "lloyd"}
        return found(KMeans(task.k, **how, tol=0.0, max_iter=n).fit(task.rows))

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
