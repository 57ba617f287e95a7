"""Hidden Markov models with hmmlearn's names: equality with it, sequences, lazy results, files."""

from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import zarr
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import dem
from dem.contract import Sample
from dem.engine.output import computed
from dem.engine.readers import arrays
from dem.errors import DataError
from dem.families.one_hot import OneHotTiles

RNG = np.random.default_rng(1)
N = 3000
FOLLOW = np.array([[0.9, 0.06, 0.04], [0.1, 0.8, 0.1], [0.02, 0.08, 0.9]])
MEANS = np.array([[0.0, 0.0], [2.0, 1.0], [-1.0, 2.0]])
STATES = [0]
for _ in range(N - 1):
    STATES.append(int(RNG.choice(3, p=FOLLOW[STATES[-1]])))
X = MEANS[STATES] + RNG.normal(size=(N, 2))
COUNTS = RNG.poisson(np.array([1.0, 4.0, 9.0])[STATES])[:, None]
CODES = np.minimum(COUNTS // 2, 4)
LENGTHS = {"one": None, "long": [1700, 3, 1000, 297], "short": [50] * (N // 50)}
CHAIN: dict[str, Any] = {
    "startprob_init": np.array([0.5, 0.3, 0.2]),
    "transmat_init": 0.5 * np.eye(3) + np.full((3, 3), 0.5 / 3),
}
SHAPES = {"full": (3, 2, 2), "diag": (3, 2), "tied": (2, 2), "spherical": (3,)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
    monkeypatch.setattr("dem.engine.readers.sequences.MOST_ROWS", 700)


def covariances(form: str) -> np.ndarray:
    return np.ones(SHAPES[form]) if form in ("diag", "spherical") else np.broadcast_to(
        np.eye(2), SHAPES[form]
    ).copy()  # fmt: skip


def after(model: Any, *given: Any) -> Any:
    """The model after its turns, which may be too few."""
    with pytest.warns(ConvergenceWarning):
        return model.fit(*given)


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("form", SHAPES)
def test_gaussian_as_hmmlearn(form: str, name: str) -> None:
    hmmlearn = pytest.importorskip("hmmlearn.hmm")
    theirs = hmmlearn.GaussianHMM(
        3, form, n_iter=5, tol=-np.inf, init_params="", min_covar=0, covars_prior=0,
        covars_weight=0, means_weight=0,
    )  # fmt: skip
    theirs.startprob_, theirs.transmat_ = CHAIN.values()
    theirs.n_features, theirs.means_, theirs.covars_ = 2, MEANS + 0.4, covariances(form)
    theirs.fit(X, LENGTHS[name])
    ours = dem.GaussianHMM(
        3, covariance_type=form, reg_covar=0.0, means_init=MEANS + 0.4,
        covars_init=covariances(form), schedule="batch", max_iter=5, tol=0.0, **CHAIN,
    )  # fmt: skip
    after(ours, X, LENGTHS[name])
    for attribute in ("startprob_", "transmat_", "means_", "covars_"):
        expected = getattr(theirs, attribute)
        expected = expected[:: len(expected) // 3]  # theirs of spherical ones come twice
        np.testing.assert_allclose(getattr(ours, attribute), expected, atol=1e-8, err_msg=attribute)
    check_results(ours, theirs, X, LENGTHS[name])


def check_results(ours: Any, theirs: Any, rows: Any, lengths: Any) -> None:
    """The same scores, probabilities and paths by the same parameters."""
    assert ours.score(rows, lengths) == pytest.approx(theirs.score(rows, lengths), rel=1e-9)
    found = ours.predict_proba(rows, lengths)
    np.testing.assert_allclose(found, theirs.predict_proba(rows, lengths), atol=1e-7)
    value, path = ours.decode(rows, lengths)
    their_value, their_path = theirs.decode(rows, lengths)
    assert value == pytest.approx(their_value, rel=1e-9)
    np.testing.assert_array_equal(path, their_path)
    np.testing.assert_array_equal(ours.predict(rows, lengths), path)
    stationary = theirs.get_stationary_distribution()
    np.testing.assert_allclose(ours.get_stationary_distribution(), stationary, atol=1e-7)


@pytest.mark.parametrize("name", LENGTHS)
def test_poisson_as_hmmlearn(name: str) -> None:
    hmmlearn = pytest.importorskip("hmmlearn.hmm")
    rates = np.array([[0.5], [3.0], [10.0]])
    theirs = hmmlearn.PoissonHMM(3, n_iter=5, tol=-np.inf, init_params="", lambdas_prior=0)
    theirs.startprob_, theirs.transmat_ = CHAIN.values()
    theirs.n_features, theirs.lambdas_ = 1, rates
    theirs.fit(COUNTS, LENGTHS[name])
    ours = dem.PoissonHMM(
        3, lambdas_init=rates, schedule="batch", max_iter=5, tol=0.0, **CHAIN
    )  # fmt: skip
    after(ours, COUNTS, LENGTHS[name])
    for attribute in ("startprob_", "transmat_", "lambdas_"):
        np.testing.assert_allclose(
            getattr(ours, attribute), getattr(theirs, attribute), atol=1e-8, err_msg=attribute
        )
    check_results(ours, theirs, COUNTS, LENGTHS[name])


@pytest.mark.parametrize("name", LENGTHS)
def test_categorical_as_hmmlearn(name: str) -> None:
    hmmlearn = pytest.importorskip("hmmlearn.hmm")
    emission = np.random.default_rng(0).dirichlet(np.ones(5), 3)
    theirs = hmmlearn.CategoricalHMM(3, n_iter=5, tol=-np.inf, init_params="", n_features=5)
    theirs.startprob_, theirs.transmat_ = CHAIN.values()
    theirs.emissionprob_ = emission
    theirs.fit(CODES, LENGTHS[name])
    ours = dem.CategoricalHMM(
        3, emissionprob_init=emission, schedule="batch", max_iter=5, tol=0.0, **CHAIN
    )
    after(ours, CODES, LENGTHS[name])
    for attribute in ("startprob_", "transmat_", "emissionprob_"):
        np.testing.assert_allclose(
            getattr(ours, attribute), getattr(theirs, attribute), atol=1e-8, err_msg=attribute
        )
    check_results(ours, theirs, CODES, LENGTHS[name])


class NeverAsked:
    """A start that must not be made."""

    def __call__(self, model: Any, sample: Any, seed: int) -> Any:
        raise AssertionError("everything is given")


@pytest.mark.parametrize(
    ("estimator", "rows", "given"),
    [
        (dem.GaussianHMM, X, {"means_init": MEANS, "covars_init": np.ones((3, 2))}),
        (dem.PoissonHMM, COUNTS, {"lambdas_init": [[1.0], [4.0], [9.0]]}),
        (dem.CategoricalHMM, CODES, {"emissionprob_init": np.full((3, 5), 0.2)}),
    ],
)
def test_where_everything_is_given_there_is_no_other_start(
    estimator: Any, rows: Any, given: dict[str, Any]
) -> None:
    model = estimator(3, max_iter=2, tol=0.0, init_params=NeverAsked(), **CHAIN, **given)
    after(model, rows)
    for name in ("startprob_", "transmat_"):
        assert np.isfinite(getattr(model, name)).all()


def test_codes_that_a_state_is_given_no_share_of_keep_a_little() -> None:
    emission = np.array([[0.5, 0.5, 0.0, 0.0, 0.0], [0.0, 0.2, 0.8, 0.0, 0.0], np.full(5, 0.2)])
    how: dict[str, Any] = {"schedule": "batch", "tol": 0.0, "emissionprob_init": emission, **CHAIN}
    model = after(dem.CategoricalHMM(3, max_iter=3, **how), CODES)
    assert 0.9e-10 < model.emissionprob_.min() < 1e-8
    np.testing.assert_allclose(model.emissionprob_.sum(axis=1), 1.0)


def test_thousands_of_codes() -> None:
    """What is not there takes no time: products go by the codes of the rows alone."""
    codes = 1000 * CODES + RNG.integers(0, 3, (N, 1))
    model = dem.CategoricalHMM(3, n_features=5000, random_state=0, max_iter=20).fit(codes)
    assert model.emissionprob_.shape == (3, 5000)
    family = model._fitted.model.family
    components = model._fitted.params.components
    tiles = family.tiles(family.prepare(components, np.zeros(3)), codes[:10], None)
    assert isinstance(tiles, OneHotTiles)
    sample = Sample(codes.astype(float), np.ones(N), complete=True)
    points = family.frame(sample).inward(codes)
    assert points.shape == (N, 128)
    np.testing.assert_array_equal(family.frame(sample).outward(points), codes)


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {
        name: dem.GaussianHMM(3, covariance_type="full", random_state=0).fit(X, lengths)
        for name, lengths in LENGTHS.items()
    }


@pytest.mark.parametrize("name", LENGTHS)
def test_default_fit(models: dict[str, Any], name: str) -> None:
    model = models[name]
    order = np.argsort(model.means_[:, 0])[[1, 2, 0]]
    np.testing.assert_allclose(model.means_[order], MEANS, atol=0.15)
    np.testing.assert_allclose(model.transmat_[order][:, order], FOLLOW, atol=0.05)
    assert model.converged_
    assert model.n_features_in_ == 2
    assert model.weights_ @ model.transmat_ == pytest.approx(model.weights_)
    path = model.predict(X, LENGTHS[name])
    assert np.mean(np.argsort(order)[path] == STATES) > 0.8


@pytest.mark.parametrize("kind", ["dask", "zarr", "zarr path", "npy"])
@pytest.mark.parametrize("name", LENGTHS)
def test_lazy(models: dict[str, Any], name: str, kind: str, tmp_path: Path) -> None:
    """Chunks that cut sequences anywhere give what one array does."""
    model, lengths = models[name], LENGTHS[name]
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(217, 2))
    np.save(tmp_path / "x.npy", X)
    data = {
        "dask": lambda: da.from_array(X, chunks=(217, 1)) + 0,
        "zarr": lambda: zarr.open_array(str(tmp_path / "x.zarr")),
        "zarr path": lambda: str(tmp_path / "x.zarr"),
        "npy": lambda: tmp_path / "x.npy",
    }[kind]()
    proba, path = model.predict_proba(data, lengths), model.predict(data, lengths)
    logs = model.score_samples(data, lengths)
    for lazy in (proba, path, logs):
        assert isinstance(lazy, da.Array)
        assert lazy.shape[0] == N
    np.testing.assert_allclose(proba.compute(), model.predict_proba(X, lengths), atol=1e-10)
    np.testing.assert_array_equal(path.compute(), model.predict(X, lengths))
    assert logs.sum().compute() == pytest.approx(model.score(X, lengths), abs=1e-7)
    assert model.score(data, lengths) == pytest.approx(model.score(X, lengths), abs=1e-7)
    # In parts, as results are written to disk
    parts = np.concatenate(list(computed(proba)))
    np.testing.assert_allclose(parts, model.predict_proba(X, lengths), atol=1e-10)


def test_lazy_results_are_not_computed_before(models: dict[str, Any]) -> None:
    read = []

    def spy(part: np.ndarray) -> np.ndarray:
        read.append(len(part))
        return part

    data = da.from_array(X, chunks=(500, -1)).map_blocks(spy, dtype=X.dtype, meta=X[:0])
    lazy = models["one"].predict_proba(data)
    assert read == []
    lazy.compute(scheduler="sync")
    assert sum(read) == 2 * N  # rows are not kept in memory from the first read to the second


def test_groups(tmp_path: Path) -> None:
    """A column, by its name or as values, says which rows are a sequence."""
    how: dict[str, Any] = {"means_init": MEANS, "random_state": 0}
    expected = dem.GaussianHMM(3, **how).fit(X, LENGTHS["short"])
    frame = pd.DataFrame(X, columns=["a", "b"])
    who = np.repeat(np.arange(N // 50), 50)
    words = np.array([f"patient {i}" for i in who])
    days = pd.Timestamp("2020-02-28") + pd.to_timedelta(who, "D")
    columns = {"x": who, "words": words, "kinds": pd.Categorical(words), "days": days}
    for name, keys in columns.items():
        frame.assign(who=keys).to_parquet(tmp_path / f"{name}.parquet", row_group_size=333)
    named = frame.assign(who=words)
    kinds = frame.assign(who=pd.Categorical(words))
    ways = {
        "words": (frame, words),
        "series": (frame, pd.Series(who)),
        "column": (frame.assign(who=words), "who"),
        "array": (X, who),
        "lazy": (X, da.from_array(who, chunks=70)),
        "lazy words": (X, da.from_array(words, chunks=70)),
        "dask": (dd.from_pandas(frame.assign(who=who), npartitions=4), "who"),
        "parquet": (tmp_path / "x.parquet", "who"),
        "words in parquet": (tmp_path / "words.parquet", "who"),
        "categories in parquet": (str(tmp_path / "kinds.parquet"), "who"),
        "days in parquet": (tmp_path / "days.parquet", "who"),
        "days": (frame.assign(who=days), "who"),
        "categories": (kinds, "who"),
        "words in dask": (dd.from_pandas(named, npartitions=4), "who"),
        "categories in dask": (dd.from_pandas(kinds, npartitions=4), "who"),
        "dask series": (
            da.from_array(X, chunks=(100, 2)),
            dd.from_pandas(named, npartitions=4).who,
        ),
        "number": (frame.assign(who=words).set_axis([0, 1, 2], axis=1), 2),
        "nullable": (frame.assign(who=pd.array(who, "Int64")), "who"),
        "tuple": (frame, tuple(words.tolist())),
        "mixed": (frame, [str(i) if i % 2 else i - 1 for i in who]),
    }
    for name, (data, groups) in ways.items():
        model = dem.GaussianHMM(3, **how).fit(data, groups=groups)
        np.testing.assert_allclose(model.transmat_, expected.transmat_, atol=1e-9, err_msg=name)
        assert model.n_features_in_ == 2
        path = np.asarray(model.predict(data, groups=groups))
        np.testing.assert_array_equal(path, expected.predict(X, LENGTHS["short"]))
        if name.endswith(("parquet", "dask")):
            assert list(model.feature_names_in_) == ["a", "b"], name
    with pytest.raises(ValueError, match="lengths or groups, not both"):
        model.fit(frame, [N], groups="who")
    with pytest.raises(ValueError, match="groups is the column 'nobody'"):
        model.fit(frame, groups="nobody")
    for data in (frame, X, tmp_path / "x.parquet"):
        with pytest.raises(
            ValueError, match=r"groups is the column 2(; those of X are|, and those of X have no)"
        ):
            model.fit(data, groups=2)
    with pytest.raises(DataError, match="a value for each of 3000 rows"):
        model.fit(frame, groups=who[:-1])


def test_saved_and_resumed(tmp_path: Path) -> None:
    how: dict[str, Any] = {"random_state": 0, "schedule": "batch", "tol": 0.0}
    for name, lengths in LENGTHS.items():
        for cls, rows in (
            (dem.GaussianHMM, X), (dem.PoissonHMM, COUNTS), (dem.CategoricalHMM, CODES)
        ):  # fmt: skip
            place = tmp_path / f"{name} {cls.__name__}"
            whole = after(cls(2, max_iter=4, **how), rows, lengths)
            after(cls(2, max_iter=2, checkpoint=place, **how), rows, lengths)
            with pytest.warns(ConvergenceWarning):
                again = cls.resume(place, rows, max_iter=4, lengths=lengths)
            np.testing.assert_array_equal(again.transmat_, whole.transmat_)
            dem.save(again, tmp_path / "model", overwrite=True)
            back = dem.load(tmp_path / "model")
            assert type(back) is cls
            found, wanted = (one.predict_proba(rows, lengths) for one in (back, whole))
            np.testing.assert_array_equal(found, wanted)
            assert back.get_params()["n_components"] == 2


def test_resumed_without_the_lengths_of_the_fit(tmp_path: Path) -> None:
    how: dict[str, Any] = {"random_state": 0, "schedule": "batch", "tol": 0.0, "max_iter": 2}
    after(dem.GaussianHMM(2, checkpoint=tmp_path / "c", **how), X, LENGTHS["long"])
    for more in ({}, {"lengths": LENGTHS["short"]}):
        with pytest.raises(DataError, match=r"not the data of .* pass the lengths or groups"):
            dem.GaussianHMM.resume(tmp_path / "c", X, max_iter=4, **more)


def test_what_is_saved_of_the_arguments(tmp_path: Path) -> None:
    model = dem.PoissonHMM(2, random_state=7, tol=1e-2, max_iter=50).fit(COUNTS)
    dem.save(model, tmp_path / "model")
    back = dem.load(tmp_path / "model")
    for name in ("random_state", "tol", "max_iter", "n_init"):
        value = getattr(model, name)
        assert getattr(back, name) == value
        assert type(getattr(back, name)) is type(value)
    np.testing.assert_array_equal(back.sample(50)[0], model.sample(50)[0])
    model.random_state = np.random.RandomState(0)  # cannot be saved
    dem.save(model, tmp_path / "model", overwrite=True)
    assert dem.load(tmp_path / "model").random_state is None


def test_data_opened_for_dem_fit_are_for_dem_fit() -> None:
    data = dem.sequences(X, LENGTHS["long"])
    with pytest.raises(TypeError, match="lengths or groups of sequences"):
        dem.GaussianHMM(2).fit(data)
    with pytest.raises(TypeError, match="estimators take the data themselves"):
        dem.GaussianMixture(2).fit(dem.open_data(X))


def test_topology_and_zeros() -> None:
    model = dem.GaussianHMM(3, topology="left-right", random_state=0).fit(X, LENGTHS["short"])
    assert np.array_equal(model.transmat_ > 0, dem.LeftRight().transitions(3))
    ring = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
    model = dem.GaussianHMM(3, transmat_init=ring, means_init=MEANS, random_state=0).fit(X)
    np.testing.assert_array_equal(model.transmat_ > 0, ring > 0)
    assert dem.GaussianHMM.from_fit(model._fitted).n_parameters_ == model.n_parameters_


def test_missing_values() -> None:
    gaps = X.copy()
    gaps[100:110], gaps[500, 0] = np.nan, np.nan
    model = dem.GaussianHMM(3, missing=True, random_state=0).fit(gaps)
    q = model.predict_proba(gaps)
    assert np.isfinite(q).all()
    # Where nothing is seen, what follows is what transitions say, from both sides
    assert q[105].max() < 0.95
    with pytest.raises(DataError, match="NaN: row 100, column 0"):
        dem.GaussianHMM(3, random_state=0).fit(gaps)
    counts = COUNTS.astype(float)
    counts[50:60] = np.nan
    assert np.isfinite(dem.PoissonHMM(2, random_state=0).fit(counts).predict_proba(counts)).all()


def test_priors_and_hard() -> None:
    sticky = 1.0 + 1e4 * np.eye(3)
    model = dem.GaussianHMM(3, transmat_prior=sticky, random_state=0).fit(X)
    assert np.diag(model.transmat_).min() > 0.95
    hard = dem.GaussianHMM(3, posterior="hard", random_state=0).fit(X)
    exact = dem.GaussianHMM(3, random_state=0).fit(X)
    assert hard.lower_bound_ * N == pytest.approx(hard.decode(X)[0], rel=1e-3)
    assert exact.score(X) > hard.score(X)


def test_sample() -> None:
    model = dem.GaussianHMM(3, random_state=0).fit(X)
    rows, states = model.sample(500)
    assert rows.shape == (500, 2)
    assert states.shape == (500,)
    assert model.sample(5, currstate=2)[1][0] == 2
    with pytest.raises(ValueError, match="currstate must be below 3"):
        model.sample(5, currstate=3)


def test_criteria() -> None:
    model = dem.GaussianHMM(3, random_state=0).fit(X, LENGTHS["long"])
    assert model.n_parameters_ == 2 + 6 + 6 + 6
    score = model.score(X, LENGTHS["long"])
    assert model.bic(X, LENGTHS["long"]) == pytest.approx(-2 * score + 20 * np.log(N))
    assert model.aic(X, LENGTHS["long"]) == pytest.approx(-2 * score + 40)


def test_warm_start_and_clone() -> None:
    model = after(dem.GaussianHMM(3, max_iter=2, tol=0.0, random_state=0, warm_start=True), X)
    before = model.lower_bound_
    with pytest.warns(ConvergenceWarning):
        assert model.fit(X).lower_bound_ > before
    again = clone(model)
    assert again.get_params() == model.get_params()
    with pytest.raises(ValueError, match="warm_start cannot go on"):
        model.set_params(n_components=2).fit(X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"topology": "ring"}, "topology must be one of"),
        ({"startprob_init": [0.5, 0.5]}, "startprob_init should have the shape"),
        ({"startprob_init": [0.5, 0.5, 0.5]}, "startprob_init must be non-negative and sum to 1"),
        ({"transmat_init": -np.eye(3)}, "transmat_init must be non-negative"),
        ({"transmat_prior": 0.0}, "transmat_prior must be finite and at least 1"),
        ({"means_init": MEANS[:2]}, "means_init should have the shape"),
        ({"covars_init": -np.ones((3, 2))}, "covars_init"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dem.GaussianHMM(3, **arguments).fit(X)


def test_what_goes_row_by_row_is_not_for_chains() -> None:
    model = dem.GaussianHMM(2, random_state=0).fit(X)
    for ask in (dem.standard_errors, dem.summarise):
        with pytest.raises(TypeError, match="depend on each other"):
            ask(model, X)


def test_not_fitted() -> None:
    for method in ("predict", "predict_proba", "score", "decode", "score_samples"):
        with pytest.raises(NotFittedError):
            getattr(dem.GaussianHMM(2), method)(X)


NOISE = np.random.default_rng(2).normal(size=(200, 1))
APART = NOISE + np.where(np.arange(200) < 100, 0.0, 6.0)[:, None]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decode"])
def test_paths_over_values_that_are_none_are_refused(value: float, method: str) -> None:
    model = dem.GaussianHMM(2, means_init=[[0.0], [6.0]], random_state=0).fit(APART)
    rows = APART.copy()
    rows[150] = value
    with pytest.raises(dem.DataError, match=r"row 150|so large"):
        getattr(model, method)(rows)
    lazy = da.from_array(rows, chunks=(40, 1))
    with pytest.raises(dem.DataError, match=r"row 150|rows 120 to 159"):
        np.asarray(model.predict(lazy))


def test_what_is_given_may_not_break_the_topology() -> None:
    how = {"topology": "left-right", "means_init": [[0.0], [6.0]], "random_state": 0}
    with pytest.raises(ValueError, match=r"transmat_init\[1, 0\] must be 0"):
        dem.GaussianHMM(2, transmat_init=[[0.5, 0.5], [0.5, 0.5]], **how).fit(APART)
    with pytest.raises(ValueError, match=r"startprob_init\[1\] must be 0"):
        dem.GaussianHMM(2, startprob_init=[0.5, 0.5], **how).fit(APART)


def test_large_keys_of_groups_stay_apart() -> None:
    keys = np.repeat(np.arange(4) + 1234567890123456789, 50)
    how = {"means_init": [[0.0], [6.0]], "random_state": 0}
    few = dem.GaussianHMM(2, **how).fit(APART, [50] * 4)
    rows, groups = (da.from_array(a, chunks=(50, *a.shape[1:])) for a in (APART, keys))
    large = dem.GaussianHMM(2, **how).fit(rows, groups=groups)
    np.testing.assert_allclose(large.startprob_, few.startprob_, rtol=1e-9)


@pytest.mark.parametrize("missing", [np.nan, None])
def test_rows_without_a_group_are_refused(missing: Any, tmp_path: Path) -> None:
    keys = np.repeat([1.0, 2.0], 100).astype(float if missing is np.nan else object)
    keys[120:140] = missing
    frame = pd.DataFrame({"a": APART[:, 0], "who": keys})
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=50)
    ways: list[tuple[Any, Any]] = [
        (APART, keys), (frame, "who"), (dd.from_pandas(frame, npartitions=3), "who"),
        (tmp_path / "x.parquet", "who"),
    ]  # fmt: skip
    for data, groups in ways:
        with pytest.raises(dem.DataError, match="Every row must have a group") as error:
            dem.GaussianHMM(2, random_state=0).fit(data, groups=groups)
        assert "row 120" in str(error.value)


def test_large_keys_beside_floats_stay_apart(tmp_path: Path) -> None:
    keys = np.repeat(np.arange(4) + 1234567890123456789, 50)
    frame = pd.DataFrame({"a": APART[:, 0], "who": keys})
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=75)
    how: dict[str, Any] = {"means_init": [[0.0], [6.0]], "random_state": 0}
    few = dem.GaussianHMM(2, **how).fit(APART, [50] * 4)
    for data in (frame, dd.from_pandas(frame, npartitions=3), tmp_path / "x.parquet"):
        ours = dem.GaussianHMM(2, **how).fit(data, groups="who")
        np.testing.assert_allclose(ours.startprob_, few.startprob_, rtol=1e-9)
