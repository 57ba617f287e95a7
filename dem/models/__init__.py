"""Latent structures: what is hidden, and how it makes what is seen."""

from dem.models.concomitant import Concomitant, ConcomitantParams
from dem.models.factor import LinearGaussian
from dem.models.hmm import HMM
from dem.models.lda import LDA, LDAParams
from dem.models.mixing import Dirichlet, DirichletMode, StickBreaking
from dem.models.mixture import Mixture, MixtureParams
from dem.models.noisy_or import NoisyOr, NoisyOrParams
from dem.models.states import HMMParams
from dem.models.topology import Ergodic, LeftRight, Masked
from dem.models.variational import VariationalMixture, VariationalParams

__all__ = [
    "HMM",
    "LDA",
    "Concomitant",
    "ConcomitantParams",
    "Dirichlet",
    "DirichletMode",
    "Ergodic",
    "HMMParams",
    "LDAParams",
    "LeftRight",
    "LinearGaussian",
    "Masked",
    "Mixture",
    "MixtureParams",
    "NoisyOr",
    "NoisyOrParams",
    "StickBreaking",
    "VariationalMixture",
    "VariationalParams",
]
