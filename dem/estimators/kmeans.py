"""k-means: the limit of EM for equal spherical components under a hard posterior."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import Any, Self

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from dem.checkpoint import Saved
from dem.checks import check_number
from dem.climb import Climb
from dem.engine.manifest import Manifest
from dem.estimators import inputs, stored
from dem.estimators.fitted import Fitted
from dem.estimators.seeds import Chosen, Seeded
from dem.families import Gaussian, Spherical
from dem.fitting import Fit, total
from dem.kernels.seeding import nearest
from dem.models.mixture import Mixture
from dem.passes import Assign, Shares
from dem.posteriors import Hard
from dem.reading import Phase
from dem.starts import Centres, Start
from dem.storable import storable
from dem.wrap import Frozen

Array = np.ndarray
KEPT = ("weights", "components.covariances", "components.roots")
STARTS = {**inputs.STARTS, "random": inputs.STARTS["random_from_data"]}
ALGORITHMS = ("lloyd", "elkan")
# What a tol of 0 means: L is compared with `<`, and here it can stand still to the last bit.
NO_CHANGE = float(np.nextafter(0, 1))


@storable("KMeans")
class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, Fitted):
    """k-means clustering (Lloyd's algorithm) of data in memory, on disk or on a cluster.

    Minimises Σᵢ wᵢ ‖xᵢ − μ₍ₖᵢ₎‖². It is EM for a mixture of equal spherical Gaussians with a
    hard posterior, and runs through the same loop. Arguments and attributes have the names,
    shapes and meanings of `sklearn.cluster.KMeans`.

    Parameters
    ----------
    n_clusters : int, default=8
    init : {"k-means||", "k-means++", "random"}, (n_clusters, n_features) centres, or a start
        Or, as in scikit-learn, a function of (X, n_clusters, random_state) that returns centres:
        here X are the rows of the sample, all of them if they are few.
    n_init : int or "auto", default="auto"
        "auto" is 10 with init="random" or a function, else 1. Given centres are used once.
    max_iter : int
    tol : float, default=1e-4
        Stop when the inertia per row changes by less than this share of the data's variance.
    verbose, random_state, checkpoint : as in `dem.GaussianMixture`.
    copy_x, algorithm : as in scikit-learn, and without effect
        The data are never changed, and "elkan" comes to the same centres as "lloyd".

    A cluster that loses all its rows keeps its centre.

    Attributes
    ----------
    cluster_centers_ : (n_clusters, n_features)
    labels_ : (n_samples,); lazy if X was.
    inertia_, n_iter_, n_features_in_, feature_names_in_ : as in scikit-learn.
    converged_ : whether it stood still before the turns ran out.
    history_ : as in `dem.GaussianMixture`; a bound is a constant minus half the inertia per row in
        the units of the fit.
    n_passes_ : full reads of the data.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means||",
        n_init: Any = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        verbose: Any = 0,
        random_state: Any = None,
        copy_x: bool = True,
        algorithm: str = "lloyd",
        checkpoint: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.copy_x = copy_x
        self.algorithm = algorithm
        self.checkpoint = checkpoint

    def predict(self, X: Any) -> Any:
        """The nearest centre of each row, (n_samples,); lazy on lazy X."""
        check_is_fitted(self)
        centres, frame = self._centres, self._frame

        def label(rows: Array) -> Array:
            index, distance = nearest(rows, centres, frame.origin, frame.scale)
            return index + 0.0 * distance  # NaN for a row that has one

        return self._rowwise(X, label, np.int64)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit, then the nearest centre of each row."""
        return self.fit(X, sample_weight=sample_weight).labels_

    def transform(self, X: Any) -> Any:
        """Distances to the centres, (n_samples, n_clusters); lazy on lazy X."""
        check_is_fitted(self)
        centres = self.cluster_centers_

        def distances(rows: Array) -> Array:
            return np.asarray(cdist(rows, centres))

        return self._rowwise(X, distances, np.float64, len(centres))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Minus the inertia of X, −Σᵢ wᵢ ‖xᵢ − μ₍ₖᵢ₎‖²."""
        check_is_fitted(self)
        manifest = self._open(X, sample_weight, reset=False)
        return -self._inertia(self._assigned(manifest))

    def to_store(self) -> stored.Parts:
        arrays, attributes = super().to_store()
        return arrays, {**attributes, "inertia": self.inertia_}

    @classmethod
    def from_store(cls, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Self:
        """The estimator that `to_store` described, without the labels of its data."""
        self = super().from_store(arrays, attributes)
        self.inertia_ = float(attributes["inertia"])
        return self

    def _check(self) -> None:
        check_number("n_clusters", self.n_clusters, int, 1)
        check_number("tol", self.tol, float, 0)
        check_number("max_iter", self.max_iter, int, 1)
        if self.n_init != "auto":
            check_number("n_init", self.n_init, int, 1)
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {ALGORITHMS}, got {self.algorithm!r}.")

    def _model(self, manifest: Manifest) -> Frozen:
        return Frozen(Mixture(self.n_clusters, Gaussian(Spherical())), KEPT)

    def _start(self, n_columns: int) -> Start:
        if callable(self.init) and not is_dataclass(self.init):  # starts are frozen values
            if self.checkpoint is not None:
                raise ValueError("A checkpoint cannot hold init as a function: give the centres.")
            return Chosen(self.init)
        if self.init is None or isinstance(self.init, str) or callable(self.init):
            either: Start = inputs.resolve("init", self.init, STARTS, Start)
            return either
        centres = inputs.check_array_of("init", self.init, (self.n_clusters, n_columns))
        return Centres(centres)

    def _n_init(self, start: Start) -> int:
        if self.n_init == "auto":
            return 10 if start == STARTS["random"] or isinstance(start, Chosen) else 1
        if isinstance(start, Centres) and self.n_init > 1:
            warnings.warn(
                f"init is an array of centres: they are used once and not n_init={self.n_init} "
                "times.",
                RuntimeWarning,
                stacklevel=4,
            )
            return 1
        return int(self.n_init)

    @classmethod
    def _arguments_of_model(cls, model: Any) -> dict[str, Any]:
        if not isinstance(model, Frozen) or model.fields != KEPT:
            raise ValueError(f"not the fit of k-means but of {model}")
        return {"n_clusters": model.k}

    @classmethod
    def arguments_of(cls, saved: Saved) -> dict[str, Any]:
        climb, start = saved.climb, saved.climb.start
        arguments = cls._arguments_of_model(climb.model)
        if not isinstance(start, Seeded):
            raise ValueError(f"not a start of k-means but {start}")
        centres = start.start.centres if isinstance(start.start, Centres) else None
        # 15 digits: it was multiplied by D / 2, which rounds.
        share = 2 * climb.tol / saved.state.params.components.means.shape[1]
        return {
            **arguments,
            "init": inputs.word_of(start.start, STARTS) if centres is None else centres,
            "n_init": climb.n_init,
            "max_iter": climb.max_iter,
            "tol": 0.0 if climb.tol == NO_CHANGE else float(f"{share:.15g}"),
            "random_state": climb.seed,
        }

    def _climb(self, model: Frozen, manifest: Manifest) -> Climb:
        inputs.check_rows(manifest, "n_clusters", self.n_clusters)
        start = self._start(manifest.n_columns)
        return Climb(
            model,
            start=Seeded(start),
            posterior=Hard(),
            max_iter=self.max_iter,
            # The bound is −½ inertia per row in the frame, whose variance is D or less.
            tol=self.tol * manifest.n_columns / 2 or NO_CHANGE,
            n_init=self._n_init(start),
            seed=inputs.seed_of(self.random_state),
        )

    def _keep(self, fitted: Fit) -> None:
        super()._keep(fitted)
        components = fitted.params.components
        self.n_features_in_ = components.means.shape[1]
        self._frame, self._centres = components.frame, components.means
        self.cluster_centers_ = self._frame.outward(self._centres)

    def _conclude(self, fitted: Fit, manifest: Manifest, X: Any) -> None:
        began = time.perf_counter()
        self._keep(fitted)
        shares = self._assigned(manifest)
        last = Phase("labels", manifest.n_rows, time.perf_counter() - began)
        fitted = replace(fitted, n_passes=fitted.n_passes + 1, phases=(*fitted.phases, last))
        self._keep(fitted)
        self.inertia_ = self._inertia(shares)
        self.labels_ = self.predict(X)
        fitted = replace(fitted, degenerate=())  # clusters without rows are told of below
        asked = f"tol={self.tol:g} asks for {'a smaller change' if self.tol else 'none at all'}"
        inputs.warn_about(fitted, self.max_iter, NO_CHANGE, asked)
        if (empty := np.flatnonzero(shares.weights == 0)).size:
            warnings.warn(
                f"Number of distinct clusters ({self.n_clusters - len(empty)}) found smaller than "
                f"n_clusters ({self.n_clusters}): no row is nearest to {empty.tolist()}. Possibly "
                "due to duplicate points in X.",
                ConvergenceWarning,
                stacklevel=3,
            )

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def _assigned(self, manifest: Manifest) -> Shares:
        shares: Shares = total(Assign(self._centres, self._frame), manifest)
        return shares

    def _inertia(self, shares: Shares) -> float:
        return float(shares.cost * self._frame.scale[0] ** 2)
