"""Pictures, by what is drawn and where."""

import sys
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.patches import Ellipse
from scipy.stats import chi2, multivariate_normal, norm

import dem
from dem.families.gaussian import GaussianParams
from dem.models.lda import LDAParams
from dem.models.mixture import MixtureParams
from dem.plots import Columns, plot_family, plot_model, topics, transitions
from dem.plots.gaussians import matrices
from dem.plots.structured import shares
from dem.starts import RandomRows

RNG = np.random.default_rng(0)
ABC = Columns.of("abc")


@pytest.fixture(autouse=True)
def drawn_to_memory() -> Iterator[None]:
    matplotlib.use("Agg")
    yield
    pyplot.close("all")


def blobs(n: int = 600) -> np.ndarray:
    x = RNG.normal(size=(n, 3)) * [1.0, 0.1, 2.0]
    x[: n // 3] += [8.0, 0.0, 3.0]
    return x


def drawn(ax: Any) -> None:
    """As it will be when it is saved: raises what only drawing finds out."""
    ax.figure.canvas.draw()


def test_the_bound_of_every_attempt() -> None:
    model = dem.Mixture(3, dem.Gaussian())
    fit = dem.fit(model, blobs(), start=RandomRows(), n_init=3, max_iter=8, tol=0.0)
    ax = fit.plot()
    drawn(ax)
    assert len(fit.attempts) == 3
    assert fit.history in fit.attempts
    lines = {line.get_label(): line for line in ax.get_lines()}
    best = fit.attempts.index(fit.history)
    for i, history in enumerate(fit.attempts):
        line = lines[f"attempt {i + 1}{', the best' * (i == best)}"]
        assert line.get_xdata().tolist() == [record.turn for record in history]
        assert line.get_ydata().tolist() == [record.bound for record in history]
    assert f"{fit.history[-1].bound:.6g}" in [text.get_text() for text in ax.texts]
    assert max(history[-1].bound_e for history in fit.attempts) == fit.lower_bound


def test_a_history_is_drawn_on_the_axes_given() -> None:
    fit = dem.fit(dem.Mixture(2, dem.Gaussian()), blobs(), max_iter=3, tol=0.0)
    mine = pyplot.subplots()[1]
    assert fit.history.plot(mine) is mine
    assert fit.attempts == ()
    assert len(fit.plot(mine).get_lines()) == 2 * 3


def test_ellipses_hold_half_and_95_per_cent() -> None:
    """Where an ellipse is, the squared distance from the mean is that quantile of χ²₂."""
    model = dem.GaussianMixture(2, random_state=0).fit(blobs())
    ax = model.plot(columns=(0, 2))
    drawn(ax)
    ellipses = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
    assert len(ellipses) == 4
    pair = np.ix_([0, 2], [0, 2])
    for i, ellipse in enumerate(ellipses):
        k = i // 2
        outline = ellipse.get_patch_transform().transform(
            np.column_stack([np.cos(t := np.linspace(0, 2 * np.pi, 50)), np.sin(t)])
        )
        apart = outline - model.means_[k][[0, 2]]
        distance = np.einsum(
            "ni,ij,nj->n", apart, np.linalg.inv(model.covariances_[k][pair]), apart
        )
        assert distance == pytest.approx(chi2.ppf((0.5, 0.95)[i % 2], 2), rel=1e-3)
    assert [text.get_text() for text in ax.texts] == ["0", "1"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column 0", "column 2")


def test_the_columns_that_tell_components_apart_are_chosen() -> None:
    frame = pd.DataFrame(blobs(), columns=["far", "same", "near"])
    model = dem.GaussianMixture(2, random_state=0).fit(frame)
    ax = model.plot()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("far", "near")
    with pytest.raises(ValueError, match="'none' is no column: there are 'far', 'same', 'near'"):
        model.plot(columns="none")
    with pytest.raises(ValueError, match="one column or two, not 3"):
        model.plot(columns=["far", "same", "near"])


def test_densities_of_a_column_are_those_of_the_mixture() -> None:
    model = dem.GaussianMixture(3, random_state=0).fit(blobs())
    ax = model.plot(columns=0)
    lines = {line.get_label(): line.get_xydata() for line in ax.get_lines()}
    x, density = lines.pop("all").T
    spread = np.sqrt(model.covariances_[:, 0, 0])
    parts = model.weights_ * norm.pdf(x[:, None], model.means_[:, 0], spread)
    np.testing.assert_allclose(density, parts.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose([line[:, 1] for line in lines.values()], parts.T, rtol=1e-9)
    assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("form", ["full", "tied", "diag", "spherical", "EEI", "VVI", "EII", "VEV"])
def test_every_form_of_covariance_is_drawn_as_it_is(form: str) -> None:
    model = dem.GaussianMixture(3, covariance_type=form, random_state=0, max_iter=5, tol=1.0)
    model.fit(blobs())
    own = matrices(model.covariances_, model._fitted.model.family.covariance.pooled, 3, 3)
    x = blobs(50)
    densities = [multivariate_normal(*one).pdf(x) for one in zip(model.means_, own, strict=True)]
    np.testing.assert_allclose(np.log(model.weights_ @ densities), model.score_samples(x))
    drawn(model.plot())


def test_profiles_are_what_is_expected_of_each_column() -> None:
    x = (RNG.random((500, 4)) < 0.3).astype(float)
    model = dem.BernoulliMixture(2, random_state=0).fit(x)
    ax = model.plot()
    drawn(ax)
    np.testing.assert_array_equal([line.get_ydata() for line in ax.get_lines()],
                                  model.probabilities_)  # fmt: skip
    assert [line.get_marker() for line in ax.get_lines()] == ["o", "s"]
    assert len({str(line.get_linestyle()) for line in ax.get_lines()}) == 2
    counts = dem.PoissonMixture(2, random_state=0).fit(RNG.poisson(4.0, size=(300, 3)))
    np.testing.assert_array_equal(
        [line.get_ydata() for line in counts.plot(columns=[2, 0]).get_lines()],
        counts.rates_[:, [2, 0]],
    )


def test_levels_are_shades_with_their_words() -> None:
    frame = pd.DataFrame({"c": pd.Categorical(list("abc") * 60), "d": list("xyxyyx") * 30})
    model = dem.CategoricalMixture(2, random_state=0).fit(frame)
    ax = model.plot()
    drawn(ax)
    words = [label.get_text() for label in ax.get_xticklabels()]
    assert words == ["c = a", "c = b", "c = c", "d = x", "d = y"]
    shades = ax.images[0].get_array()
    np.testing.assert_allclose(shades[:, :3].sum(axis=1), 1)
    np.testing.assert_allclose(shades, np.hstack(model.probabilities_))
    assert ax.texts[0].get_text() == f"{shades[0, 0]:.2f}"
    only = model.plot(columns="d")
    assert [label.get_text() for label in only.get_xticklabels()] == ["d = x", "d = y"]


def test_a_product_is_drawn_part_by_part() -> None:
    frame = pd.DataFrame({
        "size": RNG.normal(size=90), "visits": RNG.poisson(3, 90), "colour": list("rgb") * 30,
    })  # fmt: skip
    model = dem.MixedMixture(2, families={"visits": dem.Poisson()}, random_state=0).fit(frame)
    parts = model.plot()
    assert len(parts) == 3
    drawn(parts[0])
    visits = model.plot(columns="visits")
    rates = [line.get_ydata()[0] for line in visits.get_lines()]
    np.testing.assert_array_equal(rates, model.parameters_["visits"]["rates"])
    with pytest.raises(ValueError, match="ax must be 3 Axes"):
        model.plot(ax=pyplot.subplots(2)[1])


def test_k_means_are_drawn_as_centres() -> None:
    model = dem.KMeans(3, random_state=0).fit(blobs())
    places = model.plot(columns=(0, 1)).collections[0].get_offsets()
    np.testing.assert_allclose(places, model.cluster_centers_[:, :2])


def test_every_estimator_of_a_mixture_has_a_picture() -> None:
    x = np.abs(blobs(300))
    for model in (dem.StudentTMixture(2, random_state=0), dem.BayesianGaussianMixture(2)):
        drawn(model.fit(x).plot())
    regressions = dem.MixtureOfRegressions(2, random_state=0).fit(x[:, :2], x[:, 2])
    lines = regressions.plot().get_lines()
    np.testing.assert_allclose([line.get_ydata() for line in lines], regressions.coef_)


@pytest.mark.parametrize(
    "family", [dem.Normal(), dem.LogNormal(), dem.Gamma(), dem.Beta(), dem.Exponential(),
               dem.NegativeBinomial(), dem.WithNoise(dem.Gaussian())], ids=repr)  # fmt: skip
def test_families_have_pictures(family: Any) -> None:
    x = RNG.poisson(3.0, size=(200, 3)) + 0.0
    x = x if family == dem.NegativeBinomial() else RNG.beta(2.0, 3.0, size=(200, 3))
    fit = dem.fit(dem.Mixture(2, family), x, max_iter=3, tol=0.0)
    drawn(plot_model(fit.model, fit.params, ABC))


def test_a_picture_of_a_class_of_ones_own() -> None:
    class Own:
        pass

    with pytest.raises(TypeError, match=r"no picture of a Own: register .*plot_model.register"):
        plot_model(Own(), None, ABC)
    plot_model.register(Own, lambda model, params, columns, ax=None: columns.names)
    assert plot_model(Own(), None, ABC) == ("a", "b", "c")

    class Family:
        def described(self, params: Any) -> dict[str, Any]:
            return {"wide": np.zeros((2, 7))}

    with pytest.raises(TypeError, match="no picture of Family"):
        plot_family(Family(), None, np.ones(2) / 2, ABC)


def test_components_without_weight_are_left_out() -> None:
    means = np.array([[0.0, 0.0], [1.0, 1.0]])
    family = dem.Gaussian(dem.Spherical())
    frame = dem.fit(dem.Mixture(1, family), blobs()[:, :2], max_iter=1).params.components.frame
    components = GaussianParams(means, np.ones((2, 1)), np.ones((2, 1)), frame)
    params = MixtureParams(np.array([1.0, 0.0]), components)
    ax = plot_model(dem.Mixture(2, family), params, Columns.of("ab"))
    assert [text.get_text() for text in ax.texts] == ["0"]


def test_a_selection_with_the_spread_over_restarts() -> None:
    models = {f"{k} {r}": dem.Mixture(k, dem.Gaussian()) for k in (1, 2, 4) for r in range(3)}
    found = dem.select(models, blobs(), start=RandomRows(), max_iter=12, tol=1e-9, rungs=())
    table, lost = found.to_frame(), np.array([fit.interrupted for fit in found.fits])
    ax = found.plot()
    drawn(ax)
    lines = {line.get_label(): line for line in ax.get_lines()}
    for name, column in (("BIC", "bic"), ("ICL", "icl")):
        values = table[column].to_numpy().reshape(3, 3)
        ran = np.where(lost.reshape(3, 3), np.inf, values)
        best = np.where(np.isfinite(ran).any(axis=1), ran.min(axis=1), values.min(axis=1))
        assert lines[name].get_xdata().tolist() == [1, 2, 4]
        np.testing.assert_array_equal(lines[name].get_ydata(), best)
    assert len(set(table["bic"][-3:])) > 1  # other random numbers, other optima
    assert lines["chosen"].get_ydata()[0] == table["bic"].iloc[found.best]
    assert lines["BIC"].get_linestyle() != lines["ICL"].get_linestyle()
    with pytest.raises(ValueError, match=r"criteria must be among .*, got 'best'"):
        found.plot(criteria=["best"])


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = dem.fit(dem.Mixture(1, dem.Gaussian()), blobs())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dask-em\[plot\]'"):
        fit.plot()


def test_transitions_are_arrows_with_their_probabilities() -> None:
    follow = np.array([[0.9, 0.1, 0.0], [0.0, 0.7, 0.3], [0.25, 0.004, 0.746]])
    ax = transitions(follow)
    drawn(ax)
    words = [text.get_text() for text in ax.texts if text.get_text()]
    assert words == ["0.10", "0.30", "0.25", "0\n0.90", "1\n0.70", "2\n0.75"]
    np.testing.assert_allclose(shares(follow) @ follow, shares(follow), atol=1e-9)
    many = np.full((9, 9), 1 / 9)
    np.testing.assert_array_equal(transitions(many).images[0].get_array(), many)
    drawn(transitions(np.ones((1, 1))))


def test_a_hidden_markov_model_shows_transitions_and_states() -> None:
    model = dem.GaussianHMM(2, random_state=0, max_iter=5, tol=1e9).fit(blobs())
    chain, states = model.plot(columns=0)
    drawn(chain)
    assert f"0\n{model.transmat_[0, 0]:.2f}" in [text.get_text() for text in chain.texts]
    assert len(states.get_lines()) == 3
    told = model.to_frame().query("parameter == 'transmat' and component == 1")
    assert told.other.tolist() == [0, 1]
    assert told.value.tolist() == model.transmat_[1].tolist()
    with pytest.raises(ValueError, match="ax must be 2 Axes"):
        model.plot(ax=pyplot.subplots()[1])


def test_topics_are_shown_by_their_most_probable_words() -> None:
    words = np.array([[0.5, 0.1, 0.4], [0.2, 0.7, 0.1]])
    first, second = topics(words, ["sea", "tax", "ship"])
    drawn(first)
    assert [label.get_text() for label in first.get_yticklabels()] == ["sea", "ship", "tax"]
    assert [bar.get_width() for bar in second.patches] == [0.7, 0.2, 0.1]
    params = LDAParams(words * 40, np.ones(2), np.ones(3))
    labels = plot_model(dem.LDA(2), params, ABC)[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["a", "c", "b"]
