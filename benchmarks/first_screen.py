"""What stands on the first screen of every built page, in a real browser: a line for each page.

    python -m benchmarks.first_screen [--base http://127.0.0.1:7860/] [--photos FOLDER]

Words before the picture: of the middle column, above the first picture (what stands in the controls beside it is not read on the way).
Pixel: the upper edge of the first picture at 1280 x 720 and at 390 x 844. Tabs: how often the key is pressed from the top of a fresh page
until Run has the focus; the two short ways at the top ("Skip to Run") are counted, not taken.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path
from typing import Any

from apps.lab.pages import PAGES
from benchmarks.site import serving
from benchmarks.timing import table

SIZES = {"1280": (1280, 720), "390": (390, 844)}
MOST_TABS = 40
READY = """() => /recorded|done/.test(document.querySelector('.gb-status')?.dataset.tone || '') && !document.querySelector('#gb-first')
  && document.querySelector('.gb-stage .main-svg, .gb-stage canvas, .gb-stage .gb-picture img, .gb-stage .gb-reveal img')"""
FOUND = """() => {
  const seen = (one) => { const box = one.getBoundingClientRect(); return one.checkVisibility() && box.width > 50 && box.height > 50; };
  const pictures = [...document.querySelectorAll('.gb-stage :is(.js-plotly-plot, canvas, img)')].filter(seen);
  const top = Math.min(...pictures.map((one) => one.getBoundingClientRect().top + scrollY));
  const walk = document.createTreeWalker(document.querySelector('.gradio-container'), NodeFilter.SHOW_TEXT);
  let words = 0;
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const place = node.parentElement;
    if (!place.checkVisibility() || place.closest('.gb-form, script, style, .gb-skip, svg')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width && box.top + scrollY < top) words += node.textContent.trim().split(/\\s+/).filter(Boolean).length;
  }
  const headline = document.querySelector('.gb-stage .gb-verdict')?.innerText ?? '';
  return { top: Math.round(top), words, headline: headline.split(/\\s+/).filter(Boolean).length };
}"""


def look(browser: Any, address: str, route: str, photos: Path | None) -> dict[str, Any]:
    """A line of the table for one page."""
    row: dict[str, Any] = {"page": route}
    for name, (width, height) in SIZES.items():
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(f"{address}{route}")
        page.wait_for_function(READY, timeout=180_000)
        page.wait_for_timeout(500)
        found = page.evaluate(FOUND)
        row |= {f"words before it, {name}": found["words"], f"pixel, {name}": found["top"], "words of the headline": found["headline"]}
        if photos:
            photos.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(photos / f"{route}-{name}.png"))
        if name == "1280":
            row["Tabs to Run"] = tabs(page)
        page.close()
    return row


def tabs(page: Any) -> int | str:
    """How many times Tab is pressed until Run has the focus."""
    for number in range(1, MOST_TABS + 1):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.id === 'run' || Boolean(document.activeElement?.closest('#run'))"):
            return number
    return f"more than {MOST_TABS}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="address of a lab that is open")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--routes", nargs="+", default=[page.route for page in PAGES if page.built])
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with contextlib.nullcontext(given.base) if given.base else serving("lab") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("GLASSBOX_CHROMIUM", "/usr/bin/chromium"),
                                             args=["--no-sandbox", "--disable-gpu"])
        print(table([look(browser, address, route, given.photos) for route in given.routes]))
        browser.close()


if __name__ == "__main__":
    main()
