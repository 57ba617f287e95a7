"""Pictures of fits and models with matplotlib, each drawn on Axes and returned as such.

`plot_model` and `plot_family` are generic functions: register a drawing for a class of your own
with ``@dem.plots.plot_model.register``. Everything can be told apart without colour.
"""

from dem.plots.bounds import plot_bounds
from dem.plots.columns import Columns
from dem.plots.components import plot_family, plot_model
from dem.plots.gaussians import ellipses, marginals
from dem.plots.profiles import heat, profiles
from dem.plots.selection import plot_selection
from dem.plots.structured import topics, transitions

__all__ = [
    "Columns",
    "ellipses",
    "heat",
    "marginals",
    "plot_bounds",
    "plot_family",
    "plot_model",
    "plot_selection",
    "profiles",
    "topics",
    "transitions",
]
