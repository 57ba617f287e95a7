"""`dem fit --resume`: the fit of a checkpoint, if that is the one which is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dem.checkpoint import Saved
from dem.climb import Climb
from dem.errors import DataError
from dem.estimators import GaussianMixture
from dem.estimators.inputs import COVARIANCES, POSTERIORS, STARTS, warn_about, word_of
from dem.fitting import resume
from dem.report.progress import Observer

# Of the options' values in the words of the command line. --max-iter is not among them: how long
# to go on may be said anew.
FACTS = {
    "model": lambda climb: "gaussian-mixture",  # the only one that has checkpoints
    "k": lambda climb: climb.model.k,
    "covariance": lambda climb: word_of(climb.model.family.covariance, COVARIANCES),
    "reg_covar": lambda climb: climb.model.family.reg_covar,
    "tol": lambda climb: climb.tol,
    "n_init": lambda climb: climb.n_init,
    "seed": lambda climb: climb.seed,
    "init": lambda climb: word_of(climb.start, STARTS),
    "posterior": lambda climb: word_of(climb.posterior, POSTERIORS),
}


def refuse_another(climb: Climb, given: Mapping[str, Any]) -> None:
    """Raise DataError naming the difference if an option describes another fit than this.

    given : the options that were on the command line, and their values.
    """
    try:
        before = {name: FACTS[name](climb) for name in FACTS if name in given}
    except AttributeError:
        raise DataError(f"The checkpoint holds a fit of another kind: {climb.model}.") from None
    for name, kept in before.items():
        if kept != given[name]:
            option = "-k" if name == "k" else f"--{name.replace('_', '-')}"
            raise DataError(
                f"The checkpoint holds another fit: {option} was {kept} and is {given[name]}. "
                "Leave the option out to go on with that fit, or begin this one at another place."
            )


def resumed(
    saved: Saved,
    checkpoint: str,
    data: str,
    weights: str | None,
    max_iter: int | None,
    observer: Observer,
) -> GaussianMixture:
    """The estimator that a checkpoint comes to, after at most `max_iter` turns in all."""
    climb = saved.climb
    limit = climb.max_iter if max_iter is None else max_iter
    fitted = resume(checkpoint, data, weights=weights, max_iter=limit, observer=observer)
    estimator = GaussianMixture.from_fit(fitted)
    estimator.set_params(tol=climb.tol, max_iter=limit, n_init=climb.n_init)
    warn_about(fitted, limit, climb.tol)
    return estimator
