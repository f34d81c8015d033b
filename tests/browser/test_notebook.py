"""The notebook in a real browser: zoom that stays while a replay goes on, a run that is followed live, narrow and dark, and no request
that leaves this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from core.engine import registry
from core.engine.runner import Engine
from core.engine.settings import REPOSITORY, Settings
from core.engine.sweep import sweep
from tests.engine import experiments_for_tests as small

pytest.importorskip("streamlit", reason="The notebook is not installed: ./launch.sh notebook installs it.")
PLOT = ".gb-notebook-plot"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """(engine, address): a home with two finished runs, and the notebook over it in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "EXPERIMENTS", registry.EXPERIMENTS | small.TABLE)
        home = tmp_path_factory.mktemp("notebook")
        engine = Engine(Settings(home=home, any_path=True, threads=1))
        for steps in (20, 30):
            engine.wait(engine.start("test/count", {"steps": steps}).id)
        process = subprocess.Popen([sys.executable, "-m", "apps.notebook", "--port", "0", "--no-browser"], cwd=REPOSITORY, text=True,
                                   stdout=subprocess.PIPE, env=os.environ | {"GLASSBOX_HOME": str(home)})
        try:
            yield engine, next(match[0] for line in process.stdout if (match := re.search(r"http://127\.0\.0\.1:\d+/", line)))
        finally:
            process.terminate()
            process.wait(20)
            engine.close()


@pytest.fixture
def page(browser, lab):
    """A page that notes every request which would leave the machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 2400})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    outside: list[str] = []
    here = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")
    opened.on("request", lambda request: None if request.url.startswith(here) else outside.append(request.url))
    yield opened
    assert outside == []
    context.close()


def ranges(page) -> list[float]:
    return page.evaluate(f"[...document.querySelector('{PLOT}')._fullLayout.xaxis.range].map(Number)")


def zoom_in(page) -> None:
    """Draws a frame with the mouse, as a reader does."""
    page.locator(PLOT).first.scroll_into_view_if_needed()
    box = page.locator(f"{PLOT} .nsewdrag").first.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], y, steps=6)
    page.mouse.up()
    page.wait_for_function(f"document.querySelector('{PLOT}')._fullLayout.xaxis.range[0] > 2")


def points(page) -> int:
    return page.evaluate(f"document.querySelector('{PLOT}').data[0].x.length")


def test_zoom_stays_while_one_slider_replays_all_chosen_runs(page, lab):
    engine, address = lab
    longer, shorter = (run.id for run in engine.records.list())
    page.goto(f"{address}?run={longer},{shorter}")
    page.wait_for_function(f"document.querySelectorAll('{PLOT}[data-drawn]').length >= 2")
    assert points(page) == 30
    zoom_in(page)
    zoomed = ranges(page)
    assert 1 < zoomed[0] < zoomed[1] < 29
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    page.wait_for_function(f"document.querySelector('{PLOT}').data[0].x.length < 5")
    page.keyboard.press("End")
    page.wait_for_function(f"document.querySelector('{PLOT}').data[0].x.length === 30")
    assert ranges(page) == zoomed
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_run_that_goes_on_is_followed_after_a_reload_too(page, lab):
    engine, address = lab
    small.GATES["live"] = small.Gate()
    run = engine.start("test/count", {"steps": 12, "gate": "live"})
    assert small.GATES["live"].reached.wait(60)
    small.GATES["live"].open(3)
    page.goto(f"{address}?run={run.id}")
    page.wait_for_function(f"document.querySelector('{PLOT}')?.data?.[0].x.length === 3")
    small.GATES["live"].open(2)
    page.wait_for_function(f"document.querySelector('{PLOT}').data[0].x.length === 5")
    page.reload()
    page.wait_for_function(f"document.querySelector('{PLOT}')?.data?.[0].x.length === 5")
    small.GATES["live"].open(7)
    page.wait_for_function(f"document.querySelector('{PLOT}').data[0].x.length === 12")
    page.get_by_text("Counted to 12").filter(visible=True).first.wait_for()  # the table holds it too, for screen readers alone


def test_every_square_of_a_heat_map_opens_its_runs(page, lab):
    engine, address = lab
    rows = list(sweep(engine, "test/count", {"steps": [3, 4], "word": ["a", "b"]}, seeds=[0, 1]))
    wanted = [row["run_id"] for row in rows if (row["config"]["steps"], row["config"]["word"]) == (4, "a")]
    page.goto(f"{address}sweeps")
    page.get_by_text("heat map", exact=True).click()
    page.wait_for_selector(f"{PLOT}[data-drawn]")
    box = page.locator(f"{PLOT} .nsewdrag").first.bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])  # across: 3, 4; down: a, b
    link = page.get_by_role("link", name="Open them side by side")
    link.wait_for()
    assert link.get_attribute("href") == f"/?run={','.join(wanted)}"
    page.goto(f"{address.rstrip('/')}{link.get_attribute('href')}")
    page.get_by_text("Counted to 4").filter(visible=True).nth(1).wait_for()


def test_the_dark_has_the_partners_of_the_colours_and_every_page_opens(browser, lab, page):
    _, address = lab
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}?run=first-soft-token-bench")
    page.wait_for_selector(f"{PLOT}[data-drawn]")
    colours = page.evaluate(f"[...document.querySelectorAll('{PLOT}')].flatMap(p => (p.data || []).map(d => d.line?.color))")
    assert "#56B4E9" in colours and "#0072B2" not in colours
    for path, title in (("sweeps", "Many runs at once"), ("claims", "Every claim"), ("ask", "Ask the data")):
        page.goto(address + path)
        page.get_by_role("heading", name=title).wait_for()
    page.locator("[data-testid=stDataFrame]").first.wait_for()
    assert page.get_by_text("Traceback").count() == 0
