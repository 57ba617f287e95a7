"""Estimators whose columns may hold categories and strings, and lack values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from dem.checkpoint import Saved
from dem.climb import Climb
from dem.compression import if_it_pays
from dem.engine.manifest import Manifest
from dem.engine.readers.base import Source
from dem.engine.readers.codes import Among, Codes, Levels, coded
from dem.engine.readers.decoded import as_numbers, decoded, is_frame
from dem.estimators import inputs, known, stored
from dem.estimators.levels import coder, columns_of, with_levels
from dem.estimators.mixture import MixtureEstimator
from dem.storable import JSON

Array = np.ndarray


class CodedEstimator(MixtureEstimator):
    """A mixture of a family that takes codes for categories, and NaN for missing values.

    Levels are found while fitting and used again for what is predicted.
    """

    categories: ClassVar[bool] = True  # whether columns may hold any
    _codes: Codes | None = None
    _expected: tuple[int | None, ...] | None = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _carried_out(self, climb: Climb, manifest: Manifest) -> Any:
        found = if_it_pays(manifest)
        if found is None:
            return super()._carried_out(climb, manifest)
        return found.accounted(super()._carried_out(climb, found.manifest))

    def _gone_on(self, saved: Saved, manifest: Manifest) -> Any:
        whole = saved.data["number_of_rows"] == manifest.n_rows
        found = None if whole else if_it_pays(manifest)
        if found is None:
            return super()._gone_on(saved, manifest)
        return found.accounted(super()._gone_on(saved, found.manifest))

    def impute(self, X: Any) -> Any:
        """X with what is expected in the place of missing values; lazy on lazy X.

        That is E[x_d | the values of the row that are there], for categories the most probable
        one. A dataframe comes back as one, with its categories; everything else as float64
        (n_samples, n_features), in which categories that are strings are their places in `levels_`.

        Raises DataError where a value is missing that may not be.
        """
        model, prepared = self._prepared()
        family: Any = model.family  # one of those that have `expected`
        components = self._fitted.params.components
        codes, width, frame = self._codes, self.n_features_in_, is_frame(X)

        def filled(rows: Array) -> Array:
            missing = np.isnan(rows)
            if missing.any():
                likely = family.expected(components, rows, model.posterior(prepared, rows))
                rows = np.where(missing, likely, rows)
            return rows if frame else as_numbers(rows, codes)

        result = self._rowwise(X, filled, np.float64, width, axis="")
        return decoded(X, result, codes) if frame and codes is not None else result

    def sample(self, n_samples: int = 1) -> tuple[Array, Array]:
        """Random rows (n_samples, n_features) and their components, ordered by component.

        Categories that are strings are their places in `levels_`.
        """
        rows, labels = super().sample(n_samples)
        return as_numbers(rows, self._codes), labels

    def to_store(self) -> stored.Parts:
        arrays, attributes = super().to_store()
        codes = self._codes
        kept: JSON = None
        if codes is not None:
            levels: list[JSON] = [None if own is None else list(own) for own in codes.levels]
            kept = {"kinds": list(codes.kinds), "levels": levels}
        return arrays, {**attributes, "codes": kept}

    def _restore(self, attributes: Mapping[str, Any]) -> None:
        if (kept := attributes["codes"]) is not None:
            levels = tuple(None if own is None else tuple(own) for own in kept["levels"])
            if len(levels) != len(kept["kinds"]):
                raise ValueError("there are not as many levels as kinds of columns")
            self._codes = Codes(tuple(str(kind) for kind in kept["kinds"]), levels)

    def _source(self, X: Any, *, reset: bool) -> Source:
        # A bare fit has left no levels: then X must hold numbers.
        codes = Codes() if reset else self._codes
        source = self._opened(X, codes if self.categories else None, reset=reset)
        here = columns_of(source)
        if reset:
            self._codes = self._found(source, here)
        return coded(source, self._coders(here, source.columns))

    def _opened(self, X: Any, codes: Codes | None, *, reset: bool) -> Source:
        """The source of X, with codes for what is no number."""
        return inputs.usable(self, X, reset=reset, codes=codes)

    def _expect(self, model: Any) -> None:
        self._expected = self._levels_of(known.bare(model, self.family_type).family)

    def _levels_of(self, family: Any) -> tuple[int | None, ...] | None:
        """How many levels the columns of a family have, None for those it does not know."""
        return None

    def _found(self, source: Source, here: Codes) -> Codes:
        """What the columns hold, with the levels of those numbers that are categories."""
        wanted = self._categories(source, here)
        columns = tuple(j for j, ask in enumerate(wanted) if ask and here.levels[j] is None)
        return with_levels(source, here, columns, self._expected)

    def _categories(self, source: Source, here: Codes) -> tuple[bool, ...]:
        """Which columns are of categories, though they may hold numbers."""
        return (False,) * len(here.kinds)

    def _coders(self, here: Codes, names: tuple[str, ...] | None) -> tuple[Among | None, ...]:
        """What codes the columns of numbers of some data, in which others are coded already."""
        levels = self._codes.levels if self._codes else (None,) * len(here.kinds)
        return tuple(
            coder(own, j, names) if coded_already is None and own is not None else None
            for j, (own, coded_already) in enumerate(zip(levels, here.levels, strict=True))
        )

    @property
    def _levels(self) -> tuple[Levels | None, ...]:
        """The levels of each column, None where it has no codes."""
        return self._codes.levels if self._codes else (None,) * self.n_features_in_

    def _arrays_of_levels(self) -> list[Array | None]:
        return [None if own is None else np.array(own) for own in self._levels]

    def _column_names(self, n: int) -> list[Any]:
        """The columns' names, or their numbers."""
        return list(getattr(self, "feature_names_in_", range(n)))
