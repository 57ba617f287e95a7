"""What to fit, and how: the options of `dem fit` and `dem submit`, and their estimator."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import click

MODELS = {
    "gaussian-mixture": "GaussianMixture",
    "k-means": "KMeans",
    "bernoulli-mixture": "BernoulliMixture",
    "categorical-mixture": "CategoricalMixture",
    "poisson-mixture": "PoissonMixture",
    "student-t-mixture": "StudentTMixture",
    "bayesian-gaussian-mixture": "BayesianGaussianMixture",
    "mixed-mixture": "MixedMixture",
    "mixture-of-regressions": "MixtureOfRegressions",
    "factor-analysis": "FactorAnalysis",
    "pca": "PCA",
    "dawid-skene": "DawidSkene",
    "fellegi-sunter": "FellegiSunter",
    "gaussian-hmm": "GaussianHMM",
    "gmm-hmm": "GMMHMM",
    "categorical-hmm": "CategoricalHMM",
    "poisson-hmm": "PoissonHMM",
    "latent-dirichlet-allocation": "LatentDirichletAllocation",
}
COVARIANCES = ("full", "tied", "diag", "spherical")
# Those of Gaussian mixtures alone, of which the last have the names of mclust.
SHARED = (
    *("tied_diag", "tied_spherical", "EII", "VII", "EEI", "VEI", "EVI", "VVI"),
    *("EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"),
)
STARTS = ("warm", "annealed", "k-means||", "k-means++", "kmeans", "random", "random_from_data")
POSTERIORS = ("exact", "hard")
SCHEDULES = ("auto", "batch", "incremental", "stepwise", "variance-reduced")

LEARNING = ("batch", "online", "incremental")

REGRESSIONS = "mixture-of-regressions"
TOPICS = "latent-dirichlet-allocation"
LATENT = ("factor-analysis", "pca")
CHAINS = ("gaussian-hmm", "gmm-hmm", "categorical-hmm", "poisson-hmm")
TOPOLOGIES = ("ergodic", "left-right")
MIXTURE_ONLY = ("posterior", "schedule", "max_passes", "max_time")
# Options that only some models have.
OF_SOME = {
    "covariance": (
        *("gaussian-mixture", "student-t-mixture", "bayesian-gaussian-mixture", "gaussian-hmm"),
        "gmm-hmm",
    ),
    "reg_covar": ("gaussian-mixture", "bayesian-gaussian-mixture", "gaussian-hmm", "gmm-hmm"),
    "missing": ("gaussian-mixture", "gaussian-hmm", "gmm-hmm", *LATENT),
    "topology": CHAINS,
    "n_mix": ("gmm-hmm",),
    "concentration": ("bayesian-gaussian-mixture",),
    "df": ("student-t-mixture",),
    "binarize": ("bernoulli-mixture",),
    "factors": ("gaussian-mixture",),
    "levels": ("categorical-mixture", "fellegi-sunter", "categorical-hmm"),
    "raters": ("dawid-skene",),
    "rotation": ("factor-analysis",),
    "whiten": ("pca",),
    "families": ("mixed-mixture",),
    "regression": (REGRESSIONS,),
    "concomitant": (REGRESSIONS,),
    "learning": (TOPICS,),
}
# Options that some models lack; of these, the seed has a default.
LACKING = {
    **dict.fromkeys(LATENT, ("init", "n_init", *MIXTURE_ONLY, "seed")),
    **dict.fromkeys(("dawid-skene", "fellegi-sunter"), ("k", "init", "n_init")),
    TOPICS: ("tol", "init", "n_init", "posterior", "schedule", "max_passes"),
}
# Whose k is not chosen by a criterion: without a likelihood, or without a k.
NO_CHOICE = ("k-means", "dawid-skene", "fellegi-sunter", REGRESSIONS)
OPEN = ("pca", "dawid-skene", "fellegi-sunter")  # which find a number of components themselves
# What the estimators call the options, where they call them otherwise.
MIXTURES = {
    "k": "n_components",
    "concentration": "weight_concentration_prior",
    "covariance": "covariance_type",
    "factors": "covariance_type",
    "init": "init_params",
    "regression": "family",
    "seed": "random_state",
}
NAMES = dict.fromkeys(MODELS, MIXTURES) | {
    "k-means": {"k": "n_clusters", "seed": "random_state"},
    "categorical-hmm": {**MIXTURES, "levels": "n_features"},
    TOPICS: {"k": "n_components", "learning": "learning_method", "seed": "random_state"},
}


class Assigned(click.ParamType):
    """A column and its family, COLUMN=FAMILY; columns that go together have commas between."""

    name = "column=family"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[Any, str]:
        columns, _, family = str(value).rpartition("=")
        if not columns or not family:
            self.fail(f"{value!r} is not like visits=poisson or x,y=gaussian", param, ctx)
        names = tuple(columns.split(","))
        return (names if len(names) > 1 else names[0]), family


OPTIONS = (
    click.option(
        "--model",
        type=click.Choice(list(MODELS)),
        default=next(iter(MODELS)),
        show_default=True,
        help="What to fit.",
    ),
    click.option(
        "-k", "k", type=click.IntRange(min=1), help="Number of components, or of factors."
    ),
    click.option(
        "--covariance",
        type=click.Choice(COVARIANCES + SHARED),
        metavar="FORM",
        help=f"{', '.join(COVARIANCES)}; of Gaussian mixtures also {', '.join(SHARED[:2])}, and "
        "mclust's names, such as VEI.  [full]",
    ),
    click.option(
        "--missing",
        flag_value=True,
        default=None,
        help="NaN is a missing value of Gaussian mixtures too.",
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
    click.option(
        "--df",
        type=click.FloatRange(min=0, min_open=True),
        help="Degrees of freedom of Student-t components.  [fitted]",
    ),
    click.option(
        "--concentration",
        type=click.FloatRange(min=0, min_open=True),
        help="Of the prior of Bayesian weights: the less, the fewer components.  [1 / k]",
    ),
    click.option(
        "--factors",
        type=click.IntRange(min=1),
        help="Gaussian components are factor analysers with so many factors.",
    ),
    click.option(
        "--rotation", type=click.Choice(["varimax", "quartimax"]), help="Of factors.  [none]"
    ),
    click.option(
        "--whiten",
        flag_value=True,
        default=None,
        help="Principal components are scaled to variance 1.",
    ),
    click.option(
        "--raters", metavar="A,A,B,...", help="Whose ratings the columns hold.  [one for each]"
    ),
    click.option("--binarize", type=float, help="Bernoulli columns are 1 above this."),
    click.option(
        "--levels",
        type=click.IntRange(min=1),
        help="Categorical columns of numbers are codes below this.  [what is there]",
    ),
    click.option(
        "--topology",
        type=click.Choice(TOPOLOGIES),
        help="Which states of a hidden Markov model may follow which.  [ergodic]",
    ),
    click.option(
        "--n-mix",
        type=click.IntRange(min=1),
        help="Gaussians of each state of a hidden Markov model.  [1]",
    ),
    click.option(
        "--family",
        "families",
        type=Assigned(),
        multiple=True,
        help="The family of a column of a mixed mixture, such as visits=poisson.",
    ),
    click.option(
        "--regression",
        type=click.Choice(["gaussian", "poisson", "logistic"]),
        help="What the response of regressions is.  [gaussian]",
    ),
    click.option(
        "--concomitant",
        flag_value=True,
        default=None,
        help="The weights of regressions depend on the covariates.",
    ),
    click.option(
        "--learning", type=click.Choice(LEARNING), help="How topics are learned.  [batch]"
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
    given = {name: value for name, value in options.items() if value not in (None, ())}
    for name, models in OF_SOME.items():
        if name in given and model not in models:
            raise click.UsageError(f"{model} has no {option_of(name)}.")
    if given.get("covariance") in SHARED and model != "gaussian-mixture":
        raise click.UsageError(f"{model} has no --covariance {given['covariance']}.")
    given = _made(model, given)
    arguments = {NAMES[model].get(name, name): value for name, value in given.items()}
    if model == "k-means":
        for name in MIXTURE_ONLY:
            if name in given:
                raise click.UsageError(f"k-means has no {option_of(name)}.")
        if (word := given.get("init")) in ("warm", "annealed"):
            raise click.UsageError(f"k-means has no --init {word}.")
    from dem import estimators

    return getattr(estimators, MODELS[model])(**arguments)


def _made(model: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options as arguments; a UsageError for those that do not go together."""
    for name in LACKING.get(model, ()):
        if name != "seed" and name in given:
            raise click.UsageError(f"{model} has no {option_of(name)}.")
    if "k" not in given and model not in OPEN:
        raise click.UsageError("Missing option '-k'.")
    if "covariance" in given and "factors" in given:
        raise click.UsageError("Give only one of --covariance and --factors.")
    if "families" in given:
        given["families"] = dict(given["families"])
    if "raters" in given:
        given["raters"] = given["raters"].split(",")
    if "factors" in given:
        from dem.families import Factors

        given["factors"] = Factors(given["factors"])
    return {name: value for name, value in given.items() if name not in LACKING.get(model, ())}


def candidates_of(
    model: str, ks: tuple[int, ...], lists: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """The estimators of every k and everything listed, by their names; UsageError as above.

    lists : options with several values each, or None.
    """
    some = {name: values for name, values in lists.items() if values is not None}
    if model == next(iter(MODELS)) and not some:
        some = {"covariance": ("full",)}
    found = {}
    for values in product(*some.values()):
        chosen = dict(zip(some, values, strict=True))
        words = [str(v) if name == "covariance" else f"{name}={v}" for name, v in chosen.items()]
        for k in ks:
            options = {"k": k, "seed": 0, **chosen, **given}
            found[" ".join([*words, f"K={k}"])] = estimator_of(model, options)
    return found


def response_of(model: str, response: str | None) -> dict[str, Any]:
    """What a fit is given besides the data: y, for regressions."""
    if (model == REGRESSIONS) is (response is None):
        lacks = "needs" if response is None else "takes no"
        raise click.UsageError(f"{model} {lacks} --response.")
    if response is None:
        return {}
    return {"y": column_of(response)}


def sequences_of(model: str, lengths: str | None, groups: str | None) -> dict[str, Any]:
    """What a hidden Markov model is given besides the data; a UsageError for any other."""
    if lengths is not None and groups is not None:
        raise click.UsageError("Give only one of --lengths and --groups.")
    given = {"lengths": lengths, "groups": groups}
    found = {name: value for name, value in given.items() if value is not None}
    for name in found:
        if model not in (*CHAINS, *(MODELS[chain] for chain in CHAINS)):
            raise click.UsageError(f"{model} takes no {option_of(name)}.")
    return found


def column_of(response: str) -> str | int:
    """The name, number or path of a response."""
    return int(response) if response.removeprefix("-").isdecimal() else response


def option_of(name: str) -> str:
    """The option of this name, as it is typed."""
    return {"k": "-k", "families": "--family"}.get(name, f"--{name.replace('_', '-')}")
