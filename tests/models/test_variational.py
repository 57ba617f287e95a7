"""Variational Bayes: scikit-learn's parameters, and a bound that is the evidence's to the last."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import betaln, gammaln, logsumexp
from sklearn.mixture import BayesianGaussianMixture as Theirs

import dem
from dem.climb import Climb
from dem.contract import Sample
from dem.em import bound
from dem.families import BayesianGaussian, NormalWishart
from dem.informed import Informed
from dem.models import Dirichlet, Mixture, StickBreaking, VariationalMixture
from dem.posteriors import Exact
from dem.schedules import Incremental
from dem.testing import check_model
from dem.warm import WarmStart
from mixtures import FORMS, climb, largest_fall, problem

MIXINGS: dict[str, Any] = {
    "dirichlet_distribution": Dirichlet(),
    "dirichlet_process": StickBreaking(),
}
forms = pytest.mark.parametrize("form", FORMS)
mixings = pytest.mark.parametrize("mixing", MIXINGS)
X = problem("full", 200, 3, 3, seed=4).rows


def near(rows: np.ndarray) -> np.ndarray:
    """Responsibilities (n, 4) for four of the rows of X as centres."""
    r = np.exp(-((rows[:, None] - X[:4]) ** 2).sum(axis=2) / 4)
    return r / r.sum(axis=1, keepdims=True)


class Begun(Theirs):
    """scikit-learn's, from `near`."""

    def _initialize_parameters(self, X: Any, random_state: Any, xp: Any = None) -> None:
        self._initialize(X, near(X))


def whole(rows: np.ndarray) -> Sample:
    return Sample.of(rows, np.ones(len(rows)), complete=True)


def begun(model: VariationalMixture) -> Any:
    sample = whole(X)
    return model.start_from(sample, near(sample.rows).T)


PRIORS: dict[str, dict[str, Any]] = {
    "of the data": {},
    "given": {
        "mean_prior": [1.0, 2.0, -1.0],
        "mean_precision_prior": 0.3,
        "degrees_of_freedom_prior": 4.5,
    },
}
SCATTERS = {
    "full": np.diag([1.0, 2.0, 3.0]) + 0.4,
    "tied": np.diag([1.0, 2.0, 3.0]) + 0.4,
    "diag": np.array([1.0, 2.0, 3.0]),
    "spherical": 1.7,
}


def of_form(form: str, given: str, reg_covar: float = 0.0) -> tuple[BayesianGaussian, dict]:
    """The family, and scikit-learn's arguments for the same."""
    theirs = dict(PRIORS[given])
    if theirs:
        theirs["covariance_prior"] = SCATTERS[form]
    ours = NormalWishart(
        theirs.get("mean_prior"),
        theirs.get("mean_precision_prior"),
        theirs.get("degrees_of_freedom_prior"),
        theirs.get("covariance_prior"),
    )
    return BayesianGaussian(FORMS[form], reg_covar, ours), theirs


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("given", PRIORS)
@mixings
@forms
def test_the_parameters_are_scikit_learns(form: str, mixing: str, given: str) -> None:
    """After seven turns from the same responsibilities; with a ridge too."""
    for ridge in (0.0, 1e-3):
        family, arguments = of_form(form, given, ridge)
        how: dict[str, Any] = {"weight_concentration_prior_type": mixing, "tol": 0.0}
        theirs = Begun(
            n_components=4, covariance_type=form, max_iter=7, reg_covar=ridge, **how, **arguments
        ).fit(X)
        model = VariationalMixture(4, family, MIXINGS[mixing])
        steps = climb(model, begun(model), X, 7)
        params, prepared = steps[-1].params, model.prepare(steps[-1].params)
        means, covariances, roots = family.outward(params.components)
        q = params.components.posterior
        df = q.degrees_of_freedom[0] if form == "tied" else q.degrees_of_freedom
        for ours, name in (
            (params.weights, "weights_"),
            (params.concentration, "weight_concentration_"),
            (means, "means_"),
            (covariances, "covariances_"),
            (roots, "precisions_cholesky_"),
            (q.mean_precision, "mean_precision_"),
            (df, "degrees_of_freedom_"),
        ):
            np.testing.assert_allclose(ours, getattr(theirs, name), 1e-10, 1e-10, err_msg=name)
        np.testing.assert_allclose(model.posterior(prepared, X), theirs.predict_proba(X), 1e-8)
        np.testing.assert_allclose(model.log_prob(prepared, X), theirs.score_samples(X), 1e-10)
        if not ridge:  # its bound leaves out what does not change
            pairs = zip(steps, theirs.lower_bounds_, strict=True)
            gaps = np.array([step.bound * len(X) - float(np.squeeze(b)) for step, b in pairs])
            np.testing.assert_allclose(gaps, gaps[0], atol=1e-9)


@pytest.mark.parametrize(
    ("form", "mixing", "weighted"),
    [
        ("full", "dirichlet_process", True),
        ("tied", "dirichlet_distribution", True),
        ("diag", "dirichlet_distribution", False),
        ("spherical", "dirichlet_process", False),
    ],
)
def test_every_law(form: str, mixing: str, weighted: bool) -> None:
    here = problem(form, 150, 3, 2, seed=4)
    model = VariationalMixture(3, BayesianGaussian(FORMS[form]), MIXINGS[mixing])
    check_model(model, here.rows, weights=here.weights if weighted else None)


@pytest.mark.parametrize(
    "model",
    [
        VariationalMixture(2, dem.Normal(), StickBreaking()),
        Mixture(2, BayesianGaussian(FORMS["diag"])),  # Corduneanu and Bishop 2001
        VariationalMixture(
            2, dem.Product(((BayesianGaussian(), (0, 2)), (dem.Normal(), (1,)))), Dirichlet(3.0)
        ),
    ],
    ids=["weights", "components", "a part of a product"],
)
def test_every_law_of_half_of_it(model: Any) -> None:
    here = problem("full", 150, 3, 2, seed=4)
    check_model(model, here.rows, posteriors=[Exact()], turns=3, skip=["bitwise"])


def test_the_bound_rises_to_the_end() -> None:
    """Over hundreds of turns, in which components lose all their rows."""
    model = VariationalMixture(8, BayesianGaussian(), StickBreaking(1e-3))
    steps = climb(model, model.start(whole(X), np.random.default_rng(0)), X, 300)
    assert largest_fall(steps) < 1e-12
    assert steps[-1].bound - steps[-2].bound < 1e-9
    assert (steps[-1].params.concentration[0] < 1.1).sum() == 5


def evidence(rows: np.ndarray, prior: NormalWishart) -> float:
    """log p(rows) under the prior, row by row: each is Student-t given those before it."""
    d, total = rows.shape[1], 0.0
    mean, precision, df, scatter = prior.mean, prior.mean_precision, prior.degrees_of_freedom, 1.0
    scatter = np.asarray(prior.covariance).reshape(d, d)
    for row in rows:
        free = df - d + 1
        shape = scatter * (precision + 1) / (precision * free)
        total += stats.multivariate_t(mean, shape, free).logpdf(row)
        off = row - mean
        scatter = scatter + precision / (precision + 1) * np.outer(off, off)
        mean = (precision * mean + row) / (precision + 1)
        precision, df = precision + 1, df + 1
    return float(total)


def prior_of(model: VariationalMixture, params: Any) -> NormalWishart:
    return model.family.prior_of(params.components)


@pytest.mark.parametrize("given", PRIORS)
@pytest.mark.parametrize("form", ["full", "tied"])
@mixings
def test_one_component_has_the_evidence_itself(form: str, mixing: str, given: str) -> None:
    """q is the posterior; of the stick none is left to others."""
    model = VariationalMixture(1, of_form(form, given)[0], MIXINGS[mixing])
    params = model.start_from(whole(X), np.ones((1, len(X))))
    step = climb(model, params, X, 1)[0]
    expected = evidence(X, prior_of(model, params))
    if mixing == "dirichlet_process":
        expected += betaln(1 + len(X), 1.0) - betaln(1.0, 1.0)
    assert step.bound * len(X) == pytest.approx(expected, rel=1e-12)
    assert step.bound_e == pytest.approx(step.bound, rel=1e-12)


@pytest.mark.parametrize("form", ["full", "diag", "spherical"])
@mixings
def test_below_the_evidence_of_a_tiny_case(form: str, mixing: str) -> None:
    """A sum over all ways to put seven numbers into two components."""
    x = np.array([-1.0, -0.7, -1.4, -1.1, 5.0, 5.3, 4.6])[:, None]
    model = VariationalMixture(2, BayesianGaussian(FORMS[form]), MIXINGS[mixing])
    start = model.start_around(whole(x), np.array([[-1.0], [5.0]]))
    prior, a0 = prior_of(model, start), 0.5
    terms = []
    for assigned in product((0, 1), repeat=len(x)):
        h = np.array(assigned)
        n = np.array([(h == 0).sum(), (h == 1).sum()])
        if mixing == "dirichlet_process":
            mixed = betaln(1 + n[0], a0 + n[1]) + betaln(1 + n[1], a0) - 2 * betaln(1, a0)
        else:
            mixed = (gammaln(a0 + n) - gammaln(a0)).sum() + gammaln(1.0) - gammaln(1.0 + n.sum())
        terms.append(mixed + evidence(x[h == 0], prior) + evidence(x[h == 1], prior))
    gap = logsumexp(terms) - climb(model, start, x, 50)[-1].bound * len(x)
    # There are two such q, with the components the other way round, and none covers both.
    assert (np.log(2) if mixing == "dirichlet_distribution" else 0.0) < gap < 1.5


@mixings
@forms
def test_the_bound_by_sampling(form: str, mixing: str) -> None:
    """E_q[log p(v, h, θ) − log q(h, θ)] over draws of θ, with SciPy's densities."""
    rows, k, d, draws = X[:60, :2], 3, 2, 3000
    model = VariationalMixture(k, BayesianGaussian(FORMS[form]), MIXINGS[mixing])
    params = climb(model, model.start_around(whole(rows), rows[:k]), rows, 3)[-1].params
    found = model.e_step(model.prepare(params), rows, None, Exact())
    r = model.posterior(model.prepare(params), rows)
    q, prior, rng = params.components.posterior, prior_of(model, params), np.random.default_rng(1)
    means, covariances, _ = model.family.outward(params.components)
    eye = np.eye(d)
    matrix = {"full": lambda c: c, "tied": lambda c: c, "diag": np.diag, "spherical": eye.__mul__}
    first = np.linalg.inv(matrix[form](prior.covariance))
    values = np.full(draws, found.entropy)
    if mixing == "dirichlet_process":
        s = rng.beta(*params.concentration, (draws, k))
        left = np.cumprod(1 - s, axis=1)
        pi = s * np.hstack([np.ones((draws, 1)), left[:, :-1]])
        values += stats.beta.logpdf(s, 1, 1 / k).sum(axis=1)
        values -= stats.beta.logpdf(s, *params.concentration).sum(axis=1)
    else:
        pi = rng.dirichlet(params.concentration, draws)
        values += stats.dirichlet.logpdf(pi.T, np.full(k, 1 / k))
        values -= stats.dirichlet.logpdf(pi.T, params.concentration)
    for j in range(k):
        sigma = matrix[form](covariances if form == "tied" else covariances[j])
        n, beta, scale = q.degrees_of_freedom[j], q.mean_precision[j], np.linalg.inv(sigma)
        precisions = stats.wishart.rvs(n, scale / n, draws, rng).reshape(draws, d, d)
        along = np.moveaxis(precisions, 0, -1)
        values += stats.wishart.logpdf(along, prior.degrees_of_freedom, first)
        values -= stats.wishart.logpdf(along, n, scale / n)
        roots = np.linalg.cholesky(np.linalg.inv(precisions))
        offsets = np.einsum("nij,nj->ni", roots, rng.standard_normal((draws, d))) / np.sqrt(beta)
        mu = means[j] + offsets

        def log_normal(z: np.ndarray, matrices: np.ndarray) -> np.ndarray:
            squares = np.einsum("n...i,nij,n...j->n...", z, matrices, z)
            log_det = np.linalg.slogdet(matrices)[1].reshape(-1, *[1] * (z.ndim - 2))
            return (log_det - d * np.log(2 * np.pi) - squares) / 2

        values += log_normal(mu - prior.mean, prior.mean_precision * precisions)
        values -= log_normal(offsets, beta * precisions)
        densities = log_normal(rows[None] - mu[:, None], precisions)
        values += (densities + np.log(pi[:, j])[:, None]) @ r[:, j]
    error = values.std() / np.sqrt(draws)
    assert error < 0.2
    assert bound(model, params, found) == pytest.approx(values.mean(), abs=4.5 * error)


@mixings
@forms
def test_there_and_back(form: str, mixing: str) -> None:
    model = VariationalMixture(4, BayesianGaussian(FORMS[form]), MIXINGS[mixing])
    params = begun(model)
    model.check(params)
    flat = model.flatten(params)
    back = model.unflatten(flat, params)
    model.check(back)
    np.testing.assert_allclose(model.flatten(back), flat, rtol=1e-11, atol=1e-11)
    ours, again = (model.log_prob(model.prepare(p), X) for p in (params, back))
    np.testing.assert_allclose(again, ours, rtol=1e-10)


def test_a_prior_that_is_not_given_is_that_of_the_rows() -> None:
    counts = np.arange(len(X)) % 3
    sample = Sample.of(X[counts > 0], counts[counts > 0].astype(float), complete=True)
    for form, expected in (
        ("full", np.cov(X.T, fweights=counts)),
        ("diag", np.diag(np.cov(X.T, fweights=counts))),
        ("spherical", np.diag(np.cov(X.T, fweights=counts)).mean()),
    ):
        prior = BayesianGaussian(FORMS[form]).informed(sample).prior
        np.testing.assert_allclose(prior.covariance, expected, rtol=1e-12)
        np.testing.assert_allclose(prior.mean, np.average(X, axis=0, weights=counts), rtol=1e-12)
        assert (prior.mean_precision, prior.degrees_of_freedom) == (1.0, 3.0)


def test_a_sample_counts_for_all_the_rows() -> None:
    model = VariationalMixture(4, BayesianGaussian(), StickBreaking())
    tenth = replace(whole(X), complete=False, share=0.1)
    params = model.start_from(tenth, near(tenth.rows).T)
    assert params.concentration[0].sum() == pytest.approx(4 + 10 * len(X))
    assert params.components.posterior.degrees_of_freedom.sum() == pytest.approx(4 * 3 + 10 * 200)


def test_a_warm_start_has_the_prior_of_the_whole_sample() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(3000, 2)), rng.normal(size=(3000, 2)) + 6])
    model = VariationalMixture(2, BayesianGaussian(), Dirichlet())
    fitted = dem.fit(model, rows, start=Informed(WarmStart(candidates=2)))
    prior = prior_of(model, fitted.params)
    np.testing.assert_allclose(prior.mean, rows.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(prior.covariance, np.cov(rows.T), rtol=1e-10)
    partly = dem.fit(model, rows, start=WarmStart(candidates=2))
    assert abs(prior_of(model, partly.params).mean - rows.mean(axis=0)).max() > 1e-3


def test_other_schedules_come_to_the_same_end() -> None:
    model = VariationalMixture(3, BayesianGaussian(), StickBreaking())
    rows = problem("full", 600, 2, 3, seed=1).rows
    batch, incremental = (
        dem.fit(model, rows, tol=1e-12, max_iter=2000, schedule=schedule)
        for schedule in (dem.FullBatch(), Incremental(4))
    )
    assert incremental.lower_bound == pytest.approx(batch.lower_bound, abs=1e-8)
    assert Climb(model).model == VariationalMixture(3, BayesianGaussian(), StickBreaking())


REFUSED: list[tuple[Any, type[Exception], str]] = [
    (lambda: VariationalMixture(0, dem.Gaussian()), ValueError, "k must be >= 1"),
    (lambda: VariationalMixture(2, dem.Gaussian(), 0.5), TypeError, "mixing must be a Mixing"),
    (lambda: Dirichlet(0.0), ValueError, r"concentration must be positive, got 0\.0"),
    (lambda: StickBreaking("a"), TypeError, "concentration must be float, got str"),
    (lambda: NormalWishart(mean_precision=0), ValueError, "mean_precision must be positive"),
    (lambda: NormalWishart(mean=[np.nan]), ValueError, "mean of the prior contains NaN"),
    (lambda: BayesianGaussian(prior=1.0), TypeError, "prior must be a NormalWishart"),
    (lambda: of_rows(NormalWishart(mean=[1.0])), ValueError, r"mean has the shape \(1,\), not"),
    (lambda: of_rows(NormalWishart(degrees_of_freedom=2.0)), ValueError, "greater than 2"),
    (lambda: of_rows(NormalWishart(covariance=1.0)), ValueError, r"the shape \(\), not \(3, 3\)"),
    (lambda: of_rows(NormalWishart(covariance=-np.eye(3))), ValueError, "positive definite"),
]


def of_rows(prior: NormalWishart) -> BayesianGaussian:
    return BayesianGaussian(prior=prior).informed(whole(X))


@pytest.mark.parametrize(("make", "error", "message"), REFUSED, ids=[r[2][:40] for r in REFUSED])
def test_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_parameters_that_cannot_be() -> None:
    model = VariationalMixture(4, BayesianGaussian(), StickBreaking())
    params = begun(model)
    own = params.components
    low = replace(own.posterior, degrees_of_freedom=np.full(4, 2.0))
    none = replace(own.posterior, mean_precision=np.zeros(4))
    for wrong, said in (
        (replace(params, concentration=params.concentration[0]), "have the shape"),
        (replace(params, weights=np.full(4, 0.25)), "not those that the concentration expects"),
        (replace(params, components=replace(own, posterior=low)), "numbers above 2"),
        (replace(params, components=replace(own, posterior=none)), "4 positive numbers"),
    ):
        with pytest.raises(ValueError, match=said):
            model.check(wrong)
