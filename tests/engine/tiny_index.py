"""A package index of our own with one tiny wheel, and the row of the shop that names it."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.engine import package_index
from core.engine.shop import Item

NAME, WHEEL = "tiny", "tiny_model-1.0-py3-none-any.whl"


class Index(ThreadingHTTPServer):
    """A simple index with one wheel; `wanted` are the paths and ranges that were asked for."""

    daemon_threads = True

    def __init__(self, wheel: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content, self.wanted, self.json, self.ranges, self.breaks_at, self.slow = wheel.read_bytes(), [], True, True, None, 0.0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple"


class _Answer(BaseHTTPRequestHandler):
    server: Index

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.wanted.append((self.path, self.headers.get("Range")))
        if self.path == "/simple/tiny-model/":
            text = ('{"files": [{"filename": "%s", "url": "../../files/%s#sha256=0"}]}' if self.server.json
                    else '<a href="../../files/%s#sha256=0">%s</a>') % (WHEEL, WHEEL)
            kind = package_index.JSON_LISTING if self.server.json else "text/html"
            self._say(200, text.encode(), {"Content-Type": kind})
        elif self.path == f"/files/{WHEEL}":
            self._file()
        else:
            self._say(404, b"", {})

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _file(self) -> None:
        begin = int(self.headers["Range"][6:-1]) if self.server.ranges and self.headers.get("Range") else 0
        body, whole = self.server.content[begin:], self.server.content
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(body)))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(whole) - 1}/{len(whole)}")
        self.end_headers()
        for start in range(0, len(body), 50_000):
            if self.server.breaks_at is not None and begin + start >= self.server.breaks_at:
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(body[start:start + 50_000])
            time.sleep(self.server.slow)


@pytest.fixture(scope="session")
def tiny_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that holds a model, a licence, and code that must not run."""
    from tests.engine.tiny_models import save, tiny

    folder = tmp_path_factory.mktemp("wheel")
    model = save(tiny("llama"), folder / "model")
    file = folder / WHEEL
    with zipfile.ZipFile(file, "w") as archive:
        for part in sorted(model.iterdir()):
            archive.write(part, f"tiny_model/{part.name}")
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('code of a package was run')")
        archive.writestr("tiny_model/LICENSE", "free")
    return file


@pytest.fixture
def tiny_item(tiny_wheel: Path) -> Item:
    content = tiny_wheel.read_bytes()
    with zipfile.ZipFile(tiny_wheel) as archive:
        files = {name: (name.rpartition("/")[2], hashlib.sha256(archive.read(name)).hexdigest())
                 for name in archive.namelist() if not name.endswith(".py")}
    return Item(name=NAME, title="A tiny model", kind="model", purpose="tests", package="tiny-model", version="1.0", wheel=WHEEL,
                sha256=hashlib.sha256(content).hexdigest(), size=len(content), licence="MIT", source="this test", files=files, disk=10**6)


@pytest.fixture
def tiny_index(tiny_wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """What pip is told to ask; `breaks_at`, `slow`, `ranges`, `json` and `content` change how it answers."""
    server = Index(tiny_wheel)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", server.address)
    monkeypatch.setattr(package_index, "CHUNK", 20_000)
    yield server
    server.shutdown()
    server.server_close()
