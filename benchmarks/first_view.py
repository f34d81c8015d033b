"""How soon a page shows its first picture and answers, against an empty Gradio app with one plot, in the same real browser.

    python -m benchmarks.first_view [--repeats 10] [--page unlearning-auditor ...]      # without --page: all that are built

Cold: a new browser profile each time; warm: the second visit. The candidates are interleaved. What is read: the moment at which a
picture can first be seen, the moment at which all plots of the first two screens answer a hover, the main thread's CPU until both,
and how far things jumped (the sum of layout shifts).
"""

from __future__ import annotations

import argparse
import os
import statistics
from typing import Any

from apps.lab.pages import PAGES
from benchmarks.site import serving
from benchmarks.timing import table, versions, write

AIMS = "Aims: first picture <= 0.7x; plots of two screens <= 1.2x cold, 2x warm; CPU <= 1.0x and 1.5x; layout shift <= 0.05."
WATCH = """(() => {
  window.shift = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((one) => { window.shift += one.hadRecentInput ? 0 : one.value; }))
    .observe({ type: "layout-shift", buffered: true });
  const seen = (picture) => { const box = picture.getBoundingClientRect();
    return box.width > 50 && box.height > 50 && box.top < innerHeight && box.bottom > 0; };
  const look = () => {
    const pictures = "#gb-first:not([hidden]) .gb-first-plot :is(svg, img), .main-svg, .gb-panel img, .gb-panel canvas";
    const loaded = (one) => !(one instanceof HTMLImageElement) || (one.complete && one.naturalWidth > 0);
    if (!window.firstPicture && [...document.querySelectorAll(pictures)].some((one) => seen(one) && loaded(one)))
      window.firstPicture = performance.now();
    const plots = [...document.querySelectorAll(".gb-plot, .js-plotly-plot")].filter((plot) => {
      const box = plot.getBoundingClientRect(); return box.width > 50 && box.top < 2 * innerHeight && !plot.closest("#gb-first"); });
    const inner = (plot) => (plot.matches(".js-plotly-plot") ? plot : plot.querySelector(".js-plotly-plot"));
    const there = plots.length || (!document.querySelector("#gb-first") && document.querySelector(".gb-view .gb-panel img"));
    const drawn = there && plots.every((plot) => inner(plot)?._fullLayout);
    if (!window.allPlots && window.firstPicture && drawn) window.allPlots = performance.now();
    if (!window.allPlots) setTimeout(look, 25); // not at every frame: each look makes the page lay itself out
  };
  addEventListener("DOMContentLoaded", look);
})();"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--page", nargs="+", default=[page.route for page in PAGES if page.built], metavar="ROUTE")
    given = parser.parse_args()
    with serving("plot") as empty, serving("lab") as lab:
        addresses = {"empty Gradio app": empty} | {route: f"{lab}{route}" for route in given.page}
        rows = measure(addresses, given.repeats)
    print(table(rows))
    print(write("first_view", rows, notes=[AIMS, f"Medians of {given.repeats}, interleaved; ratios against the empty app of the same run."],
                about=versions("gradio", "plotly", "playwright")))


def measure(addresses: dict[str, str], repeats: int) -> list[dict[str, Any]]:
    """A row per page and state of the cache."""
    from playwright.sync_api import sync_playwright

    taken: dict[tuple[str, str], list[dict[str, float]]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("GLASSBOX_CHROMIUM", "/usr/bin/chromium"),
                                             args=["--no-sandbox", "--disable-gpu"])
        for _ in range(repeats):
            for name, address in addresses.items():
                context = browser.new_context(viewport={"width": 1280, "height": 720})
                for state in ("cold", "warm"):
                    taken.setdefault((name, state), []).append(visit(context, address))
                context.close()
        browser.close()
    middle = {key: {what: statistics.median(one[what] for one in visits) for what in visits[0]} for key, visits in taken.items()}
    return [{"page": name, "cache": state, **{what: round(value, 3) for what, value in found.items()},
             **{f"{what} ratio": round(found[what] / middle["empty Gradio app", state][what], 2)
                for what in ("first picture s", "plots s", "CPU to picture s", "CPU to plots s")}}
            for (name, state), found in middle.items()]


def visit(context: Any, address: str) -> dict[str, float]:
    """One visit, in seconds; layout shift without a unit."""
    page = context.new_page()
    page.add_init_script(WATCH)
    session = context.new_cdp_session(page)
    session.send("Performance.enable")

    def busy() -> float:
        return next(one["value"] for one in session.send("Performance.getMetrics")["metrics"] if one["name"] == "TaskDuration")

    page.goto(address, wait_until="commit")
    page.wait_for_function("window.firstPicture", timeout=120_000)
    to_picture = busy()
    page.wait_for_function("window.allPlots", timeout=120_000)
    to_plots = busy()
    first, all_plots, shift = page.evaluate("[window.firstPicture, window.allPlots, window.shift]")
    page.close()
    return {"first picture s": first / 1000, "plots s": all_plots / 1000, "CPU to picture s": to_picture, "CPU to plots s": to_plots,
            "layout shift": shift}


if __name__ == "__main__":
    main()
