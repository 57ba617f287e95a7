"""Dataframes and Parquet with categories, strings, booleans, integers and gaps."""

from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import dem
from dem.cli import main
from tables import FAMILIES, ROWS, agreement, mixed

TABLE, Z = mixed()
KINDS = ("pandas", "Dask", "Dask strings", "Parquet", "Parquet directory")


def held(kind: str, table: pd.DataFrame, place: Path) -> Any:
    """The same table, held in some way."""
    if kind == "pandas":
        return table
    if kind == "Dask":
        return dd.from_pandas(table, npartitions=3)
    if kind == "Dask strings":
        return dd.from_pandas(table.astype({"size": object}), npartitions=3)
    if kind == "Parquet":
        table.to_parquet(place / "x.parquet", row_group_size=300)
        return str(place / "x.parquet")
    dd.from_pandas(table, npartitions=3).to_parquet(place / "x", write_index=False)
    return place / "x"


def model(**how: Any) -> dem.MixedMixture:
    return dem.MixedMixture(2, families=FAMILIES, random_state=0, **how)


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_to_hold_a_table_gives_the_same_fit(kind: str, tmp_path: Path) -> None:
    x = held(kind, TABLE, tmp_path)
    first, other = model(tol=1e-7).fit(TABLE), model(tol=1e-7).fit(x)
    assert other.feature_names_in_.tolist() == list(TABLE.columns)
    assert other.lower_bound_ == pytest.approx(first.lower_bound_, abs=1e-6)
    labels = np.asarray(other.predict(x))
    assert agreement(labels, Z) > 0.95
    assert agreement(labels, first.predict(TABLE)) > 0.999
    assert set(other.levels_["colour"]) == {"red", "blue"}
    assert set(other.levels_["size"]) == {"S", "M", "L"}
    assert other.levels_["grade"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(
        np.sort(other.parameters_["visits"]["rates"]),
        np.sort(first.parameters_["visits"]["rates"]),
        rtol=1e-3,
    )
    # Whatever a column is held as, its levels are those of the fit.
    np.testing.assert_array_equal(other.predict(TABLE), labels)


@pytest.mark.parametrize("kind", KINDS)
def test_a_level_that_was_not_in_the_fit(kind: str, tmp_path: Path) -> None:
    fitted = model().fit(TABLE)
    table = TABLE.astype({"colour": object})
    table.loc[1_234, "colour"] = "green"
    x = held(kind, table, tmp_path)
    with pytest.raises(
        dem.DataError, match=r"'green': row 1234, column 0 \('colour'\), which is not among the 2"
    ):
        np.asarray(fitted.predict(x))


def test_a_level_of_numbers_that_was_not_in_the_fit() -> None:
    fitted = model().fit(TABLE)
    with pytest.raises(dem.DataError, match=r"9.*: row 3, column 5 \('grade'\).*1, 2, 3"):
        fitted.predict(TABLE.assign(grade=np.where(np.arange(ROWS) == 3, 9, TABLE["grade"])))


@pytest.mark.filterwarnings("ignore:X has feature names, but MixedMixture was fitted without")
def test_kinds_that_changed() -> None:
    fitted = model().fit(TABLE)
    with pytest.raises(dem.DataError, match=r"'colour'.* holds numbers, but held categories"):
        fitted.predict(TABLE.assign(colour=1.0))
    with pytest.raises(dem.DataError, match="not numeric: 'height'"):
        fitted.predict(TABLE.assign(height="tall"))
    bare = dem.MixedMixture.from_fit(fitted._fitted)
    with pytest.raises(ValueError, match=r"not numeric: 'colour'.*'size'"):
        bare.predict(TABLE)
    whole = dem.MixedMixture.from_fit(fitted._fitted, TABLE)
    np.testing.assert_array_equal(whole.predict(TABLE), fitted.predict(TABLE))
    more = TABLE.assign(size=TABLE["size"].cat.add_categories("XL"))
    with pytest.raises(dem.DataError, match="'size' has 4 levels, where families says 3"):
        dem.MixedMixture.from_fit(fitted._fitted, more)
    counts = dem.CategoricalMixture(2).fit(TABLE[["size"]])
    with pytest.raises(ValueError, match="X is of other columns than the fit"):
        dem.CategoricalMixture.from_fit(counts._fitted, more[["size"]])


def test_families_by_dtype_and_by_the_user() -> None:
    fitted = model().fit(TABLE)
    found = {name: type(family).__name__ for name, family in fitted.families_.items()}
    assert found == {
        "colour": "Categorical", "size": "Categorical", "member": "Bernoulli",
        "height": "Normal", "visits": "Poisson", "grade": "Categorical",
    }  # fmt: skip
    assert fitted.parameters_["size"]["probabilities"].shape == (2, 3)
    assert fitted.parameters_["height"]["means"].shape == (2,)
    numbers = pd.DataFrame(np.random.default_rng(0).gamma(3.0, size=(500, 3)))
    numbers.columns = ["height", "visits", "more"]
    numbers["visits"] = np.rint(numbers["visits"])
    full = dem.MixedMixture(2, families={("more", "height"): "gaussian"}).fit(numbers)
    assert full.parameters_["more", "height"]["covariances"].shape == (2, 2, 2)
    every = dem.MixedMixture(2, numbers=dem.Gaussian(dem.Full())).fit(numbers)
    assert list(every.families_) == [("height", "visits", "more")]
    given = dem.Product(((dem.Normal(), (0, 2)), (dem.Poisson(), (1,))))
    assert dem.MixedMixture(2, families=given).fit(numbers)._fitted.model.family == given


@pytest.mark.parametrize(
    ("families", "said"),
    [
        ({}, r"\['visits', 'grade'\] hold integers, which may be counts"),
        ({"visit": "poisson"}, "has the column 'visit'; those of X have: 'colour'"),
        ({9: "poisson"}, "has the column 9; X has columns 0 to 5"),
        ({"visits": "poison"}, "the family of 'visits' must be one of"),
        ({"visits": "poisson", 4: "normal"}, "has column 'visits' twice"),
        ({**FAMILIES, "colour": "normal"}, "'colour' holds 2 categories, such as 'blue'"),
        ({**FAMILIES, "size": "bernoulli"}, "'size' holds 3 categories, such as 'S'"),
    ],
)
def test_families_that_cannot_be(families: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dem.MixedMixture(2, families=families).fit(TABLE)


def test_missing_where_it_may_not_be() -> None:
    with pytest.raises(dem.DataError, match=r"Gaussian columns may not have missing values"):
        model(numbers="gaussian").fit(TABLE)


@pytest.mark.parametrize("kind", ["pandas", "Dask"])
def test_impute_gives_the_table_back(kind: str, tmp_path: Path) -> None:
    fitted = model().fit(TABLE)
    filled = fitted.impute(held(kind, TABLE, tmp_path))
    if kind == "Dask":
        assert filled.npartitions == 3
        assert list(filled.columns) == list(TABLE.columns)
        filled = filled.compute()
    assert not filled.isna().any().any()
    assert filled.index.equals(TABLE.index)
    for name in TABLE.columns:
        there = TABLE[name].notna()
        assert (filled[name][there] == TABLE[name][there]).all(), name
    assert filled["size"].dtype == TABLE["size"].dtype
    assert filled["member"].dtype == bool
    gone = TABLE["height"].isna().to_numpy()
    means = fitted.predict_proba(TABLE) @ fitted.parameters_["height"]["means"]
    np.testing.assert_allclose(filled["height"][gone], means[gone])
    truth, _ = mixed(gaps=0.0)
    assert (filled["colour"] == truth["colour"])[TABLE["colour"].isna()].mean() > 0.7


def test_impute_of_a_path_gives_codes(tmp_path: Path) -> None:
    fitted = model().fit(TABLE)
    codes = fitted.impute(held("Parquet", TABLE, tmp_path)).compute()
    assert np.isfinite(codes).all()
    levels = fitted.levels_["size"][codes[:, 1].astype(int)]
    np.testing.assert_array_equal(levels, fitted.impute(TABLE)["size"].astype(str))


def test_saved_with_levels(tmp_path: Path) -> None:
    fitted = model().fit(TABLE)
    dem.save(fitted, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    assert repr(back.levels_) == repr(fitted.levels_)
    np.testing.assert_array_equal(back.predict(TABLE), fitted.predict(TABLE))
    assert back.impute(TABLE).equals(fitted.impute(TABLE))


def test_latent_classes_of_strings() -> None:
    items = TABLE[["colour", "size", "member", "grade"]]
    fitted = dem.CategoricalMixture(2, random_state=0).fit(items)
    assert [levels.tolist() for levels in fitted.levels_] == [
        ["blue", "red"], ["S", "M", "L"], [False, True], [1, 2, 3],
    ]  # fmt: skip
    assert [part.shape for part in fitted.probabilities_] == [(2, 2), (2, 3), (2, 2), (2, 3)]
    binary = dem.BernoulliMixture(2, random_state=0).fit(items[["colour", "member"]])
    assert binary.levels_[0].tolist() == ["blue", "red"]
    assert binary.levels_[1] is None
    with pytest.raises(dem.DataError, match="'size' has 3 levels, 'S', 'M', 'L'"):
        dem.BernoulliMixture(2).fit(items[["size"]])


@pytest.mark.parametrize("kind", ["pandas", "Parquet"])
def test_counts_are_no_categories(kind: str, tmp_path: Path) -> None:
    x = held(kind, TABLE[["colour", "visits"]], tmp_path)
    with pytest.raises(ValueError, match=r"could not convert string|not numeric: 'colour'"):
        dem.PoissonMixture().fit(x)


def test_what_cannot_be_a_level() -> None:
    days = pd.DataFrame({"day": pd.Categorical(pd.date_range("2024-01-01", periods=4))})
    with pytest.raises(dem.DataError, match=r"'day' holds .*Timestamp.*levels must be strings or"):
        dem.CategoricalMixture().fit(days)
    with pytest.raises(dem.DataError, match="'x' holds values of several types"):
        dem.CategoricalMixture().fit(pd.DataFrame({"x": [1, "a", 2, "b"]}, dtype=object))
    with pytest.raises(dem.DataError, match="more than 10000 different numbers"):
        dem.CategoricalMixture().fit(np.random.default_rng(0).normal(size=(10_001, 1)))
    with pytest.raises(dem.DataError, match="Column 1 has no values"):
        dem.CategoricalMixture().fit([[1.0, np.nan], [2.0, np.nan]])


def test_integers_with_null(tmp_path: Path) -> None:
    counts = TABLE[["visits"]].assign(more=TABLE["visits"] + 1)
    held("Parquet", counts, tmp_path)
    assert dem.open_data(tmp_path / "x.parquet").dtype == np.float64
    fitted = dem.PoissonMixture(2, random_state=0).fit(tmp_path / "x.parquet")
    np.testing.assert_allclose(
        fitted.rates_, dem.PoissonMixture(2, random_state=0).fit(counts).rates_, rtol=1e-6
    )
    with pytest.raises(dem.DataError, match=r"contains NaN: row \d+, column 0 \('visits'\)"):
        dem.GaussianMixture(2).fit(tmp_path / "x.parquet")


def run(*arguments: Any) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_line(tmp_path: Path) -> None:
    path, kept = held("Parquet", TABLE, tmp_path), tmp_path / "model"
    how = ("--model", "mixed-mixture", "-k", 2, "--family", "visits=poisson", "--family")
    again = ("--checkpoint", tmp_path / "kept", "--resume", "-q")
    run("fit", path, *how, "grade=categorical", "--out", kept, *again)
    said = run("show", kept)
    assert "MixedMixture" in said
    assert "red 0.9" in said
    assert '"visits": {"rates"' in run("show", kept, "--json")
    run("predict", kept, path, "--out", tmp_path / "labels.npy", "-q")
    assert agreement(np.load(tmp_path / "labels.npy"), Z) > 0.95
    assert f"{dem.load(kept).score(path):.10g}" in run("score", kept, path)
    run("fit", path, *how, "grade=categorical", "--out", kept, *again)
    done = CliRunner().invoke(main, [str(a) for a in ("fit", path, *how, "grade=normal", *again)])
    assert "holds another fit: --family was" in done.output


@pytest.mark.parametrize("word", ["bernoulli", "categorical", "poisson", "student-t"])
def test_the_command_line_of_others(word: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)) if word == "student-t" else rng.integers(2, size=(300, 3))
    np.save(tmp_path / "x.npy", x)
    run("fit", tmp_path / "x.npy", "--model", f"{word}-mixture", "-k", 2, "--out", tmp_path / "m")
    assert f"{word.replace('-', '').lower()}mixture" in run("show", tmp_path / "m").lower()
    dem.save(dem.load(tmp_path / "m")._fitted, tmp_path / "fit")  # as `dem attach` does
    assert run("show", tmp_path / "fit", "--json").startswith('{"type"')
    done = CliRunner().invoke(
        main, ["fit", "x", "--model", f"{word}-mixture", "-k", "2", "--family", "a=normal"]
    )
    assert f"{word}-mixture has no --family" in done.output
