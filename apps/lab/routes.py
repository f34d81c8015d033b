"""What the browser asks for beside Gradio: the events of runs, what can be taken away, and static files.

    GET    /lab/runs/ID/events?since=N&wait=S      what was said from number N on, and what is said in the next S seconds;
                                                   page=NAME for one that says when it leaves: POST /lab/runs/ID/leave?page=NAME
    GET    /lab/runs/ID  |  report.html  data.json  metrics.csv  files/NAME
    POST   /lab/runs/ID/cancel  pin  publish       DELETE /lab/runs/ID
    POST   /lab/line/clear                         ends what others compute or wait for; only from the machine itself
    GET    /lab/runs?experiment=NAME               this visitor's runs
    POST   /lab/ask/NAME {"config": {...}, "seed": 0}   what a probe answers, for panels that ask by themselves
    GET    /lab/notebook?run=ID                    into the notebook as this visitor, where it was opened with the lab
    POST   /lab/uploads (a form with `file`)       {"ref": "upload/ID"} for the configs that take a file;  DELETE /lab/uploads/ID
    GET    /lab/shop                               what can be got, and how far it is: {"items": [...], "host": may this visitor?}
    POST   /lab/shop/NAME/get  stop                DELETE /lab/shop/NAME; only from the machine itself
    GET    /lab/models                             models got, and those under --models: {"models": [{ref, words, why_not, family}]}
    GET    /lab/samples/NAME                       how such a file may look
    GET    /lab/static/VERSION/NAME                our scripts and styles, and Plotly
    GET    /assets/NAME                            Gradio's, which it would compress anew for everybody and let the browser ask for again

A run is shown to those who started it, and to everybody once it is published. Errors are `{"error", "hint"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gzip
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request, Response, UploadFile
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from apps.lab import links
from apps.lab.pages import PAGES
from apps.lab.ui import scripts
from apps.lab.ui.lesson import worksheet_html
from apps.lab.visitors import visitor_of
from core.engine import report, tickets
from core.engine.door import Door
from core.engine.errors import LabError
from core.engine.records import DONE
from core.engine.runner import Engine
from core.engine.settings import ASSETS

LONGEST_WAIT_S = 25.0
SHOWN_RUNS = 50
_SAMPLE = re.compile(r"[a-z0-9][a-z0-9-]*\.(csv|zip|json|png)")


class Pinned(BaseModel):
    pinned: bool = True


class Published(BaseModel):
    published: bool = True


class Asked(BaseModel):
    config: dict[str, Any] = {}
    seed: int = 0


def router(engine: Engine, notebook: int | None = None) -> APIRouter:
    """All routes of this module around one engine; notebook: the port at which one stands beside the lab."""
    routes = APIRouter(prefix="/lab")

    def door(request: Request) -> Door:
        return Door(engine, visitor_of(request), is_host(request))

    @routes.get("/runs")
    async def runs(request: Request, experiment: str | None = None) -> dict[str, Any]:
        return {"runs": await run_in_threadpool(recent, door(request), experiment)}

    @routes.get("/runs/{run_id}")
    def one(run_id: str, request: Request) -> dict[str, Any]:
        return described(door(request), run_id) | {"host": is_host(request), "notebook": notebook is not None}

    first_views: dict[str, bytes] = {}

    @routes.get("/runs/{run_id}/events")
    async def events(run_id: str, request: Request, since: int = 0, wait: float = 0.0, page: str = "") -> Response:
        here = door(request)
        run = await run_in_threadpool(here.read, run_id)
        if run.outcome in DONE and since <= 0 and not here.computes(run_id) and _takes_gzip(request):
            packed = first_views.get(run_id) or await run_in_threadpool(_packed_log, here, run_id)
            if run_id.startswith("first-"):
                first_views[run_id] = packed  # everybody opens with them, and they stay as they are
            return Response(packed, media_type="application/x-ndjson", headers={"Cache-Control": "no-store", "Content-Encoding": "gzip"})
        return StreamingResponse(follow(here, run_id, max(0, since), min(max(0.0, wait), LONGEST_WAIT_S), page),
                                 media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})

    @routes.get("/notebook")
    def to_notebook(request: Request, run: str = "") -> Response:
        if notebook is None:
            raise LabError("The notebook is not open.", "Start the lab with ./launch.sh --with-notebook, or open it: ./launch.sh notebook")
        chosen = f"&run={door(request).read(run).id}" if run else ""
        ticket = tickets.issue(door(request).settings.home, visitor_of(request))
        host = request.url.hostname or "127.0.0.1"
        address = f"{request.url.scheme}://{f'[{host}]' if ':' in host else host}:{notebook}/glassbox/enter?ticket={ticket}{chosen}"
        return RedirectResponse(address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

    @routes.post("/runs/{run_id}/cancel")
    def cancel(run_id: str, request: Request) -> dict[str, Any]:
        return door(request).cancel(run_id)

    @routes.post("/runs/{run_id}/leave")
    def leave(run_id: str, request: Request, page: str = "") -> dict[str, Any]:
        door(request).left(run_id, page)
        return {}

    @routes.post("/line/clear")
    def clear(request: Request) -> dict[str, int]:
        return {"ended": door(request).clear_line()}

    @routes.post("/runs/{run_id}/pin")
    def pin(run_id: str, request: Request, body: Pinned) -> dict[str, Any]:
        door(request).pin(run_id, body.pinned)
        return {"pinned": body.pinned}

    @routes.post("/runs/{run_id}/publish")
    def publish(run_id: str, request: Request, body: Published) -> dict[str, Any]:
        door(request).publish(run_id, body.published)
        return {"published": body.published}

    @routes.delete("/runs/{run_id}")
    def delete(run_id: str, request: Request) -> dict[str, Any]:
        door(request).delete(run_id)
        return {"deleted": run_id}

    @routes.get("/runs/{run_id}/report.html")
    def report_html(run_id: str, request: Request) -> Response:
        return _attachment(door(request).report(run_id), "text/html", f"{run_id}.html")

    @routes.get("/runs/{run_id}/data.json")
    def data_json(run_id: str, request: Request) -> Response:
        return JSONResponse(door(request).data(run_id), headers=_download(f"{run_id}.json"))

    @routes.get("/runs/{run_id}/metrics.csv")
    def metrics_csv(run_id: str, request: Request) -> Response:
        return _attachment(door(request).metrics_csv(run_id), "text/csv", f"{run_id}.csv")

    @routes.get("/runs/{run_id}/files/{name}")
    def file(run_id: str, name: str, request: Request) -> Response:
        if not name.endswith(".png"):
            return FileResponse(door(request).taken(run_id, name), media_type="application/octet-stream", headers=_download(name))
        return FileResponse(door(request).picture(run_id, name), media_type="image/png")

    @routes.get("/runs/{run_id}/kept/{name}/{file}")
    def kept_file(run_id: str, name: str, file: str, request: Request) -> Response:
        path = door(request).kept_file(run_id, name, file)
        return FileResponse(path, media_type="application/octet-stream", headers=_download(f"{run_id}-{name}-{file}"))

    @routes.post("/ask/{name:path}")
    def ask(name: str, request: Request, body: Asked) -> dict[str, Any]:
        return door(request).probe(name, body.config, seed=body.seed)

    @routes.post("/uploads")
    def bring(request: Request, file: UploadFile) -> dict[str, str]:
        with tempfile.NamedTemporaryFile() as copy:
            shutil.copyfileobj(file.file, copy)
            copy.flush()
            return {"ref": door(request).bring(Path(copy.name), file.filename or "")}

    @routes.delete("/uploads/{content}")
    def take_away(content: str, request: Request) -> dict[str, str]:
        door(request).take_away(f"upload/{content}")
        return {"deleted": f"upload/{content}"}

    @routes.get("/shop")
    def shop(request: Request) -> dict[str, Any]:
        return {"items": door(request).goods(), "host": is_host(request)}

    @routes.post("/shop/{name}/{what}")
    def shop_ask(name: str, what: Literal["get", "stop"], request: Request) -> dict[str, Any]:
        return door(request).order(name, what)

    @routes.delete("/shop/{name}")
    def shop_remove(name: str, request: Request) -> dict[str, Any]:
        return door(request).order(name, "remove")

    @routes.get("/models")
    def models(request: Request) -> dict[str, Any]:
        return {"models": [dataclasses.asdict(one) for one in door(request).offered()]}

    @routes.get("/samples/{name}")
    def sample(name: str) -> Response:
        if not _SAMPLE.fullmatch(name) or not (path := ASSETS / "samples" / name).is_file():
            raise LabError("There is no sample of that name.")
        return FileResponse(path, media_type="application/octet-stream", headers=_download(name))

    @routes.get("/worksheets/{route}")
    def worksheet(route: str) -> Response:
        page = next((page for page in PAGES if page.built and page.route == route), None)
        if page is None:
            raise LabError("There is no worksheet of that name.", "Open the Lesson tab of a page to find its worksheet.")
        return Response(worksheet_html(route, page.question, f"../static/{scripts.VERSION}/"), media_type="text/html; charset=utf-8")

    @routes.get("/static/{version}/{name:path}")
    def static(version: str, name: str, request: Request) -> Response:
        path = scripts.file_of(name)
        if path is None:
            raise LabError("There is no such file.")
        # An address that names another version: of a page that was opened before the lab was updated.
        return _sent(path, request, scripts.FOREVER if version == scripts.VERSION else "no-store")

    return routes


def of_gradio(name: str, request: Request) -> Response:
    """A file of Gradio's own pages."""
    path = scripts.of_gradio(name)
    if path is None:
        raise LabError("There is no such file.")
    return _sent(path, request, scripts.FOREVER)


def recent(door: Door, experiment: str | None = None) -> list[dict[str, Any]]:
    """This visitor's newest runs, in a few words each."""
    return [{**{key: run[key] for key in ("id", "name", "title", "config", "seed", "outcome", "created", "duration_s")},
             "link": links.to_run(run)} for run in door.runs(experiment)[:SHOWN_RUNS]]


def described(door: Door, run_id: str) -> dict[str, Any]:
    """run.json for the browser: without who asked, with what can be done with it."""
    run, now = door.read(run_id), door.state(run_id)
    return now | {"mine": door.is_mine(run), "owner": door.is_owner(run), "first_view": run.id.startswith("first-"),
                  "link": links.to_run(run), "command": report.command(run)}


def is_host(request: Request) -> bool:
    """Whether somebody asks who sits at the computer of the lab; through a proxy, nobody does."""
    return not request.scope.get("forwarded") and request.client is not None and request.client.host in ("127.0.0.1", "::1", "testclient")


async def follow(door: Door, run_id: str, since: int, wait: float, page: str = "") -> AsyncIterator[str]:
    """Lines of JSON `{events, next, outcome, place, estimate_s}`: one at once, then one whenever there is news, for `wait` seconds.

    Holds no thread while it waits. A run of another process is looked at once a second.
    """
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    until = loop.time() + wait
    stop = door.listen(run_id, lambda: loop.call_soon_threadsafe(news.set), page)
    try:
        said = None
        while True:
            news.clear()
            here = door.computes(run_id)
            answer = _look(door, run_id, since) if here else await run_in_threadpool(_look, door, run_id, since)
            if answer["events"] or answer != said:
                yield json.dumps(answer, ensure_ascii=False) + "\n"
            since, said = answer["next"], answer | {"events": []}
            left = until - loop.time()
            if answer["outcome"] in DONE and not here or left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), left if here and answer["place"] is None else min(left, 1.0))
    finally:
        stop()


def _look(door: Door, run_id: str, since: int) -> dict[str, Any]:
    state = door.state(run_id)  # before the events: what ends in between is then said by the next look
    fresh = door.events(run_id, since)
    return {"events": fresh, "next": since + len(fresh), **{key: state[key] for key in ("outcome", "place", "estimate_s")}}


def _packed_log(door: Door, run_id: str) -> bytes:
    """All that `follow` says of a run that has ended."""
    return gzip.compress((json.dumps(_look(door, run_id, 0), ensure_ascii=False) + "\n").encode(), 5)


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _sent(path: Path, request: Request, caching: str) -> Response:
    """A script, style or picture of the pages, compressed where the browser takes it."""
    headers, kind = {"Cache-Control": caching, "Vary": "Accept-Encoding"}, scripts.TYPES.get(path.suffix)
    if kind is None or not _takes_gzip(request):
        return FileResponse(path, media_type=kind, headers=headers)
    packed = scripts.packed(path, path.stat().st_mtime_ns)
    return Response(packed, media_type=kind, headers=headers | {"Content-Encoding": "gzip"})


def _download(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _attachment(text: str, media_type: str, name: str) -> Response:
    return Response(text, media_type=f"{media_type}; charset=utf-8", headers=_download(name))
