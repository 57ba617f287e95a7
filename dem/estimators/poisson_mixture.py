"""Mixtures of independent Poisson counts."""

from __future__ import annotations

from typing import Any

from dem.engine.manifest import Manifest
from dem.estimators.coded import CodedEstimator
from dem.families import Poisson
from dem.storable import storable


@storable("PoissonMixture")
class PoissonMixture(CodedEstimator):
    """Mixture of independent Poisson counts, fitted by EM to data of any size.

    p(x) = Σₖ πₖ ∏_d λ_kd^x_d e^(−λ_kd) / x_d!. Columns hold counts 0, 1, 2, ..., in any dtype;
    NaN or NULL is a missing value, whose factor drops out (missing at random).

    Parameters
    ----------
    n_components, tol, max_iter, n_init, init_params, random_state, warm_start, verbose, schedule,
    accelerate, posterior, max_passes, max_time, checkpoint : as in `dem.GaussianMixture`.

    Attributes
    ----------
    weights_ : (n_components,)
    rates_ : (n_components, n_features)
        The mean λ of each count; at least 1e-10.
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.
    """

    family_type = Poisson
    categories = False
    what = "a Poisson mixture"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = tags.input_tags.categorical = True  # whole numbers from 0
        return tags

    def _family(self, manifest: Manifest) -> Poisson:
        return Poisson()
