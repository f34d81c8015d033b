"""What every test may rely on: no telemetry, a throw-away home, and a Chromium or a clear word that there is none."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

# Read when torch is imported, and by the engine: each worker of the tests has one core, and so has every process that it starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GLASSBOX_THREADS", "1")

import core.engine.settings  # noqa: E402  (importing it switches telemetry off before anything else is imported)
from tests.engine.tiny_index import tiny_index, tiny_item, tiny_wheel  # noqa: E402, F401  (fixtures)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APPLICATIONS = ("Chromium.app/Contents/MacOS/Chromium", "Google Chrome.app/Contents/MacOS/Google Chrome")
NO_BROWSER = "There is no Chromium on this machine: install it (Debian: apt-get install chromium) to run the browser tests."


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome. GLASSBOX_CHROMIUM names one that is not on the PATH."""
    given = os.environ.get("GLASSBOX_CHROMIUM")
    if given is not None:
        return given if os.access(given, os.X_OK) else None
    on_path = (shutil.which(name) for name in BROWSERS)
    installed = (path for name in APPLICATIONS if (path := f"/Applications/{name}") and os.access(path, os.X_OK))
    return next((path for path in (*on_path, *installed) if path), None)


def browser_required() -> bool:
    """GLASSBOX_REQUIRE_BROWSER=1 turns every skipped browser test into a failure."""
    return os.environ.get("GLASSBOX_REQUIRE_BROWSER") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in item.path.parts or "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.skipped and browser_required() and item.get_closest_marker("browser"):
        report.outcome = "failed"
        report.longrepr = f"Skipped, but GLASSBOX_REQUIRE_BROWSER=1 asks for every browser test: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser; skips, with a sentence that says why, where there is none."""
    found = find_chromium()
    if found is None:
        pytest.skip(NO_BROWSER)
    return found


class Browser:
    """One headless Chromium for the session, started when first needed and again should it have died; a context for each test.

    It is closed before a test that needs no browser, under which Playwright's event loop would otherwise be running.
    """

    def __init__(self) -> None:
        self._playwright = self._opened = None

    def new_context(self, **options):
        from playwright.sync_api import sync_playwright

        if not (self._opened and self._opened.is_connected()):
            self.close()
            self._playwright = sync_playwright().start()
            flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            self._opened = self._playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        return self._opened.new_context(**options)

    def close(self) -> None:
        if self._playwright:
            with contextlib.suppress(Exception):
                self._opened.close()
            self._playwright.stop()
        self._playwright = self._opened = None


BROWSER = Browser()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Browser:
    """Open a `browser.new_context()`, and close it."""
    return BROWSER


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None):
    yield
    if nextitem is None or not nextitem.get_closest_marker("browser"):
        BROWSER.close()


@pytest.fixture(scope="session", autouse=True)
def _home_for_tests(tmp_path_factory: pytest.TempPathFactory):
    """No test writes into the home of the person who runs it, nor does a process that a test starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSBOX_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def repository() -> Path:
    return core.engine.settings.REPOSITORY


@pytest.fixture(scope="session")
def warm_engine(_home_for_tests, tmp_path_factory: pytest.TempPathFactory):
    """One engine for the tests of all papers, with its models loaded once; it may read any folder.

    A run that equals a finished one is recalled from the record, whichever file asked first: start it `fresh` where that matters.
    """
    from core.engine.runner import Engine

    engine = Engine(core.engine.settings.Settings(home=tmp_path_factory.mktemp("home"), any_path=True, threads=1))
    yield engine
    engine.close()
