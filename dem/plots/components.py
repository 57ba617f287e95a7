"""What to draw of a model: chosen by its class, and by that of its family."""

from __future__ import annotations

from contextlib import suppress
from functools import singledispatch
from typing import Any

import numpy as np

from dem.families.bayesian_gaussian import BayesianGaussian
from dem.families.categorical import Categorical, Multinomial
from dem.families.counts import Bernoulli
from dem.families.gaussian import Gaussian
from dem.families.mixture_of import MixtureOf
from dem.families.noise import WithNoise
from dem.families.normal import LogNormal, Normal
from dem.families.product import Product
from dem.families.student import StudentT
from dem.families.with_prior import WithPrior
from dem.plots.columns import Columns
from dem.plots.gaussians import ellipses, marginals, matrices, points
from dem.plots.profiles import heat, profiles
from dem.plots.style import axes, named
from dem.wrap import Frozen

Array = np.ndarray


@singledispatch
def plot_model(model: Any, params: Any, columns: Columns, ax: Any = None) -> Any:
    """A picture of a model; of one that has a family and weights that of its components.

    Register one for another class with ``@plot_model.register``: a function of these arguments
    that returns the Axes. Raises TypeError where nobody has.
    """
    weights = getattr(params, "weights", None)
    if weights is None or not hasattr(model, "family"):
        raise TypeError(
            f"There is no picture of a {type(model).__name__}: register a function for it with "
            "@dem.plots.plot_model.register."
        )
    return plot_family(model.family, params.components, np.asarray(weights), columns, ax)


@plot_model.register
def _(model: Frozen, params: Any, columns: Columns, ax: Any = None) -> Any:
    """Of k-means, whose covariances say nothing, the centres alone."""
    if "components.covariances" not in model.fields:
        return plot_model(model.model, params, columns, ax)
    centres = params.components.frame.outward(params.components.means)
    weights = np.asarray(params.weights)
    if centres.shape[1] == 1 or len(columns.numbers or (0, 1)) != 2:
        return profiles(weights, centres, columns, "centre", ax)
    return points(centres, columns, ax)


@singledispatch
def plot_family(family: Any, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    """A picture of the components of a family: by default, of what it has for each column."""
    with suppress(AttributeError, NotImplementedError):
        return profiles(weights, family.averages(params), columns, "mean", ax)
    k, d = len(weights), len(columns.names)
    for name, values in family.described(params).items():
        if np.shape(values) == (k, d):
            return profiles(weights, np.asarray(values), columns, name.replace("_", " "), ax)
    raise TypeError(
        f"There is no picture of {type(family).__name__}: register a function for it with "
        "@dem.plots.plot_family.register."
    )


@plot_family.register
def _(family: Gaussian, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    means, covariances, _ = family.outward(params)
    return _clouds(weights, means, covariances, family.covariance.pooled, columns, ax)


@plot_family.register
def _(family: StudentT, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    own = family.described(params)
    return _clouds(weights, own["means"], own["scales"], family.covariance.pooled, columns, ax)


@plot_family.register
def _(
    family: BayesianGaussian, params: Any, weights: Array, columns: Columns, ax: Any = None
) -> Any:
    own, form = family.described(params), family.gaussian.covariance
    return _clouds(weights, own["means"], own["covariances"], form.pooled, columns, ax)


@plot_family.register
def _(family: Normal, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    own = family.described(params)
    return _clouds(weights, own["means"], own["variances"], False, columns, ax)


@plot_family.register
def _(family: LogNormal, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    ax = profiles(weights, family.averages(params), columns, "mean", ax)
    ax.set_yscale("log")
    return ax


@plot_family.register
def _(family: Bernoulli, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    own = family.described(params)["probabilities"]
    ax = profiles(weights, own, columns, "probability of 1", ax)
    ax.set_ylim(-0.03, 1.03)
    return ax


@plot_family.register
def _(family: Categorical, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    chosen = columns.numbers or list(range(len(columns.names)))
    split = family.split(family.described(params)["probabilities"], len(columns.names))
    labels = [columns.level(j, level) for j in chosen for level in range(split[j].shape[1])]
    values = np.hstack([split[j] for j in chosen])
    return heat(values, _rows(weights), labels, "probability of each level", ax)


@plot_family.register
def _(family: Multinomial, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    chosen = columns.numbers or list(range(len(columns.names)))
    values = family.described(params)["probabilities"][:, chosen]
    labels = [columns.label(j) for j in chosen]
    return heat(values, _rows(weights), labels, "probability of each category", ax)


@plot_family.register
def _(family: WithPrior, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    return plot_family(family.family, params, weights, columns, ax)


@plot_family.register
def _(family: WithNoise, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    return plot_family(family.family, params.components, weights[:-1], columns, ax)


@plot_family.register
def _(family: MixtureOf, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    """All components of the mixtures."""
    shares = (weights[:, None] * params.weights).ravel()
    return plot_family(family.family, params.components, shares, columns, ax)


@plot_family.register
def _(family: Product, params: Any, weights: Array, columns: Columns, ax: Any = None) -> Any:
    """Axes for each part, one above the other; only of those with a chosen column."""
    parts = [
        (part, own, here)
        for (part, places), own in zip(family.parts, params.parts, strict=True)
        if (here := columns.part(places)) is not None
    ]
    n = len(parts)
    given = [ax] if n == 1 and ax is not None else ax
    drawn = np.atleast_1d(axes(given, nrows=n, figsize=(6.4, 3.2 * n)))
    if len(drawn) != n:
        raise ValueError(f"ax must be {n} Axes, one for each family of columns, got {len(drawn)}")
    for place, (part, own, here) in zip(drawn, parts, strict=True):
        plot_family(part, own, weights, here, place)
    return drawn[0] if n == 1 else drawn


def _clouds(
    weights: Array, means: Array, covariances: Array, pooled: bool, columns: Columns, ax: Any
) -> Any:
    """Ellipses over two columns, or the density of one."""
    k, d = means.shape
    own = matrices(covariances, pooled, k, d)
    count = min(d, 2) if columns.numbers is None else len(columns.numbers)
    if count == 1:
        return marginals(weights, means, np.einsum("kdd->kd", own), columns, ax)
    if count == 2:
        return ellipses(weights, means, own, columns, ax)
    raise ValueError(f"choose one column or two, not {count}")


def _rows(weights: Array) -> list[str]:
    return [named(k, float(weight)) for k, weight in enumerate(weights)]
