"""What a person sees: the page on the dashboard, and a notebook in JupyterLab."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client, LocalCluster

import dem
from dem.dashboard import PATH
from dem.starts import RandomRows
from processes import environment

pytestmark = pytest.mark.browser
SIZE = {"width": 1400, "height": 850}
TURNS = 8
CELLS = (
    "import numpy as np, dem\n"
    "x = np.random.default_rng(0).normal(size=(60_000, 3)); x[:20_000] += [5, 0, 2]\n"
    "model = dem.GaussianMixture(2, random_state=0, verbose=1).fit(x)",
    "model",
    "model.history_",
    "ax = model.plot()",
)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def submitted(client: Client, place: Path, run: str, k: int) -> dem.Job:
    how: dict[str, Any] = {"start": RandomRows(), "tol": 0.0, "max_iter": TURNS}
    data, kept = str(place / "x.zarr"), place / run
    return dem.submit(
        dem.Mixture(k, dem.Gaussian()), data, client=client, run=run, checkpoint=kept, **how
    )


def test_the_page_of_the_dashboard(client: Client, browser: Any, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(20_000, 3))
    rows[:5000] += 4
    zarr.create_array(str(tmp_path / "x.zarr"), data=rows, chunks=(2000, 3))
    first = submitted(client, tmp_path, "first", 3)
    first.result()
    page, problems = browser.new_page(viewport=SIZE), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(client.dashboard_link.removesuffix("/status") + PATH)

    def cells(run: str) -> list[str]:
        row = page.locator("tr", has=page.get_by_role("cell", name=run, exact=True))
        found: list[str] = row.locator("td").all_inner_texts()
        return found

    page.get_by_role("cell", name="first", exact=True).wait_for()
    bound = first.history[-1].bound
    assert cells("first")[:5] == ["first", "done", f"{TURNS} of {TURNS}", "–", f"{bound:.6g}"]

    second = submitted(client, tmp_path, "second", 5)  # while somebody is looking
    fit = second.result()
    page.locator("td", has_text="second").wait_for()
    page.wait_for_function(
        "n => Bokeh.documents[0].get_model_by_name('seconds').data.turn.length === n", arg=TURNS
    )
    page.wait_for_timeout(1500)
    drawn = page.evaluate(
        """() => {
            const doc = Bokeh.documents[0]
            const data = name => Object.fromEntries(
                Object.entries(doc.get_model_by_name(name).data).map(
                    ([key, values]) => [key, Array.from(values, v => v.length === undefined
                        || typeof v === 'string' ? v : Array.from(v))]))
            const plots = [...doc._roots[0].references()].filter(m => m.type === 'Figure')
            return {
                bounds: data('bounds'), weights: data('weights'), seconds: data('seconds'),
                titles: plots.map(plot => plot.title.text),
                spans: plots.map(plot => [plot.y_range.start, plot.y_range.end]),
            }
        }"""
    )
    assert drawn["bounds"]["run"] == ["first", "second"]
    assert drawn["bounds"]["bounds"][1] == [record.bound for record in second.history]
    assert drawn["weights"]["last"] == sorted(fit.params.weights.tolist(), reverse=True)
    assert len(drawn["titles"]) == 6
    spans = dict(zip(drawn["titles"], drawn["spans"], strict=True))
    low, high = spans["Bound, nats per row"]  # as the browser has made them from what it draws
    shown = [record.bound for job in (first, second) for record in job.history]
    assert low < min(shown) < max(shown) < high
    assert spans["Components"][1] > 5
    assert spans["Rows per second"][1] >= max(drawn["seconds"]["rate"])
    page.locator("select").select_option("first")
    page.wait_for_function(
        "Bokeh.documents[0].get_model_by_name('weights').data.component.length === 3"
    )
    picture = page.screenshot(path=str(tmp_path / "dashboard.png"))
    assert len(picture) > 20_000
    assert not problems


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that has one notebook."""
    pytest.importorskip("jupyterlab")
    pytest.importorskip("ipywidgets")
    folder = tmp_path_factory.mktemp("notebooks")
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "outputs": [], "source": text,
         "execution_count": None}
        for i, text in enumerate(CELLS)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4}
    (folder / "x.ipynb").write_text(json.dumps({**notebook, "nbformat_minor": 5}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [f"--port={port}", f"--notebook-dir={folder}", "--no-browser", "--allow-root",
               "--IdentityProvider.token="]  # fmt: skip
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options], env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api").close()
                break
            except urllib.error.URLError:
                time.sleep(0.5)
        yield f"{address}/lab/tree/x.ipynb?reset"
    finally:
        server.terminate()
        server.wait()


def test_a_notebook(jupyter: str, browser: Any, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 1300})
    page.goto(jupyter)
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click(timeout=60_000)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)
    for _ in CELLS:
        page.keyboard.press("Shift+Enter")
    picture = page.locator(".jp-OutputArea-output img")
    picture.wait_for(timeout=120_000)
    bar = page.locator(".widget-html, .jp-OutputArea-output", has_text="converged").first
    said = bar.inner_text().replace("\u2007", " ")
    assert (found := re.search(r"(\d+)/(\d+).*bound (-[\d.]+), change .*converged", said))
    assert found[1] == found[2]  # the bar is full
    assert page.locator(".progress-bar-success, .jupyter-widgets .progress-bar").count() >= 1
    assert page.locator(".progress-bar-danger").count() == 0
    attributes = page.locator("details", has_text="Fitted attributes").last
    assert attributes.count() == 1
    table = page.locator("div.dem table").first
    assert table.locator("th").all_inner_texts() == ["turn", "bound", "change", "seconds"]
    assert table.locator("tbody tr").last.locator("td").nth(1).inner_text() == found[3]
    assert picture.evaluate("image => image.naturalWidth") > 300
    page.screenshot(path=str(tmp_path / "notebook.png"))
