"""What the estimators share: a fit to show, to resume from a checkpoint, to save and load."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from dem import checkpoint as checkpoints
from dem.checkpoint import Saved
from dem.climb import Climb
from dem.engine.lazy import rowwise
from dem.engine.manifest import Manifest
from dem.engine.readers.base import Source
from dem.estimators import faces, inputs, stored
from dem.estimators.callbacks import CallbackSupportMixin, told
from dem.fitting import Fit, carry_out, go_on
from dem.jobs import Job, begin
from dem.storable import JSON
from dem.store.fits import fit_of


class Fitted(CallbackSupportMixin, BaseEstimator):
    """An estimator whose attributes are those of a `Fit`."""

    kept: ClassVar[tuple[str, ...]] = ("tol", "max_iter", "n_init")  # arguments that are saved
    face: ClassVar[tuple[str, ...]] = ()  # and those that change what is made of a fit alone
    checkpoint: Any
    verbose: Any
    _fitted: Fit

    @classmethod
    def resume(
        cls,
        checkpoint: Any,
        X: Any = None,
        sample_weight: Any = None,
        *,
        max_iter: int | None = None,
        verbose: Any = 0,
        **more: Any,
    ) -> Self:
        """Go on with a fit that was cut off, from its checkpoint; see `dem.resume`.

        X and sample_weight (and labels) are those of the fit; an X that was a path is found again
        by it. The arguments are those of the fit as well, but for a new limit to the turns, all
        counted, and those that a fit does not depend on, such as `whiten`, which are to be given.
        """
        saved = checkpoints.load(checkpoint)
        if max_iter is not None:
            saved = saved.longer(max_iter)
        data = saved.place if X is None else X
        if data is None:
            raise ValueError("The data of this fit were not given by a path: pass them as X.")
        face = {name: more.pop(name) for name in cls.face if name in more}
        arguments = cls.arguments_of(saved) | face
        self = cls(**arguments, checkpoint=checkpoint, verbose=verbose)
        self._expect(saved.climb.model)
        manifest = self._open(data, sample_weight, **more)
        self._conclude(self._gone_on(saved, manifest), manifest, data)
        return self

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit to the rows of X (n_samples, n_features), each counted `sample_weight` times."""
        self._check()
        climb, manifest = self._asked(X, sample_weight)
        self._conclude(self._carried_out(climb, manifest), manifest, X)
        return self

    def _carried_out(self, climb: Climb, manifest: Manifest) -> Any:
        keeper = checkpoints.keeper(self.checkpoint, climb, manifest)
        with told(self, climb, inputs.observer_of(self.verbose)) as observer:
            return carry_out(climb, manifest, observer, keeper=keeper)

    def _gone_on(self, saved: Saved, manifest: Manifest) -> Any:
        return go_on(saved, manifest, inputs.observer_of(self.verbose))

    def submit(
        self,
        X: Any,
        sample_weight: Any = None,
        *,
        client: Any = None,
        run: str | None = None,
        **more: Any,
    ) -> Job:
        """Begin the fit on the scheduler of a cluster and return at once; see `dem.submit`.

        The estimator itself stays as it is: the job's result is a `Fit`.
        """
        self._check()
        other = copy.copy(self)  # its attributes are set, and not those of this one
        climb, manifest = other._asked(X, sample_weight, **more)
        return begin(climb, manifest, client=client, run=run, checkpoint=self.checkpoint)

    def plot(self, columns: Any = None, ax: Any = None) -> Any:
        """A picture of the components, as matplotlib Axes.

        Ellipses of half and 95 % of each component over two columns, by default those that tell
        them apart the most; the densities of one; of discrete columns what is expected of each.
        A `MixedMixture` gives an array of Axes, one for each family of columns.

        columns : the names or numbers of those to draw.

        Raises TypeError for a model without a picture (see `dem.plots`), ModuleNotFoundError
        without matplotlib, which the extra `plot` brings.
        """
        check_is_fitted(self)
        return faces.picture(self._fitted, *self._columns(), columns, ax)

    def to_frame(self) -> Any:
        """The parameters as a pandas DataFrame, a row for each number.

        Its columns are parameter, component, column, other (the second column of a covariance, or
        the level of a category) and value; of a symmetric matrix it has the lower triangle.
        """
        check_is_fitted(self)
        return faces.frame(self._fitted, *self._columns())

    def _columns(self) -> tuple[Any, Any]:
        """The columns' names, or their numbers, and the levels of those with any."""
        names = getattr(self, "feature_names_in_", range(self.n_features_in_))
        levels = [own and tuple(own) for own in getattr(self, "_levels", ())]
        return list(names), levels

    def _asked(self, X: Any, sample_weight: Any) -> tuple[Climb, Manifest]:
        """The fit that is asked for, and the data; TypeError or ValueError if they cannot be."""
        manifest = self._open(X, sample_weight)
        return self._climb(self._model(manifest), manifest), manifest

    def _check(self) -> None:
        """Raise TypeError or ValueError for arguments that cannot be, whatever the data are."""

    def _expect(self, model: Any) -> None:
        """Know the model of a fit before data are opened for it again."""

    def _open(self, X: Any, sample_weight: Any = None, *, reset: bool = True) -> Manifest:
        """The manifest of X; `reset` while fitting, which is when attributes are set."""
        return inputs.manifest_of(X, self._source(X, reset=reset), sample_weight)

    def _source(self, X: Any, *, reset: bool) -> Source:
        """The source of X, its width and column names checked, or noted where `reset`."""
        return inputs.usable(self, X, reset=reset)

    def _model(self, manifest: Manifest) -> Any:
        """The model that the arguments describe; TypeError or ValueError if they cannot be."""
        raise NotImplementedError

    def _climb(self, model: Any, manifest: Manifest) -> Climb:
        """The fit of it to these data; TypeError or ValueError as the model."""
        raise NotImplementedError

    def to_store(self) -> stored.Parts:
        """Arrays in the frame of the fit, and the rest as JSON; see `dem.save`."""
        check_is_fitted(self)
        arrays, attributes = stored.parts_of(self, self.kept)
        face: JSON = {name: getattr(self, name) for name in self.face}
        return arrays, {**attributes, "face": face} if face else attributes

    @classmethod
    def from_store(cls, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Self:
        """The estimator that `to_store` described; ValueError if the parts do not fit together."""
        fitted = fit_of(arrays, attributes)
        self = cls(**cls._arguments_of_model(fitted.model))
        stored.restore(self, attributes)
        if self.face:
            self.set_params(**{name: attributes["face"][name] for name in self.face})
        self._restore(attributes)
        self._expect(fitted.model)
        self._keep(fitted)
        return self

    def _restore(self, attributes: Mapping[str, Any]) -> None:
        """Set what `to_store` of a subclass has added; ValueError if it makes no sense."""

    @classmethod
    def _arguments_of_model(cls, model: Any) -> dict[str, Any]:
        """The arguments that describe a model; ValueError if they cannot."""
        raise NotImplementedError

    @classmethod
    def arguments_of(cls, saved: Saved) -> dict[str, Any]:
        """The arguments that describe the fit of a checkpoint; ValueError if they cannot."""
        raise NotImplementedError

    def _keep(self, fitted: Fit) -> None:
        """Set the attributes of a fit."""
        self._fitted = fitted
        self.converged_, self.n_iter_ = fitted.converged, len(fitted.history)
        self.history_, self.n_passes_ = fitted.history, fitted.n_passes
        self.phases_ = fitted.phases
        self.n_rows_read_ = sum(phase.rows for phase in fitted.phases)

    def _conclude(self, fitted: Fit, manifest: Manifest, X: Any) -> None:
        """Keep a fit to X, which was opened as a manifest, and warn of what is wrong with it."""
        raise NotImplementedError

    def _rowwise(
        self,
        X: Any,
        function: Any,
        dtype: Any,
        width: int | None = None,
        axis: str = "component",
    ) -> Any:
        """A function of blocks of rows over all of X; lazy on lazy X. See `engine.lazy.rowwise`."""
        return rowwise(X, self._source(X, reset=False), function, dtype, width, axis)
