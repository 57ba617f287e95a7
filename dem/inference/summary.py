"""What the posteriors q(h | v) say of the rows: how many each component has, how sure one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.special import entr

from dem.contract import Model, Params
from dem.criteria import Criteria
from dem.inference.given import given
from dem.passes import Block
from dem.stats import Vector

Array = np.ndarray
NUMBERS = 2**20  # of the posteriors that are held at a time


@dataclass(frozen=True, eq=False)
class PosteriorSums(Vector):
    """Sums over rows, a row being assigned to the component that is the most probable.

    log_likelihood, weight : Σ w log p(v), Σ w.
    posterior : (K, K), Σ w q over the rows that are assigned to each.
    assigned, entropy : (K,), Σ w and Σ w H(q) over these.
    """

    log_likelihood: float
    weight: float
    posterior: Array
    assigned: Array
    entropy: Array


@dataclass(frozen=True)
class Posteriors:
    """A pass over the data for `PosteriorSums`."""

    model: Model
    params: Params
    description: ClassVar[str] = "summing up posteriors"

    @property
    def missing(self) -> bool:
        return getattr(self.model, "missing", False)

    def prepare(self) -> Any:
        return self.model.prepare(self.params)

    def __call__(self, prepared: Any, block: Block) -> PosteriorSums:
        model: Any = self.model
        k, masses = model.k, block.masses
        total = PosteriorSums(0.0, 0.0, np.zeros((k, k)), np.zeros(k), np.zeros(k))
        size = max(NUMBERS // k, 1)
        for start in range(0, len(block.rows), size):
            here = slice(start, start + size)
            rows, w = block.rows[here], masses[here]
            q = model.posterior(prepared, rows)
            to = q.argmax(axis=1)
            chosen = np.zeros_like(q)
            chosen[np.arange(len(to)), to] = w
            total += PosteriorSums(
                log_likelihood=float(w @ model.log_prob(prepared, rows)),
                weight=float(w.sum()),
                posterior=chosen.T @ q,
                assigned=chosen.sum(axis=0),
                entropy=chosen.T @ entr(q).sum(axis=1),
            )
        return total


class Class(NamedTuple):
    """A component, a row of the table.

    expected : Σ w q, the expected number of its rows, and `share` of all.
    assigned : Σ w of the rows that are most probably of it.
    certainty : mean probability of it among these, NaN if there are none; 1 is certain.
    recovered : the share of its expected rows that are assigned to it.
    entropy : mean H(q) of the rows assigned to it, in nats.
    nearest : the component that most of its other rows are assigned to; −1 if there is none.
    """

    component: int
    expected: float
    share: float
    assigned: float
    certainty: float
    recovered: float
    entropy: float
    nearest: int


@dataclass(frozen=True, eq=False)
class Summary:
    """How a mixture divides rows among its components; see `summarise`.

    criteria : log_likelihood, n_samples, n_parameters, bic, aic.
    entropy : Σ w H(q) in nats. relative_entropy : 1 − Σ w H(q) / (n log K), which is 1 where all
        rows are certain and 0 where nothing is known of any (Ramaswamy et al. 1993); 1 for K = 1.
    icl : bic + 2 Σ w H(q), integrated completed likelihood (Biernacki, Celeux and Govaert 2000).
    nec : Σ w H(q) / (log L − log L₁), normalised entropy criterion (Celeux and Soromenho 1996),
        for which log L₁, of one component, has to be given; else NaN.
    posterior : (K, K), mean posterior probabilities (columns) of the rows assigned to each
        component, NaN where there are none.
    confusion : (K, K), the share of each component's expected rows that are assigned to each
        (columns): estimated probabilities of classification, their diagonal `recovered`.
    classes : a `Class` for each component.
    """

    criteria: Criteria
    entropy: float
    relative_entropy: float
    icl: float
    nec: float
    posterior: Array
    confusion: Array
    classes: tuple[Class, ...]

    @property
    def error_rate(self) -> float:
        """The share of rows that are expected to be assigned to a component not theirs."""
        right = sum(row.assigned * row.certainty for row in self.classes if row.assigned)
        return 1.0 - right / self.criteria.n_samples

    def __repr__(self) -> str:
        c = self.criteria
        lines = [
            f"{c.n_samples:,.10g} rows, {len(self.classes)} components, "
            f"{c.n_parameters} parameters",
            f"log-likelihood {c.log_likelihood:.6f}, BIC {c.bic:.4f}, AIC {c.aic:.4f}, "
            f"ICL {self.icl:.4f}",
            f"relative entropy {self.relative_entropy:.4f}, expected error rate "
            f"{self.error_rate:.4f}",
            "",
            " k     expected   share     assigned  certainty  recovered  entropy  nearest",
            *(
                f"{r.component:2}  {r.expected:11.1f}  {r.share:.4f}  {r.assigned:11.1f}  "
                f"{r.certainty:9.4f}  {r.recovered:9.4f}  {r.entropy:7.4f}  {r.nearest:7}"
                for r in self.classes
            ),
        ]
        return "\n".join(lines)


def summarise(
    model: Any,
    data: Any,
    *,
    weights: Any = None,
    y: Any = None,
    labels: Any = None,
    null_log_likelihood: float | None = None,
) -> Summary:
    """How well a mixture tells its components apart on some data, by one pass over them.

    model : a fitted estimator, or the Fit that `dem.fit` returns, of a model with a `posterior`.
    data, weights, y : as for `dem.fit`, or for the estimator's `fit`; y of regressions.
    labels : of an estimator that was fitted with some. They decide where they are known, and the
        criteria are those of log p(row, label); without, nothing is known of these rows.
    null_log_likelihood : of one component, for the normalised entropy criterion.

    Raises TypeError for a model without components, `DataError` if all weights are 0, and what the
    fit raises for data unlike its own.
    """
    asked = given(model, data, weights, y, labels)
    mixture, params = asked.fit.model, asked.fit.params
    if not (hasattr(mixture, "posterior") and hasattr(mixture, "k")):
        raise TypeError(f"{type(mixture).__name__} has no posterior over components to summarise.")
    sums: PosteriorSums = asked.total(Posteriors(mixture, params), 8 * mixture.k * (mixture.k + 2))
    criteria = Criteria.of(sums.log_likelihood, sums.weight, mixture.n_parameters(params))
    return _summary(criteria, sums, null_log_likelihood)


def _summary(criteria: Criteria, sums: PosteriorSums, null: float | None) -> Summary:
    k, n, entropy = len(sums.assigned), criteria.n_samples, float(sums.entropy.sum())
    expected = sums.posterior.sum(axis=0)
    confusion = _over(sums.posterior.T, expected[:, None])
    posterior = _over(sums.posterior, sums.assigned[:, None])
    others = np.where(np.eye(k, dtype=bool), 0.0, sums.posterior.T)
    per_row = _over(sums.entropy, sums.assigned)
    classes = tuple(
        Class(
            component=j,
            expected=float(expected[j]),
            share=float(expected[j] / n),
            assigned=float(sums.assigned[j]),
            certainty=float(posterior[j, j]),
            recovered=float(confusion[j, j]),
            entropy=float(per_row[j]),
            nearest=int(others[j].argmax()) if others[j].any() else -1,
        )
        for j in range(k)
    )
    gain = np.nan if null is None else criteria.log_likelihood - null
    return Summary(
        criteria=criteria,
        entropy=entropy,
        relative_entropy=1.0 - entropy / (n * np.log(k)) if k > 1 else 1.0,
        icl=criteria.bic + 2 * entropy,
        nec=entropy / gain if gain > 0 else float("nan"),
        posterior=posterior,
        confusion=confusion,
        classes=classes,
    )


def _over(sums: Array, weight: Array) -> Array:
    """Means, NaN where nothing is."""
    return np.where(weight > 0, sums, np.nan) / np.where(weight > 0, weight, 1.0)
