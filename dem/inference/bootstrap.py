"""Standard errors and intervals from fits to replicates of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from dem.checks import check_number, check_offers
from dem.families.known import EVIDENCE
from dem.families.product import Product
from dem.inference.errors import Estimate, by_name, check_level, lines, table
from dem.inference.given import Sequences, check_labels, given
from dem.inference.named import Named, flat, named
from dem.inference.replicates import Replicate, Resampled, Trial, refit, thorough
from dem.inference.scores import bare
from dem.relay import reaches
from dem.report.progress import Observer, Silent
from dem.starts import Given

Array = np.ndarray
FEWEST_CHAINS = 12  # with fewer some replicate would soon have none


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Parameters fitted to replicates of the data; see `bootstrap`.

    estimates : arrays by name, in the user's units, at the maximum for the data themselves.
    replicates : the same with an axis more in front, (B, ...), of the replicates.
    errors : standard deviations over the replicates.
    switched : how many replicates had components in another order, in which they are put back.
    converged : how many of the fits did.
    n_passes : full reads of the data for all of them together.
    """

    estimates: Mapping[str, Array]
    replicates: Mapping[str, Array]
    errors: Mapping[str, Array]
    switched: int
    converged: int
    n_passes: float
    parts: tuple[Named, ...]

    def intervals(self, level: float = 0.95) -> dict[str, tuple[Array, Array]]:
        """Percentile intervals: (lower, upper) of each array."""
        check_level(level)
        ends = [50 * (1 - level), 50 * (1 + level)]
        found = {name: np.percentile(a, ends, axis=0) for name, a in self.replicates.items()}
        return {name: (lower, upper) for name, (lower, upper) in found.items()}

    def table(self, level: float = 0.95) -> tuple[Estimate, ...]:
        """A row for each parameter, with percentile intervals."""
        ends = self.intervals(level)
        every = [(self.errors[part.name], *ends[part.name]) for part in self.parts]
        errors, lower, upper = (
            np.concatenate([a.ravel() for a in arrays]) for arrays in zip(*every, strict=True)
        )
        return table(self.parts, errors, lower, upper)

    def __repr__(self) -> str:
        count = len(next(iter(self.replicates.values())))
        head = f"{count} replicates, {self.converged} converged, {self.switched} with components "
        head += f"in another order; {self.n_passes:.4g} reads of the data"
        return "\n".join([head, "", *lines(self.table())])


def bootstrap(
    model: Any,
    data: Any,
    *,
    n_replicates: int = 100,
    replicate: Replicate | None = None,
    weights: Any = None,
    y: Any = None,
    labels: Any = None,
    lengths: Any = None,
    groups: Any = None,
    max_iter: int = 200,
    tol: float = 1e-3,
    seed: int = 0,
    threads: int | None = None,
    observer: Observer = Silent(),
) -> Bootstrap:
    """Fit replicates of the data, each from where the fit is, on shared reads of the data.

    As all begin at the same parameters components keep their order; where they do not, they are
    matched again. Each read of the data is a turn of EM for every replicate: hundreds of them cost
    as many reads as one fit, and no copies of the data.

    model : a fitted estimator, or the Fit that `dem.fit` returns.
    data, weights, y, labels : as for `dem.fit`, or for the estimator's `fit`; y of regressions,
        and labels where it was fitted with some. A row keeps its label in every replicate.
    lengths, groups : of the sequences, for the estimator of a hidden Markov model; see its `fit`.
    replicate : `dem.inference.Resampled(seed)`, rows count Poisson(weight) times, the default; or
        `Simulated(seed)`, rows are drawn from the fit (McLachlan and Peel 2000, section 2.16). Of a
        hidden Markov model it is whole sequences that count Poisson(weight) times, of which there
        must be 12 or more; or sequences of the same lengths are drawn.
    max_iter, tol : of each fit; tol in nats of all rows together that may be left to gain.
    threads, observer : as for `dem.fit`.

    The data themselves are fitted along with the replicates, in case the fit stopped early.
    Raises `DataError` for rows with weights that are to be simulated, for sequences that are to be
    and go on from block to block, and for few of them that are to be resampled; TypeError for a
    model that cannot simulate, ValueError for labels that are to be simulated, that are lacking
    though the fit had some, or given though it had none, and what `dem.fit` raises.
    """
    check_number("n_replicates", n_replicates, int, 2)
    check_number("tol", tol, float, 0)
    replicate = Resampled(seed) if replicate is None else replicate
    check_offers("replicate", replicate, Replicate)
    check_labels(model, labels)
    asked = given(model, data, weights, y, labels, Sequences(lengths, groups))
    check_can(asked.fit.model, replicate)
    fitted, params = asked.fit.model, asked.fit.params
    if reaches(fitted) and isinstance(replicate, Resampled):
        replicate = replace(replicate, units=asked.chains(FEWEST_CHAINS))
    climb = thorough(fitted, Given(params), max_iter=max_iter, tol=tol / asked.weight, seed=seed)
    trials = [Trial(climb, number, params) for number in (None, *range(n_replicates))]
    found = refit(trials, replicate, asked.fit, asked.manifest, observer, threads)
    parts, *others = (named(fitted, fit.params, asked.columns) for fit in found.fits)
    aligned = align(others, parts)
    every = np.stack([flat(own) for own, _ in aligned])
    return Bootstrap(
        estimates={part.name: part.values for part in parts},
        replicates={
            part.name: np.stack([own[i].values for own, _ in aligned])
            for i, part in enumerate(parts)
        },
        errors=by_name(parts, every.std(axis=0, ddof=1)),
        switched=sum(switched for _, switched in aligned),
        converged=sum(fit.converged for fit in found.fits[1:]),
        n_passes=found.n_passes,
        parts=parts,
    )


def check_can(model: Any, replicate: Replicate) -> None:
    """Raise TypeError or ValueError for a model that cannot simulate rows which are asked for."""
    if not replicate.parametric:
        return
    if not hasattr(model, "sample"):
        raise TypeError(
            f"{type(model).__name__} has no `sample` to simulate rows with: use Resampled()."
        )
    family = getattr(bare(model), "family", None)
    if isinstance(family, Product) and any(isinstance(own, EVIDENCE) for own, _ in family.parts):
        raise ValueError(
            "Rows with labels cannot be simulated, as nothing says which of them would have one."
        )


def align(
    replicates: Sequence[Sequence[Named]], to: Sequence[Named]
) -> list[tuple[tuple[Named, ...], bool]]:
    """Each with components in the order in which they are most like others; whether it was another.

    By squared differences, each number in units of its median difference over all replicates, of
    which most should be in order.
    """
    places = [
        i for i, part in enumerate(to) if part.by_component and not (part.relative or part.between)
    ]
    k = min((len(to[i].values) for i in places if to[i].values.size), default=1)  # noise is last
    units = [
        np.median([np.abs(own[i].values - to[i].values) for own in replicates], axis=0)
        for i in places
    ]
    return [_aligned(own, to, places, units, k) for own in replicates]


def _aligned(
    own: Sequence[Named], to: Sequence[Named], places: Sequence[int], units: Sequence[Array], k: int
) -> tuple[tuple[Named, ...], bool]:
    cost = np.zeros((k, k))
    for i, unit in zip(places, units, strict=True):
        x, y, u = (np.reshape(a[:k], (k, -1)) for a in (own[i].values, to[i].values, unit))
        apart = (x - y[:, None]) / np.where(u > 0, u, np.inf)[:, None]
        cost += np.square(apart).sum(axis=2)
    order = linear_sum_assignment(cost)[1]
    if (order == np.arange(k)).all():
        return tuple(own), False
    return tuple(_reordered(part, order) for part in own), True


def _reordered(part: Named, order: Array) -> Named:
    if not part.by_component:
        return part
    rest = np.arange(len(order), len(part.values))
    values = part.values[np.concatenate([order, rest])]
    if part.between:
        values = values[:, order]
    return replace(part, values=values - values[0] if part.relative else values)
