"""k-means: the limit of EM for equal spherical components under a hard posterior."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from dem.contract import Sample
from dem.engine.lazy import rowwise
from dem.engine.manifest import Manifest
from dem.engine.readers.base import Source
from dem.estimators import inputs, stored
from dem.families import Gaussian, Spherical
from dem.families.frame import Frame
from dem.families.gaussian import GaussianParams
from dem.fitting import Fit, fit, total
from dem.kernels.seeding import nearest, squared_distances
from dem.models.mixture import Mixture, MixtureParams
from dem.passes import Assign, Shares
from dem.posteriors import Hard
from dem.starts import Centres, Start, Steps
from dem.storable import storable
from dem.wrap import Frozen

Array = np.ndarray
KEPT = ("weights", "components.covariances", "components.roots")


@dataclass(frozen=True)
class Seeds(Mixture):
    """A mixture that starts at the very centres it is given, which a `Mixture` blurs a little.

    Weights are equal, and variances one in the frame.
    """

    def start_around(self, sample: Sample, rows: Array, centres: Array) -> MixtureParams:
        return self._at(Frame.of(sample.rows, sample.weights).outward(centres), sample)

    def start_from(self, sample: Sample, responsibilities: Array) -> MixtureParams:
        shares = responsibilities * sample.weights
        return self._at(shares @ sample.rows / shares.sum(axis=1, keepdims=True), sample)

    def _at(self, centres: Array, sample: Sample) -> MixtureParams:
        frame = Frame.of(sample.rows, sample.weights, uniform=True)
        ones = np.ones((self.k, 1))
        components = GaussianParams(frame.inward(centres), ones, ones, frame)
        return MixtureParams(np.full(self.k, 1 / self.k), components)


@dataclass(frozen=True)
class Seeded:
    """Another start, at its very centres."""

    start: Start

    def __call__(self, model: Any, sample: Sample, seed: int) -> Steps:
        return self.start(Seeds(model.k, model.family), sample, seed)


@storable("KMeans")
class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """k-means clustering (Lloyd's algorithm) of data in memory, on disk or on a cluster.

    Minimises Σᵢ wᵢ ‖xᵢ − μ₍ₖᵢ₎‖². It is EM for a mixture of equal spherical Gaussians with a
    hard posterior, and runs through the same loop. Arguments and attributes have the names,
    shapes and meanings of `sklearn.cluster.KMeans`.

    Parameters
    ----------
    n_clusters : int, default=8
    init : {"k-means||", "k-means++", "random"}, (n_clusters, n_features) centres, or a start
    n_init, max_iter : int
    tol : float, default=1e-4
        Stop when the inertia per row changes by less than this share of the data's variance.
    verbose, random_state : as in `dem.GaussianMixture`.

    A cluster that loses all its rows keeps its centre.

    Attributes
    ----------
    cluster_centers_ : (n_clusters, n_features)
    labels_ : (n_samples,); lazy if X was.
    inertia_, n_iter_, n_features_in_, feature_names_in_ : as in scikit-learn.
    n_passes_ : full reads of the data.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means||",
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        verbose: Any = 0,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit to the rows of X (n_samples, n_features), each counted `sample_weight` times."""
        inputs.check_number("n_clusters", self.n_clusters, int, 1)
        inputs.check_number("tol", self.tol, float, 0)
        inputs.check_number("max_iter", self.max_iter, int, 1)
        inputs.check_number("n_init", self.n_init, int, 1)
        manifest = inputs.open_input(self, X, sample_weight, reset=True)
        inputs.check_rows(manifest, "n_clusters", self.n_clusters)
        # The bound is −½ inertia per row in the frame, whose variance is D or less.
        tol = self.tol * manifest.n_columns / 2
        fitted = fit(
            Frozen(Mixture(self.n_clusters, Gaussian(Spherical())), KEPT),
            manifest,
            start=Seeded(self._start(manifest.n_columns)),
            posterior=Hard(),
            max_iter=self.max_iter,
            tol=tol or np.nextafter(0, 1),
            n_init=self.n_init,
            seed=inputs.seed_of(self.random_state),
            observer=inputs.observer_of(self.verbose),
        )
        self._keep(replace(fitted, n_passes=fitted.n_passes + 1))  # with the one that follows
        shares = self._assigned(manifest)
        self.inertia_ = self._inertia(shares)
        self.labels_ = self.predict(X)
        if not fitted.converged:
            inputs.warn_about(fitted, self.max_iter, tol)
        if (empty := np.flatnonzero(shares.weights == 0)).size:
            warnings.warn(
                f"Number of distinct clusters ({self.n_clusters - len(empty)}) found smaller than "
                f"n_clusters ({self.n_clusters}): no row is nearest to {empty.tolist()}. Possibly "
                "due to duplicate points in X.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def predict(self, X: Any) -> Any:
        """The nearest centre of each row, (n_samples,); lazy on lazy X."""
        source, (centres, frame) = self._usable(X), (self._centres, self._frame)

        def label(rows: Array) -> Array:
            index, distance = nearest(rows, centres, frame.origin, frame.scale)
            return index + 0.0 * distance  # NaN for a row that has one

        return rowwise(X, source, label, np.int64)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit, then the nearest centre of each row."""
        return self.fit(X, sample_weight=sample_weight).labels_

    def transform(self, X: Any) -> Any:
        """Distances to the centres, (n_samples, n_clusters); lazy on lazy X."""
        source, (centres, frame) = self._usable(X), (self._centres, self._frame)

        def distances(rows: Array) -> Array:
            return np.sqrt(squared_distances(frame.inward(rows), centres)) * frame.scale[0]

        return rowwise(X, source, distances, np.float64, len(centres))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Minus the inertia of X, −Σᵢ wᵢ ‖xᵢ − μ₍ₖᵢ₎‖²."""
        check_is_fitted(self)
        manifest = inputs.open_input(self, X, sample_weight, reset=False)
        return -self._inertia(self._assigned(manifest))

    def to_store(self) -> stored.Parts:
        """Centres in the frame of the fit, and the rest as JSON; see `dem.save`."""
        check_is_fitted(self)
        arrays, attributes = stored.parts_of(self, ("tol", "max_iter", "n_init"))
        return arrays, {**attributes, "inertia": self.inertia_}

    @classmethod
    def from_store(cls, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Self:
        """The estimator that `to_store` described, without the labels of its data."""
        fitted = stored.fit_of(arrays, attributes)
        self = cls(fitted.model.k)
        self._keep(fitted)
        stored.restore(self, attributes)
        self.inertia_ = float(attributes["inertia"])
        return self

    def _keep(self, fitted: Fit) -> None:
        """Set the attributes of a fit."""
        components = fitted.params.components
        self._fitted, self._frame, self._centres = fitted, components.frame, components.means
        self.cluster_centers_ = self._frame.outward(self._centres)
        self.n_iter_, self.n_passes_ = len(fitted.history), fitted.n_passes
        self.n_features_in_ = self._centres.shape[1]

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def _start(self, n_columns: int) -> Start:
        words = {**inputs.STARTS, "random": inputs.STARTS["random_from_data"]}
        if isinstance(self.init, str) or callable(self.init):
            return inputs.resolve("init", self.init, words)
        shape = (self.n_clusters, n_columns)
        centres = inputs.check_array_of("init", self.init, shape)
        if centres is None:
            raise ValueError(f"init must be one of {sorted(words)}, centres or a start, got None.")
        return Centres(centres)

    def _usable(self, X: Any) -> Source:
        check_is_fitted(self)
        return inputs.usable(self, X, reset=False)

    def _assigned(self, manifest: Manifest) -> Shares:
        shares: Shares = total(Assign(self._centres, self._frame), manifest)
        return shares

    def _inertia(self, shares: Shares) -> float:
        return float(shares.cost * self._frame.scale[0] ** 2)
