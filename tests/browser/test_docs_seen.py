"""What a reader of the documentation sees: equations, pictures, the search; and no other site."""

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from documentation import built

pytestmark = pytest.mark.browser
PAGES = ("index", "tutorial", "theory", "gallery", "peers", "how-to/chunks", "api/mixtures")
ICON = "/favicon.ico"  # which browsers ask for, and there is none


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: it would go to standard error."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    handler = partial(Quiet, directory=str(built(tmp_path_factory.mktemp("site"))))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """One that complains of nothing, and asks for nothing from elsewhere."""
    faults: list[str] = []
    with browser.new_page(viewport={"width": 1500, "height": 1000}) as page:
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("response", lambda got: fine(got) or faults.append(f"{got.status} {got.url}"))
        page.on("request", lambda asked: here(asked.url, address) or faults.append(asked.url))
        yield page
    assert not faults


def here(url: str, address: str) -> bool:
    return url.startswith((address, "data:"))


def fine(response: Any) -> bool:
    return response.status < 400 or response.url.endswith(ICON)


def size(letter: Any) -> float:
    """Of its font, in pixels."""
    return float(letter.evaluate("it => parseFloat(getComputedStyle(it).fontSize)"))


@pytest.mark.parametrize("name", PAGES)
def test_a_page(page: Any, address: str, name: str) -> None:
    page.goto(f"{address}/{name}.html")
    assert page.locator("h1").count() == 1
    for picture in page.locator("article img").all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
        assert picture.get_attribute("alt")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 1500, "the page is wider than the window"
    assert not re.search(r"\$\$|\\[a-z]+\{|\{py:", page.locator("article").inner_text())


def test_equations_are_set(page: Any, address: str) -> None:
    """Fractions have a part above the other, indices are small and low."""
    page.goto(f"{address}/theory.html")
    assert page.locator("math").count() > 100
    over, under = (page.locator("mfrac").first.locator("> *").nth(i).bounding_box() for i in (0, 1))
    assert over["y"] + over["height"] <= under["y"] + 1
    base, index = (page.locator("msub").first.locator("> *").nth(i).bounding_box() for i in (0, 1))
    assert index["y"] + index["height"] > base["y"] + base["height"]
    base, index = (size(page.locator("msub").first.locator("> *").nth(i)) for i in (0, 1))
    assert index < 0.9 * base
    for equation in page.locator(".equation math").all():
        box = equation.bounding_box()
        assert box["height"] > 15
        assert box["width"] > 100


def test_the_search(page: Any, address: str) -> None:
    page.goto(f"{address}/index.html")
    page.get_by_placeholder("Search").first.fill("checkpoint")
    page.keyboard.press("Enter")
    page.locator("ul.search").get_by_role("link", name="Keep a fit, and take it up again").click()
    page.wait_for_url("**/how-to/checkpoints.html*")
    assert page.locator("h1").inner_text().startswith("Keep a fit")


def test_names_lead_to_the_reference(page: Any, address: str) -> None:
    page.goto(f"{address}/index.html")
    page.get_by_role("link", name="dem.GaussianHMM").click()
    assert page.url.endswith("#dem.GaussianHMM")
    assert "Viterbi" in page.locator("article").inner_text()
