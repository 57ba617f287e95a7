"""Families with parameters, rows that come from them, and SciPy's densities for the same."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import logsumexp

from dem.contract import Sample
from dem.families import (
    Bernoulli,
    Beta,
    Categorical,
    Diagonal,
    Exponential,
    Factors,
    Full,
    Gamma,
    Gaussian,
    LogNormal,
    MixtureOf,
    Multinomial,
    NegativeBinomial,
    Normal,
    Poisson,
    Principal,
    Product,
    Spherical,
    StudentT,
    Tied,
    VonMisesFisher,
)
from dem.families.beta import BetaParams
from dem.families.categorical import CategoricalParams, MultinomialParams
from dem.families.counts import BernoulliParams, PoissonParams
from dem.families.mixture_of import MixtureOfParams
from dem.families.negative_binomial import NegativeBinomialParams
from dem.families.normal import NormalParams
from dem.families.positive import ExponentialParams, GammaParams
from dem.families.product import ProductParams
from dem.families.sphere import VonMisesFisherParams
from dem.families.student import StudentTParams
from dem.models.mixture import Mixture, MixtureParams

Array = np.ndarray
RNG = np.random.default_rng(11)
K, D = 3, 4
WEIGHTS = np.array([0.5, 0.3, 0.2])
UNITS = np.array([1.0, 1e6, 1e-6, 20.0])


@dataclass(frozen=True, eq=False)
class Component:
    """A family, parameters of three components, and log p of each column, (n, D), or row, (n,)."""

    family: Any
    params: Any
    log_density: Callable[[Array, int], Array]

    @property
    def missing(self) -> bool:
        return getattr(self.family, "missing", False)

    @property
    def model(self) -> Mixture:
        return Mixture(K, self.family)

    @property
    def mixture(self) -> MixtureParams:
        return MixtureParams(WEIGHTS, self.params)

    def rows(self, n: int, seed: int = 0) -> Array:
        """Rows in random order."""
        rng = np.random.default_rng(seed)
        return rng.permutation(self.model.sample(self.mixture, n, rng)[0])

    def log_prob(self, rows: Array) -> Array:
        """By SciPy: missing values drop their factor."""
        parts = [self.log_density(rows, k) for k in range(K)]
        parts = [np.nansum(part, axis=1) if part.ndim == 2 else part for part in parts]
        return logsumexp(np.stack(parts, axis=1) + np.log(WEIGHTS), axis=1)


def holed(rows: Array, share: float = 0.2, seed: int = 1) -> Array:
    """The rows with values missing at random, but for the first third, which keeps all of them."""
    holes = np.random.default_rng(seed).random(rows.shape) < share
    holes[: len(rows) // 3] = False
    return np.where(holes, np.nan, rows)


def _dirichlet(levels: tuple[int, ...]) -> Array:
    return np.hstack([RNG.dirichlet(np.full(n, 1.5), K) for n in levels])


def _started(family: Any, rows: Array) -> Any:
    """Parameters in the frame of some rows: the moments of thirds of them."""
    thirds = np.repeat(np.eye(K), len(rows) // K, axis=1)
    return family.start(Sample(rows, np.ones(len(rows)), True), thirds)


PROBABILITIES = BernoulliParams(RNG.random((K, D)))
RATES = PoissonParams(RNG.gamma(2.0, 4.0, (K, D)))
SCATTERED = NegativeBinomialParams(
    np.array([1.0, 1.0, 40.0, 0.1]) * RNG.gamma(3.0, 2.0, (K, D)), RNG.gamma(3.0, 1.0, (K, D)) + 0.2
)
MEANS = ExponentialParams(UNITS * RNG.gamma(2.0, 2.0, (K, D)), UNITS)
GAMMA = GammaParams(RNG.gamma(3.0, 3.0, (K, D)) + 0.5, UNITS * RNG.gamma(3.0, 2.0, (K, D)), UNITS)
BETA = BetaParams(RNG.gamma(3.0, 1.5, (K, D)) + 0.3, RNG.gamma(3.0, 1.5, (K, D)) + 0.3)
LEVELS = (4, 2, 5, 3)
MANY = (3, 38, 9)
SHARES = CategoricalParams(_dirichlet(LEVELS))
TOPICS = MultinomialParams(RNG.dirichlet(np.full(7, 0.7), K))
CLUSTERS = np.concatenate(
    [UNITS * (4.0 * centre + RNG.normal(size=(50, D))) for centre in np.eye(K, D)]
)
NORMAL: NormalParams = _started(Normal(), CLUSTERS)
LOG_NORMAL: NormalParams = _started(LogNormal(), np.exp(CLUSTERS / UNITS / 4))
DIRECTIONS = VonMisesFisherParams(
    stats.uniform_direction.rvs(D, K, random_state=3), np.array([2.0, 8.0, 30.0])
)


def _student(form: Any, df: float | None) -> Component:
    family = StudentT(form, df)
    started = _started(family, CLUSTERS / UNITS * [1, 100, 1, 1])
    params = StudentTParams(started.gaussian, started.df if df else np.array([5.0, 9.0, 20.0]))
    means, covariances, _ = Gaussian(form).outward(params.gaussian)

    def log_density(rows: Array, k: int) -> Array:
        c = covariances[k]
        shape = np.diag(np.broadcast_to(c, D)) if np.ndim(c) < 2 else c
        return stats.multivariate_t(means[k], shape, params.df[k]).logpdf(rows)

    return Component(family, params, log_density)


def _normal(rows: Array, k: int) -> Array:
    means, variances = Normal().outward(NORMAL)
    return stats.norm.logpdf(rows, means[k], np.sqrt(variances[k]))


def _log_normal(rows: Array, k: int) -> Array:
    means, variances = LogNormal().outward(LOG_NORMAL)
    return stats.lognorm.logpdf(rows, np.sqrt(variances[k]), scale=np.exp(means[k]))


def _categorical(levels: tuple[int, ...], probabilities: Array) -> Component:
    def log_density(rows: Array, k: int) -> Array:
        parts = np.split(probabilities[k], np.cumsum(levels)[:-1])
        found = [
            np.log(p)[np.nan_to_num(column).astype(int)]
            for p, column in zip(parts, rows.T, strict=True)
        ]
        return np.where(np.isnan(rows), np.nan, np.stack(found, axis=1))

    return Component(Categorical(levels), CategoricalParams(probabilities), log_density)


COMPONENTS = {
    "Bernoulli": Component(
        Bernoulli(),
        PROBABILITIES,
        lambda x, k: stats.bernoulli.logpmf(x, PROBABILITIES.probabilities[k]),
    ),
    "Poisson": Component(Poisson(), RATES, lambda x, k: stats.poisson.logpmf(x, RATES.rates[k])),
    "NegativeBinomial": Component(
        NegativeBinomial(),
        SCATTERED,
        lambda x, k: stats.nbinom.logpmf(
            x, SCATTERED.sizes[k], SCATTERED.sizes[k] / (SCATTERED.sizes[k] + SCATTERED.means[k])
        ),
    ),
    "Categorical": _categorical(LEVELS, SHARES.probabilities),
    "Multinomial": Component(
        Multinomial(),
        TOPICS,
        lambda x, k: stats.multinomial.logpmf(
            x, x.sum(axis=1).astype(int), TOPICS.probabilities[k]
        ),
    ),
    "Exponential": Component(
        Exponential(), MEANS, lambda x, k: stats.expon.logpdf(x, scale=MEANS.means[k])
    ),
    "Gamma": Component(
        Gamma(),
        GAMMA,
        lambda x, k: stats.gamma.logpdf(x, GAMMA.shapes[k], scale=GAMMA.means[k] / GAMMA.shapes[k]),
    ),
    "LogNormal": Component(LogNormal(), LOG_NORMAL, _log_normal),
    "Normal": Component(Normal(), NORMAL, _normal),
    "Beta": Component(Beta(), BETA, lambda x, k: stats.beta.logpdf(x, BETA.a[k], BETA.b[k])),
    "VonMisesFisher": Component(
        VonMisesFisher(),
        DIRECTIONS,
        lambda x, k: stats.vonmises_fisher(
            DIRECTIONS.means[k], DIRECTIONS.concentrations[k]
        ).logpdf(x),
    ),
    "StudentT full": _student(Full(), None),
    "StudentT diag": _student(Diagonal(), None),
    "StudentT spherical": _student(Spherical(), None),
    "StudentT fixed": _student(Full(), 4.0),
}


def _marginal(rows: Array, mean: Array, covariance: Array) -> Array:
    """log p of what is there of each row, (n,)."""
    found, there = np.zeros(len(rows)), ~np.isnan(rows)
    for seen in np.unique(there, axis=0):
        own = (there == seen).all(axis=1)
        if seen.any():
            part = stats.multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)])
            found[own] = part.logpdf(rows[own][:, seen])
    return found


def _gaussian(form: Any) -> Component:
    """A Gaussian to which NaN is a missing value: the marginal density of what is there."""
    family = Gaussian(form, missing=True)
    mixed = CLUSTERS @ np.diag(1 / UNITS) @ (np.eye(D) + np.tri(D) / 2) * [1, 100, 1, 1]
    params = _started(family, mixed)
    means, covariances, _ = family.outward(params)

    def log_density(rows: Array, k: int) -> Array:
        c = covariances if form.pooled else covariances[k]
        shape = np.diag(np.broadcast_to(c, D)) if np.ndim(c) < 2 else c
        return _marginal(rows, means[k], shape)

    return Component(family, params, log_density)


COMPONENTS |= {
    f"Gaussian {form.name}": _gaussian(form)
    for form in (Full(), Tied(), Diagonal(), Spherical(), Factors(1), Principal(1))
}


def _product() -> Component:
    """Bernoulli, gamma and full Gaussian columns, mixed up."""
    gaussian = Gaussian(Full())
    normal = _started(gaussian, CLUSTERS / UNITS)
    parts = (
        (Bernoulli(), (1, 2, 7, 9), PROBABILITIES),
        (Gamma(), (0, 3, 10, 4), GAMMA),
        (gaussian, (5, 6, 11, 8), normal),
    )
    means, covariances, _ = gaussian.outward(normal)

    def log_density(rows: Array, k: int) -> Array:
        joint = stats.multivariate_normal(means[k], covariances[k])
        others = [
            COMPONENTS[name].log_density(rows[:, columns], k)
            for name, columns in (("Bernoulli", (1, 2, 7, 9)), ("Gamma", (0, 3, 10, 4)))
        ]
        return np.hstack([*others, joint.logpdf(rows[:, (5, 6, 11, 8)])[:, None]])

    family = Product(tuple((family, columns) for family, columns, _ in parts))
    return Component(family, ProductParams(tuple(params for _, _, params in parts)), log_density)


COMPONENTS["Product"] = _product()


def _mixture_of(inner: Any, log_part: Callable[[Array, int], Array]) -> Component:
    """Mixtures of two, of a family and parameters of six with these log-densities."""
    weights = np.array([[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]])

    def log_density(rows: Array, k: int) -> Array:
        parts = [log_part(rows, 2 * k + j) for j in range(2)]
        return logsumexp(np.stack(parts, axis=1) + np.log(weights[k]), axis=1)

    return Component(MixtureOf(2, inner[0]), MixtureOfParams(weights, inner[1]), log_density)


def _mixture_of_gaussians() -> Component:
    family = Gaussian(Full(), missing=True)
    sixths = np.repeat(np.eye(6), len(CLUSTERS) // 6, axis=1)
    rows = CLUSTERS / UNITS @ (np.eye(D) + np.tri(D) / 2)
    params = family.start(Sample(rows, np.ones(len(rows)), True), sixths)
    means, covariances, _ = family.outward(params)
    return _mixture_of((family, params), lambda rows, j: _marginal(rows, means[j], covariances[j]))


def _mixture_of_poissons() -> Component:
    rates = np.random.default_rng(4).gamma(2.0, 4.0, (6, D))
    return _mixture_of(
        (Poisson(), PoissonParams(rates)),
        lambda x, j: np.nansum(stats.poisson.logpmf(x, rates[j]), axis=1),
    )


COMPONENTS["Categorical many"] = _categorical(
    MANY, np.hstack([np.random.default_rng(6).dirichlet(np.full(n, 1.5), K) for n in MANY])
)
COMPONENTS["MixtureOf Gaussian"] = _mixture_of_gaussians()
COMPONENTS["MixtureOf Poisson"] = _mixture_of_poissons()
GAUSSIAN_COLUMNS = (5, 6, 11, 8)


def with_gaps(component: Component, rows: Array) -> Array:
    """`holed`, except for the Gaussian columns of a product."""
    gaps = holed(rows)
    if isinstance(component.family, Product):
        gaps[:, GAUSSIAN_COLUMNS] = rows[:, GAUSSIAN_COLUMNS]
    return gaps


MISSING = [name for name, component in COMPONENTS.items() if component.missing]
