"""Who is asking: a random token that the browser keeps as a cookie. No names, no accounts."""

from __future__ import annotations

import re
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "glassbox_visitor"
A_YEAR = 365 * 24 * 3600
_TOKEN = re.compile(r"[0-9a-f]{32}")


def visitor_of(request: Any) -> str:
    """The visitor's token, from a Starlette or Gradio request; "api" for a program without a cookie."""
    token = getattr(request, "cookies", {}).get(COOKIE, "")
    return token if _TOKEN.fullmatch(token) else "api"


class VisitorCookie:
    """ASGI middleware: every browser that opens a page gets a token; other requests are left alone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not _wants_page(scope) or _has_token(scope):
            return await self.app(scope, receive, send)
        token = secrets.token_hex(16)

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append(
                    "set-cookie", f"{COOKIE}={token}; Path=/; Max-Age={A_YEAR}; HttpOnly; SameSite=Strict")
            await send(message)

        await self.app(scope, receive, with_cookie)


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _wants_page(scope: Scope) -> bool:
    return "text/html" in _header(scope, b"accept")


def _has_token(scope: Scope) -> bool:
    try:
        morsel = SimpleCookie(_header(scope, b"cookie")).get(COOKIE)
    except CookieError:
        return False
    return morsel is not None and _TOKEN.fullmatch(morsel.value) is not None
