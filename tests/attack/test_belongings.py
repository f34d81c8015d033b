"""What belongs to somebody: nobody else reads, uses, changes or fills it, and nobody can tell that it is there."""

from __future__ import annotations

import json

import httpx
import pytest

from apps.lab.visitors import HEADER
from core.engine import door as module
from core.engine.door import Door
from core.engine.errors import LabError
from core.engine.runner import Engine
from tests.attack.conftest import SECRET, Lab, visitor

ANN, BOB = "a" * 32, "b" * 32


@pytest.fixture
def engine(lab: Lab) -> Engine:
    return lab.engine


def refusal(act) -> str:
    with pytest.raises(LabError) as caught:
        act()
    return str(caught.value)


def test_what_is_hidden_and_what_does_not_exist_get_the_same_answer(lab: Lab):
    nothing = lab.run[:-4] + ("aaaa" if not lab.run.endswith("aaaa") else "bbbb")
    for path in ("", "/events", "/report.html", "/data.json", "/metrics.csv", "/files/a.png"):
        hidden, absent = (lab.bob.get(f"/lab/runs/{run}{path}") for run in (lab.run, nothing))
        assert (hidden.status_code, hidden.text) == (absent.status_code, absent.text)
    for verb in ("cancel", "pin", "publish"):
        hidden, absent = (lab.bob.post(f"/lab/runs/{run}/{verb}", json={}) for run in (lab.run, nothing))
        assert (hidden.status_code, hidden.text) == (absent.status_code, absent.text)
    bob = Door(lab.engine, BOB)
    assert refusal(lambda: bob.brought(lab.file)) == refusal(lambda: bob.brought("upload/" + "0" * 24))
    model = "unlearning/ask"
    assert refusal(lambda: bob.probe(model, {"model": f"run/{lab.run}/x"})) == refusal(
        lambda: bob.probe(model, {"model": f"run/{nothing}/x"})
    )


def test_a_model_or_file_of_somebody_else_is_used_by_nobody(lab: Lab):
    bob = Door(lab.engine, BOB)
    for config in ({"model": f"run/{lab.run}/unlearned"}, {"reference": f"run/{lab.run}/x"}, {"questions": lab.file}):
        for ask in (bob.start, bob.probe):
            assert "deleted" in (said := refusal(lambda: ask("unlearning/audit", config))) or "no longer here" in said  # noqa: B023
    for ask in (bob.fingerprint, lambda ref: bob.start("test/count", {"word": ref})):
        assert "deleted" in refusal(lambda: ask(f"run/{lab.run}/unlearned"))  # noqa: B023


def test_a_published_run_lends_its_numbers_and_not_the_file_behind_it(lab: Lab):
    ann = visitor(lab.address)
    token = ann.cookies["glassbox_visitor"]
    ref = ann.post("/lab/uploads", files={"file": ("q.csv", f"question,answer\n{SECRET}?,Ida\n".encode())}).json()["ref"]
    run = lab.engine.start("test/file", {"mine": ref}, visitor=token).id
    lab.engine.wait(run, timeout=120)
    assert ann.post(f"/lab/runs/{run}/publish", json={"published": True}).status_code == 200
    assert lab.bob.get(f"/lab/runs/{run}").status_code == 200
    bob = Door(lab.engine, lab.bob.cookies["glassbox_visitor"])
    assert "no longer here" in refusal(lambda: bob.probe("unlearning/questions", {"questions": ref}))
    assert "no longer here" in refusal(lambda: bob.start("unlearning/audit", {"questions": ref}))


def test_who_joins_a_run_may_leave_it_and_nothing_more(engine):
    ann, bob = Door(engine, ANN), Door(engine, BOB)
    run = ann.start("test/count", {"steps": 2, "word": "joined"}).id
    engine.wait(run, timeout=120)
    assert (
        bob.start("test/count", {"steps": 2, "word": "joined"}).id == run and bob.is_mine(bob.read(run)) and not bob.is_owner(bob.read(run))
    )
    for act in (lambda: bob.publish(run), lambda: bob.publish(run, False), lambda: bob.pin(run), lambda: bob.pin(run, False)):
        assert "first" in refusal(act)
    bob.delete(run)
    assert [one.id for one in ann.runs()].count(run) == 1 and refusal(lambda: bob.read(run))
    ann.publish(run)
    assert not bob.is_mine(bob.read(run))
    ann.delete(run)


def test_nobody_has_an_own_name_and_two_programs_are_two(lab: Lab):
    nobody = Door(lab.engine, "")
    assert nobody.runs() == [] and "who asks" in refusal(lambda: nobody.start("test/count", {}))
    count = lab.address + "gradio_api/call/test_count"
    answers = [httpx.post(count, json={"data": [{"word": "two"}, i, True]}, timeout=60) for i in range(2)]
    tokens = [answer.headers[HEADER] for answer in answers]
    ends = [httpx.get(lab.address + f"gradio_api/call/test_count/{answer.json()['event_id']}", timeout=120).text for answer in answers]
    runs = [json.loads(end.partition("data: ")[2].splitlines()[0])[0]["run_id"] for end in ends]
    assert len(set(tokens)) == 2
    for i in (0, 1):
        mine = httpx.get(lab.address + "lab/runs", headers={HEADER: tokens[i]}, timeout=60).json()["runs"]
        assert [run["id"] for run in mine] == [runs[i]]
        assert httpx.get(lab.address + f"lab/runs/{runs[1 - i]}", headers={HEADER: tokens[i]}, timeout=60).status_code == 404


def test_nothing_that_is_shown_names_a_visitor_or_an_inner_key(lab: Lab):
    token, key = lab.ann.cookies["glassbox_visitor"], lab.engine.records.read(lab.shared).key
    for path in ("", "/events", "/report.html", "/data.json", "/metrics.csv"):
        said = lab.bob.get(f"/lab/runs/{lab.shared}{path}").text
        assert SECRET in said or path in ("/metrics.csv", "/events")
        assert token not in said and key not in said and '"pid"' not in said and '"born"' not in said and str(lab.home) not in said


def test_a_page_belongs_to_the_browser_that_opened_it(lab: Lab):
    body = {"fn_index": lab.controls["TAKES"], "data": [None], "session_hash": "annspage"}
    assert lab.ann.post("/gradio_api/run/predict", json=body).status_code == 200
    for ask in (
        lambda: lab.bob.post("/gradio_api/run/predict", json=body),
        lambda: lab.bob.get("/gradio_api/queue/data?session_hash=annspage"),
        lambda: lab.bob.get("/gradio_api/heartbeat/annspage"),
        lambda: lab.bob.post("/gradio_api/cancel", json={"session_hash": "annspage", "fn_index": 1, "event_id": "x"}),
    ):
        assert ask().status_code == 404


def test_one_visitor_does_not_fill_the_line_or_the_disk(engine, monkeypatch):
    monkeypatch.setattr(engine, "unfinished", lambda visitor=None: 6 if visitor == ANN else 6)
    assert "of your runs are waiting" in refusal(lambda: Door(engine, ANN).start("test/count", {}))
    monkeypatch.setattr(engine, "unfinished", lambda visitor=None: 0 if visitor else 500)
    assert "are waiting already" in refusal(lambda: Door(engine, BOB).start("test/count", {}))
    monkeypatch.undo()
    monkeypatch.setattr(module, "MOST_KEPT", 10)
    monkeypatch.setattr(engine.records, "kept_by", lambda visitor: 11 if visitor == ANN else 0)
    assert "delete some" in refusal(lambda: Door(engine, ANN).start("test/count", {})).lower()


def test_one_visitors_files_do_not_push_out_anothers(tmp_path, monkeypatch):
    from core.engine import uploads
    from core.engine.settings import Settings

    monkeypatch.setattr(uploads, "ROOM", 50)
    monkeypatch.setattr(uploads, "ROOM_EACH", 30)
    kept = uploads.Uploads(Settings(home=tmp_path / "home"))

    def bring(name: str, visitor: str) -> str:
        (tmp_path / name).write_text(name.ljust(10, "x"))
        return kept.add(tmp_path / name, name, visitor)

    ann = bring("ann", "ann")
    bobs = [bring(f"bob{i}", "bob") for i in range(6)]
    assert kept.about(ann, "ann") and [ref for ref in bobs if _there(kept, ref)] == bobs[3:]
    for i in range(2):
        bring(f"eve{i}", "eve")
    assert kept.about(ann, "ann") and sum(_there(kept, ref) for ref in bobs) == 2, "whoever holds most gives way"


def _there(uploads, ref: str) -> bool:
    try:
        return bool(uploads.about(ref))
    except LabError:
        return False
