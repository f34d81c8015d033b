"""The list of all runs: what it says, whom it tells, and that it is made again from the records whatever happens to it."""

from __future__ import annotations

import json

import pytest

from core.engine.errors import LabError
from core.engine.index import FILE, Index
from core.engine.library import Library, curves, cut, numbers, outdated, settings_that_differ, title_of
from tests.engine.experiments_for_tests import GATES, Gate


def counted(engine, visitor="ann", **config):
    run = engine.start("test/count", config, visitor=visitor)
    engine.wait(run.id)
    return run.id


def own(index):
    return [row for row in index.rows() if not row.id.startswith("first-")]


def test_a_row_says_what_the_record_says_and_survives_every_fate_of_its_file(engine):
    run_id, index = counted(engine, steps=2, word="tock"), Index(engine.records)
    [row] = own(index)
    result = engine.result(run_id)
    assert {name: value for name, (value, _) in row.numbers.items()} == result["metrics"] and row.config == result["config"]
    assert (row.headline, row.outcome, row.seed) == (result["verdict"]["headline"], "finished", 0) and "word=tock" in row.text
    file = engine.records.root / FILE
    assert own(Index(engine.records)) == [row]  # from the file
    for fate in (file.unlink, lambda: file.write_bytes(b"no database"), lambda: file.write_bytes(file.read_bytes()[:2000])):
        fate()
        assert own(Index(engine.records)) == [row]
    engine.delete(run_id)
    assert own(index) == own(Index(engine.records)) == []


def test_a_run_that_goes_on_is_followed_and_one_that_is_added_or_renamed_is_seen(engine):
    GATES["g"] = Gate()
    index, run = Index(engine.records), engine.start("test/count", {"steps": 3, "gate": "g"}, visitor="ann")
    assert GATES["g"].reached.wait(60)
    before = own(index)[0]
    assert before.outcome == "running"
    GATES["g"].open(3)
    engine.wait(run.id)
    after = own(index)[0]
    assert after.outcome == "finished" and after.numbers != before.numbers and "Counted to 3" in after.headline
    Library(engine.records, index, "ann").describe(run.id, "my first", ["a", "a", "b"], "keep")
    assert (own(index)[0].label, own(index)[0].tags) == ("my first", ("a", "b"))
    second = counted(engine, steps=1)
    assert [row.id for row in own(index)] == [second, run.id]


def test_a_torn_log_is_read_as_far_as_it_goes_and_said_to_be_torn(engine):
    run_id = counted(engine, steps=3)
    log = engine.records.folder(run_id) / "events.jsonl"
    whole = log.read_bytes().split(b"\n")
    log.write_bytes(b"\n".join(whole[:4]) + b"\n" + whole[4][:30])
    torn = counted(engine, steps=2)
    (engine.records.folder(torn) / "run.json").write_text("{")
    index = Index(engine.records)
    [row] = own(index)
    assert row.torn == 1 and set(row.numbers) == {"global noise", "own noise"} and row.headline == "" and index.damaged == [torn]


def test_a_reader_sees_their_own_runs_published_ones_and_first_views(engine):
    index = Index(engine.records)
    ann, bob = counted(engine, "ann", steps=1), counted(engine, "bob", steps=2)
    owner, his, nobody = (Library(engine.records, index, reader) for reader in (None, "bob", ""))

    def seen(library):
        return {row.id for row in library.rows() if not row.id.startswith("first-")}

    assert (seen(owner), seen(his), seen(nobody)) == ({ann, bob}, {bob}, set())
    assert {row.id for row in nobody.rows()} and nobody.lines("first-unlearning-auditor")
    for library in (his, nobody):
        for ask in (library.read, library.lines, library.delete, lambda run_id, of=library: of.describe(run_id, "x", [], "")):
            with pytest.raises(LabError, match="no such run"):
                ask(ann)
    Library(engine.records, index, "ann").describe(ann, "secret name", [], "secret note")
    engine.records.publish(ann)
    shown = next(row for row in his.rows() if row.id == ann)
    assert (shown.label, shown.note) == ("", "") and his.lines(ann) == engine.records.events(ann)
    assert "secret" not in json.dumps(engine.records.read(ann).public())
    with pytest.raises(LabError, match="Only who started"):
        his.describe(ann, "mine now", [], "")
    with pytest.raises(LabError, match="cannot be deleted"):
        his.delete(ann)
    with pytest.raises(LabError, match="120 characters"):
        owner.describe(bob, "x" * 120, [], "")
    owner.delete(bob)
    assert seen(his) == {ann}


def test_what_is_compared_is_what_differs_and_a_replay_is_a_part_of_the_events(engine):
    lines = engine.events(counted(engine, steps=4))
    steps, values = curves(lines)["own noise"]
    assert steps == [1, 2, 3, 4] and numbers(lines)["own noise"] == values[-1]
    assert cut(lines, 1.0) == lines and len(cut(lines, 0.5)) == round(len(lines) / 2) and cut([], 0.5) == []
    assert settings_that_differ([{"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 1, "b": 2, "c": None}]) == ["b", "c"]
    assert settings_that_differ([{"a": 1}]) == []
    assert title_of("unlearning/audit", "figure", "by_layer")[0] != "by_layer" and title_of("gone/away", "metric", "a_b") == ("a b", "")


def test_a_record_of_another_revision_says_what_to_do(engine):
    run = engine.records.read(counted(engine, steps=1))
    assert outdated(run) == ""
    assert "Run it again" in outdated(run.model_copy(update={"revision": 0}))
    assert "does not exist any more" in outdated(run.model_copy(update={"name": "gone/away"}))
