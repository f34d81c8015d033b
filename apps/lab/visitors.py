"""Who is asking: a random token, which a browser keeps as a cookie and a program may send as a header. No names, no accounts.

Every request gets exactly one, written into the header that everything behind the guard reads. Who brings none gets a new one: a
browser with the page, a program in the header of its answer; a program's session without either is somebody of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Iterator
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Literal

from starlette.datastructures import MutableHeaders
from starlette.types import Scope

from apps.lab.handed import Handed
from apps.lab.hosts import header
from core.engine.door import Door
from core.engine.errors import LabError
from core.engine.runner import Engine

COOKIE, HEADER = "glassbox_visitor", "x-glassbox-visitor"
A_YEAR = 365 * 24 * 3600
_TOKEN = re.compile(r"[0-9a-f]{32}")
_SALT = secrets.token_bytes(16)


def visitor_of(request: Any) -> str:
    """The visitor's token, from a Starlette or Gradio request that came through `Visitors`; "" for nobody, who owns nothing."""
    token = dict(getattr(request, "headers", None) or {}).get(HEADER, "")
    return token if _TOKEN.fullmatch(token) else ""


def of_session(session: str) -> str:
    """The token of a program that sends neither cookie nor header: its session's, which nobody can turn back."""
    return hashlib.sha256(_SALT + session.encode(errors="replace")).hexdigest()[:32]


class Here:
    """The engine as far as whoever is asking just now may use it: what pages and endpoints are built with.

    While the site is built nobody asks, and only what everybody may see can be reached.
    """

    def __init__(self, engine: Engine, handed: Handed) -> None:
        self._engine, self._handed = engine, handed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.door(), name)

    def door(self) -> Door:
        """The door of this moment's visitor, to be taken along where somebody else's turn may come in between."""
        from gradio.context import LocalContext

        return Door(self._engine, visitor_of(LocalContext.request.get(None)))


    @contextlib.contextmanager
    def taken(self, path: str | None) -> Iterator[Path]:
        """A file that this visitor's browser has just handed over; it is gone afterwards. Raises LabError for any other."""
        visitor = self.door().visitor
        if not path or not self._handed.owns(visitor, path):
            raise LabError("That file did not arrive.", "Choose it again.")
        try:
            yield Path(path)
        finally:
            self._handed.release(path, visitor)


def identify(scope: Scope, session: str = "") -> tuple[str, Literal["header", "cookie", "session", "new"]]:
    """The token of who sent a request, and where it comes from; `session`: the one that a Gradio client speaks of.

    Afterwards the request's header says it, whatever it said before.
    """
    if _TOKEN.fullmatch(given := header(scope, HEADER)):
        token, source = given, "header"
    elif found := _from_cookie(scope):
        token, source = found, "cookie"
    elif session:
        token, source = of_session(session), "session"
    else:
        token, source = secrets.token_hex(16), "new"
    scope["headers"] = [(key, value) for key, value in scope["headers"] if key != HEADER.encode()] + [(HEADER.encode(), token.encode())]
    return token, source


def keep(headers: MutableHeaders, scope: Scope, token: str) -> None:
    """Lets who was given a new token keep it: a browser that opens a page as a cookie, a program in the answer's header."""
    if scope["method"] == "GET" and "text/html" in header(scope, "accept"):
        headers.append("set-cookie", f"{COOKIE}={token}; Path=/; Max-Age={A_YEAR}; HttpOnly; SameSite=Strict")
    else:
        headers[HEADER] = token


def _from_cookie(scope: Scope) -> str:
    try:
        morsel = SimpleCookie(header(scope, "cookie")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None and _TOKEN.fullmatch(morsel.value) else ""
