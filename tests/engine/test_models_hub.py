"""Models of the hub, fetched from a small hub of our own that speaks the real client's protocol."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.engine.ask_hub import ask_hub
from tests.engine.tiny_models import save, tiny

COMMIT = "7" * 40


class Hub(BaseHTTPRequestHandler):
    """Serves the folders under `root`; a file of the name `SIZES` in one claims other sizes than the true ones."""

    root: Path
    asked: list[str]

    def log_message(self, *_args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self._answer()

    def _answer(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._api("/".join(parts[2:4]), parts[4])
        elif "resolve" in parts:
            self._file(self.root / parts[0] / parts[1] / parts[4])
        else:
            self._send(404, b"{}")

    def _api(self, name: str, what: str) -> None:
        folder = self.root / name
        if name == "tiny/gated":
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif not folder.is_dir():
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif what == "revision" and not self.path.endswith(("/main", COMMIT)):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif what == "revision":
            self._send(200, json.dumps({"id": name, "sha": COMMIT, "siblings": []}).encode())
        else:
            files = [file for file in folder.iterdir() if file.name != "SIZES"]
            tree = [{"type": "file", "path": file.name, "oid": _etag(file), "size": file.stat().st_size} for file in files]
            self._send(200, json.dumps(tree).encode())

    def _file(self, file: Path) -> None:
        if file.is_file():
            headers = {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT}
            if (sizes := file.parent / "SIZES").exists() and file.name in (claimed := json.loads(sizes.read_text())):
                headers["X-Linked-Size"] = str(claimed[file.name])
            self._send(200, file.read_bytes(), headers)
        else:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    handler = type("ThisHub", (Hub,), {"root": tmp_path / "hub", "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.address = f"http://127.0.0.1:{server.server_port}"
    yield handler
    server.shutdown()
    server.server_close()


def test_what_the_hub_answers_becomes_a_model_or_a_sentence(hub, tmp_path):
    good = save(tiny("llama"), hub.root / "tiny/good")
    (good / "pytorch_model.bin").write_bytes(b"never wanted")
    (good / "consolidated.safetensors").write_bytes(b"never wanted")
    evil = save(tiny("llama"), hub.root / "tiny/evil")
    config = json.loads((evil / "config.json").read_text())
    (evil / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Evil"}}))
    huge = save(tiny("llama"), hub.root / "tiny/huge")
    (huge / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    (huge / "SIZES").write_text(json.dumps({"model.safetensors": 10**12}))
    (save(tiny("llama"), hub.root / "tiny/pickled") / "model.safetensors").rename(hub.root / "tiny/pickled/pytorch_model.bin")

    names = ["good", "good@main", f"good@{COMMIT}", "good@v9", "evil", "huge", "pickled", "gated", "nowhere"]
    answers = dict(zip(names, ask_hub(tmp_path / "cache", *(f"hf/tiny/{name}" for name in names), HF_ENDPOINT=hub.address), strict=True))

    assert answers["good"]["revision"] == COMMIT and answers["good"]["family"] == "llama" and answers["good"]["tokenizer"]
    assert answers["good"] == answers["good@main"] == answers[f"good@{COMMIT}"]
    assert "no public model" in answers["good@v9"]["error"] and "no public model" in answers["nowhere"]["error"]
    assert "tiny/evil asks to run code of its own" in answers["evil"]["error"]
    assert "hf/tiny/huge needs 2000.0 GB" in answers["huge"]["error"] and "would fit" in answers["huge"]["hint"]
    assert "no safetensors weights (model.safetensors) in tiny/pickled" in answers["pickled"]["error"]
    assert "accepted its terms" in answers["gated"]["error"]
    assert all(path.startswith(("/api/models/tiny/", "/tiny/")) for path in hub.asked)  # and nothing is reported anywhere
    fetched = [path.split("/")[-1] for path in hub.asked if "/resolve/" in path]
    assert "pytorch_model.bin" not in fetched and "consolidated.safetensors" not in fetched
    assert fetched.count("model.safetensors") == 1  # of the good one, once: the others were refused before

    hub.asked.clear()
    (again,) = ask_hub(tmp_path / "cache", "hf/tiny/good", HF_ENDPOINT=hub.address)
    assert again == answers["good"] and hub.asked == []  # what is here is not asked for
