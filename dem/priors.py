"""Priors of parameters: point estimates at the mode of the posterior, and adaptation.

    components   Mixture(k, WithPrior(family, prior)); also for a part of a Product
    weights      VariationalMixture(k, family, DirichletMode(concentration))

For posteriors instead of points there are `Dirichlet`, `StickBreaking` and `BayesianGaussian`.
"""

from __future__ import annotations

from dem.contract import Model
from dem.families.gaussian_priors import BackgroundPrior, NormalInverseWishartPrior
from dem.families.priors import BetaPrior, DirichletPrior, GammaPrior, NormalInverseGammaPrior
from dem.families.with_prior import Prior, WithPrior
from dem.models.mixing import DirichletMode
from dem.models.mixture import Mixture, MixtureParams
from dem.wrap import Frozen

__all__ = [
    "BackgroundPrior",
    "BetaPrior",
    "DirichletMode",
    "DirichletPrior",
    "GammaPrior",
    "NormalInverseGammaPrior",
    "NormalInverseWishartPrior",
    "Prior",
    "WithPrior",
    "relevance",
]

ALL_BUT_MEANS = ("weights", "components.covariances", "components.roots")


def relevance(
    background: Mixture,
    params: MixtureParams,
    rows: float = 16.0,
    frozen: tuple[str, ...] = ALL_BUT_MEANS,
) -> Model:
    """A model of other rows, adapted from a fitted Gaussian mixture; start it at `Given(params)`.

    Each component begins as if it had seen so many rows like those of the background. So means
    go to αₖ Eₖ[v] + (1 − αₖ) mₖ with αₖ = Nₖ / (Nₖ + rows): MAP adaptation with a relevance factor
    (Reynolds, Quatieri and Dunn 2000).

    frozen : the fields of the parameters that stay the background's; () adapts them all, the
        covariances by the same αₖ.
    Raises TypeError for a mixture that is not Gaussian.
    """
    family = WithPrior(background.family, BackgroundPrior(params.components, rows))
    return Frozen(Mixture(background.k, family), frozen)
