"""Strangers at the door of the notebook: foreign names and pages, addresses that it does not use, tickets that are not theirs."""

from __future__ import annotations

import threading

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

pytest.importorskip("streamlit", reason="The notebook is not installed: ./launch.sh notebook installs it.")

from apps.lab.hosts import Hosts  # noqa: E402
from apps.notebook import here  # noqa: E402
from apps.notebook.guard import COOKIE, Guard  # noqa: E402
from core.engine import tickets  # noqa: E402
from core.engine.errors import LabError  # noqa: E402
from core.engine.settings import Settings  # noqa: E402

ANN, STREAM = "a" * 32, "ws://127.0.0.1:8501/_stcore/stream"


async def echo(scope, receive, send) -> None:
    """Says who the guard thinks is asking."""
    said = [value for key, value in scope["headers"] if key == here.HEADER.encode()]
    assert len(said) == 1
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": said[0].decode()})
        return await send({"type": "websocket.close", "code": 1000})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said[0] or b"nobody"})


@pytest.fixture
def home(tmp_path):
    return here.open_home(Settings(home=tmp_path), alone=False)


def client(address: str = "127.0.0.1", **options) -> TestClient:
    return TestClient(Guard(echo, Hosts(**options)), base_url="http://127.0.0.1:8501", client=(address, 4711))


def who(asked: TestClient, **headers: str) -> str:
    answer = asked.get("/", headers=headers)
    assert answer.status_code == 200 and answer.headers["x-frame-options"] == "DENY"
    with asked.websocket_connect(STREAM, headers=headers) as socket:
        assert (socket.receive_text() or "nobody") == answer.text
    return answer.text


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "evil.example:8501", "", "127.0.0.1@evil.example", "[::2]"])
def test_a_foreign_name_gets_nothing(home, name):
    assert client().get("/", headers={"host": name}).status_code == 400
    with pytest.raises(WebSocketDisconnect), client().websocket_connect(STREAM, headers={"host": name}):
        pass


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
                                     {"origin": "http://127.0.0.1:7860"}, {"origin": "http://127.0.0.1:8501.evil.example"}])
def test_a_page_of_another_site_opens_no_socket_and_sends_no_file(home, headers):
    with pytest.raises(WebSocketDisconnect), client().websocket_connect(STREAM, headers=headers):
        pass
    assert client().put("/_stcore/upload_file/a/b", headers=headers).status_code == 403
    with client().websocket_connect(STREAM, headers={"origin": "http://127.0.0.1:8501"}) as socket:
        assert socket.receive_text() == ""


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/agent/mcp", "/_stcore/agent/interact", "/_stcore/script-health-check",
                                  "/auth/login", "/oauth2callback", "/app/static/x", "/component/x/y", "/_stcore/bidi-components/x/y",
                                  "/static/../../x", "/media/../x", "/glassbox/static/1/../../x", "/~/+/", "/unknown"])
def test_what_the_notebook_does_not_use_is_not_there(home, path):
    asked = client()
    assert asked.build_request("GET", path) is not None and asked.get(path.replace("..", "%2e%2e")).status_code == 404
    assert asked.post("/").status_code == 404


def test_only_who_sits_at_the_machine_of_a_notebook_alone_owns_all(tmp_path, home):
    assert who(client()) == "nobody"
    here.open_home(Settings(home=tmp_path), alone=True)
    assert who(client()) == here.OWNER
    assert who(client("192.168.0.9", host="0.0.0.0")) == "nobody"
    for through in ({"x-forwarded-for": "127.0.0.1"}, {"forwarded": "for=127.0.0.1"}, {"cf-connecting-ip": "127.0.0.1"}, {"via": "1.1 x"}):
        assert who(client(), **through) == "nobody"
    assert who(client(more=["lab.example"]), host="lab.example") == "nobody"  # as through a proxy that says nothing of itself


def test_nobody_becomes_somebody_by_saying_so(home):
    for name in (here.HEADER, here.HEADER.upper(), "X-Glassbox-Visitor"):
        for said in (here.OWNER, ANN):
            assert who(client(), **{name: said}) == "nobody"
    for said in (ANN, here.OWNER, "", "x" * 5000):
        assert who(client(), cookie=f"{COOKIE}={said}") == "nobody"
    assert who(client(), cookie=f"{COOKIE}={home.session(ANN)}") == ANN
    other = home.session("b" * 32)
    assert who(client(), cookie=f"{COOKIE}={other[:-1]}") == "nobody"


def test_a_ticket_opens_once_for_one_and_not_for_long(home, monkeypatch):
    folder = home.settings.home
    ticket = tickets.issue(folder, ANN)
    assert not [path for path in folder.rglob("*") if ticket in path.name or path.is_file() and ticket in path.read_text()]
    found, barrier = [], threading.Barrier(8)

    def redeem() -> None:
        barrier.wait()
        found.append(tickets.redeem(folder, ticket))

    threads = [threading.Thread(target=redeem) for _ in range(8)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert sorted(found) == [""] * 7 + [ANN] and tickets.redeem(folder, ticket) == ""
    for forged in ("", "x", "../" * 20, "A" * 43, "A" * 44, "\x00" * 43, ticket + "A"):
        assert tickets.redeem(folder, forged) == ""
    late = tickets.issue(folder, ANN)
    now = tickets.time.time()
    monkeypatch.setattr(tickets.time, "time", lambda: now + tickets.LASTS_S + 1)
    assert tickets.redeem(folder, late) == ""
    with pytest.raises(LabError):
        tickets.issue(folder, "")


def test_the_lab_hands_over_its_visitor_and_only_to_runs_that_they_may_see(tmp_path, monkeypatch):
    from fastapi import FastAPI

    from apps.lab.routes import router
    from core.engine.runner import Engine

    engine = Engine(Settings(home=tmp_path))
    app = FastAPI()
    app.include_router(router(engine, notebook=8501))
    asked = TestClient(app, base_url="http://127.0.0.1:7860", follow_redirects=False)
    answer = asked.get("/lab/notebook", params={"run": "first-unlearning-auditor"}, headers={"x-glassbox-visitor": ANN})
    assert answer.status_code == 303 and answer.headers["referrer-policy"] == "no-referrer"
    address = answer.headers["location"]
    assert address.startswith("http://127.0.0.1:8501/glassbox/enter?ticket=") and address.endswith("&run=first-unlearning-auditor")
    assert tickets.redeem(tmp_path, address.split("ticket=")[1].split("&")[0]) == ANN
    for run, visitor in (("20261128-000000-aaaaaaaaaaaa", ANN), ("", "")):
        with pytest.raises(LabError):
            asked.get("/lab/notebook", params={"run": run}, headers={"x-glassbox-visitor": visitor})
    engine.close()
