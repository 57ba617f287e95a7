"""Mixtures over columns of different kinds: numbers, counts, categories."""

from __future__ import annotations

from typing import Any

from dem.engine.manifest import Manifest
from dem.engine.readers.base import Source
from dem.engine.readers.codes import Codes
from dem.estimators.assignment import (
    CATEGORICAL,
    asked_for,
    assigned,
    check_product,
    described,
    family_of,
    product,
)
from dem.estimators.coded import CodedEstimator
from dem.families import Categorical, Product
from dem.fitting import Fit
from dem.storable import storable


@storable("MixedMixture")
class MixedMixture(CodedEstimator):
    """Mixture over columns of different kinds, each of a family of its own, for data of any size.

    p(x) = Σₖ πₖ ∏ p(x_d | k), independent given the component but for columns that are put
    together. In dataframes and Parquet, columns of categories and strings are categorical,
    booleans Bernoulli, floating-point numbers normal; what integers are the user says. Of arrays,
    which have one dtype, all columns are numbers (or booleans) until the user says else. NaN or
    NULL is a missing value, whose factor drops out (missing at random), in all families but
    Gaussian and Student-t.

    Parameters
    ----------
    families : None, mapping or `Product`
        The families of columns that are not to go by their dtype: from a column's name or number
        to a family or one of the words "bernoulli", "beta", "categorical", "exponential",
        "gamma", "gaussian", "log-normal", "negative-binomial", "normal", "poisson". From a tuple
        of columns to one family for all of these: {("x", "y"): dem.Gaussian()} has a full
        covariance. "categorical" takes the different values for the levels, by one more pass.
    numbers : a family or a word, default="normal"
        The family of the other columns of numbers; "gaussian" gives them a full
        covariance, and allows no missing values.
    n_components, tol, max_iter, n_init, init_params, random_state, warm_start, verbose, schedule,
    accelerate, posterior, max_passes, max_time, checkpoint : as in `dem.GaussianMixture`.

    Attributes
    ----------
    weights_ : (n_components,)
    families_ : dict
        The family of each column, by its name (its number where columns have no names), or of
        each group of columns that are put together, by the tuple of their names.
    parameters_ : dict
        Under the same keys the parameters by their names, such as {"rates": (n_components,)} or
        {"probabilities": (n_components, n_levels)}.
    levels_ : dict
        The levels of each column that has any, in the order of "probabilities".
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.
    """

    family_type = Product
    what = "a mixed mixture"

    def __init__(
        self,
        n_components: int = 1,
        *,
        families: Any = None,
        numbers: Any = "normal",
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
        self.families = families
        self.numbers = numbers

    def _check(self) -> None:
        super()._check()
        family_of("numbers", self.numbers)

    def _groups(self, here: Codes, names: Any) -> dict[tuple[int, ...], Any]:
        """The family of each group of columns."""
        asked = asked_for(self.families, names, len(here.kinds))
        return assigned(asked, family_of("numbers", self.numbers), here, names)

    def _categories(self, source: Source, here: Codes) -> tuple[bool, ...]:
        groups = self._groups(here, source.columns)
        # Of a Categorical that was given the levels are known, unless by the model of a fit.
        chosen = {
            column
            for columns, family in groups.items()
            if family == CATEGORICAL or (self._expected and isinstance(family, Categorical))
            for column in columns
        }
        return tuple(column in chosen for column in range(len(here.kinds)))

    def _levels_of(self, family: Any) -> tuple[int | None, ...]:
        counts: dict[int, int] = {}
        for part, columns in family.parts:
            if isinstance(part, Categorical) and isinstance(part.levels, tuple):
                counts.update(zip(columns, part.levels, strict=True))
        return tuple(counts.get(j) for j in range(family.n_columns))

    def _family(self, manifest: Manifest) -> Product:
        codes, names = self._codes or Codes(), manifest.columns
        if isinstance(self.families, Product):
            check_product(self.families, codes, names)
            return self.families
        return product(self._groups(codes, names), codes, names)

    @classmethod
    def _arguments_of_family(cls, family: Any) -> dict[str, Any]:
        return {"families": family}

    def _describe(self, fitted: Fit) -> None:
        names = self._column_names(self.n_features_in_)
        found = list(described(fitted.model.family, fitted.params.components, names))
        self.families_ = {name: family for name, family, _ in found}
        self.parameters_ = {name: arrays for name, _, arrays in found}
        levels = zip(names, self._arrays_of_levels(), strict=True)
        self.levels_ = {name: own for name, own in levels if own is not None}
