"""Models from disk, as the commands use them."""

from __future__ import annotations

from typing import Any


def load(uri: str) -> Any:
    """The estimator at a path or URL; that of a fit, where it was a bare one that was saved.

    Raises ValueError for the fit of a model that has no estimator.
    """
    from dem.estimators import GaussianMixture
    from dem.records import Fit
    from dem.store import load as saved

    model = saved(uri)
    return GaussianMixture.from_fit(model) if isinstance(model, Fit) else model
