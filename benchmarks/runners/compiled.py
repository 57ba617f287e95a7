"""Libraries in C++: oneDAL, through daal4py, and faiss."""

from __future__ import annotations

import numpy as np

from runners.task import Fit, Found, Task, refuse


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
