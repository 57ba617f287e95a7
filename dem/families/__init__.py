"""Component distributions, shared by every latent structure that has discrete states."""

from dem.families.axes import Diagonal, Spherical
from dem.families.bayesian_gaussian import BayesianGaussian
from dem.families.beta import Beta
from dem.families.categorical import Categorical, Multinomial
from dem.families.counts import Bernoulli, Poisson
from dem.families.dense import Full, Tied
from dem.families.exponential import ExponentialFamily
from dem.families.factors import Factors, Principal
from dem.families.gaussian import Gaussian
from dem.families.known import Candidates, Label
from dem.families.mixture_of import MixtureOf
from dem.families.negative_binomial import NegativeBinomial
from dem.families.noise import WithNoise
from dem.families.normal import LogNormal, Normal
from dem.families.normal_wishart import NormalWishart
from dem.families.parsimonious import Aligned, Oriented, TiedSpherical, parsimonious
from dem.families.positive import Exponential, Gamma
from dem.families.product import Product
from dem.families.ratings import Ratings
from dem.families.regression import Regression
from dem.families.responses import BinomialResponse, NormalResponse, PoissonResponse
from dem.families.sphere import VonMisesFisher
from dem.families.student import StudentT

__all__ = [
    "Aligned",
    "BayesianGaussian",
    "Bernoulli",
    "Beta",
    "BinomialResponse",
    "Candidates",
    "Categorical",
    "Diagonal",
    "Exponential",
    "ExponentialFamily",
    "Factors",
    "Full",
    "Gamma",
    "Gaussian",
    "Label",
    "LogNormal",
    "MixtureOf",
    "Multinomial",
    "NegativeBinomial",
    "Normal",
    "NormalResponse",
    "NormalWishart",
    "Oriented",
    "Poisson",
    "PoissonResponse",
    "Principal",
    "Product",
    "Ratings",
    "Regression",
    "Spherical",
    "StudentT",
    "Tied",
    "TiedSpherical",
    "VonMisesFisher",
    "WithNoise",
    "parsimonious",
]
