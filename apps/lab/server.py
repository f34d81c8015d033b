"""The web server: Gradio's pages, our own routes, and the rules that hold for both."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.lab import routes
from apps.lab.pages import PAGES
from apps.lab.ui.scripts import announcement
from apps.lab.visitors import VisitorCookie
from core.engine.errors import LabError
from core.engine.runner import Engine
from core.engine.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# Gradio compiles its templates in the browser ('unsafe-eval'). Nothing may be fetched from, or sent to, another machine.
POLICY = ("default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
          "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; "
          "connect-src 'self' data: blob:; form-action 'self'; frame-ancestors 'self'; object-src 'none'; base-uri 'self'")


def create_app(settings: Settings | None = None, *, engine: Engine | None = None, host: str = "127.0.0.1",
               mcp: bool = False) -> FastAPI:
    """The whole lab as an ASGI application. `app.state.engine` runs it; closing the application stops its runs."""
    import gradio as gr

    from apps.lab.site import build_site
    from apps.lab.ui.theme import HEAD, theme

    engine = engine or Engine(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=_warm_up, daemon=True).start()
        yield
        engine.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.engine = engine
    app.include_router(routes.router(engine))
    app.add_exception_handler(LabError, _say)
    app.add_middleware(VisitorCookie)
    app.add_middleware(SameOrigin)
    app.add_middleware(Announced)
    if host in (*LOOPBACK, "::1"):
        # a foreign page must not reach the lab by pointing its own name at this machine
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "testserver"])
    warnings.filterwarnings("ignore", message="SSR mode is not supported")  # and not wanted: it needs Node
    return gr.mount_gradio_app(
        app, build_site(engine), path="", theme=theme(), head=HEAD, mcp_server=mcp, ssr_mode=False,
        footer_links=["api"], show_error=True, max_file_size="20mb", server_name=host, run_history=False)


def _warm_up() -> None:
    """Imports what the first run needs (seconds), while the first visitor still reads."""
    import torch  # noqa: F401
    from transformers import LlamaForCausalLM  # noqa: F401


async def _say(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LabError)
    return JSONResponse(error.to_dict(), status_code=404 if request.method == "GET" else 409)


class Announced:
    """ASGI middleware: a page with a live view says in its header which scripts it will need."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._pages = {f"/{page.route}" for page in PAGES if page.built}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self._pages:
            return await self.app(scope, receive, send)

        async def with_links(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                MutableHeaders(scope=message)["link"] = announcement()
            await send(message)

        await self.app(scope, receive, with_links)


class SameOrigin:
    """ASGI middleware: pages talk to this server only, and other sites' pages cannot make a browser change things here."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request = Request(scope)
        origin = request.headers.get("origin")
        if request.method not in ("GET", "HEAD", "OPTIONS") and origin and origin.partition("://")[2] != request.headers.get("host"):
            refusal = JSONResponse({"error": "Another website tried to use this lab.", "hint": "Open the lab itself and try there."}, 403)
            return await refusal(scope, receive, send)

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", POLICY)
                headers.setdefault("x-content-type-options", "nosniff")
                headers.setdefault("referrer-policy", "same-origin")
            await send(message)

        await self.app(scope, receive, with_policy)
