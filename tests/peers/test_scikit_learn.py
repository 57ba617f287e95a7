"""scikit-learn's own tests of what dem has as well, with dem's estimators in the place of its own.

Those that fail are listed in `stand_ins`, by the differences that docs/scikit-learn.md explains.
"""

import os
import re
from pathlib import Path

import pytest
import sklearn

from processes import python
from stand_ins import DIFFERENCES

PAGE = Path(__file__).parents[2] / "docs" / "scikit-learn.md"


def test_every_difference_is_explained() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", PAGE.read_text(), re.M)
    assert {name for known in DIFFERENCES.values() for name in known.values()} <= set(rows)


@pytest.mark.peers
@pytest.mark.timeout(1600)
@pytest.mark.skipif(not sklearn.__version__.startswith("1.9."), reason="other tests")
@pytest.mark.parametrize("module", DIFFERENCES)
def test_passes_its_tests_but_for_these(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    alone = ("-c", os.devnull, "--rootdir", str(tmp_path), "-p", "no:cacheprovider")
    how = ("-p", "stand_ins", "--pyargs", f"sklearn.{module}", "-q", "--tb=short")
    done = python("-m", "pytest", *alone, *how, cwd=tmp_path, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout or " xfailed" in done.stdout
