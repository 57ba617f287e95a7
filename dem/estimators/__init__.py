"""Faces in scikit-learn's manner: names, shapes, warnings; no mathematics, no Dask."""

from dem.estimators.gaussian_mixture import GaussianMixture
from dem.estimators.kmeans import KMeans

__all__ = ["GaussianMixture", "KMeans"]
