"""The notebook's web server: Streamlit's application, our two routes, and the guard in front of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from apps.lab.hosts import Hosts
from apps.lab.ui import scripts
from apps.notebook import here
from apps.notebook.guard import COOKIE, Guard
from core.engine import tickets

BLUE, LIGHT_BLUE = "#0072B2", "#56B4E9"
OPTIONS = {
    "browser.gatherUsageStats": False, "server.headless": True, "server.fileWatcherType": "none", "server.enableStaticServing": False,
    "server.maxUploadSize": 60, "server.maxMessageSize": 200, "client.toolbarMode": "viewer", "client.showErrorDetails": "none",
    "theme.light.primaryColor": BLUE, "theme.dark.primaryColor": LIGHT_BLUE, "theme.font": "system-ui, sans-serif",
}


def create_app(host: str = "127.0.0.1", allow_hosts: Sequence[str] = (), trusted: bool = False):
    """The whole notebook as an ASGI application, over what `here.open_home` opened."""
    import streamlit as st
    from streamlit.web import bootstrap

    bootstrap.load_config_options(OPTIONS)
    routes = [Route("/glassbox/static/{version}/{name:path}", _static), Route("/glassbox/enter", _enter)]
    guard = Middleware(Guard, hosts=Hosts(host, allow_hosts), trusted=trusted)
    return st.App(Path(__file__).parent / "app.py", routes=routes, middleware=[guard])


async def _static(request: Request) -> Response:
    path = scripts.file_of(request.path_params["name"])
    if path is None:
        return Response("There is no such file.", 404)
    fresh = request.path_params["version"] == scripts.VERSION
    return FileResponse(path, media_type=scripts.TYPES[path.suffix], headers={"Cache-Control": scripts.FOREVER if fresh else "no-store"})


async def _enter(request: Request) -> Response:
    """A visitor of the lab comes in with a ticket, which is torn up; the address that stays in the browser holds no secret."""
    visitor = tickets.redeem(here.home().settings.home, request.query_params.get("ticket", ""))
    run = request.query_params.get("run", "")
    answer = RedirectResponse(f"/?run={run}" if run.replace("-", "").isalnum() else "/", 303)
    answer.headers["Referrer-Policy"], answer.headers["Cache-Control"] = "no-referrer", "no-store"
    if visitor:
        answer.set_cookie(COOKIE, here.home().session(visitor), httponly=True, samesite="strict", path="/")
    return answer
