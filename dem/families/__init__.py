"""Component distributions, shared by every latent structure that has discrete states."""

from dem.families.axes import Diagonal, Spherical
from dem.families.dense import Full, Tied
from dem.families.gaussian import Gaussian

__all__ = ["Diagonal", "Full", "Gaussian", "Spherical", "Tied"]
