"""Models from disk, as the commands use them."""

from __future__ import annotations

from typing import Any


def load(uri: str) -> Any:
    """The estimator at a path or URL; that of a fit, where it was a bare one that was saved.

    Raises ValueError for the fit of a model that has no estimator.
    """
    from dem import estimators
    from dem.cli.recipe import MODELS
    from dem.records import Fit
    from dem.store import load as saved

    model = saved(uri)
    if not isinstance(model, Fit):
        return model
    mixtures = [getattr(estimators, name) for name in MODELS.values() if name != "KMeans"]
    family = getattr(model.model, "family", None)
    fitting = (mixture for mixture in mixtures if isinstance(family, mixture.family_type))
    return next(fitting, estimators.GaussianMixture).from_fit(model)


def opened(estimator: Any, data: str, weights: str | None) -> Any:
    """The manifest of data for an estimator, which may take columns of categories or not."""
    from dem.engine.manifest import cut, open_source
    from dem.engine.readers.codes import Codes

    codes = getattr(estimator, "_codes", None) or Codes()
    source = open_source(data, codes if hasattr(estimator, "impute") else None)
    return cut(source, weights=weights)
