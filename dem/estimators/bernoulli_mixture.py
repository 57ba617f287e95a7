"""Mixtures of independent binary columns: latent class analysis with binary items."""

from __future__ import annotations

from typing import Any

from dem.checks import check_number
from dem.engine.manifest import Manifest
from dem.errors import DataError
from dem.estimators.coded import CodedEstimator
from dem.families import Bernoulli
from dem.fitting import Fit
from dem.storable import storable


@storable("BernoulliMixture")
class BernoulliMixture(CodedEstimator):
    """Mixture of independent binary columns, fitted by EM to data of any size.

    p(x) = Σₖ πₖ ∏_d p_kd^x_d (1 − p_kd)^(1 − x_d): latent class analysis with binary items
    (Lazarsfeld and Henry 1968). Columns hold 0 and 1, False and True, or categories or strings of
    at most two levels, of which the first counts as 0; NaN or NULL is a missing value, whose
    factor drops out (missing at random).

    Parameters
    ----------
    binarize : float or None, default=None
        Columns of numbers count as 1 where they are above it, as in scikit-learn's `BernoulliNB`.
        With None a number other than 0 and 1 is an error.
    n_components, tol, max_iter, n_init, init_params, random_state, warm_start, verbose, schedule,
    accelerate, posterior, max_passes, max_time, checkpoint : as in `dem.GaussianMixture`.

    Attributes
    ----------
    weights_ : (n_components,)
    probabilities_ : (n_components, n_features)
        Of 1; between 1e-10 and 1 − 1e-10.
    levels_ : list of n_features
        The two values that 0 and 1 stand for, None in columns of numbers.
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.
    """

    family_type = Bernoulli
    what = "a Bernoulli mixture"

    def __init__(
        self,
        n_components: int = 1,
        *,
        binarize: float | None = None,
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
        self.binarize = binarize

    def _check(self) -> None:
        super()._check()
        if self.binarize is not None:
            check_number("binarize", self.binarize, float, -float("inf"))

    def _family(self, manifest: Manifest) -> Bernoulli:
        for name, levels in zip(self._column_names(manifest.n_columns), self._levels, strict=True):
            if levels is not None and len(levels) > 2:
                raise DataError(
                    f"Column {name!r} has {len(levels)} levels, {levels[0]!r}, {levels[1]!r}, "
                    f"{levels[2]!r}, ..., and Bernoulli columns have two: use CategoricalMixture."
                )
            if levels is not None and self.binarize is not None:
                raise DataError(f"Column {name!r} holds categories: leave out binarize.")
        return Bernoulli(None if self.binarize is None else float(self.binarize))

    @classmethod
    def _arguments_of_family(cls, family: Any) -> dict[str, Any]:
        return {"binarize": family.threshold}

    def impute(self, X: Any) -> Any:
        if self.binarize is not None:
            raise ValueError(
                "impute needs binarize=None: values are only known to be above it or not."
            )
        return super().impute(X)

    def _describe(self, fitted: Fit) -> None:
        super()._describe(fitted)
        self.levels_ = self._arrays_of_levels()
