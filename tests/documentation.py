"""The documentation as HTML."""

from pathlib import Path

from processes import python

DOCS = Path(__file__).parents[1] / "docs"


def built(place: Path) -> Path:
    """Where it is, once Sphinx has built it into `place` without a warning."""
    options = ["-W", "--keep-going", "-q", "-d", str(place / "doctrees")]
    done = python("-m", "sphinx", *options, str(DOCS), str(place / "html"), cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "html"
