"""What a stranger may send: each line is answered in words, changes nothing, and tells nothing of anybody else."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.attack.conftest import META, SECRET, Lab, is_refusal


def event(control: str, *data, path: str = "/gradio_api/run/predict", **more) -> tuple[str, str, dict]:
    """An event of a page, whose handler is filled in from its name."""
    return "POST", path, {"fn_index": f"<{control}>", "data": list(data), "session_hash": "stranger"} | more


def file(path: str, **more) -> dict:
    return {"path": path, "meta": META} | more


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


ROUTES = [
    (method, path, None, wanted)
    for method, path, wanted in [
        ("GET", "/monitoring", 404),
        ("GET", "/monitoring/summary", 404),
        ("GET", "/gradio_api/dev/reload", 404),
        ("GET", "/gradio_api/proxy=http://127.0.0.1:1/x", 404),
        ("HEAD", "/gradio_api/proxy=http://127.0.0.1:1/x", 404),
        ("GET", "/gradio_api/file=<OUTSIDE>", 404),
        ("GET", "/gradio_api/file=<HANDED>", 404),
        ("GET", "/gradio_api/file/<OUTSIDE>", 404),
        ("GET", "/gradio_api/file=http://127.0.0.1:1/x", 404),
        ("GET", "/file=<OUTSIDE>", 404),
        ("GET", "/gradio_api/vibe-code", 404),
        ("POST", "/gradio_api/vibe-edit", 404),
        ("POST", "/gradio_api/process_recording", 404),
        ("GET", "/gradio_api/openapi.json", 404),
        ("GET", "/gradio_api/deep_link", 404),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/redoc", 404),
        ("POST", "/gradio_api/component_server", 404),
        ("GET", "/custom_component/a/b/c/d", 404),
        ("GET", "/gradio_api/custom_component/a/b/c/d", 404),
        ("POST", "/login", 404),
        ("GET", "/logout", 404),
        ("GET", "/gradio_api/user", 404),
        ("GET", "/gradio_api/token", 404),
        ("POST", "/gradio_api/run/test_count", 404),
        ("POST", "/gradio_api/api/predict", 404),
        ("POST", "/gradio_api/call/v2/test_count", 405),
        ("GET", "/gradio_api/runs", 404),
        ("GET", "/gradio_api/profiling/traces", 404),
        ("GET", "/gradio_api/mcp/", 404),
        ("GET", "/gradio_api/stream/a/b/c/playlist.m3u8", 404),
        ("GET", "/svelte/index.js", 404),
        ("GET", "/nothing", 404),
        ("GET", "/.git/config", 404),
        ("GET", "/lab/nothing", 404),
        ("GET", "/lab/", 404),
        ("PUT", "/", 405),
        ("PATCH", "/lab/runs/<RUN>", 405),
        ("OPTIONS", "/", 405),
        ("TRACE", "/", 405),
        ("POST", "/", 405),
        ("DELETE", "/config", 405),
        ("GET", "/gradio_api/run/predict", 405),
        ("GET", "/gradio_api/upload", 405),
        ("PROPFIND", "/lab/runs", 405),
    ]
]
PATHS = [
    ("GET", path, None, (403, 404, 414))
    for path in [
        "/" + "a" * 3000,
        "/lab/runs/" + "a" * 900,
        "/lab/runs/%00",
        "/lab/runs/a%00b",
        "/lab/runs/..%2f..%2fuploads",
        "/lab/runs/%2e%2e/%2e%2e/x",
        "/lab/runs/<RUN>/files/..%2frun.json",
        "/lab/runs/<SHARED>/files/..%2f..%2f..%2fx.png",
        "/lab/runs/<SHARED>/files/run.json",
        "/lab/runs/<SHARED>/files/events.jsonl",
        "/lab/static/x/..%2f..%2fserver.py",
        "/lab/static/x/%2e%2e%2fserver.py",
        "/lab/samples/..%2fx.csv",
        "/lab/worksheets/..%2f..%2fx",
        "/assets/..%2f..%2f..%2froutes.py",
        "/static/..%5c..%5croutes.py",
        "/assets/%2e%2e/%2e%2e/blocks.py",
        "/assets//etc/hostname",
        "/static/img/..%2f..%2f..%2froutes.py",
        "/lab/runs/\u202e",
        "/lab/runs/x?" + "a=b&" * 3000,
        "/config?deep_link=../../x" + "y" * 9000,
    ]
]
QUERIES = [
    ("GET", path, None, 422)
    for path in [
        "/lab/runs/<SHARED>/events?since=x",
        "/lab/runs/<SHARED>/events?since=" + "9" * 6000,
        "/lab/runs/<SHARED>/events?wait=x",
    ]
] + [
    ("GET", "/gradio_api/queue/data?session_hash=" + "a" * 500, None, 400),
    ("GET", "/gradio_api/queue/data?session_hash=..%2f", None, 400),
    ("GET", "/gradio_api/heartbeat/" + "a" * 500, None, 404),
    ("GET", "/gradio_api/call/test_count/..%2f..", None, 404),
]
FILES = (
    [
        (*event("TAKES", value), 400)
        for value in [
            file("<OUTSIDE>"),
            file("<HANDED>"),
            file("<OUTSIDE>", url="/gradio_api/file=<HANDED>"),
            file("http://127.0.0.1:1/x"),
            file("file://<OUTSIDE>"),
            file("<HANDED>/../../../../../outside/secret.txt"),
            file("<OUTSIDE>", is_stream=True),
            file("<OUTSIDE>", orig_name="mine.csv"),
            file(""),
            file("."),
            file("/"),
            file("\u0000"),
            file("/dev/zero"),
            file("/proc/self/environ"),
            "<OUTSIDE>",
            ["<OUTSIDE>"],
            [file("<OUTSIDE>")],
            {"path": "<OUTSIDE>"},
            {"url": "http://127.0.0.1:1/x"},
            {"path": ["<OUTSIDE>"], "meta": META},
            {"path": None, "url": "file://<OUTSIDE>", "meta": META},
            7,
            True,
            {},
        ]
    ]
    + [
        (*event("PLAIN", value), 400)
        for value in [
            file("<OUTSIDE>"),
            [file("<OUTSIDE>")],
            {"a": {"b": [file("<HANDED>")]}},
            {"path": "<OUTSIDE>", "url": "x"},
            {"path": "<OUTSIDE>", "is_stream": False},
            {"path": "<OUTSIDE>", "orig_name": "x"},
            {"x": 1, "meta": META},
        ]
    ]
    + [
        (*event("PLAIN", "x", event_data={"x": file("<OUTSIDE>")}), 400),
        (*event("PUBLIC", file("<OUTSIDE>"), 0, False, path="/gradio_api/queue/join"), 400),
        ("POST", "/gradio_api/call/test_count", {"data": [file("<OUTSIDE>"), 0, False]}, 400),
    ]
)
EVENTS = (
    [
        ("POST", "/gradio_api/run/predict", {"data": [], "session_hash": "stranger"} | given, 404)
        for given in [
            {},
            {"fn_index": -1},
            {"fn_index": 10**9},
            {"fn_index": 10**30},
            {"fn_index": "0"},
            {"fn_index": None},
            {"fn_index": 1.0},
            {"fn_index": True},
            {"fn_index": [0]},
            {"fn_index": {"a": 1}},
        ]
    ]
    + [
        (*event("PUBLIC", {}, 0, False), 404),
        (*event("PLAIN", "x", path="/gradio_api/queue/join"), 404),
        (*event("TAKES", None, path="/gradio_api/queue/join"), 404),
        ("POST", "/gradio_api/call/nothing", {"data": []}, 404),
        ("POST", "/gradio_api/call/_bring", {"data": [None]}, 404),
    ]
    + [
        (*event("PLAIN", "x", **given), 400)
        for given in [
            {"data": None},
            {"data": {}},
            {"data": "x"},
            {"data": [0] * 2000},
            {"session_hash": 7},
            {"session_hash": "a" * 100},
            {"session_hash": "../x"},
            {"session_hash": ["a"]},
            {"trigger_id": "x"},
            {"trigger_id": [1]},
            {"data": [nested(300)]},
            {"event_data": nested(300)},
            {"data": []},
        ]
    ]
    + [
        ("POST", "/gradio_api/cancel", body, 400)
        for body in [
            {},
            {"session_hash": 1},
            {"session_hash": "a", "fn_index": "x"},
            {"session_hash": "a", "fn_index": 1, "event_id": "../x"},
        ]
    ]
)
OTHERS = [
    (method, path, body, 404 if method == "GET" else 409)
    for method, path, body in [
        ("GET", "/lab/runs/<RUN>", None),
        ("GET", "/lab/runs/<RUN>/events", None),
        ("GET", "/lab/runs/<RUN>/report.html", None),
        ("GET", "/lab/runs/<RUN>/data.json", None),
        ("GET", "/lab/runs/<RUN>/metrics.csv", None),
        ("GET", "/lab/runs/<RUN>/files/a.png", None),
        ("POST", "/lab/runs/<RUN>/cancel", {}),
        ("POST", "/lab/runs/<RUN>/pin", {}),
        ("POST", "/lab/runs/<RUN>/publish", {"published": True}),
        ("DELETE", "/lab/runs/<RUN>", None),
        ("POST", "/lab/runs/<SHARED>/cancel", {}),
        ("POST", "/lab/runs/<SHARED>/pin", {}),
        ("POST", "/lab/runs/<SHARED>/publish", {"published": False}),
        ("DELETE", "/lab/runs/<SHARED>", None),
        ("DELETE", "/lab/uploads/<FILE>", None),
        ("DELETE", "/lab/uploads/..%2f..", None),
        ("DELETE", "/lab/runs/first-unlearning-auditor", None),
        ("POST", "/lab/runs/first-unlearning-auditor/publish", {"published": False}),
    ]
    if path != "/lab/uploads/..%2f.."
]
CASES = [*ROUTES, *PATHS, *QUERIES, *FILES, *EVENTS, *OTHERS]


def named(case: tuple) -> str:
    method, path, body, _ = case
    return f"{method} {path[:40]} {json.dumps(body)[:60] if body is not None else ''}".strip()


@pytest.mark.parametrize("case", CASES, ids=map(named, CASES))
def test_a_stranger_is_refused_in_words(lab: Lab, case) -> None:
    method, path, body, wanted = case
    text = None if body is None else lab.fill(json.dumps(body))
    for name, index in lab.controls.items():  # numbers, not text
        text = text and text.replace(f'"{index}"' if f'"<{name}>"' in json.dumps(body) else "\0", str(index))
    answer = httpx.Client(base_url=lab.address, timeout=60).request(
        method, lab.fill(path), content=text, headers={"content-type": "application/json"} if text else {}
    )
    assert answer.status_code in (wanted if isinstance(wanted, tuple) else (wanted,)), answer.text[:300]
    assert method == "HEAD" or is_refusal(answer.text)
    assert SECRET not in answer.text and "question" not in answer.text


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 120
