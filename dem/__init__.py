"""Out-of-core, distributed Expectation-Maximisation on Dask.

Public names are imported when they are first used, so that the mathematics (`dem.em`,
`dem.models`, ...) can be imported without Dask, Zarr or scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dem.compression import compress
    from dem.engine.manifest import open_data
    from dem.errors import DataError, DegenerateComponentWarning
    from dem.estimators import (
        BayesianGaussianMixture,
        BernoulliMixture,
        CategoricalMixture,
        GaussianMixture,
        KMeans,
        MixedMixture,
        MixtureOfRegressions,
        PoissonMixture,
        StudentTMixture,
    )
    from dem.families import (
        Aligned,
        BayesianGaussian,
        Bernoulli,
        Beta,
        BinomialResponse,
        Candidates,
        Categorical,
        Diagonal,
        Exponential,
        Full,
        Gamma,
        Gaussian,
        Label,
        LogNormal,
        Multinomial,
        NegativeBinomial,
        Normal,
        NormalResponse,
        NormalWishart,
        Oriented,
        Poisson,
        PoissonResponse,
        Product,
        Regression,
        Spherical,
        StudentT,
        Tied,
        TiedSpherical,
        VonMisesFisher,
        WithNoise,
        parsimonious,
    )
    from dem.fitting import fit, resume
    from dem.inference import (
        Resampled,
        Simulated,
        bootstrap,
        likelihood_ratio_test,
        standard_errors,
        summarise,
    )
    from dem.jobs import Job, attach, runs, submit, submit_async
    from dem.models import Concomitant, Dirichlet, Mixture, StickBreaking, VariationalMixture
    from dem.posteriors import Exact, Hard
    from dem.schedules import FullBatch
    from dem.selection import select
    from dem.store import load, save

__version__ = "0.1.0"

__all__ = [
    "Aligned",
    "BayesianGaussian",
    "BayesianGaussianMixture",
    "Bernoulli",
    "BernoulliMixture",
    "Beta",
    "BinomialResponse",
    "Candidates",
    "Categorical",
    "CategoricalMixture",
    "Concomitant",
    "DataError",
    "DegenerateComponentWarning",
    "Diagonal",
    "Dirichlet",
    "Exact",
    "Exponential",
    "Full",
    "FullBatch",
    "Gamma",
    "Gaussian",
    "GaussianMixture",
    "Hard",
    "Job",
    "KMeans",
    "Label",
    "LogNormal",
    "MixedMixture",
    "Mixture",
    "MixtureOfRegressions",
    "Multinomial",
    "NegativeBinomial",
    "Normal",
    "NormalResponse",
    "NormalWishart",
    "Oriented",
    "Poisson",
    "PoissonMixture",
    "PoissonResponse",
    "Product",
    "Regression",
    "Resampled",
    "Simulated",
    "Spherical",
    "StickBreaking",
    "StudentT",
    "StudentTMixture",
    "Tied",
    "TiedSpherical",
    "VariationalMixture",
    "VonMisesFisher",
    "WithNoise",
    "__version__",
    "attach",
    "bootstrap",
    "compress",
    "fit",
    "likelihood_ratio_test",
    "load",
    "open_data",
    "parsimonious",
    "resume",
    "runs",
    "save",
    "select",
    "standard_errors",
    "submit",
    "submit_async",
    "summarise",
]

_MODULE_OF = {
    "Aligned": "dem.families",
    "BayesianGaussian": "dem.families",
    "BayesianGaussianMixture": "dem.estimators",
    "Bernoulli": "dem.families",
    "BernoulliMixture": "dem.estimators",
    "Beta": "dem.families",
    "BinomialResponse": "dem.families",
    "Candidates": "dem.families",
    "Categorical": "dem.families",
    "CategoricalMixture": "dem.estimators",
    "Concomitant": "dem.models",
    "DataError": "dem.errors",
    "DegenerateComponentWarning": "dem.errors",
    "Diagonal": "dem.families",
    "Dirichlet": "dem.models",
    "Exact": "dem.posteriors",
    "Exponential": "dem.families",
    "Full": "dem.families",
    "FullBatch": "dem.schedules",
    "Gamma": "dem.families",
    "Gaussian": "dem.families",
    "GaussianMixture": "dem.estimators",
    "Hard": "dem.posteriors",
    "Job": "dem.jobs",
    "KMeans": "dem.estimators",
    "Label": "dem.families",
    "LogNormal": "dem.families",
    "MixedMixture": "dem.estimators",
    "Mixture": "dem.models",
    "MixtureOfRegressions": "dem.estimators",
    "Multinomial": "dem.families",
    "NegativeBinomial": "dem.families",
    "Normal": "dem.families",
    "NormalResponse": "dem.families",
    "NormalWishart": "dem.families",
    "Oriented": "dem.families",
    "Poisson": "dem.families",
    "PoissonMixture": "dem.estimators",
    "PoissonResponse": "dem.families",
    "Product": "dem.families",
    "Regression": "dem.families",
    "Resampled": "dem.inference",
    "Simulated": "dem.inference",
    "Spherical": "dem.families",
    "StickBreaking": "dem.models",
    "StudentT": "dem.families",
    "StudentTMixture": "dem.estimators",
    "Tied": "dem.families",
    "TiedSpherical": "dem.families",
    "VariationalMixture": "dem.models",
    "VonMisesFisher": "dem.families",
    "WithNoise": "dem.families",
    "attach": "dem.jobs",
    "bootstrap": "dem.inference",
    "compress": "dem.compression",
    "fit": "dem.fitting",
    "likelihood_ratio_test": "dem.inference",
    "load": "dem.store",
    "open_data": "dem.engine.manifest",
    "parsimonious": "dem.families",
    "resume": "dem.fitting",
    "runs": "dem.jobs",
    "save": "dem.store",
    "select": "dem.selection",
    "standard_errors": "dem.inference",
    "submit": "dem.jobs",
    "submit_async": "dem.jobs",
    "summarise": "dem.inference",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
