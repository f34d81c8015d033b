"""What stands in front of everything: by which names the lab is called, which addresses it has, from where and how much may come.

    guarded = Guard(app, Values(blocks, handed), handed, Hosts("127.0.0.1"), pages)

Gradio serves more than this lab uses: what is in none of the tables below is answered with 404.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.lab.answers import Answer, Refused
from apps.lab.handed import Handed
from apps.lab.hosts import FORWARDED, LONGEST_PATH, LONGEST_QUERY, Hosts, header
from apps.lab.values import Values, session_only
from apps.lab.visitors import identify, keep
from core.engine.errors import LabError
from core.engine.stored import parse
from core.engine.uploads import LARGEST, MB

SMALL_LIMIT, JSON_LIMIT, FILE_LIMIT = 64 * 1024, 2 * MB, LARGEST + 64 * 1024
SLOWEST_S = 120.0  # for a whole body to arrive
SESSION = r"[A-Za-z0-9_-]{1,64}"
MOST_SESSIONS = 4000
OF_THE_PAGE = {b"x-gradio-user"}  # the page's own script sends it with each event: dropped too, but no sign of a proxy

# method, address, and what the body is: a table says all that a rule needs to know
GRADIO = (
    ("GET", r"/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|pwa_icon(/\d{1,4})?)/?", ""),
    ("GET", r"/(assets|static)/.+", ""),
    ("GET", r"/gradio_api/(info|theme\.css|startup-events|app_id|upload_progress)/?", ""),
    ("GET", rf"/gradio_api/heartbeat/{SESSION}", ""),
    ("GET", r"/gradio_api/queue/data", ""),
    ("GET", rf"/gradio_api/call/\w{{1,80}}/{SESSION}", ""),
    ("POST", r"/gradio_api/run/predict/?", "values"),
    ("POST", r"/gradio_api/queue/join", "values"),
    ("POST", r"/gradio_api/call/\w{1,80}/?", "values"),
    ("POST", r"/gradio_api/(cancel|reset)/?", "session"),
    ("POST", r"/gradio_api/upload", "files"),
)
OURS = (("GET", r"/lab/.+", ""), ("DELETE", r"/lab/.+", ""), ("POST", r"/lab/uploads", "files"), ("POST", r"/lab/.+", ""))
MCP = (("GET", r"/gradio_api/mcp(/.*)?", ""), ("POST", r"/gradio_api/mcp(/.*)?", "json"), ("DELETE", r"/gradio_api/mcp(/.*)?", ""))
LIMITS = {"": SMALL_LIMIT, "session": SMALL_LIMIT, "values": JSON_LIMIT, "json": JSON_LIMIT, "files": FILE_LIMIT}


class Guard:
    """ASGI middleware in front of the whole lab.

    pages: the addresses of its pages.  trusted: whoever runs the lab put a proxy in front, whose headers count.
    """

    def __init__(self, app: ASGIApp, values: Values, handed: Handed, hosts: Hosts, pages: Iterable[str], *, mcp: bool = False,
                 trusted: bool = False) -> None:
        self.app, self._values, self._handed, self._hosts, self._trusted = app, values, handed, hosts, trusted
        rules = [*(("GET", re.escape(page), "") for page in pages), *OURS, *GRADIO, *(MCP if mcp else ())]
        self._rules = [(method, re.compile(address), kind) for method, address, kind in rules]
        self._sessions: OrderedDict[str, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # the lab speaks no websocket
            return await send({"type": "websocket.close", "code": 1000})
        answer = Answer(scope, send)
        try:
            kind = self._admitted(scope)
            opened = await self._opened(kind, scope, receive, answer)
            await self.app(scope, opened, answer.send)
            await answer.finish()
        except Refused as refused:
            await answer.refuse(refused)
        except LabError as error:
            await answer.refuse(Refused(400, error.message, error.hint))
        except Exception as problem:
            if answer.begun or isinstance(problem, ClientDisconnect):
                raise
            logging.getLogger("glassbox").exception("%s %s", scope["method"], scope["path"])
            await answer.refuse(answer.refused or Refused(400 if answer.taken else 500))

    # ---- by what stands on the envelope ----

    def _admitted(self, scope: Scope) -> str:
        """What the body of a request is, from the tables; Refused if it must not come in."""
        scope["headers"] = [(key.lower(), value) for key, value in scope["headers"]]
        if not self._hosts.allow(header(scope, "host")):
            raise Refused(400, "The lab is not known by that name.",
                          "Open it by the address that it printed when it started, or start it with --allow-host NAME.")
        path, method = scope["path"], scope["method"]
        if len(scope.get("raw_path") or b"") > LONGEST_PATH or len(path) > LONGEST_PATH or len(scope["query_string"]) > LONGEST_QUERY:
            raise Refused(414)
        if not path.isprintable() or "\\" in path or "/../" in f"{path}/":
            raise Refused(404)
        self._drop_forwarded(scope)
        if method not in ("GET", "HEAD", "OPTIONS"):
            _check_origin(scope)
        found = {verb: kind for verb, address, kind in reversed(self._rules) if address.fullmatch(path)}
        if not found:
            raise Refused(404)
        if (wanted := "GET" if method == "HEAD" else method) not in found:
            raise Refused(405)
        return found[wanted]

    def _drop_forwarded(self, scope: Scope) -> None:
        found = {key for key, _ in scope["headers"] if FORWARDED.fullmatch(key.decode("latin-1"))}
        # through a proxy: who asks need not sit at this machine, whatever address the request seems to come from
        scope["forwarded"] = bool(found - OF_THE_PAGE) or self._hosts.added(header(scope, "host"))
        if not self._trusted:
            scope["headers"] = [(key, value) for key, value in scope["headers"] if key not in found]

    # ---- by who sends it and what is in it ----

    async def _opened(self, kind: str, scope: Scope, receive: Receive, answer: Answer) -> Receive:
        size, limit = header(scope, "content-length"), LIMITS[kind]
        if size and (not size.isdecimal() or int(size[:15]) > limit):
            raise Refused(413 if size.isdecimal() else 400)
        body = _object(await _all_of(_counted(receive, limit, answer))) if kind in ("values", "session") else {}
        session = _session(scope, body)
        visitor, source = identify(scope, session)
        if source == "new":
            answer.adorn = lambda headers: keep(headers, scope, visitor)
        if session:
            self._bind(session, visitor if source == "cookie" else "", visitor)
        answer.taken = kind in ("values", "session", "files")
        if kind in ("files", "values"):
            self._handed.ready()
        if kind == "files" and scope["path"].startswith("/gradio_api"):
            if not self._handed.has_room(visitor, int(size or limit)):
                raise Refused(429)
            scope["headers"] = [(key, value) for key, value in scope["headers"] if key != b"accept-encoding"]  # `read` reads no brotli
            answer.read = lambda said: self._handed.add(visitor, [path for path in json.loads(said) if isinstance(path, str)])
        if body or kind in ("values", "session"):
            passed = self._values.checked(scope["path"], body, visitor) if kind == "values" else session_only(body)
            return _again(scope, json.dumps(passed).encode(), receive)
        return _counted(receive, limit, answer)

    def _bind(self, session: str, browser: str, visitor: str) -> None:
        """A page's session belongs to the browser that opened the page. A program's is not bound: tools share one."""
        if browser:
            self._sessions.setdefault(session, browser)
        if self._sessions.get(session, visitor) != visitor:
            raise Refused(404, "This page was opened by somebody else.", "Open it again.")
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)


def _check_origin(scope: Scope) -> None:
    origin, site = header(scope, "origin"), header(scope, "sec-fetch-site")
    foreign = origin.partition("://")[2] != header(scope, "host") if origin else site not in ("", "same-origin", "none")
    if foreign:
        raise Refused(403, "Another website tried to use this lab.", "Open the lab itself and try there.")


def _session(scope: Scope, body: dict[str, Any]) -> str:
    """The session that a request speaks of, "" for none."""
    path, given = scope["path"], body.get("session_hash")
    if path == "/gradio_api/queue/data":
        given = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
    elif path.startswith("/gradio_api/heartbeat/"):
        given = path.rpartition("/")[2]
    if given is not None and not (isinstance(given, str) and re.fullmatch(SESSION, given)):
        raise Refused(400)
    return given or ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = parse(body)
    except ValueError:
        raise Refused(400) from None
    if not isinstance(found, dict):
        raise Refused(400)
    return found


async def _all_of(receive: Receive) -> bytes:
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)
    raise Refused(400)


def _counted(receive: Receive, limit: int, answer: Answer) -> Receive:
    """The same body, up to `limit` bytes and `SLOWEST_S` seconds; then Refused."""
    read, ended, until = 0, False, time.monotonic() + SLOWEST_S

    async def counted() -> Message:
        nonlocal read, ended
        if ended:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
        except TimeoutError:
            answer.refused = Refused(408)
            raise answer.refused from None
        read += len(message.get("body", b""))
        ended = not message.get("more_body", False)
        if read > limit:
            answer.refused = Refused(413)
            raise answer.refused
        return message

    return counted


def _again(scope: Scope, body: bytes, receive: Receive) -> Receive:
    """A body that was read and checked, as it is passed on; after it, `receive` tells when who asked has left."""
    headers = MutableHeaders(scope=scope)
    headers["content-length"], headers["content-type"] = str(len(body)), "application/json"
    del headers["transfer-encoding"]
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
