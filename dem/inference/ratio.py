"""Whether a mixture needs more components: the likelihood ratio, judged by simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.checks import check_number, check_offers
from dem.contract import Model
from dem.inference.bootstrap import check_can
from dem.inference.given import given, is_labelled
from dem.inference.replicates import Simulated, Trial, refit, thorough
from dem.records import Fit
from dem.report.progress import Observer, Silent
from dem.starts import FromModel, Given, Start
from dem.warm import WarmStart

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class RatioTest:
    """The bootstrap likelihood ratio test; see `likelihood_ratio_test`.

    statistic : 2 (log L₁ − log L₀) of the data.
    replicates : (B,), of data simulated from the null; negative where the alternative's climb
        ended below the null's.
    p_value : (1 + how many are as large) / (B + 1).
    null, alternative : the fits to the data.
    n_passes : full reads of the data, or times that as many rows were simulated.
    """

    statistic: float
    replicates: Array
    p_value: float
    null: Fit
    alternative: Fit
    n_passes: float

    @property
    def monte_carlo_error(self) -> float:
        """Standard error of the p-value for so many replicates."""
        return float(np.sqrt(self.p_value * (1 - self.p_value) / (len(self.replicates) + 1)))

    def __repr__(self) -> str:
        q = np.percentile(self.replicates, [50, 90, 95, 99])
        return (
            f"{self.null.model} against {self.alternative.model}\n"
            f"2 log likelihood ratio {self.statistic:.4f}, p = {self.p_value:.4g} "
            f"± {self.monte_carlo_error:.2g} by {len(self.replicates)} replicates of the null, "
            "of which 50, 90, 95, 99 % are below " + ", ".join(f"{value:.4g}" for value in q)
        )


def likelihood_ratio_test(
    model: Any,
    data: Any,
    *,
    y: Any = None,
    alternative: Model | None = None,
    n_replicates: int = 99,
    start: Start | None = None,
    n_init: int = 1,
    max_iter: int = 500,
    tol: float = 1e-2,
    seed: int = 0,
    threads: int | None = None,
    observer: Observer = Silent(),
) -> RatioTest:
    """Whether an alternative fits better than a null model by more than chance (McLachlan 1987).

    Twice the log-likelihood ratio of mixtures of K and K + 1 components has no χ² distribution, as
    a component that is not needed has no parameters. So rows are simulated from the null as it was
    fitted, and both models fitted to those, again and again. All do so in the same passes, rows
    are held nowhere, and the climbs' starts are carried out side by side.

    model : a fitted estimator, or a Fit, of the null. It is fitted on from where it is.
    data, y : as for `dem.fit`, or for the estimator's `fit`; rows without weights.
    alternative : a model; by default the mixture with a component more.
    start, n_init : of the alternative, on the data and in each replicate, and how many of them;
        a warm start by default.
    n_replicates : 99 make a test at the level of 1 to 5 % (at 0.05, some 999 tell 0.04 from 0.06).
    max_iter, tol : of each climb; tol in nats of all rows together that may be left to gain.

    Raises TypeError for models that cannot be compared so, ValueError for weights and for labels.
    """
    check_number("n_replicates", n_replicates, int, 1)
    check_number("tol", tol, float, 0)
    if is_labelled(model):
        raise ValueError(
            f"The ratio test simulates rows without labels; this {type(model).__name__} was fitted "
            "with some."
        )
    asked = given(model, data, None, y)
    null, manifest = asked.fit, asked.manifest
    replicate = Simulated(seed)
    check_can(null.model, replicate)
    if manifest.weights is not None:
        raise ValueError("The ratio test simulates rows without weights; the data have some.")
    other = _with_one_more(null.model) if alternative is None else alternative
    check_offers("alternative", other, Model)
    n = manifest.n_rows
    begin = start or (WarmStart(candidates=5) if hasattr(other, "k") else FromModel())
    how: Any = {"max_iter": max_iter, "tol": tol / n, "seed": seed}
    own = thorough(null.model, Given(null.params), **how)
    others = thorough(other, begin, n_init=n_init, **how)

    def pair(number: int | None, params: Any) -> list[Trial]:
        return [Trial(own, number, params), Trial(others, number)]

    first = refit(pair(None, null.params), replicate, null, manifest, observer, threads)
    fitted, better = first.fits
    trials = [trial for b in range(n_replicates) for trial in pair(b, fitted.params)]
    found = refit(trials, replicate, fitted, manifest, observer, threads)
    bounds = np.array([fit.lower_bound for fit in found.fits]).reshape(-1, 2)
    statistic = 2 * n * (better.lower_bound - fitted.lower_bound)
    replicates = 2 * n * (bounds[:, 1] - bounds[:, 0])
    beyond = int((replicates >= statistic).sum())
    return RatioTest(
        statistic=statistic,
        replicates=replicates,
        p_value=(1 + beyond) / (n_replicates + 1),
        null=fitted,
        alternative=better,
        n_passes=first.n_passes + found.n_passes,
    )


def _with_one_more(model: Any) -> Any:
    """The same mixture with a component more."""
    if not hasattr(model, "k"):
        raise TypeError(f"{type(model).__name__} has no k: give the alternative.")
    return replace(model, k=model.k + 1)
