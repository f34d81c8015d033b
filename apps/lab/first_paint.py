"""The first HTML of a page already shows its question, its answer and its main picture, until Gradio's page has drawn them itself.

    app.add_middleware(FirstPaint)           # also names the page in its title, and sends HTML compressed

The picture is a drawing of the recorded first view, made beforehand by a browser (snapshots.py), for a wide and a narrow screen, light and
dark. What is stored is plain SVG without anything that acts; a drawing of other events than those of the first view is not shown. Where the
main thing is a picture of the recorded run, that picture itself stands there; where it is a desk, what the desk says first, in its place.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
from pathlib import Path

from markupsafe import escape
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.lab.pages import PAGES, Page
from apps.lab.pages.real import beside
from apps.lab.ui.scripts import SCRIPTS
from core.engine.events import layers
from core.engine.outputs import Output
from core.engine.registry import find
from core.engine.settings import FIRST_VIEWS

FILE = "snapshot.json"
CARD = "card.json"
KINDS = ("wide-light", "wide-dark", "narrow-light", "narrow-dark")
# Chooses the drawing for this screen, and makes way for the page: static/live_view.js says when its first picture stands.
_PLACE = """<script>(() => {
const first = document.getElementById("gb-first"), asked = new URLSearchParams(location.search);
if ([...asked.keys()].some((name) => !/^(__|utm_)/.test(name))) return first.remove();
const run = first.dataset.run, signal = AbortSignal.timeout(10000); // as patient as static/client.js, which takes it
window.gbEarly = { [run]: fetch(`lab/runs/${run}/events?since=0`, { signal }).catch(() => null) };
const theme = asked.get("__theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
first.classList.toggle("dark", theme === "dark");
const kind = (innerWidth > 640 ? "wide-" : "narrow-") + (theme === "dark" ? "dark" : "light");
const drawn = document.getElementById("gb-first-" + kind);
if (drawn) first.querySelector(".gb-first-plot").append(drawn.content);
for (const one of first.querySelectorAll("[data-wide]")) one.style.height = one.dataset[kind.split("-")[0]] + "px";
first.hidden = false;
document.addEventListener("gb-drawn", ({ detail }) => {
  const desk = document.querySelector(".gradio-container .gb-try"); // the main thing of a page that has one, whatever stands below it
  if (!desk || desk.contains(detail.place)) first.remove();
});
setTimeout(() => first.remove(), 60000);
})();</script>"""


def drawing(view: str, file: str = FILE) -> dict | None:
    """The stored drawing of a first view, or None where there is none of what it says today. `file`: FILE, or CARD for the small one."""
    folder = FIRST_VIEWS / view
    try:
        found = json.loads((folder / file).read_text(encoding="utf-8"))
        return found if found["events"] == fingerprint(folder) else None
    except (OSError, ValueError, KeyError):
        return None


def fingerprint(folder: Path) -> str:
    """Of the events that a first view shows."""
    return hashlib.sha256((folder / "events.jsonl").read_bytes()).hexdigest()[:16]


@functools.cache
def first_html(page: Page) -> str:
    """What stands in the page before any script has run; "" for a page without a drawing or a main picture."""
    try:
        lines = [json.loads(line) for line in (FIRST_VIEWS / page.route / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    found = drawing(page.route)
    pictures = "" if found else _pictures(page, lines)
    if not pictures and not (found and found.get("main")):
        return ""
    templates = "".join(f'<template id="gb-first-{kind}">{found["svg"][kind]}</template>' for kind in KINDS) if found else ""
    stage = _desk(found) if found and "desk" in found else _head(lines) + (pictures or _panel(found))
    return f"""<link rel="stylesheet" href="{SCRIPTS}style.css">
<div id="gb-first" data-run="first-{page.route}" hidden><div class="gb-first-page">
<nav class="gb-bar"><a class="gb-brand" href="./">Glassbox Lab</a><span class="gb-where">{escape(page.name)}</span></nav>
<header class="gb-head"><h1 class="gb-question">{escape(page.question)}</h1>
<span class="gb-quiet">What is this?</span>{beside(page)}</header>
<div class="gb-first-columns"><div class="gb-first-run">Run</div><section class="gb-view">{stage}</section></div></div>
{templates}</div>{_PLACE}"""


def _head(lines: list[dict]) -> str:
    verdict = next(layers(line) for line in reversed(lines) if line["kind"] == "verdict")
    return f"""<div class="gb-status" data-tone="recorded"><div class="gb-status-top"><div class="gb-status-what">
<span class="gb-badge">Recorded run</span></div></div><p class="gb-verdict gb-headline">{escape(verdict["headline"])}</p>
<p class="gb-quiet">How sure? All numbers</p></div>"""


def _box(heights: dict[str, float]) -> str:
    """An empty place, as high as what will stand there."""
    return f'<div data-wide="{heights.get("wide", 0):.0f}" data-narrow="{heights.get("narrow", 0):.0f}"></div>'


def _panel(found: dict) -> str:
    """The panel of the drawing, with what stands above the picture and beside it in places of its own."""
    cards = "".join(f'<div class="gb-answer gb-witness"><div class="gb-witness-head"><h4>{escape(who)}</h4>{escape(chip)}</div>'
                    f'<p class="gb-answer-text">{escape(said)}</p></div>' for who, chip, said in found.get("witnesses", ()))
    above = f'<div class="gb-witnesses gb-first-witnesses" style="--gb-left: {found["left"]:.0f}px">{cards}</div>' if cards else ""
    beside = found.get("beside")
    other = f'<div class="gb-panel gb-panel--witnesses"><h3 class="gb-panel-title">{escape(beside)}</h3></div>' if beside else ""
    return f"""<div class="gb-grid gb-grid--main"><div class="gb-panel gb-panel--main">
<h3 class="gb-panel-title">{escape(found["title"])}</h3>
{_box(found.get("above", {}))}{above}<div class="gb-plot gb-first-plot"></div></div>{other}</div>"""


def _desk(found: dict) -> str:
    """A desk as it opens: a place for its controls, what it says first, and its picture."""
    desk = found["desk"]
    return f"""<div class="gb-try gb-first-try">{_box(desk["fields"])}<p class="gb-probe-said">{escape(desk["says"])}</p>
<div class="gb-panel"><h3 class="gb-panel-title">{escape(found["title"])}</h3>{_box(found.get("above", {}))}
<div class="gb-plot gb-first-plot"></div></div></div>"""


def _pictures(page: Page, lines: list[dict]) -> str:
    """The panel of a page whose main output is a picture of its run, or one laid over another; "" for other pages."""
    outputs = [one for one in find(page.experiments[0]).outputs if isinstance(one, Output)]
    main = next((one for one in outputs if one.more.get("main")), None)
    files = {line["name"]: line for line in lines if line["kind"] == "picture"}
    if main is None or main.name not in files:
        return ""

    def image(name: str, kind: str) -> str:
        source = f"lab/runs/first-{page.route}/files/{files[name]['file']}"
        return f'<img class="{kind}" src="{escape(source)}" alt="{escape(files[name].get("alt", ""))}">'

    shown = image(main.name, "gb-picture")
    if main.look == "reveal":
        shown = (f'<div class="gb-reveal-stage">{image(main.name, "gb-reveal-below")}{image(main.more["before"], "gb-reveal-above")}</div>')
    return f"""<div class="gb-grid gb-grid--main"><div class="gb-panel gb-panel--main">
<h3 class="gb-panel-title">{escape(main.title)}</h3><div class="gb-first-plot">{shown}</div></div></div>"""


def painted(html: str, page: Page | None) -> str:
    """The HTML of Gradio with our title, and with what can be seen at once."""
    title = f"{page.question} - Glassbox Lab" if page else "Glassbox Lab"
    head, found, rest = html.partition("</head>")
    if not found:
        return html
    body = rest.index(">", rest.index("<body")) + 1
    named = f"<title>{escape(title)}</title>{_keeping(title)}"
    return f"{head}{named}</head>{rest[:body]}{first_html(page) if page else ''}{rest[body:]}"


def _keeping(title: str) -> str:
    """Gradio writes the same title over that of every page."""
    told = json.dumps(title).replace("<", "\\u003c")
    return (f"<script>(() => {{ const keep = () => {{ if (document.title !== {told}) document.title = {told}; }};"
            " new MutationObserver(keep).observe(document.head, { childList: true, subtree: true, characterData: true }); })();</script>")


class FirstPaint:
    """ASGI middleware for the pages of the site."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._pages: dict[str, Page | None] = {"/": None} | {f"/{page.route}": page for page in PAGES if page.built}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in self._pages:
            return await self.app(scope, receive, send)
        start: Message = {}
        parts: list[bytes] = []
        packed = "gzip" in Headers(scope=scope).get("accept-encoding", "")

        async def rewritten(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                return await send(message)
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body, headers = b"".join(parts), MutableHeaders(raw=list(start["headers"]))
            if headers.get("content-type", "").startswith("text/html") and start["status"] == 200 and "content-encoding" not in headers:
                body = painted(body.decode("utf-8"), self._pages[scope["path"]]).encode("utf-8")
                headers["vary"] = "Accept-Encoding"
                if packed:
                    body, headers["content-encoding"] = gzip.compress(body, 5), "gzip"
                headers["content-length"] = str(len(body))
            await send(start | {"headers": headers.raw})
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, rewritten)
