"""A small stand-in for the lab's routes, so that the live view can be tested alone, event by event.

    with FakeLab() as lab:
        run = lab.add("run-1", lines())
        run.release(10)          # the browser may now have ten events
        lab.down = True          # every connection is dropped

By hand: `python -m tests.browser.harness.server` plays a run slowly on a page of its own.
"""

from __future__ import annotations

import contextlib
import json
import mimetypes
import struct
import threading
import time
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

import plotly

from tests.browser.harness.story import PANELS, lines

STATIC = Path(__file__).parents[3] / "apps" / "lab" / "ui" / "static"
HERE = Path(__file__).parent
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


@dataclass
class FakeRun:
    """`released` events may be seen; the run has ended when the line of kind "end" is among them."""

    id: str
    events: list[dict[str, Any]]
    info: dict[str, Any]
    released: int = 0
    place: int | None = None
    estimate: float | None = None
    cancelled: bool = False
    honours_cancel: bool = True
    shared: bool = False
    news: threading.Condition = field(default_factory=threading.Condition)

    def release(self, count: int | None = None) -> None:
        """Lets the browser see `count` more events, or all."""
        with self.news:
            self.released = len(self.events) if count is None else min(len(self.events), self.released + count)
            self.news.notify_all()

    def end(self, outcome: str, error: str = "", hint: str = "") -> None:
        """Ends the run after what is released."""
        with self.news:
            t = self.events[self.released - 1]["t"] if self.released else 0.0
            self.events = [
                *self.events[: self.released],
                {"seq": self.released, "t": t, "kind": "end", "outcome": outcome, "error": error, "hint": hint},
            ]
            self.info["outcome"] = outcome
            self.released += 1
            self.news.notify_all()

    def since(self, since: int, wait: float) -> dict[str, Any]:
        with self.news:
            self.news.wait_for(lambda: self.released > since, timeout=min(wait, 2.0))
            seen = self.events[since : self.released]
            ended = self.released and self.events[self.released - 1]["kind"] == "end"
            outcome = self.events[self.released - 1]["outcome"] if ended else "running"
            return {"events": seen, "next": since + len(seen), "outcome": outcome, "place": self.place, "estimate_s": self.estimate}


class FakeLab:
    """The routes of the lab over `FakeRun`s, on a free port of this machine."""

    def __init__(self, port: int = 0) -> None:
        self.runs: dict[str, FakeRun] = {}
        self.panels: list[dict[str, Any]] = PANELS
        self.down = False
        self.asked: list[tuple[str, str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"lab": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def add(self, run_id: str, events: list[dict[str, Any]] | None = None, *, released: int | None = None, **info: Any) -> FakeRun:
        """A run of which `released` events are out (default: all)."""
        events = lines() if events is None else events
        about = {
            "id": run_id,
            "name": "test/audit",
            "title": "Did it really forget?",
            "paper": "01",
            "seed": 0,
            "created": "2026-11-24T20:31:05+00:00",
            "config": {"algorithm": "npo", "steps": 20},
            "duration_s": events[-1]["t"],
            "outcome": "finished",
            "model": {"ref": "embedded/worlds"},
            "versions": {"torch": "2.13.0"},
            "threads": 1,
            "mine": True,
            "owner": True,
            "published": False,
            "first_view": False,
            "link": f"/unlearning-auditor?algorithm=npo&run={run_id}",
            "command": "./launch.sh cli run test/audit --set algorithm=npo --seed 0",
        } | info
        run = self.runs[run_id] = FakeRun(run_id, events, about, len(events) if released is None else released)
        return run

    def reset(self) -> None:
        """As new: no runs, the usual panels, the line is up."""
        for run in self.runs.values():
            run.release()
        self.runs, self.panels, self.down, self.asked = {}, PANELS, False, []

    def __enter__(self) -> FakeLab:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lab: FakeLab

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        url = urlparse(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.lab.down:
            self.close_connection = True
            return
        self.lab.asked.append((method, self.path, json.loads(body) if body else None))
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if parts[0] == "runs" and len(parts) > 1:
            self._run(method, parts, query, json.loads(body) if body else {})
        elif parts[0] == "runs":
            shown = ("id", "title", "config", "outcome", "created", "duration_s")
            self._json({"runs": [{key: run.info[key] for key in shown} for run in self.lab.runs.values() if run.info["mine"]]})
        elif parts == ["panels.json"]:
            self._json(self.lab.panels)
        elif parts[0] == "static":
            self._file(PLOTLY if parts[1] == "plotly.min.js" else STATIC / parts[1])
        else:
            self._file(HERE / "page.html")

    def _run(self, method: str, parts: list[str], query: dict[str, str], body: dict[str, Any]) -> None:
        run, what = self.lab.runs.get(parts[1]), "/".join(parts[2:])
        if run is None:
            self._json({"error": "There is no such run here, or it was deleted.", "hint": "Press Run."}, 404)
        elif method == "DELETE":
            del self.lab.runs[run.id]
            self._json({})
        elif what == "events":
            answer = run.since(int(query["since"]), float(query["wait"]))
            if self.lab.down:
                self.close_connection = True
                return
            self._json(answer)
        elif what == "cancel":
            run.cancelled = True
            if run.honours_cancel:
                run.end("cancelled")
            self._json({"left": run.shared})
        elif what in ("pin", "publish"):
            run.info |= body
            self._json({})
        elif what == "metrics.csv":
            self._send(b"name,step,value,unit\r\n", "text/csv")
        elif what.startswith("files/"):
            self._send(_png(), "image/png")
        else:
            self._json(run.info)

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), "application/json", status)

    def _file(self, path: Path) -> None:
        if not path.is_file():
            return self._json({"error": f"no {path.name}"}, 404)
        self._send(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream", cache="max-age=60")

    def _send(self, data: bytes, kind: str, status: int = 200, cache: str = "no-store") -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("cache-control", cache)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)


def _png(size: int = 48) -> bytes:
    """A blue square."""
    rows = b"".join(b"\0" + bytes([11, 95, 192]) * size for _ in range(size))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def main() -> None:
    with FakeLab(8123) as lab:
        lab.add("done-1", lines(scale=0.7), config={"algorithm": "ga", "steps": 20}, first_view=True, mine=False)
        run = lab.add("slow-1", lines(steps=60, seconds=40), released=0)
        print(f"{lab.url}?run=slow-1   {lab.url}?run=done-1   (add &theme=dark)")
        while True:
            time.sleep(0.2)
            run.release(1)


if __name__ == "__main__":
    main()
