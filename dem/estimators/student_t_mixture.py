"""Mixtures of Student-t distributions: robust clusters."""

from __future__ import annotations

from typing import Any

from dem.engine.manifest import Manifest
from dem.estimators import inputs
from dem.estimators.mixture import MixtureEstimator
from dem.families import StudentT
from dem.families.covariance import Covariance
from dem.storable import storable

COVARIANCES = {word: form for word, form in inputs.COVARIANCES.items() if not form.pooled}


@storable("StudentTMixture")
class StudentTMixture(MixtureEstimator):
    """Mixture of multivariate Student-t distributions, fitted by EM to data of any size.

    p(x) = Σₖ πₖ t(x; μₖ, Σₖ, νₖ): Gaussians whose precision differs from row to row, so that
    outliers pull little (Peel and McLachlan 2000).

    Parameters
    ----------
    covariance_type : {"full", "diag", "spherical"} or a `Covariance`, default="full"
        The form of the scale matrices Σ, which components may not share.
    df : float or None, default=None
        The degrees of freedom ν of all components; None fits one for each, in [0.1, 200].
    n_components, tol, max_iter, n_init, init_params, random_state, warm_start, verbose, schedule,
    accelerate, posterior, max_passes, max_time, checkpoint : as in `dem.GaussianMixture`.

    Attributes
    ----------
    weights_ : (n_components,)
    means_ : (n_components, n_features)
        The locations μ, which are the means where ν > 1.
    scales_ : as `covariances_` of `dem.GaussianMixture`
        The scale matrices Σ; the covariance is ν / (ν − 2) of it where ν > 2.
    df_ : (n_components,)
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.
    """

    family_type = StudentT
    what = "a Student-t mixture"

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Any = "full",
        df: float | None = None,
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
        self.covariance_type = covariance_type
        self.df = df

    def _check(self) -> None:
        super()._check()
        self._student()

    def _family(self, manifest: Manifest) -> StudentT:
        return self._student()

    def _student(self) -> StudentT:
        form = inputs.resolve("covariance_type", self.covariance_type, COVARIANCES, Covariance)
        return StudentT(form, self.df)

    @classmethod
    def _arguments_of_family(cls, family: Any) -> dict[str, Any]:
        return {"covariance_type": inputs.word_of(family.covariance, COVARIANCES), "df": family.df}
