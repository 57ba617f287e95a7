"""Latent structures: what is hidden, and how it makes what is seen."""

from dem.models.concomitant import Concomitant, ConcomitantParams
from dem.models.mixing import Dirichlet, DirichletMode, StickBreaking
from dem.models.mixture import Mixture, MixtureParams
from dem.models.variational import VariationalMixture, VariationalParams

__all__ = [
    "Concomitant",
    "ConcomitantParams",
    "Dirichlet",
    "DirichletMode",
    "Mixture",
    "MixtureParams",
    "StickBreaking",
    "VariationalMixture",
    "VariationalParams",
]
