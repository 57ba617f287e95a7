"""Out-of-core, distributed Expectation-Maximisation on Dask.

Public names are imported when they are first used, so that the mathematics (`dem.em`,
`dem.models`, ...) can be imported without Dask, Zarr or scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dem.engine.manifest import open_data
    from dem.errors import DataError, DegenerateComponentWarning
    from dem.estimators import GaussianMixture, KMeans
    from dem.families import Diagonal, Full, Gaussian, Spherical, Tied
    from dem.fitting import fit, resume
    from dem.jobs import Job, attach, runs, submit, submit_async
    from dem.models import Mixture
    from dem.posteriors import Exact, Hard
    from dem.schedules import FullBatch
    from dem.store import load, save

__version__ = "0.1.0"

__all__ = [
    "DataError",
    "DegenerateComponentWarning",
    "Diagonal",
    "Exact",
    "Full",
    "FullBatch",
    "Gaussian",
    "GaussianMixture",
    "Hard",
    "Job",
    "KMeans",
    "Mixture",
    "Spherical",
    "Tied",
    "__version__",
    "attach",
    "fit",
    "load",
    "open_data",
    "resume",
    "runs",
    "save",
    "submit",
    "submit_async",
]

_MODULE_OF = {
    "DataError": "dem.errors",
    "DegenerateComponentWarning": "dem.errors",
    "Diagonal": "dem.families",
    "Exact": "dem.posteriors",
    "Full": "dem.families",
    "FullBatch": "dem.schedules",
    "Gaussian": "dem.families",
    "GaussianMixture": "dem.estimators",
    "Hard": "dem.posteriors",
    "Job": "dem.jobs",
    "KMeans": "dem.estimators",
    "Mixture": "dem.models",
    "Spherical": "dem.families",
    "Tied": "dem.families",
    "attach": "dem.jobs",
    "fit": "dem.fitting",
    "load": "dem.store",
    "open_data": "dem.engine.manifest",
    "resume": "dem.fitting",
    "runs": "dem.jobs",
    "submit": "dem.jobs",
    "submit_async": "dem.jobs",
    "save": "dem.store",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
