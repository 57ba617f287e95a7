"""The example of topics: Reuters counts as CSR in Zarr, on a cluster, few topics and passes."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lda")
PATH = Path(__file__).parents[1] / "examples" / "topics.py"


def test_topics_of_the_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = spec_from_file_location("topics_example", PATH)
    assert spec is not None
    assert spec.loader is not None
    example = module_from_spec(spec)
    spec.loader.exec_module(example)
    model = example.main([2, 8], 12, 1, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "counts.zarr", "topics.png", "how_many.png",
    }  # fmt: skip
    assert model.n_components == 8  # two topics foretell less
    _, words = example.articles()
    top = [set(some) for some in model.top_words(10, words)]
    pairs = {"prince", "charles"}, {"yeltsin", "russian"}, {"mother", "teresa"}, {"pope", "vatican"}
    assert sum(any(pair <= some for some in top) for pair in pairs) >= 2, top
    assert example.shares(model).sum() == pytest.approx(1)
    assert "395 articles, 84010 words" in capsys.readouterr().out
    here = example.fit(str(tmp_path / "counts.zarr"), 8, "learned", 12)
    assert np.isfinite(here.bound_)
