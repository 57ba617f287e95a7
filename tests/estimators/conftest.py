import numpy as np
import pytest


@pytest.fixture(scope="session")
def x() -> np.ndarray:
    """900 rows, 3 columns, 3 clusters that overlap a little, in a random order; read-only."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(300, 3)) * (1, 2, 0.5) + 2.5 * k for k in range(3)])
    rng.shuffle(rows)
    rows.flags.writeable = False
    return rows
