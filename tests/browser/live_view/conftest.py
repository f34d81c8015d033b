"""The live view on a page of its own, over a stand-in for the lab."""

from __future__ import annotations

from urllib.parse import urlparse

import pytest

from tests.browser.harness.server import FakeLab
from tests.browser.harness.story import PANELS


@pytest.fixture(scope="module")
def served(browser):
    """One lab and one browser profile for the file, so that the drawing library is read from the network once."""
    with FakeLab() as running:
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        context.set_default_timeout(150_000)
        yield running, context
        context.close()


@pytest.fixture
def lab(served):
    running, context = served
    yield running
    running.reset()
    for page in context.pages:
        page.evaluate("localStorage.clear()")
        page.close()


@pytest.fixture
def open_page(served, lab):
    """Opens the page of the harness; afterwards no script may have failed and nothing may have left this machine."""
    errors, outside = [], []

    def watch_request(request) -> None:
        address = urlparse(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != urlparse(lab.url).netloc:
            outside.append(request.url)

    def open_it(query: str = "", width: int = 1280, panels: list[dict] = PANELS[:2], without: str = ""):
        lab.panels = panels
        page = served[1].new_page()
        if without:
            page.route(without, lambda route: route.abort())
        page.set_viewport_size({"width": width, "height": 900})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", watch_request)
        page.goto(f"{lab.url}?{query}")
        page.wait_for_function("window.ready")
        return page

    yield open_it
    assert errors == []
    assert outside == []
