"""A fit and its data, from whatever the user has of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dem.engine.hosts import check_memory, choose
from dem.engine.manifest import Manifest, open_data
from dem.errors import DataError
from dem.passes import LogLikelihood, Pass
from dem.records import Fit
from dem.relay import reaches
from dem.units import Beginnings, Units

__all__ = ["Given", "Sequences", "check_labels", "given", "is_labelled"]


@dataclass(frozen=True, eq=False)
class Given:
    """A fit, the data, and the names of their columns."""

    fit: Fit
    manifest: Manifest
    columns: tuple[Any, ...]

    def total(self, work: Pass, held: int = 0, blocks: Sequence[int] | None = None) -> Any:
        """The total of one pass over the data, or some blocks; its results take `held` bytes."""
        with choose(self.manifest) as engine:
            check_memory(engine, held)
            every = range(self.manifest.n_blocks)
            return engine.sweep(work, [every if blocks is None else blocks])[0]

    def chains(self, least: int) -> Units:
        """The chains of the data, by one pass; `DataError` for fewer of them."""
        begun = self.total(Beginnings())
        count = int(begun.count[0])
        if count < least:
            raise DataError(
                f"The data are {count} sequence{'s' * (count != 1)}, and {least} are the fewest "
                "that can be resampled as a whole: simulate them, replicate=dem.Simulated()."
            )
        return begun.units

    @property
    def weight(self) -> float:
        """Σ w, by one pass where rows have weights."""
        if self.manifest.weights is None:
            return float(self.manifest.n_rows)
        return float(self.total(LogLikelihood(self.fit.model, self.fit.params))[1])


@dataclass(frozen=True, eq=False)
class Sequences:
    """The sequences that rows are, as an estimator of chains takes them."""

    lengths: Any = None
    groups: Any = None

    @property
    def told(self) -> dict[str, Any]:
        """Those that were given."""
        found = {"lengths": self.lengths, "groups": self.groups}
        return {name: value for name, value in found.items() if value is not None}


def given(
    model: Any,
    data: Any,
    weights: Any,
    y: Any = None,
    labels: Any = None,
    sequences: Sequences | None = None,
) -> Given:
    """The fit inside of a mixture's estimator, or one by `dem.fit`, and the data, opened.

    With labels the fit is that of rows and a column of labels, which an estimator forgets.

    sequences : of the rows of a model of chains, which is refused with None.

    Raises TypeError for anything else, ValueError for labels of an estimator that was fitted
    without, and what the estimator raises for data unlike the fit's.
    """
    told = {} if sequences is None else sequences.told
    own = model if isinstance(model, Fit) else getattr(model, "_fitted", None)
    chains = reaches(getattr(own, "model", None))
    if chains and sequences is None:
        raise TypeError(
            f"rows of {getattr(own, 'model', None)} depend on each other: this is for those that "
            "do not. dem.bootstrap tells the errors of its parameters, by resampled or simulated "
            "sequences."
        )
    if told and (not chains or isinstance(model, Fit)):
        raise TypeError(
            f"{next(iter(told))} is for estimators of hidden Markov models; a Fit of one has its "
            "sequences in its data, dem.sequences(data, lengths)."
        )
    if isinstance(model, Fit):
        if labels is not None:
            raise ValueError("labels are for estimators; a Fit has them in a column of its data.")
        manifest = data if isinstance(data, Manifest) else open_data(data, weights=weights)
        columns: tuple[Any, ...] = manifest.columns or tuple(range(manifest.n_columns))
        return Given(model, manifest, columns[:-1] if chains else columns)
    fitted = getattr(model, "_fitted", None)
    if not isinstance(fitted, Fit) or not hasattr(model, "criteria"):
        raise TypeError(
            "model must be a fitted estimator of a mixture, or the Fit that dem.fit returns, "
            f"got {_shown(model)}."
        )
    if labels is not None:
        return _labelled(model, data, weights, labels)
    more = ({} if y is None else {"y": y}) | told
    manifest = (
        data if isinstance(data, Manifest) else model._open(data, weights, reset=False, **more)
    )
    names = getattr(model, "feature_names_in_", range(manifest.n_columns - chains))
    return Given(fitted, manifest, tuple(names))


def _labelled(model: Any, data: Any, weights: Any, labels: Any) -> Given:
    if not is_labelled(model):
        raise ValueError(f"This {type(model).__name__} was fitted without labels: give none.")
    manifest = model._open(data, weights, labels, reset=False)
    width = manifest.n_columns - 1
    names = getattr(model, "feature_names_in_", range(width))
    return Given(model._labelled_fit(width), manifest, (*names, "labels"))


def is_labelled(model: Any) -> bool:
    """Whether it is an estimator that was fitted with labels."""
    return bool(getattr(model, "_labelled", False))


def check_labels(model: Any, labels: Any) -> None:
    """Raise ValueError if labels are lacking that the fit had."""
    if labels is None and is_labelled(model):
        raise ValueError(
            f"This {type(model).__name__} was fitted with labels, which are part of its data: give "
            "them here as well, labels=..."
        )


def _shown(model: Any) -> str:
    if not hasattr(model, "criteria") or isinstance(model, type):
        return f"{model!r:.60}"
    return f"a {type(model).__name__} that is not fitted"
