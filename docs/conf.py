"""How the documentation is built: `sphinx-build -W --keep-going docs build/docs`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import dem

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the two extensions beside this file

project, author, release = "dem", "the dem developers", dem.__version__
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "docstrings", "mathml"]

smartquotes = False
html_theme = "furo"
html_title = f"dem {release}"
html_math_renderer = "mathml"
html_static_path, html_css_files = ["static"], ["math.css"]
html_show_copyright = False

myst_enable_extensions = ["dollarmath", "substitution"]
myst_dmath_allow_space = False  # prices: 0.05 $ a core hour
myst_dmath_allow_digits = False
myst_heading_anchors = 3

autodoc_default_options = {
    "members": True,
    "inherited-members": True,
    "exclude-members": "arguments_of, from_store, to_store",
}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"


def title_of(notebook: Path) -> str:
    """The first heading of a notebook, or its name."""
    cells = json.loads(notebook.read_text())["cells"]
    lines = "".join(line for cell in cells for line in [*cell["source"], "\n"]).splitlines()
    return next((line[2:] for line in lines if line.startswith("# ")), notebook.stem)


myst_substitutions = {
    "notebooks": "\n".join(
        f"- [{title_of(path)}](../examples/notebooks/{path.name})"
        for path in sorted(HERE.glob("../examples/notebooks/*.ipynb"))
    )
    or "None are there."
}


def inside(app: Any, page: str, text: list[str]) -> None:
    """Pages are written for a forge, too: here what they name and link is a part of the site.

    `dem.GaussianMixture` leads to the reference, ../ARCHITECTURE.md to the page that includes it.
    """
    text[0] = re.sub(r"(?<!`)(`dem\.[\w.]+`)(?!`)", r"{py:obj}\1", text[0])
    text[0] = re.sub(r"\]\((\.\./)+([A-Z]+\.md)", r"](/\2", text[0])


def setup(app: Any) -> None:
    app.connect("source-read", inside)
