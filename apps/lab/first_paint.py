"""The first HTML of a page already shows its question, its answer and its main picture, until Gradio's page has drawn them itself.

    app.add_middleware(FirstPaint)           # also names the page in its title, and sends HTML compressed

The picture is a drawing of the recorded first view, made beforehand by a browser (snapshots.py), for a wide and a narrow screen, light and
dark. What is stored is plain SVG without anything that acts; a drawing of other events than those of the first view is not shown.
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
from core.engine.settings import FIRST_VIEWS

FILE = "snapshot.json"
CARD = "card.json"
KINDS = ("wide-light", "wide-dark", "narrow-light", "narrow-dark")
# Chooses the drawing for this screen, and makes way for the page: static/live_view.js says when its first picture stands.
_PLACE = """<script>(() => {
const first = document.getElementById("gb-first"), asked = new URLSearchParams(location.search);
if ([...asked.keys()].some((name) => !/^(__|utm_)/.test(name))) return first.remove();
const theme = asked.get("__theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
first.classList.toggle("dark", theme === "dark");
const kind = (innerWidth > 640 ? "wide-" : "narrow-") + (theme === "dark" ? "dark" : "light");
first.querySelector(".gb-plot").append(document.getElementById("gb-first-" + kind).content);
first.hidden = false;
document.addEventListener("gb-drawn", () => first.remove(), { once: true });
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
    """What stands in the page before any script has run; "" for a page without a drawing."""
    found = drawing(page.route)
    if not found or not found.get("main"):
        return ""
    lines = [json.loads(line) for line in (FIRST_VIEWS / page.route / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    verdict = next(layers(line) for line in reversed(lines) if line["kind"] == "verdict")
    templates = "".join(f'<template id="gb-first-{kind}">{found["svg"][kind]}</template>' for kind in KINDS)
    return f"""<link rel="stylesheet" href="{SCRIPTS}style.css"><div id="gb-first" hidden><div class="gb-first-page">
<nav class="gb-bar"><a class="gb-brand" href="./">Glassbox Lab</a><span class="gb-where">{escape(page.name)}</span></nav>
<header class="gb-head"><h1 class="gb-question">{escape(page.question)}</h1>
<span class="gb-quiet">What is this?</span>{beside(page)}</header>
<div class="gb-first-columns"><div class="gb-first-run">Run</div><section class="gb-view">
<div class="gb-status" data-tone="recorded"><div class="gb-status-top"><div class="gb-status-what">
<span class="gb-badge">Recorded run</span></div></div><p class="gb-verdict gb-headline">{escape(verdict["headline"])}</p>
<p class="gb-quiet">How sure? All numbers</p></div>
<div class="gb-panel"><h3 class="gb-panel-title">{escape(found["title"])}</h3><div class="gb-plot gb-first-plot"></div></div>
</section></div></div>{templates}</div>{_PLACE}"""


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
