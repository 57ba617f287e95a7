"""True classes of items, and how well those who rated them did (Dawid and Skene 1979)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dem.checkpoint import Saved
from dem.checks import check_number
from dem.contract import Sample
from dem.engine.manifest import Manifest
from dem.engine.readers.arrays import ArraySource
from dem.engine.readers.base import Source
from dem.engine.readers.codes import Codes, plain_levels
from dem.engine.readers.words import as_words, open_words
from dem.errors import DataError
from dem.estimators import inputs, known
from dem.estimators.coded import CodedEstimator
from dem.families.product import Product
from dem.families.ratings import Ratings
from dem.fitting import Fit
from dem.models.mixture import Mixture, MixtureParams
from dem.starts import NO_PASS, Start, Steps
from dem.storable import storable

Array = np.ndarray


@dataclass(frozen=True)
class Votes:
    """Each item belongs to the classes in the shares that its answers have; see Dawid and Skene."""

    numbered: ClassVar[bool] = True

    def __call__(self, model: Mixture, sample: Sample, seed: int) -> Steps:
        yield from NO_PASS
        family: Any = model.family
        own: Any = family.parts[0][0] if isinstance(family, Product) else family  # labels beside
        votes = (
            (sample.rows[:, : len(own.raters)] == np.arange(model.k)[:, None, None])
            .sum(axis=2)
            .astype(float)
        )
        total = votes.sum(axis=0)
        shares = np.where(total > 0, votes / np.maximum(total, 1.0), 1.0 / model.k)
        started: MixtureParams = model.start_from(sample, shares)
        return started


@storable("DawidSkene")
class DawidSkene(CodedEstimator):
    """The true classes of items, from what several raters say of them, for data of any size.

    p(x) = Σₖ πₖ ∏_d p(x_d | rater of d, true class k): a latent class analysis in which classes are
    those that raters name, and each rater has a confusion matrix (Dawid and Skene 1979). Rows are
    items, columns ratings; NaN, None or NULL where there is none. Answers are numbers or strings,
    of arrays and lists too.

    Parameters
    ----------
    raters : sequence of n_features, or None
        Who gave the ratings of each column; None is a rater for each. Where one rates an item
        several times, these are several columns.
    tol : float, default=1e-6, max_iter : int, default=1000
    random_state, warm_start, verbose, schedule, accelerate, posterior, max_passes, max_time,
    checkpoint : as in `dem.GaussianMixture`.

    A fit begins at the shares of the answers that an item has got.

    Attributes
    ----------
    classes_ : (n_classes,)
        All answers, sorted (of categories in their order).
    weights_ : (n_classes,)
        How common each class is.
    raters_ : (n_raters,)
        In the order of their first columns.
    confusion_matrices_ : (n_raters, n_classes, n_classes)
        p(answer | true class): a row for each true class. At least 1e-10.
    converged_, n_iter_, lower_bound_, lower_bounds_, history_, n_passes_, n_rows_read_, phases_,
    n_parameters_, n_features_in_, feature_names_in_ : as in `dem.GaussianMixture`.

    `predict` gives the most probable class of each item, `predict_proba` what is known of it.
    """

    family_type = Ratings
    what = "a model of raters"
    kept: ClassVar[tuple[str, ...]] = ("tol", "max_iter")
    face: ClassVar[tuple[str, ...]] = ("raters",)
    n_init = 1  # the start is not random
    init_params = "auto"

    def __init__(
        self,
        raters: Sequence[Any] | None = None,
        *,
        tol: float = 1e-6,
        max_iter: int = 1000,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: Any = 0,
        schedule: Any = "auto",
        accelerate: Any = "auto",
        posterior: Any = "exact",
        max_passes: float | None = None,
        max_time: float | None = None,
        checkpoint: Any = None,
    ) -> None:
        self.raters = raters
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.schedule = schedule
        self.accelerate = accelerate
        self.posterior = posterior
        self.max_passes = max_passes
        self.max_time = max_time
        self.checkpoint = checkpoint

    @property
    def n_components(self) -> int:  # type: ignore[override]
        """The number of classes, once data have been seen."""
        return len(self._levels[0] or ())

    def predict(self, X: Any) -> Any:
        """The most probable class of each item, (n_samples,); lazy on lazy X."""
        codes, classes = super().predict(X), self.classes_
        if isinstance(codes, np.ndarray):
            return classes[codes]
        return codes.map_blocks(lambda block: classes[block], dtype=classes.dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags

    def _check(self) -> None:
        check_number("tol", self.tol, float, 0)
        check_number("max_iter", self.max_iter, int, 1)

    def _opened(self, X: Any, codes: Codes | None, *, reset: bool) -> Source:
        words = as_words(X)
        if words is None:
            return super()._opened(X, codes, reset=reset)
        inputs.note(self, ArraySource(words), reset=reset)
        return open_words(words, codes or Codes())

    def _source(self, X: Any, *, reset: bool) -> Source:
        source = super()._source(X, reset=reset)
        codes = getattr(source, "codes", None)
        if reset and codes and self._codes and codes.levels != self._codes.levels:
            return super()._source(X, reset=False)  # now that the answers of all columns are known
        return source

    def _found(self, source: Source, here: Codes) -> Codes:
        found = super()._found(source, here)
        every = [own or () for own in found.levels]
        if len(set(every)) > 1 and any(own != tuple(sorted(own)) for own in every):
            raise DataError(
                "Columns have different categories: give all of them the same dtype, such as "
                "pandas.CategoricalDtype(classes)."
            )
        if len(set(every)) > 1:
            answers = plain_levels({level for own in every for level in own}, "X")
            return Codes(found.kinds, (answers,) * len(every))
        return found

    def _categories(self, source: Source, here: Codes) -> tuple[bool, ...]:
        return (True,) * len(here.kinds)

    def _family(self, manifest: Manifest) -> Ratings:
        names = self._raters_of(manifest.n_columns)
        every = list(dict.fromkeys(names))
        return Ratings(self.n_components, tuple(every.index(name) for name in names))

    def _raters_of(self, d: int) -> list[Any]:
        """The rater of each of d columns."""
        names = list(range(d)) if self.raters is None else list(self.raters)
        if len(names) != d:
            raise ValueError(f"raters has {len(names)} entries, X has {d} columns.")
        return [name.item() if isinstance(name, np.generic) else name for name in names]

    def _start(self, model: Mixture, n_columns: int) -> Start:
        return Votes()

    @classmethod
    def _arguments_of_model(cls, model: Any) -> dict[str, Any]:
        family = known.bare(model, cls.family_type).family
        if not isinstance(family, Ratings):
            raise ValueError(f"not the fit of {cls.what} but of {model}")
        return {"raters": family.raters}

    @classmethod
    def arguments_of(cls, saved: Saved) -> dict[str, Any]:
        own = super().arguments_of(saved)
        return {name: value for name, value in own.items() if name not in ("n_init", "init_params")}

    def _describe(self, fitted: Fit) -> None:
        family: Ratings = fitted.model.family
        self.confusion_matrices_ = family.matrices(fitted.params.components)
        names = self._raters_of(len(family.raters))
        self.raters_ = np.array(list(dict.fromkeys(names)))
        levels = self._levels[0] if self._codes else None
        self.classes_ = np.arange(family.levels) if levels is None else np.array(levels)
