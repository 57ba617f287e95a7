"""What a fit says about the data, and how sure one can be of it."""

from dem.inference.bootstrap import Bootstrap, bootstrap
from dem.inference.errors import StandardErrors, standard_errors
from dem.inference.ratio import RatioTest, likelihood_ratio_test
from dem.inference.replicates import Resampled, Simulated
from dem.inference.summary import Summary, summarise

__all__ = [
    "Bootstrap",
    "RatioTest",
    "Resampled",
    "Simulated",
    "StandardErrors",
    "Summary",
    "bootstrap",
    "likelihood_ratio_test",
    "standard_errors",
    "summarise",
]
