"""Mixtures of independent categorical columns: latent class analysis."""

from __future__ import annotations

from typing import Any

import numpy as np

from dem.engine.manifest import Manifest
from dem.engine.readers.base import Source
from dem.engine.readers.codes import Codes
from dem.estimators.coded import CodedEstimator
from dem.families import Categorical
from dem.fitting import Fit
from dem.storable import storable


@storable("CategoricalMixture")
class CategoricalMixture(CodedEstimator):
    """Latent class analysis: a mixture of independent categorical columns, for data of any size.

    p(x) = Σₖ πₖ ∏_d p_kd[x_d] (Lazarsfeld and Henry 1968; Linzer and Lewis 2011). Columns of
    dataframes and of Parquet hold categories, strings, booleans or numbers, all other data
    numbers. NaN or NULL is a missing value, whose factor drops out (missing at random).

    Parameters
    ----------
    levels : None, int, or one int for each column
        How many levels columns of numbers have, which are then codes 0, 1, ..., levels − 1. None
        takes the different values for the levels, whatever they are; to find them is one more
        pass. Levels of strings and categories are always found.
    n_components, tol, max_iter, n_init, init_params, random_state, warm_start, verbose, schedule,
    accelerate, posterior, max_passes, max_time, checkpoint : as in `dem.GaussianMixture`.

    Attributes
    ----------
    weights_ : (n_components,)
    levels_ : list of n_features arrays
        The levels of each column: of categories in their order, else sorted. Another value in what
        is predicted is an error that names its place.
    probabilities_ : list of n_features arrays (n_components, n_levels)
        Of each level of a column, in their order; at least 1e-10.
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.
    """

    family_type = Categorical
    what = "a categorical mixture"

    def __init__(
        self,
        n_components: int = 1,
        *,
        levels: Any = None,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: Any = 0,
        schedule: Any = "auto",
        accelerate: Any = "auto",
        posterior: Any = "exact",
        max_passes: float | None = None,
        max_time: float | None = None,
        checkpoint: Any = None,
    ) -> None:
        super().__init__(
            n_components, tol=tol, max_iter=max_iter, n_init=n_init, init_params=init_params,
            random_state=random_state, warm_start=warm_start, verbose=verbose, schedule=schedule,
            accelerate=accelerate, posterior=posterior, max_passes=max_passes, max_time=max_time,
            checkpoint=checkpoint,
        )  # fmt: skip
        self.levels = levels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags

    def _check(self) -> None:
        super()._check()
        if self.levels is not None:
            Categorical(self.levels)

    def _levels_of(self, family: Any) -> tuple[int | None, ...] | None:
        return family.levels if isinstance(family.levels, tuple) else None

    def _found(self, source: Source, here: Codes) -> Codes:
        if self.levels is None:
            return super()._found(source, here)
        counts = np.diff(Categorical(self.levels).edges(source.shape[1])).tolist()
        pairs = zip(here.levels, counts, strict=True)
        levels = tuple(tuple(range(n)) if own is None else own for own, n in pairs)
        return Codes(here.kinds, levels)

    def _categories(self, source: Source, here: Codes) -> tuple[bool, ...]:
        return (True,) * len(here.kinds)

    def _family(self, manifest: Manifest) -> Categorical:
        return Categorical(tuple(len(levels or ()) for levels in self._levels))

    def _describe(self, fitted: Fit) -> None:
        family, probabilities = fitted.model.family, fitted.params.components.probabilities
        self.probabilities_ = family.split(probabilities, self.n_features_in_)
        self.levels_ = (
            self._arrays_of_levels()
            if self._codes
            else [np.arange(part.shape[1]) for part in self.probabilities_]
        )
