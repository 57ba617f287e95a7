from collections.abc import Iterator

import pytest

from dem.engine.blas import one_blas_thread


@pytest.fixture(autouse=True, scope="package")
def as_in_the_engine() -> Iterator[None]:
    """Small matrix products on several threads take ten times longer on a busy machine."""
    with one_blas_thread():
        yield
