"""Frozen dataclasses (models, parameters, statistics, policies) as JSON and arrays, and back.

A description names each class by a short word that must be in a table here or registered by code;
nothing in a file can name anything else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from dem.errors import DataError
from dem.storable import JSON

_MODULE_OF = {
    "Plain": "dem.accelerate",
    "QuasiNewton": "dem.accelerate",
    "Trail": "dem.accelerate",
    "FromMixture": "dem.chains",
    "FromRuns": "dem.stretches",
    "Climb": "dem.climb",
    "Fit": "dem.records",
    "Record": "dem.records",
    "State": "dem.records",
    "Agreement": "dem.estimators.fellegi_sunter",
    "Votes": "dem.estimators.dawid_skene",
    "NoiseVariances": "dem.estimators.factor_analysis",
    "ChainGiven": "dem.estimators.chain_start",
    "GivenGaussians": "dem.estimators.emissions",
    "GivenMixtures": "dem.estimators.emissions",
    "GivenProbabilities": "dem.estimators.emissions",
    "GivenRates": "dem.estimators.emissions",
    "PartlyGiven": "dem.estimators.given",
    "ElementalSets": "dem.elemental",
    "Seeded": "dem.estimators.seeds",
    "Aligned": "dem.families",
    "BayesianGaussian": "dem.families",
    "Bernoulli": "dem.families",
    "BinomialResponse": "dem.families",
    "Beta": "dem.families",
    "Candidates": "dem.families",
    "Categorical": "dem.families",
    "Diagonal": "dem.families",
    "Exponential": "dem.families",
    "Factors": "dem.families",
    "Full": "dem.families",
    "Gamma": "dem.families",
    "Gaussian": "dem.families",
    "Label": "dem.families",
    "LogNormal": "dem.families",
    "MixtureOf": "dem.families",
    "Moves": "dem.moves",
    "Multinomial": "dem.families",
    "NegativeBinomial": "dem.families",
    "Normal": "dem.families",
    "NormalWishart": "dem.families",
    "NormalResponse": "dem.families",
    "Oriented": "dem.families",
    "Poisson": "dem.families",
    "PoissonResponse": "dem.families",
    "Principal": "dem.families",
    "Product": "dem.families",
    "Ratings": "dem.families",
    "Regression": "dem.families",
    "Spherical": "dem.families",
    "StudentT": "dem.families",
    "Tied": "dem.families",
    "TiedSpherical": "dem.families",
    "VonMisesFisher": "dem.families",
    "WithNoise": "dem.families",
    "BayesianGaussianParams": "dem.families.bayesian_gaussian",
    "BetaParams": "dem.families.beta",
    "CategoricalParams": "dem.families.categorical",
    "MultinomialParams": "dem.families.categorical",
    "BernoulliParams": "dem.families.counts",
    "PoissonParams": "dem.families.counts",
    "FeatureSums": "dem.families.features",
    "Frame": "dem.families.frame",
    "GaussianParams": "dem.families.gaussian",
    "Ignored": "dem.families.ignored",
    "KnownParams": "dem.families.known",
    "KnownSums": "dem.families.known",
    "Corners": "dem.families.minorisers",
    "Minoriser": "dem.families.minorisers",
    "Pairs": "dem.families.minorisers",
    "MixtureOfParams": "dem.families.mixture_of",
    "MixtureOfSums": "dem.families.mixture_of",
    "Moments": "dem.families.moments",
    "NegativeBinomialParams": "dem.families.negative_binomial",
    "NegativeBinomialSums": "dem.families.negative_binomial",
    "BackgroundPrior": "dem.families.gaussian_priors",
    "NormalInverseWishartPrior": "dem.families.gaussian_priors",
    "NoiseParams": "dem.families.noise",
    "NoiseSums": "dem.families.noise",
    "NormalParams": "dem.families.normal",
    "NormalWishartParams": "dem.families.normal_wishart",
    "ExponentialParams": "dem.families.positive",
    "GammaParams": "dem.families.positive",
    "BetaPrior": "dem.families.priors",
    "DirichletPrior": "dem.families.priors",
    "GammaPrior": "dem.families.priors",
    "NormalInverseGammaPrior": "dem.families.priors",
    "ProductParams": "dem.families.product",
    "ProductSums": "dem.families.product",
    "RatingsParams": "dem.families.ratings",
    "RegressionParams": "dem.families.regression",
    "VonMisesFisherParams": "dem.families.sphere",
    "StudentTParams": "dem.families.student",
    "StudentTSums": "dem.families.student",
    "WithPrior": "dem.families.with_prior",
    "Informed": "dem.informed",
    "BesideNoise": "dem.labelled",
    "FromLabels": "dem.labelled",
    "Dirichlet": "dem.models",
    "DirichletMode": "dem.models",
    "Concomitant": "dem.models",
    "ConcomitantParams": "dem.models",
    "ConcomitantSums": "dem.models.concomitant",
    "LDA": "dem.models",
    "LDAParams": "dem.models",
    "LDASums": "dem.models.lda",
    "Asymmetric": "dem.models.concentrations",
    "Fixed": "dem.models.concentrations",
    "Symmetric": "dem.models.concentrations",
    "LinearGaussian": "dem.models",
    "LinearParams": "dem.models.factor",
    "LinearSums": "dem.models.factor",
    "Ergodic": "dem.models",
    "HMM": "dem.models",
    "HMMParams": "dem.models",
    "HMMSums": "dem.models.states",
    "LeftRight": "dem.models",
    "Masked": "dem.models",
    "Mixture": "dem.models",
    "MixtureParams": "dem.models",
    "NoisyOr": "dem.models",
    "NoisyOrParams": "dem.models",
    "NoisyOrSums": "dem.models.noisy_or",
    "StickBreaking": "dem.models",
    "VariationalMixture": "dem.models",
    "VariationalParams": "dem.models",
    "Exact": "dem.posteriors",
    "Hard": "dem.posteriors",
    "MeanField": "dem.posteriors",
    "Race": "dem.race",
    "RaceState": "dem.race",
    "Perplexity": "dem.topics",
    "Phase": "dem.reading",
    "Average": "dem.schedules",
    "Epoch": "dem.schedules",
    "FullBatch": "dem.schedules",
    "Incremental": "dem.schedules",
    "Once": "dem.schedules",
    "Online": "dem.schedules",
    "Stepwise": "dem.schedules",
    "VarianceReduced": "dem.schedules",
    "Centres": "dem.starts",
    "FromModel": "dem.starts",
    "Given": "dem.starts",
    "KMeansParallel": "dem.starts",
    "KMeansPlusPlus": "dem.starts",
    "RandomResponsibilities": "dem.starts",
    "RandomRows": "dem.starts",
    "Stats": "dem.stats",
    "Aitken": "dem.stopping",
    "Change": "dem.stopping",
    "Annealed": "dem.posteriors",
    "Annealing": "dem.warm",
    "WarmStart": "dem.warm",
    "Frozen": "dem.wrap",
}
_registered: dict[str, type] = {}

T = TypeVar("T", bound=type)


def value(cls: T) -> T:
    """Let checkpoints hold instances of a frozen dataclass of your own; a class decorator.

    The class must have been imported before a checkpoint that holds it is read. Raises TypeError
    if it is no dataclass, ValueError if its name is taken.
    """
    if not is_dataclass(cls):
        raise TypeError(f"{cls.__qualname__} is not a dataclass")
    name, known = cls.__name__, _registered.get(cls.__name__)
    address = (cls.__module__, cls.__qualname__)  # a notebook cell may define it again
    if name in _MODULE_OF or (known and (known.__module__, known.__qualname__) != address):
        raise ValueError(f"the name {name!r} is taken: give the class another one")
    _registered[name] = cls
    return cls


def class_named(name: str) -> type:
    """The class of a short name; DataError if there is none."""
    if name in _registered:
        return _registered[name]
    if name not in _MODULE_OF:
        raise DataError(
            f"{name!r} is not a class known here: import the module that defines it and registers "
            "it with @dem.store.value, or use the version of dem that wrote this"
        )
    return getattr(import_module(_MODULE_OF[name]), name)


def _is_known(cls: type) -> bool:
    """Whether a class is the one that its name stands for."""
    name = cls.__name__
    return (name in _registered or name in _MODULE_OF) and class_named(name) is cls


def describe(thing: Any, arrays: dict[str, np.ndarray], path: str) -> JSON:
    """A description of a value; its arrays are added to `arrays`, under their paths.

    path : what to call the value; a name of letters, digits and underscores.
    Raises TypeError for what is no number, string, array, tuple or registered dataclass.
    """
    if isinstance(thing, np.generic):
        thing = thing.item()
    if thing is None or isinstance(thing, (bool, int, str)):
        return thing
    if isinstance(thing, float):
        return thing if math.isfinite(thing) else {"float": repr(thing)}
    if isinstance(thing, np.ndarray):
        arrays[path] = thing
        return {"array": path}
    if isinstance(thing, (tuple, list)):
        return {"tuple": [describe(part, arrays, f"{path}_{i}") for i, part in enumerate(thing)]}
    if is_dataclass(thing) and not isinstance(thing, type):
        name = type(thing).__name__
        if not _is_known(type(thing)):
            raise TypeError(
                f"a {type(thing).__qualname__} cannot be stored: register its class with the "
                "decorator dem.store.value"
            )
        parts = {
            field.name: describe(getattr(thing, field.name), arrays, f"{path}_{field.name}")
            for field in fields(thing)
            if field.init
        }
        return {"value": name, "fields": parts}
    raise TypeError(f"a {type(thing).__qualname__} cannot be stored: {thing!r}")


def rebuild(description: Any, arrays: Mapping[str, Any]) -> Any:
    """The value that was described; DataError if the description makes no sense."""
    match description:
        case None | bool() | int() | float() | str():
            return description
        case {"float": "inf" | "-inf" | "nan" as text, **rest} if not rest:
            return float(text)
        case {"array": str(name), **rest} if not rest and isinstance(arrays.get(name), np.ndarray):
            return arrays[name]
        case {"tuple": list(parts), **rest} if not rest:
            return tuple(rebuild(part, arrays) for part in parts)
        case {"value": str(name), "fields": dict(parts), **rest} if not rest:
            cls = class_named(name)
            wanted = {field.name for field in fields(cls) if field.init}
            if parts.keys() != wanted:
                raise DataError(f"a {name} has the fields {sorted(wanted)}, not {sorted(parts)}")
            built = {field: rebuild(part, arrays) for field, part in parts.items()}
            try:
                return cls(**built)
            except (TypeError, ValueError) as error:
                raise DataError(f"not a valid {name}: {error}") from error
    raise DataError(f"not a description of a value: {str(description)[:80]}")
