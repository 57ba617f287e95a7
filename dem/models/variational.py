"""Mixtures under mean-field variational Bayes: the parameters are those of q(θ).

    L(v, q) = E_q[log p(v, h | θ)] + H(q(h)) − KL(q(θ) ‖ p(θ))  ≤  log p(v)

With q(h, π, θ) = q(h) q(π) ∏ q(θₖ), coordinate ascent is EM with expected log-densities in the
E-step and conjugate posteriors in the M-step (Attias 1999; Bishop 2006, 10.2): the same loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from dem.checks import check_number, check_offers
from dem.contract import Family, Params, Posterior, Sample
from dem.families.charts import Positive
from dem.models.mixing import Dirichlet, Mixing
from dem.models.mixture import Mixture, MixtureParams
from dem.stats import Stats

Array = np.ndarray
LOGARITHMS = Positive(1e-10, 1e15)


@dataclass(frozen=True, eq=False)
class VariationalParams:
    """E_q[π] (K,), the concentration of q(π) (see `Mixing`), and the family's parameters."""

    weights: Array
    concentration: Array
    components: Params


@dataclass(frozen=True)
class VariationalMixture:
    """A mixture under q(π), whose bound has −KL(q(π) ‖ p(π)).

    `log_prob` is log Σₖ exp(E_q[log πₖ] + E_q[log p(v | k)]), as scikit-learn's: the most that a
    row adds to the bound, below the log predictive density.

    k : number of components.
    family : with a q of its own, as `BayesianGaussian()`, or point estimates, as any other.
    mixing : the prior of the mixing weights, `Dirichlet()` or `StickBreaking()`; `DirichletMode()`
        for point estimates.
    """

    bound_charges: ClassVar[bool] = True

    k: int
    family: Family
    mixing: Mixing = field(default_factory=Dirichlet)

    def __post_init__(self) -> None:
        check_number("k", self.k, int, 1)
        check_offers("family", self.family, Family)
        check_offers("mixing", self.mixing, Mixing)

    @property
    def mixture(self) -> Mixture:
        """The mixture whose E-step and starts these are."""
        return Mixture(self.k, self.family)

    @property
    def missing(self) -> bool:
        """Whether NaN is a missing value to the family."""
        return self.mixture.missing

    def informed(self, sample: Sample) -> VariationalMixture:
        """The same with a prior of the components that leaves nothing to the data."""
        informed = getattr(self.family, "informed", None)
        return self if informed is None else replace(self, family=informed(sample))

    def start(self, sample: Sample, rng: np.random.Generator) -> VariationalParams:
        return self._given(self.mixture.start(sample, rng), sample)

    def start_around(self, sample: Sample, centres: Array) -> VariationalParams:
        """The M-step on a sample with each row at the nearest of the centres (K, D)."""
        return self._given(self.mixture.start_around(sample, centres), sample)

    def start_from(self, sample: Sample, responsibilities: Array) -> VariationalParams:
        """The M-step on a sample under responsibilities (K, m)."""
        return self._given(self.mixture.start_from(sample, responsibilities), sample)

    def _given(self, params: MixtureParams, sample: Sample) -> VariationalParams:
        """q(π) for shares of as many rows as it is a sample of."""
        counts = params.weights * (sample.weights.sum() / sample.share)
        return self._params(self.mixing.posterior(counts), params.components)

    def _params(self, concentration: Array, components: Params) -> VariationalParams:
        return VariationalParams(self.mixing.expected(concentration), concentration, components)

    def prepare(self, params: VariationalParams) -> Any:
        offset = self.mixing.expected_log(params.concentration)
        return self.family.prepare(params.components, offset)

    def e_step(
        self, prepared: Any, rows: Array, weights: Array | None, posterior: Posterior
    ) -> Stats:
        return self.mixture.e_step(prepared, rows, weights, posterior)

    def m_step(self, params: VariationalParams, stats: Stats) -> VariationalParams:
        components = self.family.maximise(params.components, stats.sums)
        return self._params(self.mixing.posterior(stats.sums.weight), components)

    def expected_log_joint(self, params: VariationalParams, stats: Stats) -> float:
        """E_q[log p(v, h | θ)] − KL(q(θ) ‖ p(θ)), the latter in part from the family."""
        mixing = float(stats.sums.weight @ self.mixing.expected_log(params.concentration))
        mixing -= self.mixing.divergence(params.concentration)
        return mixing + self.family.expected_log_density(params.components, stats.sums)

    def log_prob(self, prepared: Any, rows: Array) -> Array:
        return self.mixture.log_prob(prepared, rows)

    def posterior(self, prepared: Any, rows: Array) -> Array:
        """q(k | v) for each row, (n, K)."""
        return self.mixture.posterior(prepared, rows)

    def flatten(self, params: VariationalParams) -> Array:
        """The logarithms of the concentration, and what the family makes of its parameters."""
        family: Any = self.family
        logs = LOGARITHMS.flatten(params.concentration).ravel()
        return np.concatenate([logs, family.flatten(params.components)])

    def unflatten(self, vector: Array, like: VariationalParams) -> VariationalParams:
        family: Any = self.family
        logs, rest = np.split(vector, [like.concentration.size])
        concentration = LOGARITHMS.unflatten(logs.reshape(like.concentration.shape))
        return self._params(concentration, family.unflatten(rest, like.components))

    def check(self, params: VariationalParams) -> None:
        """Raise ValueError unless params have the shapes and signs that this mixture's have."""
        shape = self.mixing.posterior(np.zeros(self.k)).shape
        if params.concentration.shape != shape or not (params.concentration > 0).all():
            raise ValueError(f"concentration must be positive and have the shape {shape}")
        if not np.allclose(params.weights, self.mixing.expected(params.concentration)):
            raise ValueError("weights are not those that the concentration expects")
        self.family.check(params.components, self.k)

    def diagnose(self, params: VariationalParams) -> tuple[str, ...]:
        """What the family complains of; components without rows are as the prior has them."""
        return self.family.diagnose(params.components)

    def n_parameters(self, params: VariationalParams) -> int:
        return self.mixture.n_parameters(self._point(params))

    def sample(
        self, params: VariationalParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """n rows (n, D) and the components they came from (n,), in the order of components."""
        return self.mixture.sample(self._point(params), n, rng)

    def _point(self, params: VariationalParams) -> MixtureParams:
        return MixtureParams(params.weights, params.components)
