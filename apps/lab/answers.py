"""What leaves the lab: every answer under one policy, and every refusal as {"error", "hint"} and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import Message, Scope, Send

from core.engine.uploads import LARGEST, MB

# Gradio compiles its templates in the browser ('unsafe-eval'). Nothing may be fetched from, or sent to, another machine.
POLICY = ("default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
          "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; "
          "connect-src 'self' data: blob:; form-action 'self'; frame-ancestors 'self'; object-src 'none'; base-uri 'self'")
SENTENCES = {
    400: ("The lab could not work with what was sent.", "Open the page again and try there."),
    403: ("That is not allowed.", "Open the lab itself and try there."),
    404: ("There is nothing at this address.", "Start from the first page of the lab."),
    405: ("That cannot be done at this address.", "Open the lab's page and use its buttons."),
    408: ("That took too long to arrive.", "Try again, or send something smaller."),
    413: ("That is too large.", f"A file may have at most {LARGEST // MB} MB."),
    414: ("That address is too long.", "Start from the first page of the lab."),
    429: ("You have sent a lot of files that no page has taken yet.", "Wait a few minutes, then try again."),
    500: ("Something in the lab itself went wrong.", "Try again; the window in which the lab was started says more."),
    503: ("The lab is too busy just now.", "Try again in a minute."),
}
HELD = MB
_SAME = {406: 400, 409: 400, 415: 400, 422: 400}


class Refused(Exception):
    """A request that ends here. `status` names its sentence, unless others are given."""

    def __init__(self, status: int, error: str = "", hint: str = "") -> None:
        usual = SENTENCES.get(_SAME.get(status, status), SENTENCES[400])
        self.status, self.error, self.hint = status, error or usual[0], hint or usual[1]


class Answer:
    """The way back to who asked. An answer that says something went wrong is held back until `finish` has looked at it.

    adorn: adds to the headers of every answer.  read: is given the whole body of a good answer, before it is sent on.
    """

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._start: Message | None = None
        self._held = bytearray()
        self._gone = False
        self.begun = False
        self.taken = False  # whether a page's values were passed on: what fails then is what was sent
        self.refused: Refused | None = None  # while the body was read, whatever the one who read it made of that
        self.adorn: Callable[[MutableHeaders], None] = lambda headers: None
        self.read: Callable[[bytes], None] | None = None

    async def send(self, message: Message) -> None:
        """The `send` of what is behind the guard."""
        if self._gone:
            return
        if message["type"] == "http.response.start":
            if message["status"] >= 400 or self.read:
                self._start = message
                return
            self.begun = True
            self._dress(message)
        elif self._start is not None:
            self._held += message.get("body", b"")[:HELD - len(self._held)]
            return
        await self._send(message)

    async def finish(self) -> None:
        """Sends what was held back: refusals in the one form that the lab has."""
        if self.refused is not None:
            return await self.refuse(self.refused)
        if self._start is None or self._gone:
            return
        status = self._start["status"]
        if status < 400:
            self.read(bytes(self._held))
            self._dress(self._start)
            await self._send(self._start)
            return await self._send({"type": "http.response.body", "body": bytes(self._held)})
        said = _said(self._held)
        if not said:
            status = 400 if status == 500 and self.taken else status
            usual = Refused(status)
            said = {"error": usual.error, "hint": usual.hint}
        await self._say(status, said)

    async def refuse(self, refused: Refused) -> None:
        """Ends the request here."""
        if not self._gone and not self.begun:
            await self._say(refused.status, {"error": refused.error, "hint": refused.hint})

    async def _say(self, status: int, said: dict[str, str]) -> None:
        self._gone = True
        response = JSONResponse(said, status)
        if status in (408, 413):
            response.headers["connection"] = "close"  # the rest of the body is not read

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._dress(message)
            await self._send(message)

        await response(self._scope, _nothing, dressed)

    def _dress(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers.setdefault("content-security-policy", POLICY)
        headers.setdefault("x-content-type-options", "nosniff")
        headers.setdefault("referrer-policy", "same-origin")
        self.adorn(headers)


def _said(body: bytes) -> dict[str, str]:
    """{error, hint} if that is what the body says."""
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) and set(said) == {"error", "hint"} else {}


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
