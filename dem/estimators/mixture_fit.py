"""What all estimators of mixtures share: arguments, a fit of a model, and its attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from dem.checkpoint import Saved
from dem.checks import check_number
from dem.climb import Climb
from dem.engine.manifest import Manifest
from dem.estimators import inputs, known, recipe, stored
from dem.estimators.fitted import Fitted
from dem.fitting import Fit
from dem.models.mixture import Mixture
from dem.starts import Given, Start


class MixtureFit(Fitted):
    """An estimator whose model is a mixture; a subclass says of what family, and with what words.

    family_type : the class of the family.
    what : the model in words, for messages.
    """

    family_type: ClassVar[type]
    what: ClassVar[str]
    _labelled: bool = False  # of the rows of the fit; its model no longer tells

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "auto",
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
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.schedule = schedule
        self.accelerate = accelerate
        self.posterior = posterior
        self.max_passes = max_passes
        self.max_time = max_time
        self.checkpoint = checkpoint

    @classmethod
    def from_fit(cls, fit: Fit, X: Any = None) -> Self:
        """The estimator of a fit by `dem.fit`, `dem.resume` or a job, in the user's units.

        X : the data of the fit, or others like them, for the names and levels of its columns.

        Raises TypeError or ValueError unless it is the `Fit` of such a mixture.
        """
        if not isinstance(fit, Fit):
            raise TypeError(f"from_fit takes the Fit that dem.fit returns, got {fit!r:.60}.")
        self = cls(**cls._arguments_of_model(fit.model))
        self._expect(fit.model)
        own = known.bare(fit.model, cls.family_type)
        if X is not None and (model := self._model(self._open(X))) != own:
            raise ValueError(f"X is of other columns than the fit: {model}, not {own}.")
        self._keep(fit)
        return self

    def _check(self) -> None:
        check_number("n_components", self.n_components, int, 1)

    def _model(self, manifest: Manifest) -> Mixture:
        return Mixture(self.n_components, self._family(manifest))

    def _family(self, manifest: Manifest) -> Any:
        """The components' family for these data; TypeError or ValueError if there is none."""
        raise NotImplementedError

    @classmethod
    def _arguments_of_model(cls, model: Any) -> dict[str, Any]:
        model = known.bare(model, cls.family_type)
        if not isinstance(model, Mixture) or not isinstance(model.family, cls.family_type):
            raise ValueError(f"not the fit of {cls.what} but of {model}")
        return {"n_components": model.k, **cls._arguments_of_family(model.family)}

    @classmethod
    def _arguments_of_family(cls, family: Any) -> dict[str, Any]:
        """The arguments that describe a family of this class."""
        return {}

    @classmethod
    def arguments_of(cls, saved: Saved) -> dict[str, Any]:
        climb, of_model = saved.climb, cls._arguments_of_model(saved.climb.model)
        words = recipe.words_of(climb)
        return {
            **of_model,
            **cls._arguments_of_start(climb.start, warm=words["schedule"] != "batch"),
            **words,
            "max_iter": climb.max_iter,
            "tol": climb.tol,
            "n_init": climb.n_init,
            "random_state": climb.seed,
            "max_passes": climb.max_passes,
            "max_time": climb.max_time,
        }

    @classmethod
    def _arguments_of_start(cls, start: Start, warm: bool) -> dict[str, Any]:
        return {"init_params": recipe.word_of(start, warm)}

    def _climb(self, model: Mixture, manifest: Manifest) -> Climb:
        inputs.check_rows(manifest, "n_components", self.n_components)
        policies = recipe.policies_of(self)
        if self.warm_start and hasattr(self, "_fitted"):
            start: Start = self._last(model, manifest.n_columns)
            n_init = 1
        else:
            start = self._start(model, manifest.n_columns)
            n_init = self.n_init
        return Climb(
            model,
            start=start,
            max_iter=self.max_iter,
            tol=self.tol,
            n_init=n_init,
            seed=inputs.seed_of(self.random_state),
            max_passes=self.max_passes,
            max_time=self.max_time,
            **policies,
        )

    def _start(self, model: Mixture, n_columns: int) -> Start:
        """Where a fit begins."""
        return recipe.start_of(self)

    def _last(self, model: Mixture, n_columns: int) -> Given:
        """The parameters of the last fit; ValueError if they do not suit this model and data."""
        fitted = self._fitted
        if (fitted.model, _width(fitted)) != (model, n_columns):
            raise ValueError(
                "warm_start cannot go on from the last fit: it was of "
                f"{fitted.model} to {_width(fitted)} columns, this is of {model} to {n_columns}. "
                "Use warm_start=False."
            )
        return Given(fitted.params, fitted.lower_bound)

    def to_store(self) -> stored.Parts:
        arrays, attributes = super().to_store()
        return arrays, {**attributes, "labelled": True} if self._labelled else attributes

    @classmethod
    def from_store(cls, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Self:
        self = super().from_store(arrays, attributes)
        self._labelled = attributes.get("labelled") is True
        return self

    def _keep(self, fitted: Fit) -> None:
        self._labelled = known.is_labelled(fitted.model, self.family_type)
        fitted = known.without_labels(fitted, self.family_type)
        super()._keep(fitted)
        self.n_features_in_ = _width(fitted)
        self.weights_ = fitted.params.weights
        self.n_parameters_ = fitted.model.n_parameters(fitted.params)
        self.lower_bound_ = fitted.lower_bound
        self.lower_bounds_ = [record.bound_e for record in fitted.history]
        self._describe(fitted)

    def _describe(self, fitted: Fit) -> None:
        """Set the attributes of the components, in the user's units."""
        for name, values in fitted.model.family.described(fitted.params.components).items():
            setattr(self, f"{name}_", values)

    def _conclude(self, fitted: Fit, manifest: Manifest, X: Any) -> None:
        self._keep(fitted)
        inputs.warn_about(fitted, self.max_iter, self.tol)

    def _prepared(self) -> tuple[Mixture, Any]:
        check_is_fitted(self)
        return self._fitted.model, self._fitted.model.prepare(self._fitted.params)


def _width(fitted: Fit) -> int:
    """D, which every family's rows have."""
    return int(fitted.model.sample(fitted.params, 1, np.random.default_rng(0))[0].shape[1])
