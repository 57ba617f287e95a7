"""k-means: the limit of EM for equal spherical components under a hard posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from dem.contract import Sample
from dem.engine.lazy import rowwise
from dem.engine.manifest import Manifest
from dem.engine.readers.base import Source
from dem.estimators import inputs
from dem.families import Gaussian, Spherical
from dem.families.frame import Frame
from dem.fitting import fit, total
from dem.kernels.seeding import nearest, squared_distances
from dem.models.mixture import Mixture, MixtureParams
from dem.passes import Assign
from dem.posteriors import Hard
from dem.starts import Centres, Start, Steps
from dem.storable import JSON, Value, storable
from dem.wrap import Frozen

Array = np.ndarray
KEPT = ("weights", "components.covariances", "components.roots")


@dataclass(frozen=True)
class Equal:
    """The means of another start, with equal weights and variances of one."""

    start: Start

    def __call__(self, model: Any, sample: Sample, seed: int) -> Steps:
        params: MixtureParams = yield from self.start(model, sample, seed)
        c, k = params.components, model.k
        ones = np.ones((k, 1))
        components = type(c)(c.means, ones, ones, c.frame)
        return MixtureParams(np.full(k, 1 / k), components)


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
        fitted = fit(
            Frozen(Mixture(self.n_clusters, Gaussian(Spherical())), KEPT),
            manifest,
            start=Equal(self._start(manifest.n_columns)),
            posterior=Hard(),
            max_iter=self.max_iter,
            # The bound is −½ inertia per row in the frame, whose variance is D or less.
            tol=self.tol * manifest.n_columns / 2 or np.nextafter(0, 1),
            n_init=self.n_init,
            seed=inputs.seed_of(self.random_state),
            observer=inputs.observer_of(self.verbose),
        )
        components = fitted.params.components
        self._frame, self._centres = components.frame, components.means
        self.cluster_centers_ = self._frame.outward(self._centres)
        self.n_iter_, self.n_passes_ = len(fitted.history), fitted.n_passes + 1
        self.inertia_ = self._inertia(manifest)
        self.labels_ = self.predict(X)
        if not fitted.converged:
            inputs.warn_about(fitted, self.max_iter, self.tol)
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
        return -self._inertia(inputs.open_input(self, X, sample_weight, reset=False))

    def to_store(self) -> tuple[Mapping[str, Value], Mapping[str, JSON]]:
        """Centres in the frame of the fit, and the rest as JSON; see `dem.save`."""
        check_is_fitted(self)
        arrays = {
            "centres": self._centres,
            "origin": self._frame.origin,
            "scale": self._frame.scale,
        }
        names = getattr(self, "feature_names_in_", None)
        return arrays, {
            "inertia": self.inertia_,
            "n_iter": self.n_iter_,
            "n_passes": self.n_passes_,
            "feature_names": None if names is None else [str(name) for name in names],
        }

    @classmethod
    def from_store(cls, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Self:
        """The estimator that `to_store` described, without the labels of its data."""
        k, d = arrays["centres"].shape
        if arrays["origin"].shape != (d,) or arrays["scale"].shape != (d,):
            raise ValueError(f"origin and scale are not of the shape ({d},)")
        self = cls(k)
        self._frame, self._centres = Frame(arrays["origin"], arrays["scale"]), arrays["centres"]
        self.cluster_centers_ = self._frame.outward(self._centres)
        self.inertia_, self.n_iter_ = float(attributes["inertia"]), int(attributes["n_iter"])
        self.n_passes_, self.n_features_in_ = float(attributes["n_passes"]), d
        if attributes["feature_names"] is not None:
            self.feature_names_in_ = np.array(attributes["feature_names"], dtype=object)
        return self

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def _start(self, n_columns: int) -> Start:
        words = {**inputs.STARTS, "random": inputs.STARTS["random_from_data"]}
        if isinstance(self.init, str) or callable(self.init):
            return inputs.resolve("init", self.init, words)
        return Centres(inputs.check_array_of("init", self.init, (self.n_clusters, n_columns)))

    def _usable(self, X: Any) -> Source:
        check_is_fitted(self)
        return inputs.usable(self, X, reset=False)

    def _inertia(self, manifest: Manifest) -> float:
        cost = total(Assign(self._centres, self._frame), manifest).cost
        return float(cost * self._frame.scale[0] ** 2)
