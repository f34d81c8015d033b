"""What stands in front of the notebook: by which names it is called, from which pages, which addresses it has, and who asks.

Streamlit serves more than the notebook uses; what is in no table below is answered with 404. The lab's guard gives the rest.
"""

from __future__ import annotations

import re
from http.cookies import CookieError, SimpleCookie

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.lab.hosts import FORWARDED, LONGEST_PATH, LONGEST_QUERY, LOOPBACK, Hosts, header
from apps.notebook import here

COOKIE = "glassbox_notebook"
PAGES = r"/(sweeps|claims|ask)?/?"
ADDRESSES = (
    ("GET", PAGES), ("GET", r"/(static|assets)/.+"), ("GET", r"/favicon\.(png|ico)"), ("GET", r"/manifest\.json"), ("GET", r"/index\.html"),
    ("GET", r"/((sweeps|claims|ask)/)?_stcore/(health|host-config)"), ("WS", r"/_stcore/stream"), ("GET", r"/media/[\w.-]+"),
    ("PUT", r"/_stcore/upload_file/[\w-]+/[\w-]+"), ("DELETE", r"/_stcore/upload_file/[\w-]+/[\w-]+"),
    ("OPTIONS", r"/_stcore/upload_file/[\w-]+/[\w-]+"), ("GET", r"/glassbox/(enter|static/.+)"),
)
_RULES = tuple((method, re.compile(address)) for method, address in ADDRESSES)
POLICY = ("default-src 'self' 'unsafe-inline' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
          "connect-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; base-uri 'self'; "
          "form-action 'self'; frame-ancestors 'none'")
SAFE = {"x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin", "content-security-policy": POLICY}
HOW = "Open the notebook by the address that it printed"


class Guard:
    """ASGI middleware; `trusted`: whoever runs the notebook put a proxy in front."""

    def __init__(self, app: ASGIApp, hosts: Hosts, trusted: bool = False) -> None:
        self.app, self._hosts, self._trusted = app, hosts, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        scope["headers"] = [(key.lower(), value) for key, value in scope["headers"]]
        refused = self._refused(scope)
        if refused:
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": 1008})
            status, said, hint = refused
            return await JSONResponse({"error": said, "hint": hint}, status)(scope, receive, send)
        self._name(scope)

        async def safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {key.decode().lower() for key, _ in message["headers"]}
                message["headers"] = [*message["headers"],
                                      *((key.encode(), value.encode()) for key, value in SAFE.items() if key not in own)]
            await send(message)

        await self.app(scope, receive, safely)

    def _refused(self, scope: Scope) -> tuple[int, str, str] | None:
        """(status, sentence, hint) for what must not come in."""
        host, path = header(scope, "host"), scope["path"]
        if not self._hosts.allow(host):
            return 400, "The notebook is not known by that name.", HOW + ", or start it with --allow-host NAME."
        if len(path) > LONGEST_PATH or len(scope.get("query_string", b"")) > LONGEST_QUERY:
            return 414, "That address is too long.", HOW + "."
        method = "WS" if scope["type"] == "websocket" else scope["method"]
        if method not in ("GET", "HEAD") and _foreign(scope, host):
            return 403, "Another website tried to use this notebook.", "Open the notebook itself and try there."
        if not path.isprintable() or "\\" in path or ".." in path.split("/"):
            return 404, "There is no such page.", HOW + "."
        wanted = "GET" if method == "HEAD" else method
        if not any(verb == wanted and address.fullmatch(path) for verb, address in _RULES):
            return 404, "There is no such page.", HOW + "."
        return None

    def _name(self, scope: Scope) -> None:
        """Writes who asks into the header that the pages read, whatever it said before."""
        kept = [(key, value) for key, value in scope["headers"] if not FORWARDED.fullmatch(key.decode("latin-1"))]
        through = len(kept) < len(scope["headers"]) or self._hosts.added(header(scope, "host"))
        if not self._trusted:
            scope["headers"] = kept
        reader = here.home().readers.get(_cookie(scope), "")
        client = scope.get("client")
        if not reader and here.home().alone and not through and client and client[0] in (*LOOPBACK, "testclient"):
            reader = here.OWNER
        scope["headers"] = [(key, value) for key, value in scope["headers"] if key != here.HEADER.encode()]
        scope["headers"].append((here.HEADER.encode(), reader.encode()))


def _foreign(scope: Scope, host: str) -> bool:
    origin, site = header(scope, "origin"), header(scope, "sec-fetch-site")
    return origin.partition("://")[2] != host if origin else site not in ("", "same-origin", "none")


def _cookie(scope: Scope) -> str:
    try:
        morsel = SimpleCookie(header(scope, "cookie")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
