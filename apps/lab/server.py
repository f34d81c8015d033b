"""The web server: Gradio's pages, our own routes, and the guard in front of both."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Sequence

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.lab import routes
from apps.lab.answers import SENTENCES
from apps.lab.first_paint import FirstPaint
from apps.lab.guard import Guard
from apps.lab.handed import Handed
from apps.lab.hosts import Hosts
from apps.lab.pages import PAGES
from apps.lab.ui.scripts import announcement
from apps.lab.values import Values
from apps.lab.visitors import Here
from core.engine import reader
from core.engine.door import HostOnly
from core.engine.errors import LabError
from core.engine.experiment import IMPORTING
from core.engine.runner import Engine
from core.engine.settings import Settings

SESSIONS = 400  # open pages whose values Gradio keeps in memory


def create_app(settings: Settings | None = None, *, engine: Engine | None = None, host: str = "127.0.0.1",
               allow_hosts: Sequence[str] = (), trusted: bool = False, mcp: bool = False, notebook: int | None = None) -> FastAPI:
    """The whole lab as an ASGI application. `app.state.engine` runs it; closing the application stops its runs.

    host: what it will listen on; allow_hosts: further names by which it may be called.  trusted: there is a proxy in front.
    notebook: the port at which the notebook stands beside the lab.
    """
    engine = engine or Engine(settings)
    handed = Handed(engine.settings.home)
    handed.ready()  # before Gradio comes in: it also reads where files lie while the site is built

    import gradio as gr

    from apps.lab.pages.programs import ROUTE
    from apps.lab.site import build_site
    from apps.lab.ui.theme import HEAD, theme

    blocks = build_site(Here(engine, handed))

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        warming = threading.Thread(target=_warm_up, daemon=True)
        warming.start()
        yield
        engine.close()
        warming.join(10)
        blocks.is_running = False
        handed.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.engine = engine
    app.include_router(routes.router(engine, notebook))
    app.add_api_route("/assets/{name}", routes.of_gradio, include_in_schema=False)
    for page in PAGES:
        if page.formerly:
            app.add_api_route(f"/{page.formerly}", _moved(page.route), include_in_schema=False)
    app.add_exception_handler(LabError, _say)
    app.add_exception_handler(OSError, _say_busy)
    app.add_middleware(Announced)
    app.add_middleware(FirstPaint)
    addresses = ["/", *(f"/{page.route}" for page in PAGES if page.built), *(f"/{page.formerly}" for page in PAGES if page.formerly),
                 f"/{ROUTE}"]
    app.add_middleware(Guard, values=Values(blocks, handed), handed=handed, hosts=Hosts(host, allow_hosts), pages=addresses, mcp=mcp,
                       trusted=trusted)
    warnings.filterwarnings("ignore", message="SSR mode is not supported")  # and not wanted: it needs Node
    gr.mount_gradio_app(
        app, blocks, path="", theme=theme(), head=HEAD, mcp_server=mcp, ssr_mode=False,
        footer_links=["api"], show_error=False, max_file_size="20mb", server_name=host, run_history=False)
    # Gradio looks at the files that values name only in an app that was launched, and this one is mounted.
    blocks.has_launched = blocks.is_running = True
    blocks.state_session_capacity = blocks.state_holder.capacity = SESSIONS
    return app


def _moved(route: str) -> Callable[[Request], RedirectResponse]:
    """What answers at the old address of a page: the new one, with whatever the link said."""
    def moved(request: Request) -> RedirectResponse:
        return RedirectResponse(f"./{route}" + (f"?{request.url.query}" if request.url.query else ""), status_code=308)

    return moved


def _warm_up() -> None:
    """Imports what the first run needs (seconds), while the first visitor still reads."""
    reader.prepare("core.learngene.opened", "core.emotion.opened", "core.scenes.opened", "core.engine.rows", "PIL.Image")
    with IMPORTING:  # who presses Run meanwhile waits for it
        import torch  # noqa: F401
        from transformers import LlamaForCausalLM  # noqa: F401


async def _say(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LabError)
    status = 403 if isinstance(error, HostOnly) else 404 if request.method == "GET" else 409
    return JSONResponse(error.to_dict(), status_code=status)


async def _say_busy(request: Request, error: OSError) -> JSONResponse:
    """Too many open files, a disk that is gone: the window of the lab says which, the visitor what to do.

    A name too long for any file is only one that is not there.
    """
    if error.errno == errno.ENAMETOOLONG:
        said, hint = SENTENCES[404]
        return JSONResponse({"error": said, "hint": hint}, 404)
    logging.getLogger("glassbox").warning("%s %s: %s", request.method, request.url.path, error)
    said, hint = SENTENCES[503]
    return JSONResponse({"error": said, "hint": hint}, 503)


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
