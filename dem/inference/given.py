"""A fit and its data, from whatever the user has of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dem.engine.hosts import check_memory, choose
from dem.engine.manifest import Manifest, open_data
from dem.passes import LogLikelihood, Pass
from dem.records import Fit
from dem.relay import reaches

__all__ = ["Given", "check_labels", "given", "is_labelled"]


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

    @property
    def weight(self) -> float:
        """Σ w, by one pass where rows have weights."""
        if self.manifest.weights is None:
            return float(self.manifest.n_rows)
        return float(self.total(LogLikelihood(self.fit.model, self.fit.params))[1])


def given(model: Any, data: Any, weights: Any, y: Any = None, labels: Any = None) -> Given:
    """The fit inside of a mixture's estimator, or one by `dem.fit`, and the data, opened.

    With labels the fit is that of rows and a column of labels, which an estimator forgets.

    Raises TypeError for anything else, ValueError for labels of an estimator that was fitted
    without, and what the estimator raises for data unlike the fit's.
    """
    _check_rows_apart(model.model if isinstance(model, Fit) else getattr(model, "_fitted", None))
    if isinstance(model, Fit):
        if labels is not None:
            raise ValueError("labels are for estimators; a Fit has them in a column of its data.")
        manifest = data if isinstance(data, Manifest) else open_data(data, weights=weights)
        return Given(model, manifest, manifest.columns or tuple(range(manifest.n_columns)))
    fitted = getattr(model, "_fitted", None)
    if not isinstance(fitted, Fit) or not hasattr(model, "criteria"):
        raise TypeError(
            "model must be a fitted estimator of a mixture, or the Fit that dem.fit returns, "
            f"got {_shown(model)}."
        )
    if labels is not None:
        return _labelled(model, data, weights, labels)
    more = {} if y is None else {"y": y}
    manifest = (
        data if isinstance(data, Manifest) else model._open(data, weights, reset=False, **more)
    )
    names = getattr(model, "feature_names_in_", range(manifest.n_columns))
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


def _check_rows_apart(model: Any) -> None:
    """Raise TypeError for a model, or its fit, in which rows depend on each other."""
    model = model.model if isinstance(model, Fit) else model
    if reaches(model):
        raise TypeError(f"rows of {model} depend on each other: this is for those that do not.")


def _shown(model: Any) -> str:
    if not hasattr(model, "criteria") or isinstance(model, type):
        return f"{model!r:.60}"
    return f"a {type(model).__name__} that is not fitted"
