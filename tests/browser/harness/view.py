"""How tests of the live view read what it has drawn."""

from __future__ import annotations

CHART = ".gb-panel--chart .gb-plot"
FIGURE = ".gb-panel--figure .gb-plot"


# Every drawn figure has the colours of the page, and nothing moves.
# far plots take the new colours when somebody comes near
AT_REST = """() => {
  const view = document.querySelector('.gb-view');
  const ink = view && getComputedStyle(view).getPropertyValue('--gb-ink').trim();
  const plots = [...document.querySelectorAll('.gb-live .js-plotly-plot')]
    .filter((plot) => plot._fullLayout && plot.checkVisibility() && plot.getBoundingClientRect().top < 1.5 * innerHeight);
  return plots.every((plot) => plot._fullLayout.font.color === ink) && document.getAnimations().every((one) => one.playState !== 'running');
}"""


def drawn(page, selector: str = CHART) -> None:
    page.wait_for_selector(f"{selector} .main-svg")


def look_at_all(page, selector: str = ".gb-live .gb-plot") -> None:
    """Scrolls past every picture that is not folded away, since one is drawn when it comes near, waits for all, and goes back up."""
    for number in range(page.locator(selector).count()):
        page.evaluate("""([selector, number]) => {
            const place = document.querySelectorAll(selector)[number];
            if (place?.checkVisibility()) place.scrollIntoView({ behavior: "instant" });
        }""", [selector, number])
        page.wait_for_timeout(50)  # a moment for the browser to see it; a script that waits for frames there may wait for ever
    page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    page.wait_for_function("(selector) => [...document.querySelectorAll(selector)].every((place) => !place.checkVisibility()"
                           " || !place.classList.contains('gb-plot--empty') || place.closest('.gb-panel--empty'))", arg=selector,
                           polling=100)


def traces(page, selector: str = CHART) -> dict:
    """The traces of a drawn chart by name, as {"x": [...], "y": [...], "dash": ...}."""
    found = page.evaluate(
        "s => document.querySelector(s).data.filter(d => d.meta !== 'extent')"
        ".map(d => ({name: d.name, x: Array.from(d.x), y: Array.from(d.y), dash: d.line?.dash}))",
        selector,
    )
    return {trace.pop("name"): trace for trace in found}


def has_points(page, count: int, name: str = "forget loss") -> None:
    page.wait_for_function(f"() => document.querySelector('{CHART}')?.data?.find(d => d.name === '{name}')?.x.length === {count}")


def series(events: list[dict], name: str) -> list[float]:
    return [event["value"] for event in events if event["kind"] == "metric" and event["name"] == name]


def show(page, run: str, **more) -> None:
    page.evaluate("value => window.view.show(value)", {"run": run, "recorded": False, "error": "", "hint": "", "nonce": 2} | more)


def text(page, selector: str) -> str:
    return page.locator(selector).first.inner_text()


def everybody_can_use_it(page) -> None:
    """axe finds nothing serious in either colour scheme, and nothing overflows at 390 px. Leaves the page dark, and as wide as it was."""
    from axe_playwright_python.sync_playwright import Axe

    wide = page.viewport_size
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.body.classList.contains('dark') === {str(scheme == 'dark').lower()}")
        page.wait_for_function(AT_REST)
        found = Axe().run(page, options={"preload": False}).response["violations"]
        serious = [f"{scheme} {item['id']}: {node['target']} {node['failureSummary'][:200]}"
                   for item in found if item["impact"] in ("serious", "critical") for node in item["nodes"]]
        assert serious == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("innerWidth === 390 && document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size(wide)
    page.wait_for_function(f"innerWidth === {wide['width']}")
    page.wait_for_function(AT_REST)
