"""Faces in scikit-learn's manner: names, shapes, warnings; no mathematics, no Dask."""

from dem.estimators.bayesian_gaussian_mixture import BayesianGaussianMixture
from dem.estimators.bernoulli_mixture import BernoulliMixture
from dem.estimators.categorical_hmm import CategoricalHMM
from dem.estimators.categorical_mixture import CategoricalMixture
from dem.estimators.dawid_skene import DawidSkene
from dem.estimators.factor_analysis import FactorAnalysis
from dem.estimators.fellegi_sunter import FellegiSunter
from dem.estimators.gaussian_hmm import GaussianHMM
from dem.estimators.gaussian_mixture import GaussianMixture
from dem.estimators.gmm_hmm import GMMHMM
from dem.estimators.kmeans import KMeans
from dem.estimators.latent_dirichlet_allocation import LatentDirichletAllocation
from dem.estimators.mixed_mixture import MixedMixture
from dem.estimators.mixture_of_regressions import MixtureOfRegressions
from dem.estimators.pca import PCA
from dem.estimators.poisson_hmm import PoissonHMM
from dem.estimators.poisson_mixture import PoissonMixture
from dem.estimators.student_t_mixture import StudentTMixture

__all__ = [
    "GMMHMM",
    "PCA",
    "BayesianGaussianMixture",
    "BernoulliMixture",
    "CategoricalHMM",
    "CategoricalMixture",
    "DawidSkene",
    "FactorAnalysis",
    "FellegiSunter",
    "GaussianHMM",
    "GaussianMixture",
    "KMeans",
    "LatentDirichletAllocation",
    "MixedMixture",
    "MixtureOfRegressions",
    "PoissonHMM",
    "PoissonMixture",
    "StudentTMixture",
]
