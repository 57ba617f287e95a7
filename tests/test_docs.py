"""The documentation: it builds without a warning, knows every public name, and its code runs."""

import re
import shlex
import zlib
from pathlib import Path

import matplotlib
import pytest
from click.testing import CliRunner

import dem
import dem.estimators
from dem.cli import main
from documentation import DOCS, built

RUN = [DOCS / "tutorial.md", DOCS / "theory.md", *sorted(DOCS.glob("how-to/*.md"))]
FENCE = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("site"))


def test_every_page_is_there(site: Path) -> None:
    pages = [path.relative_to(DOCS) for path in DOCS.rglob("*.md")]
    assert {"index", "tutorial", "theory", "peers", "gallery"} <= {page.stem for page in pages}
    for page in pages:
        html = (site / page).with_suffix(".html").read_text()
        assert "<h1>" in html, f"{page} has no heading"
    assert "<math" in (site / "theory.html").read_text()


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    inventory = zlib.decompress((site / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    described = {line.split()[0] for line in inventory.splitlines() if " py:" in line}
    names = {*dem.__all__, *dem.estimators.__all__}
    lacking = {f"dem.{name}" for name in names} - described
    assert not lacking, f"add to docs/api/*.md: {sorted(lacking)}"
    assert "dem.GaussianMixture.predict_proba" in described


def test_every_example_is_in_the_gallery(site: Path) -> None:
    gallery = (site / "gallery.html").read_text()
    examples = DOCS.parent / "examples"
    for path in (*examples.glob("*.py"), *examples.glob("notebooks/*.ipynb")):
        assert path.name in gallery, f"{path.name} is not in docs/gallery.md"
    assert gallery.count("<img") >= 4


@pytest.mark.parametrize("page", RUN, ids=[path.stem for path in RUN])
def test_the_code_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Python in one session, its commands between, all in one place."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    session: dict[str, object] = {"__name__": "__main__"}
    blocks = FENCE.findall(page.read_text())
    assert blocks, f"{page.name} has no code"
    for language, text in blocks:
        if language == "python":
            exec(compile(text, page.name, "exec"), session)
        else:
            for line in text.replace("\\\n", "").splitlines():
                name, *words = shlex.split(line)
                done = CliRunner().invoke(main, words)
                assert (name, done.exit_code) == ("dem", 0), f"{line}\n{done.output}"
