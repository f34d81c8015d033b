"""The routes beside Gradio: who may see a run, what comes back, and that wrong requests give sentences."""

from __future__ import annotations

import json
import re
import shutil
import time

import pytest
from fastapi.testclient import TestClient

from apps.lab.server import create_app
from apps.lab.ui import scripts
from apps.lab.ui.scripts import SCRIPTS
from apps.lab.visitors import COOKIE, HEADER
from core.engine.errors import LabError

PAGE, ADDRESS = {"accept": "text/html"}, "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def app(engine):
    """The lab as it is, with its guard."""
    return create_app(engine=engine)


def program(app, **how) -> TestClient:
    return TestClient(app, base_url=ADDRESS, **how)


def browser(app) -> TestClient:
    client = program(app)
    client.get("/", headers=PAGE)
    return client


def ended(engine, client, config=None, seed=0):
    run = engine.start("test/count", config or {}, seed=seed, visitor=client.cookies[COOKIE], fresh=True)
    engine.wait(run.id, timeout=30)
    return run.id


def test_a_browser_keeps_one_token_as_a_cookie_and_a_program_is_told_its_own(app):
    client = program(app)
    assert COOKIE not in client.get("/lab/runs").cookies
    first = client.get("/", headers=PAGE)
    assert len(first.cookies[COOKIE]) == 32
    assert "httponly" in first.headers["set-cookie"].lower() and "samesite=strict" in first.headers["set-cookie"].lower()
    assert COOKIE not in client.get("/", headers=PAGE).cookies
    assert len(program(app, cookies={COOKIE: "<script>"}).get("/", headers=PAGE).cookies[COOKIE]) == 32
    one, two = (program(app).get("/lab/runs").headers[HEADER] for _ in range(2))
    assert len(one) == 32 and one != two
    assert HEADER not in client.get("/lab/runs", headers={HEADER: one}).headers


def test_events_come_from_where_the_reader_left_off(app, engine):
    client = browser(app)
    run = ended(engine, client)
    everything = client.get(f"/lab/runs/{run}/events").json()
    assert everything["events"][-1]["kind"] == "end" and everything["outcome"] == "finished"
    plain = client.get(f"/lab/runs/{run}/events", headers={"accept-encoding": "identity"})
    assert plain.json() == everything and "content-encoding" not in plain.headers
    rest = client.get(f"/lab/runs/{run}/events?since=2").json()
    assert rest["events"] == everything["events"][2:] and rest["next"] == everything["next"]
    assert client.get(f"/lab/runs/{run}/events?since=9999").json()["events"] == []
    assert client.get(f"/lab/runs/{run}/events?since=-5").json()["events"] == everything["events"]


def test_a_watcher_is_told_everything_once_and_the_answer_ends_with_the_run(app, engine):
    client = browser(app)
    run = engine.start("test/count", {"steps": 3, "pause": 0.3}, visitor=client.cookies[COOKIE], fresh=True)
    seen, since = [], 0
    for _ in range(20):  # each waits until there is news
        for line in client.get(f"/lab/runs/{run.id}/events?since={since}&wait=20").text.splitlines():
            answer = json.loads(line)
            seen, since = seen + answer["events"], answer["next"]
        if seen[-1:] and seen[-1]["kind"] == "end":
            break
    assert seen[-1]["kind"] == "end" and [event["seq"] for event in seen] == list(range(len(seen)))


def test_a_run_is_seen_by_its_visitor_until_it_is_published(app, engine):
    owner, other = browser(app), browser(app)
    run = ended(engine, owner)
    for path in ("", "/events", "/report.html", "/data.json", "/metrics.csv", "/files/a.png"):
        refused = other.get(f"/lab/runs/{run}{path}")
        assert refused.status_code == 404 and set(refused.json()) == {"error", "hint"}
    assert other.post(f"/lab/runs/{run}/publish", json={"published": True}).status_code == 409
    assert owner.post(f"/lab/runs/{run}/publish", json={"published": True}).json() == {"published": True}
    described = other.get(f"/lab/runs/{run}").json()
    assert described["published"] and not described["mine"]
    for action in ("cancel", "pin", "publish"):
        assert other.post(f"/lab/runs/{run}/{action}", json={}).status_code == 409
    assert other.delete(f"/lab/runs/{run}").status_code == 409
    assert owner.delete(f"/lab/runs/{run}").json() == {"deleted": run}
    assert owner.get(f"/lab/runs/{run}").status_code == 404


def test_nothing_tells_who_asked_for_a_run(app, engine):
    client = browser(app)
    run = ended(engine, client)
    token = client.cookies[COOKIE]
    for path in ("", "/events", "/report.html", "/data.json", "/metrics.csv"):
        assert token not in client.get(f"/lab/runs/{run}{path}").text
    assert token not in client.get("/lab/runs").text


def test_recent_runs_are_the_visitors_own(app, engine):
    mine, theirs = browser(app), browser(app)
    run = ended(engine, mine, {"word": "mine"})
    ended(engine, theirs, {"word": "theirs"})
    found = mine.get("/lab/runs?experiment=test/count").json()["runs"]
    assert [row["id"] for row in found] == [run]
    assert mine.get("/lab/runs?experiment=test/other").json()["runs"] == []


def test_stop_by_one_of_two_visitors_leaves_the_run_to_the_other(app, engine):
    first, second = browser(app), browser(app)
    run = engine.start("test/count", {"steps": 500, "pause": 0.02}, visitor=first.cookies[COOKIE], seed=77)
    twin = engine.start("test/count", {"steps": 500, "pause": 0.02}, visitor=second.cookies[COOKIE], seed=77)
    assert twin.id == run.id
    assert first.post(f"/lab/runs/{run.id}/cancel").json()["left"] is True
    assert engine.state(run.id)["outcome"] == "running"
    assert second.post(f"/lab/runs/{run.id}/cancel").json()["left"] is False
    assert engine.wait(run.id, timeout=10)["outcome"] == "cancelled"


@pytest.mark.parametrize("run", ["nothing", "..", "%2e%2e%2fetc", "first-nothing", "20260101-000000-ffffff", "a" * 300, "<script>"])
def test_unknown_runs_give_a_sentence(app, run):
    answer = browser(app).get(f"/lab/runs/{run}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("name", ["../../__init__.py", "..%2f..%2fserver.py", "..%2flesson.py", "%2e%2e/lesson.py", "nothing.js", "",
                                  "/etc/passwd"])
def test_static_files_stay_in_their_folder(app, name):
    assert browser(app).get(f"/{SCRIPTS}{name}").status_code == 404


def test_static_files_and_plotly_are_served_with_their_type(app):
    client = browser(app)
    assert client.get(f"/{SCRIPTS}live_view.js").headers["content-type"].startswith("text/javascript")
    assert client.get(f"/{SCRIPTS}style.css").headers["content-type"].startswith("text/css")
    plotly = client.get(f"/{SCRIPTS}plotly.min.js")
    assert plotly.headers["content-type"].startswith("text/javascript") and len(plotly.content) > 1_000_000


@pytest.mark.parametrize("name", ["live_view.js", "style.css", "plotly.min.js"])
def test_static_files_are_kept_for_good_under_an_address_that_names_their_content(app, name):
    client, path = browser(app), scripts.file_of(name)
    packed, plain = (client.get(f"/{SCRIPTS}{name}", headers={"accept-encoding": kind}) for kind in ("gzip", "identity"))
    assert "immutable" in packed.headers["cache-control"]
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.content == plain.content == path.read_bytes()
    assert "immutable" not in client.get(f"/lab/static/000000000000/{name}").headers["cache-control"]


@pytest.mark.parametrize("folder", [SCRIPTS, "assets/", "lab/samples/", "lab/runs/"])
def test_a_name_too_long_for_any_file_is_one_that_is_not_there(app, folder):
    got = browser(app).get(f"/{folder}{300 * 'a'}.json")
    assert got.status_code == 404 and "busy" not in got.text


def test_gradios_own_files_are_kept_for_good_too_and_nothing_beside_them_is_served(app):
    client = browser(app)
    script = re.search(r'src="\./(assets/index-[\w-]+\.js)"', client.get("/", headers=PAGE).text)[1]
    got = client.get(f"/{script}")
    assert "immutable" in got.headers["cache-control"] and got.headers["content-encoding"] == "gzip"
    assert got.text == client.get(f"/{script}", headers={"accept-encoding": "identity"}).text
    for name in ("..%2findex.html", "nothing.js"):
        assert client.get(f"/assets/{name}").status_code == 404


def test_another_content_has_another_address(tmp_path, monkeypatch):
    shutil.copytree(scripts.STATIC, tmp_path / "static")
    monkeypatch.setattr(scripts, "STATIC", tmp_path / "static")
    assert scripts.version() == scripts.VERSION
    with (tmp_path / "static" / "dom.js").open("a") as file:
        file.write("// changed")
    assert scripts.version() != scripts.VERSION


def test_a_picture_name_cannot_leave_the_run(app, engine):
    client = browser(app)
    run = ended(engine, client)
    for name in ("run.json", "..%2frun.json", "events.jsonl", ".reserve"):
        assert client.get(f"/lab/runs/{run}/files/{name}").status_code == 404


def test_other_websites_cannot_change_things(app, engine):
    client = browser(app)
    run = ended(engine, client)
    answer = client.delete(f"/lab/runs/{run}", headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    assert client.get(f"/lab/runs/{run}").status_code == 200
    assert client.delete(f"/lab/runs/{run}", headers={"origin": ADDRESS}).status_code == 200


def test_every_answer_forbids_talking_to_other_machines(app):
    policy = browser(app).get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http:" not in policy and "https:" not in policy and "*" not in policy


def test_data_and_report_hold_the_numbers_of_the_run(app, engine):
    client = browser(app)
    run = ended(engine, client, {"picks": [20, 22]})
    assert json.loads(client.get(f"/lab/runs/{run}/data.json").text)["run"]["config"]["picks"] == [20, 22]
    assert "total,,42.0," in client.get(f"/lab/runs/{run}/metrics.csv").text
    report = client.get(f"/lab/runs/{run}/report.html")
    assert "Counted to 3" in report.text and "attachment" in report.headers["content-disposition"]


def test_a_file_is_brought_and_taken_away_by_its_visitor(app, engine):
    ann, eve = browser(app), browser(app)
    ref = ann.post("/lab/uploads", files={"file": ("mine.csv", b"question,answer\nWho?,Ida\n")}).json()["ref"]
    assert engine.uploads.path(ref).read_text() == "question,answer\nWho?,Ida\n"
    assert eve.delete(f"/lab/uploads/{ref.removeprefix('upload/')}").status_code == 409
    assert ann.delete(f"/lab/uploads/{ref.removeprefix('upload/')}").json() == {"deleted": ref}
    with pytest.raises(LabError):
        engine.uploads.path(ref)


def test_an_empty_file_is_refused_with_a_sentence(app):
    answer = browser(app).post("/lab/uploads", files={"file": ("mine.csv", b"")})
    assert answer.status_code == 409 and "empty" in answer.json()["error"]


@pytest.mark.parametrize("name", ["nothing.csv", "..%2fclaims%2f01.json", "x.py"])
def test_samples_are_only_samples(app, name):
    assert browser(app).get(f"/lab/samples/{name}").status_code == 404


@pytest.fixture
def shop(engine, tiny_item, monkeypatch):
    """The shop of the lab with one tiny thing to get, and an index that has it."""
    monkeypatch.setattr("core.engine.shop.ITEMS", {tiny_item.name: tiny_item})
    monkeypatch.setattr(engine.shop, "items", {tiny_item.name: tiny_item})
    yield engine.shop
    engine.shop.remove(tiny_item.name)


def state(client, wanted: str) -> dict:
    """The one thing in the shop once it is in that state; a test that hangs here is ended by its runner."""
    while (found := client.get("/lab/shop").json()["items"][0])["state"] != wanted:
        assert found["state"] == "getting", found
        time.sleep(0.02)
    return found


def test_what_is_got_through_the_page_is_stopped_goes_on_becomes_a_model_and_is_removed(app, shop, tiny_index):
    client = browser(app)
    assert client.get("/lab/shop").json()["host"] is True and client.get("/lab/models").json() == {"models": []}
    tiny_index.slow = 0.2
    assert client.post("/lab/shop/tiny/get").json()["state"] == "getting"
    assert client.delete("/lab/shop/tiny").status_code == 409, "not while it is fetched"
    while not client.get("/lab/shop").json()["items"][0]["done"]:
        time.sleep(0.02)
    assert client.post("/lab/shop/tiny/stop").status_code == 200
    begun = state(client, "begun")
    assert 0 < begun["done"] < begun["total"] and begun["error"] == ""
    tiny_index.slow = 0.0
    client.post("/lab/shop/tiny/get")
    assert state(client, "got")["ref"] == "got/tiny" and tiny_index.wanted[-1][1] == f"bytes={begun['done']}-"
    one, = client.get("/lab/models").json()["models"]
    assert one["ref"] == "got/tiny" and one["why_not"] is None and one["family"] == "llama" and "million parameters" in one["words"]
    assert client.delete("/lab/shop/tiny").json()["state"] == "absent" and client.get("/lab/models").json() == {"models": []}


def test_what_the_page_cannot_get_is_a_sentence_on_the_page(app, shop, tiny_index):
    client = browser(app)
    tiny_index.content = tiny_index.content[:-9] + bytes(9)
    client.post("/lab/shop/tiny/get")
    wrong = state(client, "absent")
    assert "another hash" in wrong["error"] and wrong["hint"]
    refused = client.post("/lab/shop/nothing/get")
    assert refused.status_code == 409 and "There are: tiny." in refused.json()["hint"]
    assert client.post("/lab/shop/tiny/eat").status_code in (404, 422)


def test_the_old_address_of_a_page_leads_to_the_new_one_with_all_that_its_link_said(app):
    answer = program(app).get("/bias-explorer?pairs=20&run=abc", follow_redirects=False)
    assert answer.status_code == 308 and answer.headers["location"] == "./bias-residuals?pairs=20&run=abc"
    assert program(app).get("/bias-explorer", follow_redirects=False).headers["location"] == "./bias-residuals"
