"""Faces in scikit-learn's manner: names, shapes, warnings; no mathematics, no Dask."""

from dem.estimators.bayesian_gaussian_mixture import BayesianGaussianMixture
from dem.estimators.bernoulli_mixture import BernoulliMixture
from dem.estimators.categorical_mixture import CategoricalMixture
from dem.estimators.gaussian_mixture import GaussianMixture
from dem.estimators.kmeans import KMeans
from dem.estimators.mixed_mixture import MixedMixture
from dem.estimators.mixture_of_regressions import MixtureOfRegressions
from dem.estimators.poisson_mixture import PoissonMixture
from dem.estimators.student_t_mixture import StudentTMixture

__all__ = [
    "BayesianGaussianMixture",
    "BernoulliMixture",
    "CategoricalMixture",
    "GaussianMixture",
    "KMeans",
    "MixedMixture",
    "MixtureOfRegressions",
    "PoissonMixture",
    "StudentTMixture",
]
