"""Factor analysis with scikit-learn's interface, for data of any size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from dem.checkpoint import Saved
from dem.checks import check_number
from dem.contract import Sample
from dem.engine.manifest import Manifest
from dem.estimators.latent import LatentEstimator, loaded, single
from dem.families import Factors
from dem.fitting import Fit
from dem.kernels.factors import ROTATIONS, rotated
from dem.models.factor import LinearGaussian
from dem.starts import NO_PASS, FromModel, Start, Steps
from dem.storable import storable

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class NoiseVariances:
    """The model's own start, but for these variances (D,) of the noise, in the user's units."""

    values: Array

    def __call__(self, model: Any, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        params = model.start(sample, np.random.default_rng([seed, 2]))
        if isinstance(model, LinearGaussian):
            return replace(params, noise=self.values / params.frame.scale**2)
        own, form = params.components, model.family.covariance
        covariances = own.covariances.copy()
        covariances[..., -1] = self.values / own.frame.scale**2
        own = replace(own, covariances=covariances, roots=form.roots(covariances))
        return replace(params, components=own)


@storable("FactorAnalysis")
class FactorAnalysis(LatentEstimator):
    """Factor analysis by maximum likelihood, for data in memory, on disk or on a cluster.

    x = μ + W z + ε with z ~ N(0, I) of few dimensions, ε ~ N(0, Ψ) and Ψ diagonal. Arguments and
    attributes have the names, shapes and meanings of `sklearn.decomposition.FactorAnalysis`.

    One read of the data is enough: what remains of it are its second moments, from which the
    maximum is found in memory, by Newton's method for the noise variances.

    Parameters
    ----------
    n_components : int or None, default=None
        The number of factors; None is n_features.
    tol : float, default=1e-6
        Stop when less than this is left to gain in the log-likelihood per row, in nats.
    max_iter : int, default=1000
    noise_variance_init : (n_features,) or None
        Where the noise variances begin. None tries two starts, as there may be several maxima.
    rotation : {None, "varimax", "quartimax"}
        Of the factors, once they are found.
    missing : bool, default=False
        Whether NaN is a missing value (missing at random), which is summed out. The data are then
        read in each iteration.
    method : {"auto", "moments", "em"}
        "moments" is one read of the data, before which some 3 blocks are looked at for the units to
        calculate in; "em" reads in each iteration, and keeps n_features × n_components numbers
        instead of n_features². "auto" takes "em" above 1500 columns, and above 32 with missing
        values.
    verbose, checkpoint : as in `dem.GaussianMixture`.

    Attributes
    ----------
    components_ : (n_components, n_features)
        The loadings, Wᵀ; the largest of each is positive.
    noise_variance_ : (n_features,)
    mean_ : (n_features,)
    loglike_ : list
        The log-likelihood of all rows after each iteration (with missing values or by "em", a bound
        on it), and `lower_bound_`, the last of them per row.
    n_iter_, n_features_in_, feature_names_in_ : as in scikit-learn.
    n_samples_ : float
        The rows, each counted with its weight.
    converged_, history_, n_passes_, n_rows_read_, phases_, n_parameters_ :
        as in `dem.GaussianMixture`.
    """

    forms = (Factors,)
    face: ClassVar[tuple[str, ...]] = ("rotation",)

    def __init__(
        self,
        n_components: int | None = None,
        *,
        tol: float = 1e-6,
        max_iter: int = 1000,
        noise_variance_init: Any = None,
        rotation: str | None = None,
        missing: bool = False,
        method: str = "auto",
        verbose: Any = 0,
        checkpoint: Any = None,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.noise_variance_init = noise_variance_init
        self.rotation = rotation
        self.missing = missing
        self.method = method
        self.verbose = verbose
        self.checkpoint = checkpoint

    def get_covariance(self) -> Array:
        """W Wᵀ + Ψ, (n_features, n_features)."""
        return np.asarray(self.components_.T @ self.components_ + np.diag(self.noise_variance_))

    def _check(self) -> None:
        super()._check()
        if self.n_components is not None:
            check_number("n_components", self.n_components, int, 1)
        if self.rotation is not None and self.rotation not in ROTATIONS:
            raise ValueError(f"rotation must be None or one of {list(ROTATIONS)}.")

    def _model(self, manifest: Manifest) -> Any:
        d = manifest.n_columns
        q = d if self.n_components is None else int(self.n_components)
        if q > d:
            raise ValueError(f"n_components={q} must be at most n_features={d}.")
        if self._by_moments(d):
            return single(Factors(q), self.missing)
        return LinearGaussian(q, missing=bool(self.missing))

    def _start(self, n_columns: int) -> Start:
        if self.noise_variance_init is None:
            return FromModel()
        values = np.asarray(self.noise_variance_init, float)
        if values.shape != (n_columns,) or not (values > 0).all():
            raise ValueError(
                f"noise_variance_init should be {n_columns} positive numbers, one for each column; "
                f"got the shape {values.shape}."
            )
        return NoiseVariances(values)

    @classmethod
    def arguments_of(cls, saved: Saved) -> dict[str, Any]:
        start = saved.climb.start
        own = super().arguments_of(saved)
        given = start.values if isinstance(start, NoiseVariances) else None
        return {**own, "noise_variance_init": given}

    def _describe(self, fitted: Fit) -> None:
        self.mean_, loadings, self.noise_variance_ = loaded(fitted.model, fitted.params)
        if self.rotation is not None:
            loadings = rotated(loadings, ROTATIONS[self.rotation])
        self.components_ = loadings.T

    def _projection(self) -> Array:
        scaled = self.components_ / self.noise_variance_
        inner = np.eye(len(scaled)) + scaled @ self.components_.T
        return np.asarray(np.linalg.solve(inner, scaled).T)

    def _told(self, fitted: Fit) -> Fit:
        if not fitted.degenerate:
            return fitted
        what = (
            "variance is at its floor in some direction: columns are constant, or depend on each "
            "other to rounding. Leave some of them out.",
        )
        return replace(fitted, degenerate=what)
