"""What fits with each library: functions of a `Task` that return functions of the iterations.

Libraries are imported where they are used, so that each can have an environment of its own.
Nothing is added to covariances, and tolerances are 0.
"""

from runners.compiled import faiss_kmeans, onedal, onedal_kmeans
from runners.estimators import dask_ml_kmeans, dem, dem_kmeans, sklearn, sklearn_kmeans
from runners.spark import spark
from runners.tensors import gmmx, pomegranate

MIXTURES = {
    "dem": dem, "sklearn": sklearn, "onedal": onedal, "spark": spark, "gmmx": gmmx,
    "pomegranate": pomegranate,
}  # fmt: skip
KMEANS = {
    "dem": dem_kmeans, "sklearn": sklearn_kmeans, "onedal": onedal_kmeans,
    "faiss": faiss_kmeans, "dask-ml": dask_ml_kmeans,
}  # fmt: skip
