"""What scikit-learn asks of every estimator."""

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import dem

ESTIMATORS = [
    dem.GaussianMixture(),
    dem.KMeans(),
    dem.BernoulliMixture(binarize=1.5),
    dem.CategoricalMixture(),
    dem.PoissonMixture(),
    dem.StudentTMixture(),
    dem.BayesianGaussianMixture(),
    dem.MixedMixture(),
    dem.MixtureOfRegressions(),
    dem.MixtureOfRegressions(concomitant=True),
    dem.LatentDirichletAllocation(3),
    dem.FellegiSunter(),
    dem.FactorAnalysis(1),
    dem.FactorAnalysis(1, method="em"),
    dem.FactorAnalysis(1, missing=True, method="em"),
    dem.PCA(0.9),
    dem.PCA(1, whiten=True),
    dem.PCA(1, missing=True),
]
WEIGHTS = "check_sample_weight_equivalence_on_dense_data"
FAILING = {
    dem.CategoricalMixture: {WEIGHTS: "its numbers are continuous: rows have levels of their own"},
    dem.FellegiSunter: {WEIGHTS: "its numbers are continuous: rows have levels of their own"},
    dem.PoissonMixture: {
        WEIGHTS: "its numbers are no counts",
        "check_positive_only_tag_during_fit": "its first value is above 0, and refused: no count",
    },
    dem.MixedMixture: {
        "check_sample_weights_pandas_series": "whether integers of a dataframe are counts or "
        "categories must be said",
    },
}


# Some of its data have fewer distinct rows than KMeans has clusters; scikit-learn's warns as well.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# Ten rows of ten columns, on which the likelihood of a full covariance has no bound.
@pytest.mark.filterwarnings("ignore:variance is at its floor:dem.DegenerateComponentWarning")
@parametrize_with_checks(
    ESTIMATORS, expected_failed_checks=lambda estimator: FAILING.get(type(estimator), {})
)
def test_check(estimator: Any, check: Any) -> None:
    check(estimator)
