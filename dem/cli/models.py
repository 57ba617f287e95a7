"""Models from disk, as the commands use them."""

from __future__ import annotations

from typing import Any


def load(uri: str) -> Any:
    """The estimator at a path or URL; that of a fit, where it was a bare one that was saved.

    Raises ValueError for the fit of a model that has no estimator.
    """
    from dem import estimators
    from dem.cli.recipe import CHAINS, MODELS
    from dem.models import LDA
    from dem.records import Fit
    from dem.store import load as saved

    model = saved(uri)
    if not isinstance(model, Fit):
        return model
    if isinstance(model.model, LDA):
        return estimators.LatentDirichletAllocation.from_fit(model)
    if (single := estimators.latent.estimator_of(model.model)) is not None:
        return single.from_fit(model)
    mixtures = [getattr(estimators, name) for name in MODELS.values()]
    mixtures = [mixture for mixture in mixtures if hasattr(mixture, "family_type")]
    family = getattr(model.model, "family", None)
    chains = {MODELS[name] for name in CHAINS}
    fitting = (
        mixture
        for mixture in mixtures
        if isinstance(family, mixture.family_type)
        and (mixture.__name__ in chains) is hasattr(model.model, "topology")
    )
    return next(fitting, estimators.GaussianMixture).from_fit(model)


def opened(estimator: Any, data: str, weights: str | None) -> Any:
    """The manifest of data for an estimator, which may take categories, or sparse rows, or not."""
    from dem.engine.manifest import cut, open_source
    from dem.engine.readers.codes import Codes

    codes = getattr(estimator, "_codes", None) or Codes()
    sparse = getattr(estimator, "sparse", False)
    source = open_source(data, codes if hasattr(estimator, "impute") else None, sparse)
    return cut(source, weights=weights)
