"""Standard errors of a fit from the scores of the rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from dem.checks import check_number, check_offers
from dem.contract import Flat, Params
from dem.engine.blas import one_blas_thread
from dem.inference.delta import Charted, Covariance
from dem.inference.given import Given, check_labels, given
from dem.inference.named import Named, Place, flat, named
from dem.inference.scores import Directions, Scores, ScoreSums, bare, directions
from dem.models.variational import VariationalMixture
from dem.passes import Draw, Rows

Array = np.ndarray
PROBED_BLOCKS = 8
PROBED_ROWS = 200  # a component
FAR = 0.5  # standard errors from the maximum: a fit that has stopped too early


class Estimate(NamedTuple):
    """A row of the table: one number, what it is of, and how sure one is of it.

    component : or None for what all of them share. place : a column, two, a level, or nothing.
    error : its standard error; infinite if the rows say nothing of it, NaN if it is fixed.
    lower, upper : of the interval.
    """

    name: str
    component: int | None
    place: Place
    value: float
    error: float
    lower: float
    upper: float


def check_level(level: float) -> None:
    """Raise TypeError or ValueError unless 0 < level < 1."""
    check_number("level", level, float, 0)
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level}.")


def table(
    parts: Sequence[Named], errors: Array, lower: Array, upper: Array
) -> tuple[Estimate, ...]:
    """A row for each number; of symmetric matrices the lower half."""
    rows, start = [], 0
    for part in parts:
        values = part.values.ravel()
        for i, component, place in part.entries():
            found = (float(a[start + i]) for a in (errors, lower, upper))
            rows.append(Estimate(part.name, component, place, float(values[i]), *found))
        start += len(values)
    return tuple(rows)


def by_name(parts: Sequence[Named], vector: Array) -> dict[str, Array]:
    """A vector of something of each number, in the shapes of the arrays."""
    ends = np.cumsum([part.values.size for part in parts])[:-1]
    pieces = zip(parts, np.split(vector, ends), strict=True)
    return {part.name: piece.reshape(part.values.shape) for part, piece in pieces}


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """How sure one can be of the parameters of a fit; see `standard_errors`.

    estimates, errors : arrays by name ("weights", "means", ...), in the user's units.
    n_samples : Σ w. n_parameters : of the model. rank : of the information; it is lower where a
        parameter is at the edge of what it may be, or the rows do not tell some of them apart.
    distance : how far the maximum of the likelihood seems to be, in standard errors at most.
    notes : what to know before these are used, in words.
    """

    estimates: Mapping[str, Array]
    errors: Mapping[str, Array]
    n_samples: float
    n_parameters: int
    rank: int
    distance: float
    notes: tuple[str, ...]
    parts: tuple[Named, ...]
    chart: Charted
    covariance: Covariance

    def of(self, function: Callable[[Params], Any]) -> Array:
        """Standard errors of a function of the parameters, by the delta method.

        function : of `fit.params`, in their units, with an array for a result; smooth.
        """
        shape = np.shape(function(self.chart.params))
        return self.covariance.errors(self.chart.jacobian(function)).reshape(shape)

    def table(self, level: float = 0.95) -> tuple[Estimate, ...]:
        """A row for each parameter, with Wald intervals: value ± z · error."""
        check_level(level)
        values = flat(self.parts)
        errors = np.concatenate([self.errors[part.name].ravel() for part in self.parts])
        reach = norm.ppf((1 + level) / 2) * errors
        return table(self.parts, errors, values - reach, values + reach)

    def __repr__(self) -> str:
        head = f"{self.n_samples:,.10g} rows, information of rank {self.rank} of "
        head += f"{self.n_parameters} parameters, {self.distance:.2g} standard errors at most "
        return "\n".join([head + "from the maximum", *self.notes, "", *lines(self.table())])


def lines(rows: Sequence[Estimate], most: int = 60) -> list[str]:
    """A table as text, its first rows."""
    shown = [f"{'':28} {'component':>9} {'estimate':>12} {'error':>11} {'lower':>12} {'upper':>12}"]
    for row in rows[:most]:
        what = " ".join([row.name, *map(str, row.place)])
        component = "" if row.component is None else row.component
        shown.append(
            f"{what:28.28} {component:>9} {row.value:12.6g} {row.error:11.4g} "
            f"{row.lower:12.6g} {row.upper:12.6g}"
        )
    return shown + [f"... and {len(rows) - most} more; .table() has all"] * (len(rows) > most)


def standard_errors(
    model: Any, data: Any, *, weights: Any = None, y: Any = None, labels: Any = None
) -> StandardErrors:
    """Standard errors by the empirical information, I = Σᵢ wᵢ sᵢ sᵢᵀ, of the data of the fit.

    sᵢ = ∂ log p(vᵢ; θ)/∂θ, by Fisher's identity (Louis 1982; McLachlan and Peel 2000, 2.15). They
    add up over the rows, so it takes one pass, and a read of a few blocks. Values may be missing
    as in the fit; weights count as repeated rows. Errors of the parameters in the user's units are
    by the delta method. A prior is not counted in, nor `reg_covar`.

    model : a fitted estimator or a Fit, of a model with `flatten`, at the maximum of its
        likelihood: with a small tol, as the distance from it is to be well below an error.
    data, weights, y, labels : as for `dem.fit`, or for the estimator's `fit`; y of regressions,
        and labels where it was fitted with some.

    The information is inverted where it can be. What the rows say nothing of has infinite errors,
    and a parameter at the edge of what it may be (a probability at 1e-10) is taken as fixed, with
    NaN. Both are told in `notes` and in a UserWarning, and so is a fit not at the maximum.

    Raises TypeError for a model whose parameters are no point estimates or which has no `flatten`;
    ValueError if labels are lacking that the fit had, or given though it had none; MemoryError for
    more parameters than there is room for P² numbers.
    """
    check_labels(model, labels)
    asked = given(model, data, weights, y, labels)
    fitted, params = asked.fit.model, asked.fit.params
    if isinstance(bare(fitted), VariationalMixture):
        raise TypeError("A variational fit has a posterior of its parameters, not errors of them.")
    check_offers("a model whose parameters are to have errors", fitted, Flat)
    drawn = _probe(asked)
    with one_blas_thread(), np.errstate(all="ignore"):  # as in a pass
        along = directions(fitted, params, drawn.rows, drawn.weights)
    sums: ScoreSums = asked.total(Scores(fitted, params, along), 8 * len(along.scales) ** 2)
    with one_blas_thread(), np.errstate(all="ignore"):
        found = _concluded(asked, along, sums)
    for note in found.notes:
        warnings.warn(note, stacklevel=2)
    return found


def _concluded(asked: Given, along: Directions, sums: ScoreSums) -> StandardErrors:
    fitted, params = asked.fit.model, asked.fit.params
    chart = Charted.of(
        fitted, params, along.scales, lambda point: flat(named(fitted, point, asked.columns))
    )
    jacobian = chart.described
    covariance = Covariance.of(sums.information * chart.free * chart.free[:, None])
    errors, parts = covariance.errors(jacobian), named(fitted, params, asked.columns)
    step = covariance.root @ (covariance.root.T @ (sums.gradient * chart.free))
    finite = np.isfinite(errors) & (errors > 0)
    distance = float((np.abs(jacobian @ step)[finite] / errors[finite]).max(initial=0.0))
    return StandardErrors(
        estimates={part.name: part.values for part in parts},
        errors=by_name(parts, errors),
        n_samples=sums.weight,
        n_parameters=fitted.n_parameters(params),
        rank=covariance.rank,
        distance=distance,
        notes=_notes(int(np.isinf(errors).sum()), int(chart.edge.sum()), distance),
        parts=parts,
        chart=chart,
        covariance=covariance,
    )


def _probe(asked: Given) -> Rows:
    """Some rows of a few blocks."""
    fitted, manifest = asked.fit, asked.manifest
    count = min(manifest.n_blocks, PROBED_BLOCKS)
    blocks = np.unique(np.linspace(0, manifest.n_blocks - 1, count).astype(int)).tolist()
    held = int(np.diff(manifest.boundaries)[blocks].sum())
    wanted = PROBED_ROWS * getattr(fitted.model, "k", 1)
    work = Draw(min(wanted / held, 1.0), 0, getattr(fitted.model, "missing", False))
    drawn: Rows = asked.total(work, blocks=blocks)
    return drawn


def _notes(unknown: int, edge: int, distance: float) -> tuple[str, ...]:
    notes = []
    if unknown:
        notes.append(
            f"The information is singular: the rows do not tell {unknown} of the numbers, whose "
            "errors are infinite. Use fewer components, or more rows."
        )
    if edge:
        notes.append(
            f"{edge} coordinates are at the edge of what they may be and count as fixed there; "
            "where that leaves a parameter nothing to vary in, its error is NaN."
        )
    if distance > FAR:
        notes.append(
            f"The fit is some {distance:.2g} standard errors from the maximum of the likelihood: "
            "the errors are those of another place. Go on with it, with a smaller tol."
        )
    return tuple(notes)
