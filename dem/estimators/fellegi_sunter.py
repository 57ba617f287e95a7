"""Record linkage: which pairs of records belong together (Fellegi and Sunter 1969)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from dem.checkpoint import Saved
from dem.checks import check_number
from dem.contract import Sample
from dem.engine.manifest import Manifest
from dem.estimators import known
from dem.estimators.categorical_mixture import CategoricalMixture
from dem.families import Categorical, Product
from dem.fitting import Fit
from dem.models.mixture import Mixture, MixtureParams
from dem.starts import NO_PASS, Start, Steps
from dem.storable import storable

Array = np.ndarray
LIKELY = 0.9


@dataclass(frozen=True)
class Agreement:
    """Two components: pairs that agree in few columns, and pairs that agree in most.

    likely : the probability of full agreement in the second, and of none in the first.
    share : of the second.
    """

    likely: float = LIKELY
    share: float = 0.1
    numbered: ClassVar[bool] = True

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        family: Any = model.family
        own: Any = family.parts[0][0] if isinstance(family, Product) else family  # labels beside
        levels = np.diff(own.edges(len(own.levels)))
        degree = sample.rows[:, : len(levels)] / np.maximum(levels - 1, 1)  # from 0 to 1
        slope = np.log(self.likely / (1 - self.likely))
        evidence = np.nansum(slope * (2 * degree - 1), axis=1)
        logit = np.log(self.share / (1 - self.share)) + evidence
        match = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
        started: MixtureParams = model.start_from(sample, np.stack([1 - match, match]))
        return started


@storable("FellegiSunter")
class FellegiSunter(CategoricalMixture):
    """Which pairs of records are of the same thing, from how they agree, for data of any size.

    Rows are pairs of records, columns say how much a pair agrees in a field: 0 for not at all, up
    to some level, or False and True; NaN where a field is missing in one of them. With m the
    probabilities of a field's levels among matches, and u among others,

        p(x) = λ ∏_d m_d[x_d] + (1 − λ) ∏_d u_d[x_d]

    is a latent class analysis with two classes (Fellegi and Sunter 1969; Winkler 1988), and
    log₂(m / u) summed over the fields is the weight of the evidence that a pair is a match.

    Parameters
    ----------
    levels : None, int, or one int for each column
        As in `dem.CategoricalMixture`.
    tol : float, default=1e-6, max_iter : int, default=1000
    random_state, warm_start, verbose, schedule, accelerate, posterior, max_passes, max_time,
    checkpoint : as in `dem.GaussianMixture`.

    A fit begins where matches agree in a field with probability 0.9, and others with 0.1. EM
    finds two classes of pairs, whichever they are: where hardly any pairs are matches, compare
    those alone that have something in common (blocking).

    Attributes
    ----------
    prevalence_ : float
        λ, the share of matches.
    m_, u_ : list of n_features arrays (n_levels,)
        Of matches, and of others; at least 1e-10.
    match_weights_ : list of n_features arrays (n_levels,)
        log₂(m / u), in bits.
    weights_, probabilities_ : of others, then of matches
    levels_, converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_,
    phases_, n_parameters_, n_features_in_, feature_names_in_ : as in `dem.CategoricalMixture`.

    `predict` is 1 for pairs that are more probably a match than not, and 0 for others, and the
    second column of `predict_proba` is the probability of a match.
    """

    what = "a model of matches"
    kept: ClassVar[tuple[str, ...]] = ("tol", "max_iter")
    n_components = 2
    n_init = 1  # the start is not random
    init_params = "auto"

    def __init__(
        self,
        *,
        levels: Any = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
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
        self.levels = levels
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.schedule = schedule
        self.accelerate = accelerate
        self.posterior = posterior
        self.max_passes = max_passes
        self.max_time = max_time
        self.checkpoint = checkpoint

    def match_weight(self, X: Any) -> Any:
        """Σ log₂(m / u) of each pair, (n_samples,), in bits; lazy on lazy X."""
        check_is_fitted(self)
        model, params = self._fitted.model, self._fitted.params
        even = model.prepare(MixtureParams(np.full(2, 0.5), params.components))

        def weigh(rows: Array) -> Array:
            out = np.empty(len(rows))
            for here, log_joint, _ in model.family.tiles(even, rows, None):
                out[here] = (log_joint[1] - log_joint[0]) / np.log(2)
            return out

        return self._rowwise(X, weigh, np.float64)

    def _check(self) -> None:
        check_number("tol", self.tol, float, 0)
        check_number("max_iter", self.max_iter, int, 1)
        if self.levels is not None:
            Categorical(self.levels)

    def _model(self, manifest: Manifest) -> Mixture:
        return Mixture(2, self._family(manifest))

    def _start(self, model: Mixture, n_columns: int) -> Start:
        return Agreement()

    @classmethod
    def _arguments_of_model(cls, model: Any) -> dict[str, Any]:
        model = known.bare(model, Categorical)
        if not isinstance(model.family, Categorical) or model.k != 2:
            raise ValueError(f"not the fit of {cls.what} but of {model}")
        return {}

    @classmethod
    def arguments_of(cls, saved: Saved) -> dict[str, Any]:
        own = super().arguments_of(saved)
        return {name: value for name, value in own.items() if name not in ("n_init", "init_params")}

    def _keep(self, fitted: Fit) -> None:
        super()._keep(_matches_last(known.without_labels(fitted, Categorical)))
        self._labelled = known.is_labelled(fitted.model, Categorical)

    def _describe(self, fitted: Fit) -> None:
        super()._describe(fitted)
        self.prevalence_ = float(self.weights_[1])
        self.u_, self.m_ = ([part[k] for part in self.probabilities_] for k in (0, 1))
        pairs = zip(self.m_, self.u_, strict=True)
        self.match_weights_ = [np.log2(m / u) for m, u in pairs]


def _matches_last(fitted: Fit) -> Fit:
    """The same fit with the component last that agrees more."""
    weights, own = fitted.params.weights, fitted.params.components
    levels = fitted.model.family.levels
    parts = fitted.model.family.split(own.probabilities, len(levels))
    degree = sum(part @ np.linspace(0, 1, part.shape[1]) for part in parts)
    if degree[1] >= degree[0]:
        return fitted
    own = replace(own, probabilities=own.probabilities[::-1].copy())
    return replace(fitted, params=MixtureParams(weights[::-1].copy(), own))
