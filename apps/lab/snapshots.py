"""Draws the main picture of every first view once, in a browser, and keeps it as SVG beside the first view: whole for the first HTML of
its page (see first_paint.py), and small for its card on the home page.

    python -P -m apps.lab.snapshots [ROUTE ...]      # after a first view was recorded; needs playwright and a Chromium

A page whose main thing is a desk is drawn as the desk opens; one whose main thing is a picture of its run needs
no drawing. Name a page to try.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import sys
import threading
import time
import xml.etree.ElementTree as ET

from PIL import Image, ImageOps

from apps.lab.first_paint import CARD, FILE, fingerprint
from apps.lab.pages import PAGES, Page
from apps.lab.ui.live_view import WITHOUT
from apps.lab.ui.scripts import SCRIPTS
from core.engine.outputs import Output
from core.engine.registry import find
from core.engine.settings import FIRST_VIEWS, Settings
from core.plots import PALE

SIZES = {"wide": (1280, 720), "narrow": (390, 844)}
SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
TAGS = frozenset("svg g path rect circle line polyline polygon text tspan defs clipPath image linearGradient stop pattern".split())
ATTRIBUTES = frozenset(
    "d x y x1 x2 y1 y2 cx cy r rx ry width height viewBox transform points dy dx fill stroke stroke-width stroke-dasharray stroke-opacity "
    "fill-opacity opacity text-anchor clip-path id style preserveAspectRatio href offset patternUnits patternTransform stop-color "
    "clip-rule fill-rule shape-rendering".split())
STYLES = frozenset(
    "fill stroke stroke-width stroke-dasharray stroke-opacity fill-opacity opacity font-family font-size font-weight font-style "
    "text-anchor vector-effect stroke-miterlimit image-rendering white-space stop-color".split())
_DRAWN = """() => {
  const panel = document.querySelector(".gb-panel--main:not(.gb-panel--empty)");
  const plot = panel?.querySelector(".js-plotly-plot");
  if (!plot?.querySelector(".main-svg")) return null;
  const { width, height, top } = plot.getBoundingClientRect();
  const title = panel.querySelector("h3"), desk = panel.closest(".gb-try"), text = (one) => one?.textContent.trim() ?? "";
  const cards = [...panel.querySelectorAll(".gb-witness")].filter((one) => one.getBoundingClientRect().top < top);
  const first = cards[0]?.parentNode.getBoundingClientRect();
  return { title: text(title), width, height,
    above: Math.max(0, (first?.top ?? top) - title.getBoundingClientRect().bottom - 6),
    witnesses: cards.map((one) => [text(one.querySelector("h4")), text(one.querySelector(".gb-chip")), text(one.querySelector("p"))]),
    left: cards.length ? parseFloat(getComputedStyle(cards[0].parentNode).paddingLeft) : 0,
    beside: text(document.querySelector(".gb-panel--witnesses:not([hidden]) h3")),
    desk: desk && { fields: desk.querySelector(".gb-probe-said").getBoundingClientRect().top - desk.getBoundingClientRect().top - 16,
      says: text(desk.querySelector(".gb-probe-said")) },
    svgs: [...plot.querySelectorAll(".main-svg")].map((svg) => new XMLSerializer().serializeToString(svg)) };
}"""
# A desk has answered and drawn; on other pages the figure above is enough.
_SETTLED = """() => !document.querySelector(".gb-try") || document.querySelector(".gb-try .gb-panel--main .main-svg")"""
SMALL = (300, 130)
# The figure without what nobody can read so small: axes, legend, words.
_SMALL = """async ([script, figure, width, height, dark]) => {
  const { harmless, loadPlotly } = await import(script);
  await loadPlotly();
  const grid = dark ? "#2c3744" : "#dce2ea";
  const { data, layout } = harmless(figure, dark);
  const axis = (own) => ({ ...own, title: { text: "" }, showticklabels: false, ticks: "", gridcolor: grid, linecolor: grid,
    zerolinecolor: grid, automargin: false });
  const axes = Object.fromEntries(Object.entries({ xaxis: {}, yaxis: {}, ...layout })
    .filter(([key]) => /^[xy]axis\\d*$/.test(key)).map(([key, own]) => [key, axis(own)]));
  const traces = data.map((trace) => {
    const { colorbar, texttemplate, text, ...bare } = trace;
    const marker = bare.marker && { ...bare.marker, showscale: false, colorbar: undefined };
    return { ...bare, ...(marker ? { marker } : {}), ...(bare.z ? { showscale: false } : {}),
      ...(bare.mode ? { mode: bare.mode.replace("+text", "") } : {}) };
  });
  const place = document.createElement("div");
  document.body.append(place);
  await window.Plotly.newPlot(place, traces, { ...axes, width, height, margin: { l: 6, r: 6, t: 6, b: 6 }, showlegend: false,
    barmode: layout.barmode, shapes: layout.shapes, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" }, { staticPlot: true });
  const drawn = [...place.querySelectorAll(".main-svg")].map((svg) => new XMLSerializer().serializeToString(svg));
  place.remove();
  return drawn;
}"""


def clean(svgs: list[str], width: float, height: float, mark: str) -> str:
    """One SVG of plain shapes and text from those of a drawing: no script, link, style sheet, foreign content or address."""
    inside = "".join(ET.tostring(part, encoding="unicode") for svg in svgs if (part := _plain(ET.fromstring(svg), mark)) is not None)
    inside = re.sub(r"(</?)ns\d+:", r"\1", re.sub(r' xmlns(:\w+)?="[^"]*"', "", inside)).replace("ns0:", "").replace("ns1:href", "href")
    return f'<svg xmlns="{SVG}" viewBox="0 0 {width:.0f} {height:.0f}" width="100%" height="{height:.0f}" aria-hidden="true">{inside}</svg>'


def _plain(element: ET.Element, mark: str) -> ET.Element | None:
    tag = element.tag.rpartition("}")[2]
    if tag not in TAGS or _hidden(element):
        return None
    kept = ET.Element("g" if tag == "svg" else tag)
    for name, value in element.attrib.items():
        short = name.rpartition("}")[2]
        if short not in ATTRIBUTES or tag == "svg":
            continue
        if short == "style":
            value = _style(value)
        if short == "href" and not (tag == "image" and value.startswith("data:image/png;base64,")):
            continue
        value = re.sub(r"url\((['\"]?)[^)]*?#([\w-]+)\1\)", rf"url(#{mark}\2)", value.replace("&quot;", '"'))
        if "url(" in value and f"url(#{mark}" not in value or "javascript" in value.lower():
            continue
        kept.set(short, mark + value if short == "id" else _rounded(value) if short in ("d", "transform", "points") else value)
    kept.text, kept.tail = (element.text if tag in ("text", "tspan") else None), (element.tail if tag == "tspan" else None)
    kept.extend([made for child in element if (made := _plain(child, mark)) is not None])
    return None if tag in ("g", "svg") and not len(kept) else kept


def _hidden(element: ET.Element) -> bool:
    return "display: none" in element.get("style", "") or element.get("class", "").split(" ")[0] in ("hoverlayer", "draglayer", "zoomlayer")


def _style(text: str) -> str:
    pairs = [part.partition(":") for part in text.split(";") if ":" in part]
    return ";".join(f"{name.strip()}:{value.strip()}" for name, _, value in pairs if name.strip() in STYLES)


def _rounded(value: str) -> str:
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found.group()):.2f}", value)


def draw(base: str, route: str) -> dict | None:
    """The four drawings of a page's main picture, None where it has no such picture."""
    from playwright.sync_api import sync_playwright

    found: dict = {"svg": {}}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("GLASSBOX_CHROMIUM", "/usr/bin/chromium"),
                                             args=["--no-sandbox", "--disable-gpu"])
        for size, (width, height) in SIZES.items():
            for theme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
                page.goto(f"{base}{route}?__theme={theme}")
                page.wait_for_selector(".gb-panel--main .main-svg", timeout=180_000)
                page.wait_for_function(_SETTLED, timeout=180_000)
                page.wait_for_timeout(4000)
                got = page.evaluate(_DRAWN)
                if got is None:
                    return None
                kind = f"{size}-{theme}"
                found["svg"][kind] = clean(got["svgs"], got["width"], got["height"], f"{kind}-")
                _placed(found, got, size)
                found["main"] = bool(got["desk"]) or page.evaluate(
                    "document.querySelector('.gb-live').getBoundingClientRect().top < innerHeight / 2")
                page.close()
        browser.close()
    return found


def _placed(found: dict, got: dict, size: str) -> None:
    """Takes in what stands where around the picture, in pixels, on a screen of that size."""
    found["title"] = got["title"]
    found.setdefault("above", {})[size] = round(got["above"])
    if size == "wide" and got["witnesses"]:
        found |= {"witnesses": got["witnesses"], "left": got["left"]}
    if got["beside"]:
        found["beside"] = got["beside"]
    if got["desk"]:
        found.setdefault("desk", {"fields": {}, "says": got["desk"]["says"]})["fields"][size] = round(got["desk"]["fields"])


def first_figure(page: Page) -> dict | None:
    """The last state of the first figure that the page's experiment declares, as its first view holds it."""
    lines = (FIRST_VIEWS / page.route / "events.jsonl").read_text(encoding="utf-8").splitlines()
    found = {event["name"]: event["figure"] for event in map(json.loads, lines) if event["kind"] == "figure"}
    singles = (one for one in find(page.experiments[0]).outputs if isinstance(one, Output) and one.look not in WITHOUT)
    return next((found[one.name] for one in singles if one.name in found), None)


def card(base: str, page: Page) -> dict[str, str]:
    """The small drawing of a page's first figure, light and dark."""
    from playwright.sync_api import sync_playwright

    figure, drawn = first_figure(page), {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("GLASSBOX_CHROMIUM", "/usr/bin/chromium"),
                                             args=["--no-sandbox", "--disable-gpu"])
        sheet = browser.new_page(viewport={"width": 1280, "height": 720})
        sheet.goto(f"{base}{SCRIPTS}style.css")  # any quiet place of ours, where its scripts may be called
        for theme in ("light", "dark"):
            shown = json.loads(json.dumps(figure).replace(PALE, "#3B4654")) if theme == "dark" else figure  # as static/matrix_panel.js does
            svgs = sheet.evaluate(_SMALL, [f"{base}{SCRIPTS}plot.js", shown, *SMALL, theme == "dark"])
            drawn[theme] = clean(svgs, *SMALL, f"card-{page.route}-{theme}-")
        browser.close()
    return drawn


def picture_card(page: Page) -> dict[str, str] | None:
    """The small picture of a page whose first output is a picture over the one before it: half of each. None for other pages."""
    first = next((one for one in find(page.experiments[0]).outputs if isinstance(one, Output)), None)
    if first is None or first.look != "reveal":
        return None
    folder = FIRST_VIEWS / page.route
    lines = map(json.loads, (folder / "events.jsonl").read_text(encoding="utf-8").splitlines())
    files = {event["name"]: event["file"] for event in lines if event["kind"] == "picture"}
    before, now = (ImageOps.fit(Image.open(folder / files[name]).convert("RGB"), SMALL) for name in (first.more["before"], first.name))
    half = SMALL[0] // 2
    before.paste(now.crop((half, 0, *SMALL)), (half, 0))
    packed = io.BytesIO()
    before.quantize(128).save(packed, "PNG", optimize=True)
    address = f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"
    width, height = SMALL
    svg = f'<svg xmlns="{SVG}"><image x="0" y="0" width="{width}" height="{height}" href="{address}" /></svg>'
    return dict.fromkeys(("light", "dark"), clean([svg], *SMALL, f"card-{page.route}-"))


def main(routes: list[str]) -> int:
    """Draws the given pages, or all that have a first view."""
    import uvicorn

    from apps.lab.__main__ import listen
    from apps.lab.server import create_app

    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(Settings()), log_level="warning"))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    while not server.started:
        time.sleep(0.1)
    for page in PAGES:
        folder = FIRST_VIEWS / page.route
        if not folder.is_dir() or routes and page.route not in routes:
            continue
        base = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        if first_figure(page):
            text = json.dumps({"events": fingerprint(folder), "svg": picture_card(page) or card(base, page)}, ensure_ascii=False)
            (folder / CARD).write_text(text + "\n", encoding="utf-8")
            print(f"{page.route}: card of {len(text) // 1024} KB", flush=True)
        found = draw(base, page.route) if (folder / FILE).is_file() or page.route in routes else None
        if found:
            text = json.dumps({"events": fingerprint(folder)} | found, ensure_ascii=False)
            (folder / FILE).write_text(text + "\n", encoding="utf-8")
            print(f"{page.route}: {len(text) // 1024} KB", flush=True)
    server.should_exit = True
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
