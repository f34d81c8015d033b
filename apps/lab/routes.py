"""What the browser asks for beside Gradio: the events of runs, what can be taken away, and static files.

    GET    /lab/runs/ID/events?since=N&wait=S      what was said from number N on, and what is said in the next S seconds;
                                                   page=NAME for one that says when it leaves: POST /lab/runs/ID/leave?page=NAME
    GET    /lab/runs/ID  |  report.html  data.json  metrics.csv  files/NAME
    POST   /lab/runs/ID/cancel  pin  publish       DELETE /lab/runs/ID
    POST   /lab/line/clear                         ends what others compute or wait for; only from the machine itself
    GET    /lab/runs?experiment=NAME               this visitor's runs
    POST   /lab/uploads (a form with `file`)       {"ref": "upload/ID"} for the configs that take a file;  DELETE /lab/uploads/ID
    GET    /lab/samples/NAME                       how such a file may look
    GET    /lab/static/VERSION/NAME                our scripts and styles, and Plotly

A run is shown to those who started it, and to everybody once it is published. Errors are `{"error", "hint"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response, UploadFile
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from apps.lab import links
from apps.lab.pages import PAGES
from apps.lab.ui import scripts
from apps.lab.ui.lesson import worksheet_html
from apps.lab.visitors import visitor_of
from core.engine import report
from core.engine.errors import LabError
from core.engine.records import DONE
from core.engine.runner import Engine
from core.engine.settings import ASSETS
from core.engine.stored import RunRecord

LONGEST_WAIT_S = 25.0
SHOWN_RUNS = 50
_PLAIN_FILE = re.compile(r"[a-z0-9][a-z0-9.-]*\.png")
_SAMPLE = re.compile(r"[a-z0-9][a-z0-9-]*\.(csv|zip)")


class Pinned(BaseModel):
    pinned: bool = True


class Published(BaseModel):
    published: bool = True


def router(engine: Engine) -> APIRouter:
    """All routes of this module around one engine."""
    routes = APIRouter(prefix="/lab")

    def seen(run_id: str, request: Request) -> RunRecord:
        run = engine.records.read(run_id)
        if not engine.records.visible_to(run, visitor_of(request)):
            raise LabError("This run belongs to somebody else.", "Ask them to press 'Let others open this link', or press Run yourself.")
        return run

    def own(run_id: str, request: Request) -> RunRecord:
        run = seen(run_id, request)
        if visitor_of(request) not in run.visitors:
            raise LabError("Only those who started a run can change it.", "Press Run to make one of your own.")
        return run

    @routes.get("/runs")
    async def runs(request: Request, experiment: str | None = None) -> dict[str, Any]:
        return {"runs": await run_in_threadpool(recent, engine, visitor_of(request), experiment)}

    @routes.get("/runs/{run_id}")
    def one(run_id: str, request: Request) -> dict[str, Any]:
        return described(engine, seen(run_id, request), visitor_of(request)) | {"host": is_host(request)}

    @routes.get("/runs/{run_id}/events")
    async def events(run_id: str, request: Request, since: int = 0, wait: float = 0.0, page: str = "") -> Response:
        await run_in_threadpool(seen, run_id, request)
        who = f"{visitor_of(request)} {page[:40]}"
        return StreamingResponse(follow(engine, run_id, max(0, since), min(max(0.0, wait), LONGEST_WAIT_S), who),
                                 media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})

    @routes.post("/runs/{run_id}/cancel")
    def cancel(run_id: str, request: Request) -> dict[str, Any]:
        own(run_id, request)
        state = engine.cancel(run_id, visitor_of(request))
        return {"outcome": state["outcome"], "left": state.get("left", False)}

    @routes.post("/runs/{run_id}/leave")
    def leave(run_id: str, request: Request, page: str = "") -> dict[str, Any]:
        engine.left(run_id, f"{visitor_of(request)} {page[:40]}")
        return {}

    @routes.post("/line/clear")
    def clear(request: Request) -> dict[str, int]:
        if not is_host(request):
            raise LabError("Only whoever sits at the computer of the lab can clear the line.", "Ask them, or wait for your turn.")
        return {"ended": engine.clear_line(visitor_of(request))}

    @routes.post("/runs/{run_id}/pin")
    def pin(run_id: str, request: Request, body: Pinned) -> dict[str, Any]:
        own(run_id, request)
        engine.pin(run_id, body.pinned)
        return {"pinned": body.pinned}

    @routes.post("/runs/{run_id}/publish")
    def publish(run_id: str, request: Request, body: Published) -> dict[str, Any]:
        own(run_id, request)
        engine.records.publish(run_id, body.published)
        return {"published": body.published}

    @routes.delete("/runs/{run_id}")
    def delete(run_id: str, request: Request) -> dict[str, Any]:
        own(run_id, request)
        engine.delete(run_id, visitor_of(request))
        return {"deleted": run_id}

    @routes.get("/runs/{run_id}/report.html")
    def report_html(run_id: str, request: Request) -> Response:
        seen(run_id, request)
        return _attachment(report.html(engine.records, run_id), "text/html", f"{run_id}.html")

    @routes.get("/runs/{run_id}/data.json")
    def data_json(run_id: str, request: Request) -> Response:
        seen(run_id, request)
        return JSONResponse(report.data(engine.records, run_id), headers=_download(f"{run_id}.json"))

    @routes.get("/runs/{run_id}/metrics.csv")
    def metrics_csv(run_id: str, request: Request) -> Response:
        seen(run_id, request)
        return _attachment(report.metrics_csv(engine.records, run_id), "text/csv", f"{run_id}.csv")

    @routes.get("/runs/{run_id}/files/{name}")
    def file(run_id: str, name: str, request: Request) -> Response:
        seen(run_id, request)
        path = engine.records.folder(run_id) / name
        if not _PLAIN_FILE.fullmatch(name) or not path.is_file():
            raise LabError("This run has no such picture.")
        return FileResponse(path, media_type="image/png")

    @routes.post("/uploads")
    def bring(request: Request, file: UploadFile) -> dict[str, str]:
        with tempfile.NamedTemporaryFile() as copy:
            shutil.copyfileobj(file.file, copy)
            copy.flush()
            return {"ref": engine.uploads.add(Path(copy.name), file.filename or "", visitor_of(request))}

    @routes.delete("/uploads/{content}")
    def take_away(content: str, request: Request) -> dict[str, str]:
        engine.uploads.delete(f"upload/{content}", visitor_of(request))
        return {"deleted": f"upload/{content}"}

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

    @routes.get("/static/{version}/{name}")
    def static(version: str, name: str, request: Request) -> Response:
        path = scripts.file_of(name)
        if path is None:
            raise LabError("There is no such file.")
        # An address that names another version: of a page that was opened before the lab was updated.
        headers = {"Cache-Control": scripts.FOREVER if version == scripts.VERSION else "no-store", "Vary": "Accept-Encoding"}
        kind = scripts.TYPES[path.suffix]
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return FileResponse(path, media_type=kind, headers=headers)
        packed = scripts.packed(path, path.stat().st_mtime_ns)
        return Response(packed, media_type=kind, headers=headers | {"Content-Encoding": "gzip"})

    return routes


def recent(engine: Engine, visitor: str, experiment: str | None = None) -> list[dict[str, Any]]:
    """This visitor's newest runs, in a few words each."""
    found = engine.records.list(visitor=visitor, name=experiment)[:SHOWN_RUNS]
    return [{**{key: run[key] for key in ("id", "name", "title", "config", "seed", "outcome", "created", "duration_s")},
             "link": links.to_run(run)} for run in found]


def described(engine: Engine, run: RunRecord, visitor: str) -> dict[str, Any]:
    """run.json for the browser: without who asked, with what can be done with it."""
    state = engine.state(run.id)
    now = {key: state[key] for key in ("outcome", "error", "hint", "started", "duration_s", "place", "estimate_s")}
    return run.public() | now | {
        "mine": visitor in run.visitors, "first_view": run.id.startswith("first-"),
        "link": links.to_run(run), "command": report.command(run)}


def is_host(request: Request) -> bool:
    """Whether somebody asks who sits at the computer of the lab."""
    return request.client is not None and request.client.host in ("127.0.0.1", "::1", "testclient")


async def follow(engine: Engine, run_id: str, since: int, wait: float, page: str = "") -> AsyncIterator[str]:
    """Lines of JSON `{events, next, outcome, place, estimate_s}`: one at once, then one whenever there is news, for `wait` seconds.

    Holds no thread while it waits. A run of another process is looked at once a second.
    """
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    until = loop.time() + wait
    stop = engine.listen(run_id, lambda: loop.call_soon_threadsafe(news.set), page)
    try:
        said = None
        while True:
            news.clear()
            here = engine.computes(run_id)
            answer = _look(engine, run_id, since) if here else await run_in_threadpool(_look, engine, run_id, since)
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


def _look(engine: Engine, run_id: str, since: int) -> dict[str, Any]:
    state = engine.state(run_id)  # before the events: what ends in between is then said by the next look
    fresh = engine.events(run_id, since)
    return {"events": fresh, "next": since + len(fresh), **{key: state[key] for key in ("outcome", "place", "estimate_s")}}


def _download(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _attachment(text: str, media_type: str, name: str) -> Response:
    return Response(text, media_type=f"{media_type}; charset=utf-8", headers=_download(name))
