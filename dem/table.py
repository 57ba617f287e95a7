"""What a selection comes to: a table of candidates, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dem import html
from dem.contract import Array
from dem.criteria import Criteria, unsuited
from dem.reading import Phase
from dem.records import Fit, Record

HIGHER = ("held_out", "bound")


class Candidate(NamedTuple):
    """A row of the table: how well a model fits, and how many parameters that took.

    log_likelihood : Σᵢ wᵢ log p(vᵢ; θ) of the rows that were seen, in nats.
    bic : −2 log L + P log n. aic : −2 log L + 2 P. Lower is better, here and in the next.
    icl : bic + 2 Σᵢ wᵢ H(qᵢ), integrated completed likelihood (Biernacki et al. 2000).
    held_out : mean log p(v; θ) of the rows that were held out, NaN without.
    bound : L ≤ log p(v), of models with a posterior of their parameters. Higher is better.
    turns, converged : of its climb; one that was given up has not converged.

    Of a chain, log p(row) is given the rows before it. Where E-steps are not exact, a bound stands
    for log p(v; θ). A criterion is NaN that makes no sense for the model.
    """

    name: str
    log_likelihood: float
    n_parameters: int
    bic: float
    aic: float
    icl: float
    held_out: float
    bound: float
    turns: int
    converged: bool


@dataclass(frozen=True, eq=False)
class Selected:
    """What a race came to.

    table, fits : of each candidate, in the order in which they were given.
    best : the number of the winner.
    n_passes : full reads of the data for all of them together.
    history : of the leader after each read.
    criterion : by which it won.
    """

    table: tuple[Candidate, ...]
    fits: tuple[Fit, ...]
    best: int
    n_passes: float
    history: tuple[Record, ...]
    interrupted: bool = False
    phases: tuple[Phase, ...] = ()
    criterion: str = "bic"

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

    def plot(self, criteria: Sequence[str] | None = None, ax: Any = None) -> Any:
        """Criteria against the number of components, as matplotlib Axes.

        criteria : BIC and ICL by default, or that by which the best won where these make no sense.

        A line for each criterion and kind of model. A model that was listed several times, and so
        had several starts, has a bar from the best to the worst of them. Candidates that were
        given up early are hollow.

        Raises ValueError for what is no criterion, ModuleNotFoundError without matplotlib.
        """
        from dem.plots import plot_selection

        models = [fit.model for fit in self.fits]
        lost = [fit.interrupted for fit in self.fits]
        if criteria is None:
            usual = ("bic", "icl")
            known = [w for w in usual if not all(math.isnan(getattr(r, w)) for r in self.table)]
            criteria = known or (self.criterion,)
        return plot_selection(self.table, models, self.best, lost, criteria, ax)

    def _repr_html_(self) -> str:
        head = [
            "",
            "log-likelihood",
            "parameters",
            "BIC",
            "AIC",
            "ICL",
            "held out",
            "bound",
            "turns",
            "",
        ]
        rows: list[list[Any]] = [
            [*row[:-1], "given up" if fit.interrupted else "converged" if row.converged else ""]
            for row, fit in zip(self.table, self.fits, strict=True)
        ]
        for i in range(len(head) - 3, 2, -1):
            if all(math.isnan(row[i]) for row in rows):
                for line in (head, *rows):
                    del line[i]
        shown = {"best": self.table[self.best].name, "passes over the data": f"{self.n_passes:.3g}"}
        return html.card("Selection", html.facts(shown), html.table(head, rows, self.best))


def tabulate(
    names: Sequence[str], fits: Sequence[Fit], found: Sequence[Array]
) -> tuple[Candidate, ...]:
    """The rows of the table, from what `dem.shared.Evaluate` has found of each fit."""
    rows = []
    for name, fit, (total, n, entropy, beyond, kept) in zip(names, fits, found, strict=True):
        n_parameters = fit.model.n_parameters(fit.params)
        own = Criteria.of(float(total), float(n), n_parameters)
        values = {
            "bic": own.bic,
            "aic": own.aic,
            "icl": own.bic + 2 * float(entropy),
            "held_out": float(beyond / kept) if kept else math.nan,
            "bound": fit.lower_bound * float(n),
        }
        bic, aic, icl, held_out, bound = (
            math.nan if unsuited(fit.model, word) else value for word, value in values.items()
        )
        rows.append(
            Candidate(
                name, own.log_likelihood, n_parameters, bic, aic, icl, held_out, bound,
                len(fit.history), fit.converged,
            )
        )  # fmt: skip
    return tuple(rows)


def by_bounds(fits: Sequence[Fit], weight: float) -> list[Array]:
    """What can be said without another read: the last bound of each, and nothing of the rest."""
    return [np.array([f.lower_bound * weight, weight, np.nan, np.nan, 0.0]) for f in fits]


def best_of(table: Sequence[Candidate], lost: Sequence[bool], criterion: str) -> int:
    """The number of the best by a criterion, or by BIC, or the bound, where that is not known.

    lost : which were given up. They may not win by a value that they owe to a few turns, unless
        all were.
    """
    columns = ([getattr(row, word) for row in table] for word in (criterion, "bic", "bound"))
    known = [not any(map(math.isnan, column)) for column in columns]
    word = next((w for w, k in zip((criterion, "bic", "bound"), known, strict=True) if k), "bic")
    sign = -1.0 if word in HIGHER else 1.0
    values = np.nan_to_num([sign * getattr(row, word) for row in table], nan=math.inf)
    if all(lost):
        return int(np.argmin(values))
    return int(np.argmin(np.where(lost, math.inf, values)))
