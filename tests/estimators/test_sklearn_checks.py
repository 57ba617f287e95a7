"""What scikit-learn asks of every estimator, without exemptions."""

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import dem


# Some of its data have fewer distinct rows than KMeans has clusters; scikit-learn's warns as well.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([dem.GaussianMixture(), dem.KMeans()])
def test_check(estimator: Any, check: Any) -> None:
    check(estimator)
