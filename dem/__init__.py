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
        BernoulliMixture,
        CategoricalMixture,
        GaussianMixture,
        KMeans,
        MixedMixture,
        PoissonMixture,
        StudentTMixture,
    )
    from dem.families import (
        Bernoulli,
        Beta,
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
        Poisson,
        Product,
        Spherical,
        StudentT,
        Tied,
        VonMisesFisher,
        WithNoise,
    )
    from dem.fitting import fit, resume
    from dem.jobs import Job, attach, runs, submit, submit_async
    from dem.models import Mixture
    from dem.posteriors import Exact, Hard
    from dem.schedules import FullBatch
    from dem.selection import select
    from dem.store import load, save

__version__ = "0.1.0"

__all__ = [
    "Bernoulli",
    "BernoulliMixture",
    "Beta",
    "Candidates",
    "Categorical",
    "CategoricalMixture",
    "DataError",
    "DegenerateComponentWarning",
    "Diagonal",
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
    "Multinomial",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "PoissonMixture",
    "Product",
    "Spherical",
    "StudentT",
    "StudentTMixture",
    "Tied",
    "VonMisesFisher",
    "WithNoise",
    "__version__",
    "attach",
    "compress",
    "fit",
    "load",
    "open_data",
    "resume",
    "runs",
    "save",
    "select",
    "submit",
    "submit_async",
]

_MODULE_OF = {
    "Bernoulli": "dem.families",
    "BernoulliMixture": "dem.estimators",
    "Beta": "dem.families",
    "Candidates": "dem.families",
    "Categorical": "dem.families",
    "CategoricalMixture": "dem.estimators",
    "DataError": "dem.errors",
    "DegenerateComponentWarning": "dem.errors",
    "Diagonal": "dem.families",
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
    "Multinomial": "dem.families",
    "NegativeBinomial": "dem.families",
    "Normal": "dem.families",
    "Poisson": "dem.families",
    "PoissonMixture": "dem.estimators",
    "Product": "dem.families",
    "Spherical": "dem.families",
    "StudentT": "dem.families",
    "StudentTMixture": "dem.estimators",
    "Tied": "dem.families",
    "VonMisesFisher": "dem.families",
    "WithNoise": "dem.families",
    "attach": "dem.jobs",
    "compress": "dem.compression",
    "fit": "dem.fitting",
    "load": "dem.store",
    "open_data": "dem.engine.manifest",
    "resume": "dem.fitting",
    "runs": "dem.jobs",
    "save": "dem.store",
    "select": "dem.selection",
    "submit": "dem.jobs",
    "submit_async": "dem.jobs",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
