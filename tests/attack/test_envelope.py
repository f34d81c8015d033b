"""By which name, from which site, through what, and how much: decided before anything of a body is read."""

from __future__ import annotations

import asyncio
import io
import json
import os
import zipfile

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from apps.lab.guard import FILE_LIMIT, JSON_LIMIT, Guard
from apps.lab.hosts import Hosts
from apps.lab.routes import is_host
from apps.lab.visitors import HEADER
from core.engine.shop import ITEMS
from tests.attack.conftest import SECRET, Lab, is_refusal, visitor

FOREIGN = [
    "evil.example",
    "evil.example:7860",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "",
    "a b",
    "testserver",
    "192.0.2.7",
    "[2001:db8::7]",
    "localhost:999999",
    "0.0.0.0",
    "127.1",
    "2130706433",
    "localhost/x",
    "*",
]


@pytest.mark.parametrize("host", FOREIGN)
def test_another_name_is_refused_whatever_is_asked(lab: Lab, raw, host):
    for line in (b"GET / HTTP/1.1", b"GET /lab/runs HTTP/1.1", b"POST /gradio_api/run/predict HTTP/1.1"):
        status, answer = raw(line + b"\r\nHost: " + host.encode() + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert status == 400 and SECRET.encode() not in answer and b"Traceback" not in answer


def test_a_request_without_a_name_or_with_two_is_refused(raw):
    assert raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")[0] == 400
    assert raw(b"GET / HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\nConnection: close\r\n\r\n")[0] == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1:1", "[::1]:7860", "localhost."])
def test_its_own_names_are_known(lab: Lab, host):
    assert httpx.get(lab.address + "lab/runs", headers={"host": host}, timeout=60).status_code == 200


def test_an_open_lab_knows_this_machine_and_what_it_was_told():
    import socket

    hosts = Hosts("0.0.0.0", ["lab.school.example", "[2001:db8::1]"])
    assert all(
        hosts.allow(host) for host in ("localhost", socket.gethostname(), "lab.school.example:80", "[2001:DB8::1]:7860", "127.0.0.1")
    )
    assert not any(hosts.allow(host) for host in ("evil.example", "0.0.0.0", "school.example", "192.0.2.7", "x.lab.school.example"))
    assert Hosts("192.0.2.9").allow("192.0.2.9:7860") and not Hosts("127.0.0.1").allow(socket.gethostname() + ".example")


SITES = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "https://127.0.0.1.evil.example"},
    {"origin": "http://localhost:1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "file://"},
    {"origin": "http://"},
    {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
]


@pytest.mark.parametrize("headers", SITES, ids=str)
def test_another_site_changes_nothing(lab: Lab, headers):
    for method, path in [
        ("DELETE", f"/lab/runs/{lab.run}"),
        ("POST", f"/lab/runs/{lab.run}/publish"),
        ("POST", "/lab/uploads"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/upload"),
        ("POST", "/gradio_api/call/test_count"),
        ("POST", "/lab/line/clear"),
    ]:
        answer = lab.ann.request(method, path, headers=headers, content=b"{}")
        assert answer.status_code == 403 and is_refusal(answer.text)


def test_our_own_pages_may(lab: Lab):
    ours = lab.address.rstrip("/")
    assert lab.ann.post(f"/lab/runs/{lab.run}/leave", headers={"origin": ours, "sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize(("path", "limit"), [("/gradio_api/run/predict", JSON_LIMIT), ("/gradio_api/queue/join", JSON_LIMIT),
    ("/gradio_api/call/test_count", JSON_LIMIT), ("/gradio_api/cancel", 2**16),
    ("/gradio_api/upload", FILE_LIMIT), ("/lab/uploads", FILE_LIMIT),
    ("/lab/runs/x/publish", 2**16), ("/lab/line/clear", 2**16)])  # fmt: skip
def test_what_is_too_large_is_refused_before_it_is_read(lab: Lab, raw, path, limit):
    form = b"Content-Type: multipart/form-data; boundary=x\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode() + form
    assert raw(head + f"Content-Length: {limit + 1}\r\n\r\n".encode())[0] == 413
    assert raw(head + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n")[0] in (400, 413)
    assert raw(head + b"Content-Length: -1\r\n\r\n")[0] == 400


def pieces(total: int):
    """A body of unknown length."""
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    for _ in range(total // 2**16):
        yield b"a" * 2**16


@pytest.mark.parametrize("path", ["/lab/uploads", "/gradio_api/upload", "/gradio_api/run/predict"])
def test_a_body_that_does_not_say_how_long_it_is_is_counted(lab: Lab, path):
    before = used(lab)
    with httpx.Client(base_url=lab.address, timeout=60) as client:
        try:
            answer = client.post(path, content=pieces(60 * 2**20), headers={"content-type": "multipart/form-data; boundary=x"})
            assert answer.status_code == 413 and is_refusal(answer.text)
        except httpx.TransportError:  # it was cut off while it still spoke
            pass
    assert used(lab) - before < 25 * 2**20


def used(lab: Lab) -> int:
    return sum(file.stat().st_size for file in lab.home.rglob("*") if file.is_file())


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"x"',
    b"[" * 100_000,
    b'{"data": NaN}',
    b'{"data": [' + b"[" * 5000 + b"]" * 5000 + b"]}",
    b"\xff\xfe\x00",
    b'{"data": 1e999}',
    b"\x00" * 100,
    b'{"data":' * 3000,
    b"data=1&fn_index=2",
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
def test_what_is_no_object_is_refused(lab: Lab, body):
    for path in ("/gradio_api/run/predict", "/gradio_api/queue/join", "/gradio_api/call/test_count", "/gradio_api/cancel"):
        answer = lab.bob.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 404, 413) and is_refusal(answer.text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../../../outside/x", b"a"),
        ("..\\..\\x.csv", b"a"),
        ("/etc/x", b"a"),
        ("a\x01b.csv", b"a"),
        ("." * 300, b"a"),
        ("about.json", b"{}"),
        ("<img src=x>.csv", b"a"),
        ("\u202e.csv", b"a"),
        ("", b"a"),
    ],
)
def test_a_file_of_any_name_lies_in_its_own_folder(lab: Lab, name, content):
    client = visitor(lab.address)
    answer = client.post("/lab/uploads", files={"file": (name, content)})
    if answer.status_code >= 400:
        return pytest.fail(answer.text) if not is_refusal(answer.text) else None
    path = lab.engine.uploads.path(answer.json()["ref"])
    assert path.resolve().is_relative_to(lab.engine.uploads.root.resolve()) and path.parent.parent == lab.engine.uploads.root
    assert client.delete(f"/lab/uploads/{path.parent.name}").status_code == 200


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n--x--"),
        ("multipart/form-data; boundary=" + "x" * 3000, b"--x"),
    ],
)
def test_a_form_that_is_none_is_refused(lab: Lab, kind, body):
    for path in ("/lab/uploads", "/gradio_api/upload"):
        answer = lab.bob.post(path, content=body, headers={"content-type": kind})
        assert answer.status_code == 200 and answer.json() == [] or 400 <= answer.status_code < 500 and is_refusal(answer.text)


def test_files_that_no_page_takes_have_an_end(lab: Lab):
    client, big = visitor(lab.address), os.urandom(2**20) * 19
    statuses = [client.post("/gradio_api/upload", files={"files": (f"{i}.bin", big + bytes([i]))}).status_code for i in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert lab.bob.post("/gradio_api/upload", files={"files": ("b.csv", b"bob")}).status_code == 200, "others still may"


@pytest.mark.parametrize("header", ["x-forwarded-host", "x-forwarded-prefix", "forwarded", "x-forwarded-proto", "x-original-url"])
def test_a_proxy_that_nobody_set_up_is_not_believed(lab: Lab, header):
    said = httpx.get(lab.address + "config", headers={header: "evil.example"}, timeout=60).text
    assert "evil.example" not in said


PROXIES = [
    {"x-forwarded-for": "127.0.0.1"},
    {"X-Forwarded-For": ""},
    {"forwarded": "for=127.0.0.1"},
    {"via": "1.1 proxy"},
    {"x-real-ip": "::1"},
    {"x-client-ip": "127.0.0.1"},
    {"true-client-ip": "127.0.0.1"},
    {"cf-connecting-ip": "127.0.0.1"},
    {"x-forwarded-proto": "https"},
]
ONLY_THE_HOST = [("POST", "/lab/line/clear"), ("POST", "/lab/shop/<ITEM>/get"), ("POST", "/lab/shop/<ITEM>/stop"),
                 ("DELETE", "/lab/shop/<ITEM>")]  # fmt: skip


@pytest.mark.parametrize("headers", PROXIES, ids=lambda headers: next(iter(headers)))
def test_through_a_proxy_nobody_sits_at_the_computer(lab: Lab, headers):
    for method, path in ONLY_THE_HOST:
        answer = lab.bob.request(method, path.replace("<ITEM>", next(iter(ITEMS))), headers=headers)
        assert answer.status_code == 403 and answer.json()["error"].startswith("Only whoever sits at the computer of the lab can ")
    assert lab.bob.get(f"/lab/runs/{lab.shared}", headers=headers).json()["host"] is False
    assert lab.bob.get("/lab/shop", headers=headers).json()["host"] is False
    assert not any(item["state"] == "getting" for item in lab.engine.shop.list())


@pytest.mark.parametrize(
    ("client", "host", "headers", "sits"),
    [
        ("127.0.0.1", "localhost:7860", {}, True),
        ("::1", "[::1]:7860", {}, True),
        ("127.0.0.1", "localhost:7860", {"x-gradio-user": "app"}, True),  # which the page's own script sends with each event
        ("192.0.2.9", "localhost:7860", {}, False),
        ("192.0.2.9", "localhost:7860", {"x-gradio-user": "app"}, False),
        ("192.0.2.9", "localhost:7860", {"x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", "localhost:7860", {"x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", "localhost:7860", {"via": "1.0 x"}, False),
        ("127.0.0.1", "lab.school.example", {}, False),  # a proxy that says nothing of itself, but for its name
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_a_loopback_address_alone_makes_no_host(client, host, headers, sits, trusted):
    seen = []

    async def inner(scope, receive, send):
        seen.append(is_host(Request(scope)))
        await PlainTextResponse("x")(scope, receive, send)

    async def ask():
        guard = ProxyHeadersMiddleware(Guard(inner, None, None, Hosts("127.0.0.1", ["lab.school.example"]), ["/"], trusted=trusted))
        transport = httpx.ASGITransport(app=guard if trusted else guard.app, client=(client, 4000))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as asking:
            assert (await asking.get("/", headers=headers)).status_code == 200

    asyncio.run(ask())
    assert seen == [sits]


@pytest.mark.parametrize("token", ["api", "", "x" * 32, "0" * 31, "0" * 33, "../../x", "A" * 32, "'; --"])
def test_a_token_that_is_none_is_nobody(lab: Lab, token):
    answer = httpx.get(lab.address + "lab/runs", headers={HEADER: token}, timeout=60)
    assert answer.json() == {"runs": []} and len(answer.headers[HEADER]) == 32 != token


def test_no_websocket_and_no_other_protocol(raw):
    status, _ = raw(
        b"GET /gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert status in (400, 403, 404, 405)
    assert raw(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1" + b"\0" * 40 + b"\r\n\r\n")[0] in (0, 400)
    assert raw(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] in (0, 400, 414, 431)


def test_every_answer_forbids_talking_to_other_machines(lab: Lab):
    for path in ("", "lab/runs", "nothing", "config", "gradio_api/file=x"):
        answer = httpx.get(lab.address + path, timeout=60)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and not {"http:", "https:", "*"} & set(policy.replace(";", " ").split())
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_bomb_of_a_zip_is_refused_in_words(lab: Lab):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(12):
            archive.writestr(f"a/{i}.png", b"\0" * 18 * 2**20)
    ref = lab.bob.post("/lab/uploads", files={"file": ("x.zip", stream.getvalue())}).json()["ref"]
    token = {HEADER: lab.bob.cookies["glassbox_visitor"]}
    event = httpx.post(lab.address + "gradio_api/call/learngene_pictures", json={"data": [{"pictures": ref}]}, headers=token).json()[
        "event_id"
    ]
    said = httpx.get(lab.address + f"gradio_api/call/learngene_pictures/{event}", headers=token, timeout=120).text
    assert json.loads(said.partition("data: ")[2].splitlines()[0])[0]["error"].startswith("Unpacked, this ZIP would have more than")
