"""Tables with columns of every kind, drawn from two components, with gaps."""

import numpy as np
import pandas as pd

ROWS = 2_000
FAMILIES = {"visits": "poisson", "grade": "categorical"}


def mixed(rows: int = ROWS, seed: int = 0, gaps: float = 0.1) -> tuple[pd.DataFrame, np.ndarray]:
    """A table, and the component of each row."""
    rng = np.random.default_rng(seed)
    z = rng.integers(2, size=rows)
    table = pd.DataFrame(
        {
            "colour": np.where(rng.random(rows) < np.where(z, 0.9, 0.1), "red", "blue"),
            "size": pd.Categorical(
                np.where(
                    rng.random(rows) < np.where(z, 0.1, 0.7), "S", rng.choice(["M", "L"], rows)
                ),
                categories=["S", "M", "L"],
            ),
            "member": rng.random(rows) < np.where(z, 0.8, 0.3),
            "height": rng.normal(170 + 10 * z, 5),
            "visits": pd.array(rng.poisson(2 + 6 * z), dtype="Int64"),
            "grade": 1 + rng.binomial(2, np.where(z, 0.7, 0.3)),
        }
    )
    for name in ("colour", "size", "height", "visits"):
        table[name] = table[name].mask(rng.random(rows) < gaps)
    return table, z


def agreement(labels: np.ndarray, z: np.ndarray) -> float:
    """The share of rows whose label is right, whatever components are called."""
    return float(max(np.mean(labels == z), np.mean(labels != z)))
