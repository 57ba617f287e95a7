"""What a selection comes to: a table of candidates, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dem import html
from dem.contract import Array
from dem.criteria import Criteria
from dem.reading import Phase
from dem.records import Fit, Record

CRITERIA = ("bic", "aic", "icl", "held_out")


class Candidate(NamedTuple):
    """A row of the table: how well a model fits, and how many parameters that took.

    log_likelihood : Σᵢ wᵢ log p(vᵢ; θ) of the rows that were seen, in nats.
    bic : −2 log L + P log n. aic : −2 log L + 2 P. Lower is better, here and in the next.
    icl : bic + 2 Σᵢ wᵢ H(qᵢ), integrated completed likelihood (Biernacki et al. 2000).
    held_out : mean log p(v; θ) of the rows that were held out, NaN without.
    turns, converged : of its climb; one that was given up has not converged.
    """

    name: str
    log_likelihood: float
    n_parameters: int
    bic: float
    aic: float
    icl: float
    held_out: float
    turns: int
    converged: bool


@dataclass(frozen=True, eq=False)
class Selected:
    """What a race came to.

    table, fits : of each candidate, in the order in which they were given.
    best : the number of the winner.
    n_passes : full reads of the data for all of them together.
    history : of the leader after each read.
    """

    table: tuple[Candidate, ...]
    fits: tuple[Fit, ...]
    best: int
    n_passes: float
    history: tuple[Record, ...]
    interrupted: bool = False
    phases: tuple[Phase, ...] = ()

    @property
    def n_rows_read(self) -> int:
        """Rows read for all of them together."""
        return sum(phase.rows for phase in self.phases)

    @property
    def fit(self) -> Fit:
        """That of the winner."""
        return self.fits[self.best]

    @property
    def converged(self) -> bool:
        return self.fit.converged

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame, by the candidates' names."""
        from pandas import DataFrame

        return DataFrame(self.table).set_index("name")

    def plot(self, criteria: Sequence[str] = ("bic", "icl"), ax: Any = None) -> Any:
        """Criteria against the number of components, as matplotlib Axes.

        A line for each criterion and kind of model. A model that was listed several times, and so
        had several starts, has a bar from the best to the worst of them. Candidates that were
        given up early are hollow.

        Raises ValueError for what is no criterion, ModuleNotFoundError without matplotlib.
        """
        from dem.plots import plot_selection

        models = [fit.model for fit in self.fits]
        lost = [fit.interrupted for fit in self.fits]
        return plot_selection(self.table, models, self.best, lost, criteria, ax)

    def _repr_html_(self) -> str:
        head = ["", "log-likelihood", "parameters", "BIC", "AIC", "ICL", "held out", "turns", ""]
        rows: list[list[Any]] = [
            [*row[:-1], "given up" if fit.interrupted else "converged" if row.converged else ""]
            for row, fit in zip(self.table, self.fits, strict=True)
        ]
        if all(math.isnan(candidate.held_out) for candidate in self.table):
            for line in (head, *rows):
                del line[6]
        shown = {"best": self.table[self.best].name, "passes over the data": f"{self.n_passes:.3g}"}
        return html.card("Selection", html.facts(shown), html.table(head, rows, self.best))


def tabulate(
    names: Sequence[str], fits: Sequence[Fit], found: Sequence[Array]
) -> tuple[Candidate, ...]:
    """The rows of the table, from what `dem.shared.Evaluate` has found of each fit."""
    rows = []
    for name, fit, (total, n, entropy, beyond, kept) in zip(names, fits, found, strict=True):
        n_parameters = fit.model.n_parameters(fit.params)
        criteria = Criteria.of(float(total), float(n), n_parameters)
        rows.append(
            Candidate(
                name, criteria.log_likelihood, n_parameters, criteria.bic, criteria.aic,
                criteria.bic + 2 * float(entropy), float(beyond / kept) if kept else math.nan,
                len(fit.history), fit.converged,
            )
        )  # fmt: skip
    return tuple(rows)


def by_bounds(fits: Sequence[Fit], weight: float) -> list[Array]:
    """What can be said without another read: the last bound of each, and nothing of the rest."""
    return [np.array([f.lower_bound * weight, weight, np.nan, np.nan, 0.0]) for f in fits]


def best_of(table: Sequence[Candidate], lost: Sequence[bool], criterion: str) -> int:
    """The number of the best by a criterion, or by BIC where that is not known.

    lost : which were given up. They may not win by a value that they owe to a few turns, unless
        all were.
    """
    if any(math.isnan(getattr(row, criterion)) for row in table):
        criterion = "bic"
    sign = -1.0 if criterion == "held_out" else 1.0
    values = [sign * getattr(row, criterion) for row in table]
    if all(lost):
        return int(np.argmin(values))
    return int(np.argmin(np.where(lost, math.inf, values)))
