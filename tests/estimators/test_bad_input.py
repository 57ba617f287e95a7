"""What cannot be fitted is refused, in words that say what to do."""

from collections.abc import Callable
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

import dem
from dem.report.progress import Silent
from dem.starts import KMeansParallel

both = pytest.mark.parametrize("estimator", [dem.GaussianMixture, dem.KMeans])
Data = Callable[[np.ndarray], Any]


def dask(x: np.ndarray) -> da.Array:
    return da.from_array(x, chunks=(300, *x.shape[1:]))


def unknown(x: np.ndarray) -> da.Array:
    return dask(x)[dask(x)[:, 0] > 0]


REFUSED: list[tuple[str, Data, type[Exception], str]] = [
    ("1-D", lambda x: x[:, 0], ValueError, "Expected 2D array, got 1D array"),
    ("1-D Dask", lambda x: dask(x)[:, 0], ValueError, "Expected 2D array, got 1D array"),
    ("3-D", lambda x: x[None], ValueError, "Found array with dim 3"),
    ("3-D Dask", lambda x: dask(x)[None], ValueError, "Found array with dim 3"),
    ("a number", lambda x: 3.0, ValueError, "Expected 2D array, got scalar array"),
    ("None", lambda x: None, ValueError, "Expected 2D array, got scalar array"),
    ("no rows", lambda x: x[:0], ValueError, r"Found array with 0 sample\(s\)"),
    ("no rows, Dask", lambda x: dask(x)[:0], ValueError, r"Found array with 0 sample\(s\)"),
    ("no columns", lambda x: x[:, :0], ValueError, r"Found array with 0 feature\(s\)"),
    ("complex", lambda x: x + 0j, ValueError, "Complex data not supported"),
    ("complex Dask", lambda x: dask(x + 0j), ValueError, "Complex data not supported"),
    ("strings", lambda x: x.astype(str), ValueError, "not compatible with arrays of bytes/str"),
    ("strings, Dask", lambda x: dask(x.astype(str)), ValueError, "Convert your data to numeric"),
    ("dates", lambda x: dask(x.astype("M8[s]")), ValueError, r"dtype datetime64\[s\] is not sup"),
    ("sparse array", sparse.csr_array, TypeError, "Sparse data was passed for X.*toarray"),
    ("sparse matrix", sparse.csc_matrix, TypeError, "Sparse data was passed for X.*toarray"),
    ("masked", lambda x: np.ma.masked_array(x, x > 3), ValueError, "contains NaN"),
    ("unknown chunks", unknown, ValueError, r"unknown sizes.*X = X.compute_chunk_sizes\(\)"),
    ("no path", lambda x: "/no/such/data.zarr", FileNotFoundError, "No such file.*such/data.zarr"),
    ("no npy", lambda x: "no/such.npy", FileNotFoundError, r"No such file.*such\.npy"),
    (
        "names in a frame",
        lambda x: dd.from_pandas(pd.DataFrame({"a": x[:, 0], "b": "text"}), 1),
        ValueError,
        "not numeric: 'b'.*Drop them or encode",
    ),
    (
        "names in a frame of pandas",
        lambda x: pd.DataFrame({"a": x[:, 0], "b": pd.Categorical(["text"] * len(x))}),
        ValueError,
        "not numeric: 'b'.*Drop them or encode",
    ),
    ("too few rows", lambda x: x[:4], ValueError, r"n_samples >= n_c\w+ but got n_c\w+ = 5, n_sam"),
    ("too few, Dask", lambda x: dask(x[:4]), ValueError, r"n_samples >= n_c\w+ but got n_c\w+ = 5"),
    ("overflow", lambda x: x * 1e200, ValueError, "so large that their squares overflow: in bl"),
]


@both
@pytest.mark.parametrize(
    ("data", "error", "message"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_data(
    x: np.ndarray, estimator: Any, data: Data, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"(?s){message}"):
        estimator(5).fit(data(x))


WEIGHTS: list[tuple[str, Any, str]] = [
    ("negative", np.r_[np.ones(899), -1.0], r"weight of row 899 is -1\.0; weights must be finite"),
    ("NaN", np.r_[1.0, np.nan, np.ones(898)], "weight of row 1 is nan; weights must be finite"),
    ("infinite", np.r_[1.0, np.inf, np.ones(898)], "weight of row 1 is inf"),
    ("negative, Dask", -da.ones(900, chunks=300), r"weight of row \d+ is -1\.0"),
    ("too few", np.ones(5), "There are 5 weights for 900 rows"),
    ("too few, Dask", da.ones(5), "There are 5 weights for 900 rows"),
    ("a column", np.ones((900, 1)), r"Sample weights must be 1D array or scalar; got shape \(900"),
    ("strings", ["a"] * 900, "Weights must be real numbers"),
    ("all zero", np.zeros(900), "All sample weights are zero"),
]


@both
@pytest.mark.parametrize(
    ("weights", "message"), [w[1:] for w in WEIGHTS], ids=[w[0] for w in WEIGHTS]
)
@pytest.mark.parametrize("make", [np.array, dask], ids=["NumPy", "Dask"])
def test_weights(x: np.ndarray, estimator: Any, weights: Any, message: str, make: Any) -> None:
    with pytest.raises(dem.DataError, match=message):
        estimator(2).fit(make(x), sample_weight=weights)


@both
@pytest.mark.parametrize("make", [np.array, dask], ids=["NumPy", "Dask"])
def test_weights_of_a_score(x: np.ndarray, estimator: Any, make: Any) -> None:
    fitted = estimator(2, random_state=0).fit(x)
    with pytest.raises(dem.DataError, match="There are 4 weights for 900 rows"):
        fitted.score(make(x), sample_weight=np.ones(4))


@both
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, ValueError, r"n_c\w+ must be >= 1, got 0"),
        ({"k": -1}, ValueError, r"n_c\w+ must be >= 1, got -1"),
        ({"k": 2.0}, TypeError, r"n_c\w+ must be int, got float"),
        ({"k": True}, TypeError, r"n_c\w+ must be int, got bool"),
        ({"tol": -1e-3}, ValueError, r"tol must be >= 0, got -0\.001"),
        ({"tol": np.nan}, ValueError, "tol must be >= 0, got nan"),
        ({"tol": np.inf}, ValueError, "tol must be finite, got inf"),
        ({"tol": "small"}, TypeError, "tol must be float, got str"),
        ({"max_iter": -1}, ValueError, r"max_iter must be >= \d, got -1"),
        ({"n_init": 0}, ValueError, "n_init must be >= 1, got 0"),
        ({"random_state": "a"}, TypeError, "random_state must be int, got str"),
        ({"random_state": -1}, ValueError, "random_state must be >= 0, got -1"),
        ({"verbose": "much"}, TypeError, "verbose must be int or an observer, got str"),
        ({"verbose": Silent}, TypeError, "verbose must be int or an observer, got "),
    ],
)
def test_arguments(
    x: np.ndarray, estimator: Any, options: Any, error: type[Exception], message: str
) -> None:
    options = dict(options)
    with pytest.raises(error, match=message):
        estimator(options.pop("k", 2), **options).fit(x)


PROTOCOLS = {
    "covariance_type": ("Covariance", dem.Full),
    "init_params": ("Start", KMeansParallel),
    "schedule": ("Schedule", dem.FullBatch),
    "posterior": ("Posterior", dem.Hard),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_words(x: np.ndarray, name: str) -> None:
    protocol, cls = PROTOCOLS[name]
    allowed = rf"{name} must be one of \[.*\] or a {protocol}"
    with pytest.raises(ValueError, match=f"{allowed}, got 'best'"):
        dem.GaussianMixture(2, **{name: "best"}).fit(x)
    for other in (None, 3, 7.5, [1, 2]):
        with pytest.raises(TypeError, match=f"{allowed} .*, which has no "):
            dem.GaussianMixture(2, **{name: other}).fit(x)
    with pytest.raises(TypeError, match=f"{allowed} .*, got the class {cls.__name__} and not"):
        dem.GaussianMixture(2, **{name: cls}).fit(x)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.inf, ValueError, "reg_covar must be finite, got inf"),
        (np.nan, ValueError, "reg_covar must be >= 0, got nan"),
        (-1, ValueError, "reg_covar must be >= 0, got -1"),
        ("a", TypeError, "reg_covar must be float, got str"),
    ],
)
def test_reg_covar(x: np.ndarray, value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dem.GaussianMixture(2, reg_covar=value).fit(x)


@both
@pytest.mark.parametrize("make", [np.array, dask, lambda x: "/no/such"], ids=["NumPy", "Dask", "p"])
def test_not_fitted(x: np.ndarray, estimator: Any, make: Any) -> None:
    names = ["predict", "score", *(["transform"] if estimator is dem.KMeans else ["bic"])]
    for name in names:
        with pytest.raises(NotFittedError, match=f"This {estimator.__name__} instance is not fit"):
            getattr(estimator(2), name)(make(x))


def test_not_fitted_without_data() -> None:
    for name in ("sample", "to_sklearn", "to_store"):
        with pytest.raises(NotFittedError):
            getattr(dem.GaussianMixture(2), name)()


@both
@pytest.mark.parametrize("make", [np.array, dask], ids=["NumPy", "Dask"])
def test_another_width(x: np.ndarray, estimator: Any, make: Any) -> None:
    fitted = estimator(2, random_state=0).fit(x)
    for name in ("predict", "score"):
        with pytest.raises(ValueError, match=r"X has 2 features, but \w+ is expecting 3 features"):
            getattr(fitted, name)(make(x[:, :2]))


@both
def test_a_fit_that_fails_leaves_the_last_one(x: np.ndarray, estimator: Any) -> None:
    fitted = estimator(2, random_state=0).fit(x)
    before = fitted.predict(x)
    bad = x.copy()
    bad[5, 1] = np.nan
    with pytest.raises(dem.DataError, match="NaN: row 5, column 1"):
        fitted.fit(bad)
    np.testing.assert_array_equal(fitted.predict(x), before)


@both
def test_names_in_errors(x: np.ndarray, estimator: Any) -> None:
    frame = pd.DataFrame(x, columns=["left", "middle", "right"])
    frame.iloc[5, 1] = np.nan
    for data in (frame, dd.from_pandas(frame, 3)):
        with pytest.raises(dem.DataError, match=r"NaN: row 5, column 1 \('middle'\), in block 0"):
            estimator(2).fit(data)


def test_sample_wants_rows(x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="n_samples must be >= 1, got 0"):
        dem.GaussianMixture(2).fit(x).sample(0)


@both
def test_rows_without_weight_are_no_rows(x: np.ndarray, estimator: Any) -> None:
    wild = np.array(x)
    wild[500:] = 1e30
    weights = np.r_[np.ones(500), np.zeros(400)]
    weighted = estimator(3, random_state=0).fit(wild, sample_weight=weights)
    alone = estimator(3, random_state=0).fit(x[:500])
    np.testing.assert_allclose(weighted.score(x), alone.score(x), rtol=1e-8)
