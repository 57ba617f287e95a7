"""What estimators share: checking inputs and arguments as scikit-learn does, words to objects."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from dem import starts
from dem.accelerate import Plain, QuasiNewton
from dem.checks import check_number, check_offers
from dem.engine.manifest import Manifest, cut, open_source, place_of
from dem.engine.readers.arrays import open_array
from dem.engine.readers.base import Source, is_a
from dem.engine.readers.codes import Codes
from dem.engine.readers.frames import common_dtype
from dem.errors import DataError, DegenerateComponentWarning
from dem.families import Diagonal, Full, Spherical, Tied
from dem.fitting import Fit
from dem.posteriors import Exact, Hard
from dem.report.progress import Observer, Progress, Silent
from dem.schedules import FullBatch, Incremental, Stepwise, VarianceReduced
from dem.warm import Annealing, WarmStart

COVARIANCES = {form.name: form for form in (Full(), Tied(), Diagonal(), Spherical())}
SCHEDULES = {
    "auto": FullBatch(),
    "batch": FullBatch(),
    "incremental": Incremental(),
    "stepwise": Stepwise(),
    "variance-reduced": VarianceReduced(),
}
ACCELERATORS = {"none": Plain(), "quasi-newton": QuasiNewton()}
POSTERIORS = {"exact": Exact(), "hard": Hard()}
STARTS = {
    "warm": WarmStart(),
    "annealed": Annealing(),
    "k-means||": starts.KMeansParallel(),
    "k-means++": starts.KMeansPlusPlus(),
    "kmeans": starts.KMeansPlusPlus(lloyd=True),
    "random": starts.RandomResponsibilities(),
    "random_from_data": starts.RandomRows(),
}


def resolve(name: str, value: Any, words: Mapping[str, Any], protocol: type) -> Any:
    """The object that a short word stands for; an object that offers what it takes is itself."""
    either = f"one of {sorted(words)} or "
    if not isinstance(value, str):
        check_offers(name, value, protocol, either)
        return value
    if value not in words:
        raise ValueError(f"{name} must be {either}a {protocol.__name__}, got {value!r}.")
    return words[value]


def word_of(value: Any, words: Mapping[str, Any]) -> Any:
    """The short word that stands for an object, or else the object."""
    return next((word for word, known in words.items() if known == value), value)


def check_array_of(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """value as a finite float64 array of this shape, None as it is; else ValueError."""
    if value is None:
        return None
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be turned into an array of numbers: {error}") from error
    if array.shape != shape:
        raise ValueError(f"{name} should have the shape {shape}, but got {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity.")
    return array


def seed_of(random_state: Any) -> int:
    """A seed from scikit-learn's random_state: an int is itself, a generator gives one draw."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    check_number("random_state", random_state, int, 0)
    return int(random_state)


def observer_of(verbose: Any) -> Observer:
    """verbose as an observer: 0 is silent, a number or True shows progress, an object is one."""
    if isinstance(verbose, (int, np.integer, np.bool_)):
        return Progress() if verbose else Silent()
    if isinstance(verbose, type) or not hasattr(verbose, "on_step"):
        raise TypeError(f"verbose must be int or an observer, got {type(verbose).__name__}.")
    return verbose


def manifest_of(X: Any, source: Source, sample_weight: Any = None) -> Manifest:
    """The blocks of X, which was opened as a source; weights as scikit-learn takes them."""
    if np.isscalar(sample_weight) and not isinstance(sample_weight, str):
        sample_weight = np.broadcast_to(sample_weight, source.shape[:1])  # takes no memory
    return replace(cut(source, weights=sample_weight), place=place_of(X))


def check_unopened(X: Any) -> None:
    """Raise TypeError for a manifest."""
    if isinstance(X, Manifest):
        raise TypeError(
            "X was opened for dem.fit, by dem.open_data or dem.sequences: estimators take the data "
            "themselves, and beside them sample_weight, or the lengths or groups of sequences."
        )


def usable(estimator: Any, X: Any, *, reset: bool, codes: Codes | None = None) -> Source:
    """The source of X, turned into an array if it is array-like in memory; its width checked.

    With scikit-learn's checks and attributes; `reset` while fitting. Values are not looked at
    here: a NaN is found, and named with its place, when it is read.

    codes : of columns that are not numeric, which are refused without; see `open_source`.
    """
    check_unopened(X)
    if codes is not None and is_a(X, "pandas", "DataFrame"):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return open_source(X, codes)
    if not elsewhere(X):
        if is_a(X, "pandas", "DataFrame"):  # objects may be numbers, as scikit-learn has it
            common_dtype(X.loc[:, [dtype.name != "object" for dtype in X.dtypes]])
        array = validate_data(
            estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )  # fmt: skip
        names = getattr(estimator, "feature_names_in_", None) if hasattr(X, "columns") else None
        return open_source(array) if names is None else open_array(array, tuple(names))
    source = open_source(X, codes)
    note(estimator, source, reset=reset)
    return source


def note(estimator: Any, source: Source, *, reset: bool) -> None:
    """Set width and column names of a source while fitting; later, ValueError for others."""
    width = source.shape[1]
    if reset:
        estimator.n_features_in_ = width
        if source.columns is not None:
            estimator.feature_names_in_ = np.array(source.columns, dtype=object)
        elif hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
        return
    check_is_fitted(estimator)
    _check_names(estimator, source.columns)
    if width != estimator.n_features_in_:
        raise ValueError(
            f"X has {width} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )


def _check_names(estimator: Any, names: tuple[str, ...] | None) -> None:
    """Raise ValueError if the columns have other names, or another order, than in the fit."""
    before = getattr(estimator, "feature_names_in_", None)
    if before is None or names is None or len(before) != len(names):
        return
    for column, (old, new) in enumerate(zip(before, names, strict=True)):
        if old != new:
            raise ValueError(
                "The feature names should match those that were passed during fit, in the same "
                f"order: column {column} is {new!r}, and was {old!r}."
            )


def elsewhere(X: Any) -> bool:
    """Whether X is for `open_source` to judge: a path, or an object of a data library.

    Masked arrays too: scikit-learn would go by the values that the mask hides.
    """
    module = type(X).__module__.partition(".")[0]
    return (
        isinstance(X, str)
        or hasattr(X, "__fspath__")
        or isinstance(X, (np.memmap, np.ma.MaskedArray))
        or module in ("dask", "dask_expr", "zarr", "xarray", "pyarrow")
    )


def check_rows(manifest: Manifest, name: str, k: int) -> None:
    """Raise unless there are at least k rows."""
    if manifest.n_rows < k:
        raise DataError(
            f"Expected n_samples >= {name} but got {name} = {k}, n_samples = {manifest.n_rows}"
        )


def warn_about(fitted: Fit, max_iter: int, tol: float, asked: str = "") -> None:
    """Say what a user must know about how a fit ended; `tol` is that of `dem.fit`.

    asked : what the user has asked of the last change, in other words.
    """
    if fitted.interrupted:
        warnings.warn(
            f"Interrupted: kept the parameters of turn {len(fitted.history)}.",
            ConvergenceWarning,
            stacklevel=4,
        )
    elif not fitted.converged and len(fitted.history) < max_iter:
        turns, seconds = len(fitted.history), sum(phase.seconds for phase in fitted.phases)
        warnings.warn(
            f"max_passes or max_time was spent ({fitted.n_passes:.3g} passes, {seconds:.3g} s) "
            f"after {turns} iterations, before the fit converged: these are the best parameters "
            "so far.",
            ConvergenceWarning,
            stacklevel=4,
        )
    elif not fitted.converged and max_iter > 0:
        turns, bounds = len(fitted.history), [record.bound_e for record in fitted.history[-2:]]
        moved = f"last changed by {abs(bounds[1] - bounds[0]):.2g}" if len(bounds) > 1 else "is new"
        if tol == 0:
            asked = "tol=0 asks for all of them. Give tol > 0 for a fit that stops by itself"
        else:
            asked = (
                f"{asked or f'tol={tol:g} asks for a smaller change'}. Try different init "
                "parameters, or increase max_iter, tol, or check for degenerate data"
            )
        warnings.warn(
            f"Best performing initialization did not converge in {turns} iterations: the bound "
            f"per row {moved}, and {asked}.",
            ConvergenceWarning,
            stacklevel=4,
        )
    for fault in fitted.degenerate:
        warnings.warn(fault, DegenerateComponentWarning, stacklevel=4)
