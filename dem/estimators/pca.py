"""Principal component analysis, and its probabilistic model, for data of any size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import eigh
from sklearn.utils.validation import check_array, check_is_fitted

from dem.checks import check_number
from dem.engine.lazy import rowwise
from dem.engine.manifest import Manifest, open_source
from dem.estimators import inputs
from dem.estimators.latent import LatentEstimator, loaded, single
from dem.families import Full, Gaussian, Principal, Spherical
from dem.families.frame import Frame
from dem.fitting import Fit
from dem.kernels.factors import dimension, upright
from dem.models.factor import LinearGaussian
from dem.models.mixture import Mixture, MixtureParams
from dem.storable import storable

Array = np.ndarray
FLOOR = 1e-14  # of a variance in the frame, where the data have about 1


@storable("PCA")
class PCA(LatentEstimator):
    """Principal component analysis of data in memory, on disk or on a cluster, by one read of them.

    Arguments and attributes have the names, shapes and meanings of `sklearn.decomposition.PCA`, as
    have `score` and what goes with it: the likelihood of probabilistic PCA, x = μ + W z + ε with
    ε ~ N(0, σ² I) (Tipping and Bishop 1999).

    Parameters
    ----------
    n_components : int, float, "mle" or None, default=None
        How many axes to keep; a number below 1 keeps as many as explain more than that share of the
        variance, "mle" those of Minka (2000), for no fewer rows than columns, None all.
    whiten : bool, default=False
        Whether `transform` scales coordinates to variance 1 (of a sample, over n − 1), and
        `inverse_transform` takes such. `components_`, of length 1, and `score` are the same.
    missing : bool, default=False
        Whether NaN is a missing value (missing at random): the axes are then those of probabilistic
        PCA at the maximum of the likelihood of what is there, found by EM that reads the data in
        each iteration. n_components must be int and below n_features.
    tol : float, default=1e-6, max_iter : int, default=1000
        Of EM: stop when less than tol is left to gain in the log-likelihood per row, in nats.
    method : {"auto", "moments", "em"}
        "moments" is one read of the data, before which some 3 blocks are looked at for the units to
        calculate in; "em" reads in each iteration, and keeps n_features × n_components numbers
        instead of n_features². "auto" takes "em" above 1500 columns, and above 32 with missing
        values.
    verbose, checkpoint : as in `dem.GaussianMixture`.

    Attributes
    ----------
    components_, explained_variance_, explained_variance_ratio_, singular_values_, mean_,
    n_components_, noise_variance_, n_features_in_, feature_names_in_ : as in scikit-learn.
    n_samples_ : float
        The rows, each counted with its weight.
    lower_bound_, loglike_, n_iter_, converged_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_ : as in `dem.FactorAnalysis`, of the Gaussian that was fitted, which for
        "moments" without missing values is that of all axes.
    """

    forms = (Principal, Full)
    face: ClassVar[tuple[str, ...]] = ("n_components", "whiten")

    def __init__(
        self,
        n_components: Any = None,
        *,
        whiten: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        missing: bool = False,
        method: str = "auto",
        verbose: Any = 0,
        checkpoint: Any = None,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.tol = tol
        self.max_iter = max_iter
        self.missing = missing
        self.method = method
        self.verbose = verbose
        self.checkpoint = checkpoint

    def inverse_transform(self, X: Any) -> Any:
        """Rows (n_samples, n_features) at the coordinates X (n_samples, n_components).

        Lazy on lazy X. ValueError for coordinates of another number of components.
        """
        check_is_fitted(self)
        axes, mean = self.components_, self.mean_
        if self.whiten:
            axes = axes * np.sqrt(self.explained_variance_)[:, None]
        source = open_source(X if inputs.elsewhere(X) else check_array(X))
        if source.shape[1] != len(axes):
            raise ValueError(
                f"X has {source.shape[1]} columns, but there are {len(axes)} components: pass "
                "coordinates, as transform gives them."
            )
        return rowwise(X, source, lambda rows: rows @ axes + mean, np.float64, axes.shape[1])

    def get_covariance(self) -> Array:
        """W Wᵀ + σ² I, (n_features, n_features)."""
        above = np.maximum(self.explained_variance_ - self.noise_variance_, 0.0)
        found = (self.components_.T * above) @ self.components_
        found[np.diag_indices_from(found)] += self.noise_variance_
        return np.asarray(found)

    def _check(self) -> None:
        super()._check()
        k = self.n_components
        if isinstance(k, (float, np.floating)):
            if not 0.0 < k < 1.0:
                raise ValueError(f"n_components as a share must be between 0 and 1, got {k}.")
        elif k is not None and k != "mle":
            check_number("n_components", k, int, 1)

    def _model(self, manifest: Manifest) -> Any:
        d, k = manifest.n_columns, self.n_components
        if k == "mle" and manifest.n_rows < d:
            raise ValueError(
                "n_components='mle' is only supported if n_samples >= n_features, got "
                f"{manifest.n_rows} rows of {d} columns."
            )
        whole = isinstance(k, (int, np.integer))
        if whole and k > min(d, manifest.n_rows):
            least = f"min(n_samples, n_features)={min(d, manifest.n_rows)}"
            raise ValueError(f"n_components={k} must be between 1 and {least}.")
        by_moments = self._by_moments(d)
        if by_moments and not self.missing:
            return single(Full(), False)
        if not whole or not k < d:
            why = "With missing values, or method='em',"
            raise ValueError(f"{why} n_components must be an int below n_features={d}, got {k!r}.")
        if by_moments:
            return single(Principal(int(k)), True)
        return LinearGaussian(int(k), Spherical(), missing=bool(self.missing))

    def _probabilistic(self, manifest: Manifest) -> Any:
        """The model that has a likelihood by which n_components may be chosen."""
        model = self._model(manifest)
        whole = model == single(Full(), False)
        return single(Principal(int(self.n_components)), False) if whole else model

    def _describe(self, fitted: Fit) -> None:
        n = self.n_samples_
        many = n - 1.0 if n > 1 else n
        self.mean_, values, axes, rest = _spectrum(fitted)
        values, rest = values * (n / many), rest * (n / many)  # as if of a sample
        most = min(len(self.mean_), max(int(n), 1))
        everything = values.sum() + rest * (len(self.mean_) - len(values))
        k = self.n_components
        if len(values) < len(self.mean_):  # of a model of so many axes
            most = k = len(values)
        elif k is None:
            k = most
        elif k == "mle":
            k = dimension(values, n)
        elif isinstance(k, (float, np.floating)):
            shares = np.cumsum(values / everything)
            k = min(int(np.searchsorted(shares, k, side="right")) + 1, most)
        if k < most:
            rest = float(values[k:most].mean())
        self.n_components_, self.noise_variance_ = k, float(rest)
        self.components_ = np.ascontiguousarray(axes[:, :k].T)
        self.explained_variance_ = values[:k]
        self.explained_variance_ratio_ = values[:k] / everything
        self.singular_values_ = np.sqrt(values[:k] * many)

    def _projection(self) -> Array:
        if not self.whiten:
            return self.components_.T
        scale = np.maximum(np.sqrt(self.explained_variance_), np.finfo(float).eps)
        return np.asarray(self.components_.T / scale)

    def _density(self) -> tuple[Any, Any]:
        family = Gaussian(Full(), missing=self._fitted.model.missing)
        frame = _frame(self._fitted)
        own = family.inward(self.mean_[None], self._raised(frame)[None], frame)
        return Mixture(1, family), MixtureParams(np.ones(1), own)

    def _raised(self, frame: Frame) -> Array:
        """The covariance, where it is singular raised to a floor."""
        form, covariance = Full(), self.get_covariance()
        inside = form.inward(covariance[None], frame.scale)
        floors = np.full((1, len(covariance)), FLOOR)
        return np.asarray(form.outward(form.at_least(inside, floors)[0], frame.scale)[0])

    def _told(self, fitted: Fit) -> Fit:
        return replace(fitted, degenerate=())  # columns may depend on each other


def _spectrum(fitted: Fit) -> tuple[Array, Array, Array, float]:
    """(μ, the largest eigenvalues, their axes as columns, and what the others are)."""
    model: Any = fitted.model
    params: Any = fitted.params
    family = getattr(model, "family", None)
    if family is not None and type(family.covariance) is Full:
        means, covariances, _ = family.outward(params.components)
        values, axes = eigh(covariances[0])
        return means[0], np.maximum(values[::-1], 0.0), upright(axes)[:, ::-1], 0.0
    means, loadings, noise = loaded(model, params)
    axes, sizes, _ = np.linalg.svd(loadings, full_matrices=False)
    return means, np.square(sizes) + noise[0], upright(axes), float(noise[0])


def _frame(fitted: Fit) -> Frame:
    params: Any = fitted.params
    frame: Frame = getattr(params, "components", params).frame
    return frame
