"""Families whose parameters have a prior: the M-step finds the mode of the posterior (MAP).

    L(v, θ, q) = E_q[log p(h, v | θ)] + H(q) + log p(θ)

A conjugate prior is worth some rows that were never seen. So its M-step is the family's own, on
other statistics; nothing else of the family changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from dem.checks import check_offers
from dem.contract import Family, Params


class Prior(Protocol):
    """A prior of the parameters of the components of some families."""

    families: ClassVar[tuple[type, ...]]

    def posterior(self, family: Any, params: Params, sums: Any) -> Any:
        """Statistics that the family maximises at the mode of the posterior given `sums`."""
        ...

    def log_density(self, family: Any, params: Params) -> float:
        """log p(θ) in nats, summed over the components, of θ in the user's units."""
        ...


@dataclass(frozen=True)
class WithPrior:
    """A family, or a part of a `Product`, whose components each have a prior.

    Raises TypeError for a prior that is not one for this family.
    """

    family: Family
    prior: Prior

    def __post_init__(self) -> None:
        check_offers("family", self.family, Family)
        check_offers("prior", self.prior, Prior)
        if not isinstance(self.family, self.prior.families):
            names = " and ".join(family.__name__ for family in self.prior.families)
            ours, theirs = type(self.family).__name__, type(self.prior).__name__
            raise TypeError(f"a {theirs} is a prior for {names}, not for {ours}")

    def maximise(self, params: Params, sums: Any) -> Params:
        """θ that maximises E_q[log p(v | k; θ)] + log p(θ)."""
        return self.family.maximise(params, self.prior.posterior(self.family, params, sums))

    def expected_log_density(self, params: Params, sums: Any) -> float:
        """Σ over rows and k of r log p(v | k; θ), + log p(θ), in nats."""
        rows = self.family.expected_log_density(params, sums)
        return rows + self.prior.log_density(self.family, params)

    def __getattr__(self, name: str) -> Any:
        # Everything but the M-step is the family's own; see `dem.wrap.Frozen`.
        if name.startswith("__") or name == "family":
            raise AttributeError(name)
        return getattr(self.family, name)
