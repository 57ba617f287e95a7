"""Spark's MLlib, in a JVM on this machine."""

from __future__ import annotations

from types import SimpleNamespace

from runners.task import Fit, Found, Task, refuse


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
        .config("spark.ui.showConsoleProgress", "false")
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
