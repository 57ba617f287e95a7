"""Every law for every family: weighted or not, complete or with missing values."""

import numpy as np
import pytest

from components import COMPONENTS, MISSING, with_gaps
from dem.testing import check_model


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("name", COMPONENTS)
def test_every_law(name: str, weighted: bool) -> None:
    here = COMPONENTS[name]
    weights = np.random.default_rng(5).gamma(2.0, size=400) if weighted else None
    check_model(here.model, here.rows(400), weights=weights, params=here.mixture)


@pytest.mark.parametrize("name", MISSING)
def test_every_law_with_missing_values(name: str) -> None:
    here = COMPONENTS[name]
    weights = np.random.default_rng(5).gamma(2.0, size=400)
    check_model(here.model, with_gaps(here, here.rows(400)), weights=weights)
