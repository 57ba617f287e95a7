"""Latent structures: what is hidden, and how it makes what is seen."""

from dem.models.mixture import Mixture, MixtureParams

__all__ = ["Mixture", "MixtureParams"]
