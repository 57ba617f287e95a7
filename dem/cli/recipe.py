"""What to fit, and how: the options of `dem fit` and `dem submit`, and their estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

MODELS = ("gaussian-mixture", "k-means")
COVARIANCES = ("full", "tied", "diag", "spherical")
STARTS = ("warm", "annealed", "k-means||", "k-means++", "kmeans", "random", "random_from_data")
POSTERIORS = ("exact", "hard")
SCHEDULES = ("auto", "batch", "incremental", "stepwise")

MIXTURE_ONLY = ("covariance", "reg_covar", "posterior", "schedule", "max_passes", "max_time")
# What the estimators call the options, where they call them otherwise.
NAMES = {
    "gaussian-mixture": {
        "k": "n_components",
        "covariance": "covariance_type",
        "init": "init_params",
        "seed": "random_state",
    },
    "k-means": {"k": "n_clusters", "seed": "random_state"},
}

OPTIONS = (
    click.option(
        "--model",
        type=click.Choice(MODELS),
        default=MODELS[0],
        show_default=True,
        help="What to fit.",
    ),
    click.option(
        "-k", "k", type=click.IntRange(min=1), required=True, help="Number of components."
    ),
    click.option(
        "--covariance", type=click.Choice(COVARIANCES), help="Form of the covariances.  [full]"
    ),
    click.option(
        "--tol", type=click.FloatRange(min=0), help="Stop at smaller changes.  [0.001; 1e-4]"
    ),
    click.option(
        "--max-iter", type=click.IntRange(min=1), help="Turns at most.  [100; k-means 300]"
    ),
    click.option(
        "--reg-covar", type=click.FloatRange(min=0), help="Added to the variances.  [1e-06]"
    ),
    click.option("--init", type=click.Choice(STARTS), help="Where to begin.  [warm; k-means||]"),
    click.option("--n-init", type=click.IntRange(min=1), help="Starts; the best one is kept.  [1]"),
    click.option("--posterior", type=click.Choice(POSTERIORS), help="The E-step.  [exact]"),
    click.option(
        "--schedule",
        type=click.Choice(SCHEDULES),
        help="auto reads the data the least, batch is the textbook.  [auto]",
    ),
    click.option(
        "--max-passes", type=click.FloatRange(min=0), help="Full reads of the data at most."
    ),
    click.option("--max-time", type=click.FloatRange(min=0), help="Seconds at most."),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="All that is random comes from it.",
    ),
)


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--model, -k, and what else describes a fit."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def estimator_of(model: str, options: dict[str, Any]) -> Any:
    """The estimator of these options, those that are None left to its own defaults."""
    given = {name: value for name, value in options.items() if value is not None}
    arguments = {NAMES[model].get(name, name): value for name, value in given.items()}
    if model == "k-means":
        for name in MIXTURE_ONLY:
            if name in given:
                raise click.UsageError(f"k-means has no --{name.replace('_', '-')}.")
        if (word := given.get("init")) in ("warm", "annealed"):
            raise click.UsageError(f"k-means has no --init {word}.")
        from dem.estimators import KMeans

        return KMeans(**arguments)
    from dem.estimators import GaussianMixture

    return GaussianMixture(**arguments)
