"""Values that a family gives no density: the error names value, row, column, and what may be."""

import pickle
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr

import dem
from components import COMPONENTS, MISSING, with_gaps
from dem.errors import SupportError
from dem.families import (
    Bernoulli,
    Categorical,
    Full,
    Gaussian,
    Multinomial,
    Poisson,
    Product,
    StudentT,
    Tied,
    VonMisesFisher,
)
from dem.models.mixture import Mixture

BAD = {
    "Bernoulli": 2.0,
    "Poisson": 1.5,
    "NegativeBinomial": -2.0,
    "Categorical": 5.0,
    "Multinomial": -1.0,
    "Exponential": -0.1,
    "Gamma": 0.0,
    "LogNormal": -3.0,
    "Beta": 1.0,
    "VonMisesFisher": 4.0,
    "Product": -7.0,
}


@pytest.mark.parametrize("name", BAD)
def test_a_value_outside_of_the_support_is_found(name: str) -> None:
    """Wherever it is: in the sample of the start or not, whatever else is missing."""
    here, bad = COMPONENTS[name], BAD[name]
    rows = here.rows(5000)
    column = 2
    rows[4321, column] = bad
    pattern = rf"value {bad:g}: row 4321, column {column}, in block \d+\. \w+ .*\w\.$"
    with pytest.raises(dem.DataError, match=pattern):
        dem.fit(here.model, rows)
    if here.missing:
        rows[4320:, 1] = np.nan
        with pytest.raises(dem.DataError, match=pattern):
            dem.fit(here.model, rows)
    with pytest.raises(SupportError, match=f"row 4321, column {column}"):
        here.model.log_prob(here.model.prepare(here.mixture), rows)


def test_the_place_in_a_store_and_the_column_are_named(tmp_path: Path) -> None:
    rows = COMPONENTS["Poisson"].rows(600)
    rows[345, 3] = -4
    store = zarr.create_array(tmp_path / "x.zarr", data=rows, chunks=(100, 4))
    pattern = (
        r"value -4: row 345, column 3, in block 0\. It is in .*3.* Poisson columns hold counts"
    )
    with pytest.raises(dem.DataError, match=pattern):
        dem.fit(Mixture(2, Poisson()), store)
    frame = pytest.importorskip("pandas").DataFrame(rows, columns=list("abcd"))
    with pytest.raises(dem.DataError, match=r"column 3 \('d'\)"):
        dem.fit(Mixture(2, Poisson()), frame)
    with pytest.raises(dem.DataError, match="row 345, column 3, in block 3"):
        dem.fit(Mixture(2, Poisson()), da.from_array(rows, chunks=(100, -1)))


def test_the_error_travels() -> None:
    error = SupportError("Poisson columns hold counts", -1.0, 3, 2)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301


@pytest.mark.parametrize("name", ["Multinomial", "VonMisesFisher", "StudentT full"])
def test_nan_where_nothing_may_be_missing(name: str) -> None:
    here = COMPONENTS[name]
    rows = here.rows(500)
    rows[77, 1] = np.nan
    with pytest.raises(dem.DataError, match="NaN: row 77, column 1"):
        dem.fit(here.model, rows)


def test_nan_in_the_part_of_a_product_where_nothing_may_be_missing() -> None:
    here = COMPONENTS["Product"]
    rows = here.rows(500)
    rows[3, 1] = np.nan  # allowed
    rows[77, 11] = np.nan
    pattern = r"value nan: row 77, column 11, .* Gaussian columns may not have missing values"
    with pytest.raises(dem.DataError, match=pattern):
        dem.fit(here.model, rows)


@pytest.mark.parametrize("name", COMPONENTS)
def test_infinity_is_refused(name: str) -> None:
    here = COMPONENTS[name]
    rows = here.rows(500)
    rows[77, 1] = np.inf
    with pytest.raises(dem.DataError, match=r"inf.*row 77, column"):
        dem.fit(here.model, rows)


@pytest.mark.parametrize("sampled", [True, False], ids=["in the sample", "not in the sample"])
@pytest.mark.parametrize("name", MISSING)
def test_infinity_is_found_among_missing_values(name: str, sampled: bool) -> None:
    here = COMPONENTS[name]
    rows = with_gaps(here, here.rows(6000))
    rows[5432, 1] = np.inf
    rows[:5432:7, 0] = np.nan
    weights = np.ones(6000)
    weights[5000:] = float(sampled)
    with pytest.raises(dem.DataError, match=r"inf.*: row 5432, column 1"):
        dem.fit(here.model, rows, weights=weights)


def test_arguments() -> None:
    with pytest.raises(ValueError, match="levels must be >= 1, got 0"):
        Categorical(0)
    with pytest.raises(TypeError, match="levels must be int"):
        Categorical((2, 2.5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="levels are given for 2 columns, there are 3"):
        dem.fit(Mixture(2, Categorical((2, 2))), np.zeros((9, 3)))
    with pytest.raises(ValueError, match="must not be shared"):
        StudentT(Tied())
    with pytest.raises(ValueError, match="df must be >="):
        StudentT(Full(), df=0.0)
    with pytest.raises(TypeError, match="family must be a Family"):
        Product(((3, (0,)),))  # type: ignore[arg-type]
    for columns in ((0, 0), (1,), ()):
        with pytest.raises(ValueError, match="parts must have"):
            Product(((Bernoulli(), columns),))
    with pytest.raises(ValueError, match="parts have 2 columns, X has 3"):
        dem.fit(Mixture(2, Product(((Bernoulli(), range(2)),))), np.zeros((9, 3)))
    with pytest.raises(ValueError, match="at least 2 columns"):
        dem.fit(Mixture(1, VonMisesFisher()), np.ones((9, 1)))
    with pytest.raises(TypeError, match="got the class Bernoulli"):
        Mixture(2, Bernoulli)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", COMPONENTS)
def test_parameters_of_another_shape_are_refused(name: str) -> None:
    here = COMPONENTS[name]
    here.model.check(here.mixture)
    with pytest.raises(ValueError, match="must be"):
        Mixture(5, here.family).check(here.mixture)
    with pytest.raises(ValueError, match=r"shape|must be"):
        here.family.check(here.params, 5)


def test_weights_of_zero_do_not_excuse_a_value() -> None:
    rows = np.zeros((50, 2))
    rows[9, 1] = 3
    weights = np.ones(50)
    weights[9] = 0
    with pytest.raises(dem.DataError, match="row 9, column 1"):
        dem.fit(Mixture(1, Bernoulli()), rows, weights=weights)


def test_rows_without_counts_are_fine() -> None:
    rows: Any = np.random.default_rng(0).multinomial(5, [0.2, 0.3, 0.5], 60).astype(float)
    rows[::3] = 0
    fit = dem.fit(Mixture(2, Multinomial()), rows)
    assert np.isfinite(fit.lower_bound)
    assert isinstance(Gaussian(), dem.Gaussian)


def test_noise_alone_is_no_mixture() -> None:
    with pytest.raises(ValueError, match="WithNoise needs 2 components or more"):
        dem.fit(dem.Mixture(1, dem.WithNoise(Gaussian())), np.arange(12.0).reshape(6, 2))
