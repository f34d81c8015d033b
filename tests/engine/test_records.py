"""What runs leave behind: readable whatever happened, listed quickly, shown to those who may see it."""

from __future__ import annotations

import builtins
import errno
import json
import os
import shutil
import subprocess
import sys

import psutil
import pytest

from core.engine.errors import LabError
from core.engine.processes import alive, began, this_process
from core.engine.records import Log, Records, read_events, write_json
from tests.engine.experiments_for_tests import GATES, Gate


@pytest.fixture
def finished(engine):
    """Makes a finished run of a visitor."""
    def run(visitor: str = "", **how) -> str:
        handle = engine.start("test/count", {}, visitor=visitor, **how)
        engine.wait(handle.id, timeout=120)
        return handle.id
    return run


@pytest.fixture
def records(engine) -> Records:
    return engine.records


def many(records: Records, template: str, count: int) -> None:
    """Copies of one recorded run under other ids and times."""
    run = records.read(template).plain()
    for i in range(count):
        folder = records.root / f"20250101-000000-{i:06d}"
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps(run | {"id": folder.name, "created": f"2025-01-01T00:00:00.{i:06d}+00:00"}))
        (folder / "events.jsonl").write_bytes((records.root / template / "events.jsonl").read_bytes())


def test_runs_are_listed_newest_first_for_everybody_or_for_one_visitor(records, finished):
    ids = [finished(visitor, seed=seed) for seed, visitor in enumerate(["ada", "bob", "ada"])]
    assert [run["id"] for run in records.list()] == ids[::-1]
    assert [run["id"] for run in records.list(visitor="ada")] == [ids[2], ids[0]]
    assert records.list(visitor="eve") == [] == records.list(name="test/train")
    assert records.list(visitor="") == []


def test_two_thousand_runs_are_read_once_and_a_changed_one_is_seen(records, finished, monkeypatch):
    template = finished("ada")
    many(records, template, 2000)
    assert len(records.list()) == 2001
    opened, real = [], builtins.open
    monkeypatch.setattr(builtins, "open", lambda *a, **k: (opened.append(a[0]), real(*a, **k))[1])
    records.list()
    assert opened == []
    records.update("20250101-000000-000007", title="changed")
    assert [run["title"] for run in records.list() if run["id"].endswith("000007")] == ["changed"]
    assert len(opened) <= 2
    records.list()[0]["visitors"].append("eve")
    assert records.list(visitor="eve") == []


def test_what_is_no_run_is_passed_over(records, finished):
    run = finished()
    for name in ("no-run-json", ".hidden-run", "Capitals-And-More", "x"):
        (records.root / name).mkdir()
    (records.root / ".hidden-run" / "run.json").write_text("{}")
    assert [found["id"] for found in records.list()] == [run] and records.damaged() == []


@pytest.mark.parametrize("text", [
    "", '{"id": "2025', "[]", "null", "{}", "[" * 100_000, '{"id": NaN}', "\ufeff{}", '{"config": 3}', '{"visitors": null}',
    '{"outcome": "won"}', '{"duration_s": 1e999}', '{"fingerprints": {"a": 1}}', '{"created": 5}', '{"id": "../../x"}', "a pipe"])
def test_a_damaged_record_is_damaged_alone(engine, records, finished, text):
    run, bad = finished("ada"), finished("ada", seed=1)
    file = records.root / bad / "run.json"
    if text.startswith('{"') and text.endswith("}"):  # one field of a whole record
        text = json.dumps(records.read(bad).plain() | json.loads(text))
    file.unlink()
    os.mkfifo(file) if text == "a pipe" else file.write_text(text)
    assert [found["id"] for found in records.list("ada")] == [run] and records.damaged() == [bad]
    for ask in (records.read, records.events, engine.state, engine.result, records.metrics, lambda id: records.join(id, "bob"),
                lambda id: records.delete(id, "ada"), lambda id: list(engine.watch(id))):
        with pytest.raises(LabError, match="damaged|no such run"):
            ask(bad)
    assert engine.start("test/count", {}, seed=1, visitor="ada").recorded is False
    if text != "a pipe":
        records.delete(bad)
        assert records.damaged() == []


TWO = """
import sys
from pathlib import Path
from core.engine.records import Records
records, run, field = Records(Path(sys.argv[1])), sys.argv[2], sys.argv[3]
sys.stdin.readline()
for i in range(60):
    records.update(run, **{field: f"{field} {i}"})
    assert records.read(run)[field] == f"{field} {i}", "the other process took it back"
"""


def test_two_processes_change_two_fields_and_lose_nothing(records, finished):
    run = finished("ada")
    both = [subprocess.Popen([sys.executable, "-c", TWO, records.root, run, field], stdin=subprocess.PIPE) for field in ("title", "hint")]
    for process in both:
        process.stdin.write(b"go\n"), process.stdin.flush()
    assert [process.wait() for process in both] == [0, 0]
    assert (records.read(run)["title"], records.read(run)["hint"]) == ("title 59", "hint 59")
    assert records.read(run)["visitors"] == ["ada"]


def test_what_a_killed_process_left_half_made_is_swept_and_what_a_living_one_makes_stays(records, finished):
    run, child = finished("ada"), subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    dead, living = records.root / f".new-{child.pid}-20250101-000000-aa", records.root / f".new-{os.getpid()}-20250101-000000-bb"
    halves = [records.root / run / name for name in (".run.json.1-1.part", ".reserve")]
    for folder in (dead, living, records.root / run / "models" / ".part-x", records.root / ".deleted-20250101-000000-cc"):
        folder.mkdir(parents=True)
    for half in halves:
        half.write_bytes(b"x")
    records.sweep()
    assert sorted(path.name for path in records.root.iterdir() if path.is_dir()) == sorted([".finished", living.name, run])
    assert sorted(path.name for path in (records.root / run).iterdir()) == ["events.jsonl", "models", "run.json"]


def test_nothing_public_tells_who_asked_or_how_the_lab_finds_it(records, finished):
    public = records.read(finished("ada")).public()
    assert not {"owner", "visitors", "pid", "born", "key"} & set(public) and {"id", "config", "outcome", "versions"} <= set(public)


def test_a_run_is_seen_by_its_visitors_and_by_all_once_published(records, finished):
    run = finished("ada")
    assert records.visible_to(records.read(run), "ada") and not records.visible_to(records.read(run), "bob")
    assert records.publish(run)["published"] is True
    assert records.visible_to(records.read(run), "bob") and records.visible_to(records.read(run), "")
    records.publish(run, False)
    assert not records.visible_to(records.read(run), "bob")


def test_a_run_without_a_visitor_is_not_open_to_visitors_without_a_name(records, finished):
    assert not records.visible_to(records.read(finished("")), "")


def test_a_deleted_run_is_gone_with_its_files_and_is_not_offered_again(engine, records, finished):
    run = finished("ada")
    records.delete(run, "ada")
    assert [entry for entry in os.listdir(records.root) if not entry.startswith(".")] == []
    with pytest.raises(LabError, match="no such run"):
        records.read(run)
    assert not engine.start("test/count", {}).recorded


def test_deleting_a_shared_run_takes_it_from_one_visitor_only(engine, records, finished):
    run = finished("ada")
    engine.start("test/count", {}, visitor="bob")
    records.publish(run)
    with pytest.raises(LabError, match="somebody else"):
        records.delete(run, "eve")
    records.delete(run, "ada")
    left = records.read(run)
    assert (left["owner"], left["visitors"], left["published"]) == ("bob", ["bob"], False)
    assert records.list("ada") == []
    records.delete(run, "bob")
    assert records.list() == []


def test_a_run_that_goes_on_cannot_be_deleted(engine, records):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"gate": "g"}, visitor="ada")
    with pytest.raises(LabError, match="still going on"):
        engine.delete(run.id, "ada")
    GATES["g"].open(5)
    assert engine.wait(run.id, timeout=120)["outcome"] == "finished"
    engine.delete(run.id, "ada")


def test_what_an_interrupted_deletion_left_is_cleared_by_the_next(records, finished):
    run = finished()
    shutil.copytree(records.folder(run), records.root / ".deleted-20250101-000000-old")
    assert [found["id"] for found in records.list()] == [run]
    records.delete(run)
    assert not list(records.root.glob(".deleted-*"))


@pytest.fixture
def orphan(records, finished):
    """A run in the middle of which its process disappeared."""
    run = finished("ada")
    folder, child = records.folder(run), subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = began(psutil.Process(child.pid))
    records.update(run, outcome="running", pid=child.pid, born=born)
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "events.jsonl").write_bytes(b"".join(lines[:4]) + lines[4][:-10])
    yield run, child
    child.kill(), child.wait()


def test_a_run_whose_process_is_gone_reads_interrupted(records, orphan):
    run, child = orphan
    assert records.read(run)["outcome"] == "running" and len(records.events(run)) == 4
    child.kill()  # not waited for: a zombie is as dead
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    state, lines = records.read(run), records.events(run)
    assert state["outcome"] == "interrupted" and records.list()[0]["outcome"] == "interrupted"
    assert [line["seq"] for line in lines] == [0, 1, 2, 3, 4]
    assert lines[-1]["kind"] == "end" and lines[-1]["outcome"] == "interrupted" and "closed" in lines[-1]["error"]
    child.wait()
    assert records.read(run)["outcome"] == "interrupted"
    assert "interrupted" not in (records.folder(run) / "run.json").read_text()
    records.delete(run, "ada")


def test_the_number_of_a_dead_process_may_be_used_again(records, orphan):
    run, child = orphan
    records.update(run, pid=os.getpid())
    assert records.read(run)["outcome"] == "interrupted"
    me = this_process()
    assert alive(**me) and not alive(me["pid"], me["born"] - 100) and not alive(2**22 + 1, me["born"])


def test_a_torn_log_is_read_up_to_the_tear(tmp_path):
    log = tmp_path / "events.jsonl"
    log.write_bytes(b"".join(map(written, range(2))) + written(2)[:-9])
    assert read_events(log) == [said(0), said(1)] and read_events(log, 1) == [said(1)]
    assert read_events(tmp_path / "absent") == []


@pytest.mark.parametrize("torn", [
    b"\x00\x00\x00", b'"\xff"', b"[" * 100_000, b"{}", b"7", b"null", b'{"kind": "text"}', b'{"seq": 1, "t": 0, "kind": "cheer"}',
    b'{"seq": 1, "t": 0, "kind": ["text"]}', b'{"seq": 2, "t": 0, "kind": "progress", "step": 0, "total": 0, "note": ""}',
    b'{"seq": 1, "t": 0, "kind": "metric", "name": "a", "value": NaN, "step": null, "unit": ""}',
    b'{"seq": 1, "t": 0, "kind": "picture", "name": "a", "file": "../run.json", "alt": ""}',
    b'{"seq": 1, "t": 0, "kind": "table", "name": "a", "columns": 3, "rows": []}', b'{"seq": 1, "t": 0, "kind": "end", "outcome": "won"}'])
def test_a_damaged_line_is_damaged_alone(tmp_path, torn):
    (tmp_path / "events.jsonl").write_bytes(written(0) + torn + b"\n" + written(2))
    assert read_events(tmp_path / "events.jsonl") == [said(0), {"seq": 1, "t": 0.0, "kind": "damaged"}, said(2)]


def said(n: int) -> dict:
    return {"seq": n, "t": 0.5, "kind": "progress", "step": n, "total": 9, "note": ""}


def written(n: int) -> bytes:
    return json.dumps(said(n)).encode() + b"\n"


class FullDisk:
    """Stands between a log and its file: writes `room` bytes, then refuses like a full disk."""

    def __init__(self, file, room: int, truncates: bool = True) -> None:
        self.file, self.room, self.truncates = file, room, truncates

    def write(self, data: bytes) -> int:
        written = self.file.write(data[:self.room])
        self.room -= written
        if not written:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written

    def truncate(self, size: int) -> int:
        return self.file.truncate(size)

    def close(self) -> None:
        self.file.close()


def test_a_log_that_meets_a_full_disk_ends_with_a_whole_line(tmp_path):
    log = Log(tmp_path)
    log.append(said(0))
    log._file = FullDisk(log._file, room=len(written(1)) + 5)
    log.append(said(1))
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            log.append(said(2))
    assert (tmp_path / "events.jsonl").read_bytes() == written(0) + written(1)
    log._file.room = 1000
    log.append(said(2))
    assert read_events(tmp_path / "events.jsonl") == [said(0), said(1), said(2)]


def test_text_that_is_no_unicode_does_not_stop_a_run(tmp_path):
    Log(tmp_path).append(said(0) | {"note": "a\ud800b"})
    assert read_events(tmp_path / "events.jsonl") == [said(0) | {"note": "a?b"}]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    write_json(tmp_path / "run.json", {"n": 1})
    with pytest.raises(ValueError):
        write_json(tmp_path / "run.json", {"n": float("nan")})
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_json(tmp_path / "run.json", {"n": 2})
    assert json.loads((tmp_path / "run.json").read_text()) == {"n": 1} and os.listdir(tmp_path) == ["run.json"]


def test_a_run_that_cannot_be_recorded_does_not_begin(engine, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(LabError, match="could not be recorded: No space left") as caught:
            engine.start("test/count", {})
        assert "GLASSBOX_HOME" in caught.value.hint
    assert set(os.listdir(engine.records.root)) <= {".lock"} and engine._active == {} and engine._slot._queue == []
    assert engine.wait(engine.start("test/count", {}).id, timeout=120)["outcome"] == "finished"


def test_a_full_disk_refuses_a_change_with_a_sentence(records, finished, monkeypatch):
    run = finished("ada")
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    for change in (records.publish, lambda run: records.join(run, "bob"), lambda run: records.update(run, pinned=True)):
        with pytest.raises(LabError, match="could not be changed: No space left"):
            change(run)
    assert records.read(run)["visitors"] == ["ada"] and not records.read(run)["published"]


def test_an_outcome_that_the_disk_refuses_is_remembered(engine, monkeypatch):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"steps": 1, "gate": "g"})
    assert GATES["g"].reached.wait(120)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        GATES["g"].open()
        assert engine.wait(run.id, timeout=120)["outcome"] == "finished"
    assert engine.records.list()[0]["outcome"] == "finished"
    assert engine.wait(engine.start("test/count", {"steps": 2}).id, timeout=120)["outcome"] == "finished"


def test_the_database_holds_runs_and_metrics(records, finished):
    runs = [finished(visitor, seed=seed) for seed, visitor in enumerate(["ada", "bob"])]
    base = records.database()
    assert base.execute("SELECT id, name, outcome, seed FROM runs ORDER BY seed").fetchall() == [
        (runs[0], "test/count", "finished", 0), (runs[1], "test/count", "finished", 1)]
    last = base.execute("SELECT run_id, value FROM metrics WHERE name = 'own noise' AND step = 3 ORDER BY value").fetchall()
    assert dict(last) == {run: records.metrics(run)["own noise"] for run in runs}
    assert base.execute("SELECT json_extract(config, '$.steps') FROM runs").fetchall() == [("3",), ("3",)]
    assert records.database("bob").execute("SELECT count(*) FROM runs").fetchone() == (1,)
    assert records.database("eve").execute("SELECT count(*) FROM metrics").fetchone() == (0,)


@pytest.mark.parametrize("query", [
    "COPY runs TO '{there}/out.csv'", "COPY runs FROM '{there}/in.csv'", "SELECT * FROM read_csv('{there}/in.csv')",
    "SELECT * FROM read_text('{there}/in.csv')", "SELECT * FROM read_json('{there}/in.csv')", "SELECT * FROM '{there}/in.csv'",
    "SELECT * FROM glob('{there}/*')", "ATTACH '{there}/other.db'", "EXPORT DATABASE '{there}/dump'", "INSTALL httpfs", "LOAD httpfs",
    "SET enable_external_access=true", "RESET lock_configuration", "SET lock_configuration=false", "PRAGMA enable_external_access",
])
def test_the_database_reads_and_writes_no_file(records, finished, tmp_path, query):
    import duckdb

    finished()
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(duckdb.Error):
        records.database().execute(query.format(there=tmp_path)).fetchall()
    assert sorted(os.listdir(tmp_path)) == before
