"""The estimator of topics: scikit-learn's results on the Reuters counts of `lda`, and its face."""

import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.exceptions import ConvergenceWarning

import corpora
import dem
from corpora import FromEqualShares, corpus
from dem.estimators.topic_priors import concentration_of
from dem.models import LDA
from dem.models.concentrations import Asymmetric, Fixed
from dem.schedules import Incremental, Online
from dem.starts import Given
from dem.topics import Completion, Perplexity

ROWS = corpus(200, 60, 4, 40.0)
FRAME = csr_matrix(ROWS)


@pytest.fixture(scope="module")
def reuters() -> csr_matrix:
    pytest.importorskip("lda")
    return corpora.reuters()


def completed(topics: np.ndarray, rows: Any) -> float:
    """Perplexity of document completion of topics (K, V) of either library, priors 1/K."""
    k, n_words = topics.shape
    params = dem.models.LDAParams(topics, np.full(k, 1 / k), np.full(n_words, 1 / k))
    likely, words = dem.fitting.total(Completion(LDA(k), params), dem.open_data(rows, sparse=True))
    return float(np.exp(-likely / words))


def test_reuters_in_batches(reuters: csr_matrix) -> None:
    """The same bound as scikit-learn's to 1e-9 after 8 passes, and the same words foretold."""
    k, train, rest = 20, reuters[:300], reuters[300:]
    start = np.random.default_rng(0).gamma(100.0, 0.01, (k, reuters.shape[1]))
    other = FromEqualShares(k).begin(start)
    for _ in range(8):
        other.turn(train)
    params = dem.models.LDAParams(start, np.full(k, 1 / k), np.full(reuters.shape[1], 1 / k))
    fitted = dem.fit(LDA(k), train, start=Given(params), max_iter=8, tol=0)
    mine = dem.LatentDirichletAllocation.from_fit(fitted, train)
    assert mine.score(train) == pytest.approx(other.score(train), rel=1e-8)
    assert mine.bound_ == pytest.approx(other.perplexity(train), rel=1e-7)
    assert mine.perplexity(rest) == pytest.approx(other.perplexity(rest), rel=1e-5)
    assert mine.completion_perplexity(rest) == pytest.approx(
        completed(other.components_, rest), rel=1e-5
    )


def test_reuters_online(reuters: csr_matrix) -> None:
    k, size = 20, 79
    start = np.random.default_rng(1).gamma(100.0, 0.01, (k, reuters.shape[1]))
    other = FromEqualShares(k).begin(start)
    for _ in range(2):
        for first in range(0, 395, size):
            other.turn(reuters[first : first + size], of=395)
    params = dem.models.LDAParams(start, np.full(k, 1 / k), np.full(reuters.shape[1], 1 / k))
    parts = [reuters[first : first + size] for first in range(0, 395, size)]
    fitted = dem.fit(LDA(k), parts, start=Given(params), schedule=Online(5, 2), max_iter=2, tol=0)
    mine = dem.LatentDirichletAllocation.from_fit(fitted)
    np.testing.assert_allclose(mine.components_, other.components_, rtol=1e-3)
    assert mine.score(reuters) == pytest.approx(other.score(reuters), rel=1e-6)


def test_a_close_inner_loop_lets_the_bound_rise(reuters: csr_matrix) -> None:
    model = LDA(20, inner_iter=1000, inner_tol=1e-5)
    fitted = dem.fit(model, reuters, seed=0, max_iter=30, tol=0)
    bounds = np.array([(record.bound_e, record.bound) for record in fitted.history]).ravel()
    assert (np.diff(bounds) > -1e-6).all()


def test_the_whole_interface_agrees_with_scikit_learn() -> None:
    """As good as scikit-learn's, which begins each inner loop at random shares."""
    mine = dem.LatentDirichletAllocation(4, max_iter=30, random_state=0).fit(ROWS)
    other = LatentDirichletAllocation(4, max_iter=30, random_state=0).fit(FRAME)
    assert mine.bound_ < other.bound_ * 1.05
    theirs = vars(other).keys() | {"n_iter_"}
    assert {name for name in theirs if name.endswith("_")} - {"random_state_"} <= vars(mine).keys()
    for name in ("components_", "exp_dirichlet_component_"):
        assert getattr(mine, name).shape == getattr(other, name).shape
    assert (mine.n_iter_, mine.n_batch_iter_) == (other.n_iter_, other.n_batch_iter_) == (30, 31)
    assert (mine.doc_topic_prior_, mine.topic_word_prior_) == (0.25, 0.25)
    assert mine.perplexity(ROWS) == pytest.approx(mine.bound_)
    # The topics of one in the estimator of the other.
    other.components_ = mine.components_
    other.exp_dirichlet_component_ = mine.exp_dirichlet_component_
    assert mine.score(ROWS) == pytest.approx(other.score(FRAME), rel=1e-8)
    assert mine.perplexity(ROWS) == pytest.approx(other.perplexity(FRAME), rel=1e-8)
    few = ROWS[:20]
    mine.set_params(total_samples=200)
    other.set_params(total_samples=200)
    assert mine.perplexity(few, sub_sampling=True) == pytest.approx(
        other.perplexity(csr_matrix(few), sub_sampling=True), rel=1e-8
    )
    for normalize in (True, False):
        np.testing.assert_allclose(
            mine.transform(ROWS, normalize=normalize),
            other.transform(FRAME, normalize=normalize),
            atol=1e-6,
        )


def test_online_and_partial_fits_are_one() -> None:
    how = {"n_components": 3, "random_state": 5, "batch_size": 50, "total_samples": 200}
    whole = dem.LatentDirichletAllocation(learning_method="online", max_iter=2, **how).fit(ROWS)
    assert (whole.n_iter_, whole.n_batch_iter_) == (2, 9)
    part = dem.LatentDirichletAllocation(**how)
    for _ in range(2):
        for first in (0, 100):
            part.partial_fit(ROWS[first : first + 100])
    np.testing.assert_allclose(part.components_, whole.components_, rtol=1e-9)
    assert part.n_batch_iter_ == 9
    assert part.transform(ROWS).shape == (200, 3)
    with pytest.raises(ValueError, match="X has 59 features"):
        part.partial_fit(ROWS[:, :59])
    again = dem.LatentDirichletAllocation(3, max_iter=2, random_state=5).fit(ROWS)
    assert again.partial_fit(ROWS).n_batch_iter_ == 3 + 2  # batches of 128


def test_partial_fits_go_on_after_a_fit_and_a_file(tmp_path: Path) -> None:
    how = {"n_components": 3, "random_state": 5, "batch_size": 50, "total_samples": 200}
    ours, theirs = dem.LatentDirichletAllocation(**how), LatentDirichletAllocation(**how)
    for model in (ours, theirs):
        model.partial_fit(ROWS)
        assert (model.n_iter_, model.n_batch_iter_) == (0, 5)
        model.set_params(max_iter=2).fit(ROWS)
        model.partial_fit(ROWS[:100])
        assert (model.n_iter_, model.n_batch_iter_) == (2, 5)  # of a fit, and 2 steps after it
    dem.save(ours, tmp_path / "model")
    back = dem.load(tmp_path / "model").set_params(learning_decay=0.7)
    assert (back.n_iter_, back.n_batch_iter_) == (2, 5)
    np.testing.assert_array_equal(
        back.partial_fit(ROWS).components_, ours.partial_fit(ROWS).components_
    )


@pytest.mark.parametrize(
    "changed", [{"n_components": 4}, {"doc_topic_prior": 0.9}, {"topic_word_prior": "asymmetric"}]
)
def test_partial_fits_of_another_model_are_refused(changed: dict[str, Any]) -> None:
    model = dem.LatentDirichletAllocation(3, random_state=0).partial_fit(ROWS)
    before = model.components_
    (name,) = changed
    with pytest.raises(ValueError, match=f"for which {name} was .* Use fit to begin anew"):
        model.set_params(**changed).partial_fit(ROWS)
    assert model.components_ is before
    assert model.fit(ROWS).transform(ROWS).shape[1] == changed.get("n_components", 3)


@pytest.mark.parametrize("empty", [np.zeros((10, 60)), csr_matrix((10, 60))])
def test_a_corpus_without_words(empty: Any) -> None:
    for how in ({}, {"learning_method": "online"}, {"evaluate_every": 1}):
        with pytest.raises(dem.DataError, match="X has no words: all documents are empty"):
            dem.LatentDirichletAllocation(3, random_state=0, **how).fit(empty)
    model = dem.LatentDirichletAllocation(3, random_state=0).fit(ROWS)
    np.testing.assert_allclose(model.transform(empty), 1 / 3)
    assert model.partial_fit(empty).n_batch_iter_ == 11 + 1
    with pytest.raises(dem.DataError, match="X has no words"):
        model.perplexity(empty)
    with pytest.raises(dem.DataError, match="No document of X has two words"):
        model.completion_perplexity(empty)


def test_lazy_on_lazy_data(tmp_path: Path) -> None:
    model = dem.LatentDirichletAllocation(4, max_iter=4, random_state=0).fit(ROWS)
    expected = model.transform(ROWS)
    dem.write_csr(str(tmp_path / "counts.zarr"), [ROWS[:90], ROWS[90:]], 60)
    dense = da.from_array(ROWS.toarray(), chunks=(70, -1))
    sparse = dense.map_blocks(csr_matrix)
    for data in (dense, sparse, str(tmp_path / "counts.zarr")):
        lazy = model.transform(data)
        assert isinstance(lazy, da.Array)
        np.testing.assert_allclose(lazy.compute(), expected, atol=1e-12)
        assert model.score(data) == pytest.approx(model.score(ROWS), rel=1e-12)
    np.testing.assert_allclose(model.transform([ROWS[:7], ROWS[7:]]), expected, atol=1e-12)


def test_stops_when_perplexity_stands_still() -> None:
    how: dict[str, Any] = {"n_components": 3, "random_state": 0, "max_iter": 200}
    model = dem.LatentDirichletAllocation(evaluate_every=1, perp_tol=0.05, **how).fit(ROWS)
    assert model.converged_
    assert 3 < model.n_iter_ < 200
    words = ROWS.sum() / 200
    last = [np.exp(-bound / words) for bound in model.lower_bounds_[-2:]]
    assert abs(last[1] - last[0]) < 0.05
    rare = dem.LatentDirichletAllocation(evaluate_every=5, perp_tol=0.05, **how).fit(ROWS)
    assert rare.n_iter_ % 5 == 0
    with pytest.warns(ConvergenceWarning, match="did not converge in 3"):
        dem.LatentDirichletAllocation(3, max_iter=3, evaluate_every=1, random_state=0).fit(ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dem.LatentDirichletAllocation(3, max_iter=3, random_state=0).fit(ROWS)
    assert not Perplexity(10.0, 2)([-np.inf, -9.0, -8.0, -8.0], 1.0)


def test_saved_resumed_and_from_a_fit(tmp_path: Path) -> None:
    path = str(tmp_path / "counts.zarr")
    dem.write_csr(path, [ROWS], 60)
    how: dict[str, Any] = {"doc_topic_prior": "asymmetric", "topic_word_prior": 0.2}
    model = dem.LatentDirichletAllocation(4, max_iter=6, random_state=1, **how).fit(path)
    dem.save(model, str(tmp_path / "model"))
    back = dem.load(str(tmp_path / "model"))
    assert back.get_params() == model.get_params()
    assert back.bound_ == model.bound_
    assert back.components_.tobytes() == model.components_.tobytes()
    np.testing.assert_array_equal(back.doc_topic_prior_, model.doc_topic_prior_)
    for method in ("batch", "online", "incremental"):
        whole, half = (
            dem.LatentDirichletAllocation(
                3, max_iter=turns, random_state=1, learning_method=method, batch_size=50,
                checkpoint=place,
            ).fit(path)
            for turns, place in ((4, None), (2, tmp_path / method))
        )  # fmt: skip
        assert half.n_iter_ == 2
        if method == "online":  # which would go on with full batches
            continue
        again = dem.LatentDirichletAllocation.resume(tmp_path / method, max_iter=4, batch_size=50)
        assert again.components_.tobytes() == whole.components_.tobytes()
        assert again.learning_method == method
    fitted = dem.fit(LDA(3, Asymmetric(), Fixed(0.1)), ROWS, max_iter=2, tol=0)
    bare = dem.LatentDirichletAllocation.from_fit(fitted)
    assert (bare.doc_topic_prior, bare.topic_word_prior) == ("asymmetric", 0.1)
    assert not hasattr(bare, "bound_")
    other = dem.fit(dem.Mixture(2, dem.Poisson()), ROWS.toarray(), max_iter=1)
    with pytest.raises(ValueError, match="not the fit of latent Dirichlet allocation"):
        dem.LatentDirichletAllocation.from_fit(other)


def test_top_words() -> None:
    pd = pytest.importorskip("pandas")
    names = [f"word{j}" for j in range(60)]
    frame = pd.DataFrame(ROWS.toarray(), columns=names)
    model = dem.LatentDirichletAllocation(3, max_iter=5, random_state=0).fit(frame)
    top = model.top_words(4)
    for row, words in zip(model.components_, top, strict=True):
        assert words == [names[j] for j in np.argsort(-row)[:4]]
    bare = dem.LatentDirichletAllocation(3, max_iter=5, random_state=0).fit(ROWS)
    assert [[names[j] for j in words] for words in bare.top_words(4)] == top
    assert bare.top_words(4, names) == top
    assert list(model.get_feature_names_out()) == [
        f"latentdirichletallocation{k}" for k in range(3)
    ]
    with pytest.raises(ValueError, match="3 names for 60 words"):
        bare.top_words(4, ["a", "b", "c"])


def test_completion_prefers_the_truth() -> None:
    """More topics than there are foretell the other halves worse than as many; one far worse."""
    fits = {
        k: dem.LatentDirichletAllocation(k, max_iter=30, random_state=0).fit(ROWS[:150])
        for k in (1, 4)
    }
    found = {k: model.completion_perplexity(ROWS[150:]) for k, model in fits.items()}
    assert found[4] < 0.8 * found[1]
    assert fits[4].completion_perplexity(ROWS[150:]) == found[4]
    assert fits[4].completion_perplexity(ROWS[150:], seed=1) != found[4]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"n_components": 0}, ValueError, "k must be >= 1"),
        ({"doc_topic_prior": -1.0}, ValueError, "doc_topic_prior: value must be"),
        ({"topic_word_prior": "broad"}, ValueError, "topic_word_prior must be one of"),
        ({"learning_method": "sometimes"}, ValueError, "learning_method must be one of"),
        ({"learning_method": 3}, TypeError, "learning_method must be"),
        ({"learning_method": "online", "learning_decay": 0.3}, ValueError, "power must be"),
        ({"batch_size": 0}, ValueError, "batch_size must be >= 1"),
        ({"perp_tol": -1}, ValueError, "perp_tol must be >= 0"),
        ({"mean_change_tol": "small"}, TypeError, "inner_tol must be float"),
    ],
)
def test_arguments(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        dem.LatentDirichletAllocation(**arguments).fit(ROWS)
    assert concentration_of("a", None) == Fixed()
    assert dem.LatentDirichletAllocation(2, learning_method=Incremental(2))._schedule(4).groups == 2


def test_opened_data_are_for_functions() -> None:
    opened = dem.open_data(ROWS, sparse=True)
    for act in (dem.LatentDirichletAllocation(2).fit, dem.LatentDirichletAllocation(2).partial_fit):
        with pytest.raises(TypeError, match=r"opened for dem\.fit, by dem\.open_data"):
            act(opened)
