"""Questions in SQL reach nothing but the tables, change nothing, and end in time."""

from __future__ import annotations

import json
import threading

import pytest

from core.engine import question
from core.engine.errors import LabError
from core.engine.index import Row


def row(number: int, **changes) -> Row:
    plain = {"id": f"r{number:04}", "name": "test/count", "title": "Can it count?", "paper": "00", "revision": 1, "seed": number % 3,
             "outcome": "finished", "created": "2026-11-28T10:00:00.000+00:00", "duration_s": 1.0,
             "settings": json.dumps({"steps": number % 2}),
             "measured": json.dumps({"score": [number / 10, "share"]}), "text": "",
             "headline": "It can.", "torn": 0, "visitors": ("ann",), "owner": "ann",
             "published": False, "model": "embedded/worlds", "label": "", "tags": (), "note": ""}
    return Row(**plain | changes)


CLAIM = {"id": "01.1", "paper": "01", "statement": "It does.", "held": True, "measured": 0.97, "interval": [0.9, 1.0], 
         "threshold": ">= 0.95", "unit": "share"}


@pytest.fixture(scope="module")
def base():
    curve = [{"kind": "metric", "name": "loss", "step": step, "value": None if step == 2 else 1 / (step + 1)} for step in range(4)]
    return question.load([row(number) for number in range(60)], {"r0000": curve}, [CLAIM])


def test_every_ready_question_has_an_answer(base):
    for words, sql in question.READY.items():
        found = question.ask(base, sql)
        assert found.rows and found.columns and not found.cut, words
    assert question.ask(base, "SELECT avg(value), count(value) FROM curves").rows == [(pytest.approx((1 + 1 / 2 + 1 / 4) / 3), 3)]


def test_an_answer_has_a_limit_and_says_so(base):
    found = question.ask(base, "SELECT a.id FROM runs a, runs b", most=7)
    assert len(found.rows) == 7 and found.cut
    assert not question.ask(base, "SELECT 1", most=1).cut


OUTSIDE = ("SELECT * FROM read_csv('{file}')", "SELECT * FROM read_text('{file}')", "SELECT * FROM read_blob('{file}')",
           "SELECT * FROM read_json('{file}')", "SELECT * FROM read_parquet('{file}')", "SELECT * FROM glob('{folder}/*')", "FROM '{file}'",
           "SELECT * FROM sniff_csv('{file}')", "SELECT * FROM parquet_metadata('{file}')", "SELECT * FROM duckdb_secrets()",
           "SELECT * FROM CLAIM", "SELECT getenv('HOME')")
CHANGES = ("COPY runs TO '{folder}/out.csv'", "COPY runs FROM '{file}'", "ATTACH '{folder}/new.db'", "INSTALL httpfs", "LOAD httpfs",
           "EXPORT DATABASE '{folder}/all'", "IMPORT DATABASE '{folder}'", "DROP TABLE runs", "DELETE FROM runs", "CHECKPOINT", "VACUUM",
           "INSERT INTO runs (id) VALUES ('x')", "CREATE TABLE x AS SELECT 1", "SET threads = 4", "RESET memory_limit", "BEGIN", "COMMIT",
           "PRAGMA database_list", "UPDATE runs SET seed = 1", "SELECT 1; DROP TABLE runs", "EXPLAIN ANALYZE SELECT 1",
           "PREPARE x AS SELECT 1", "",
           "WITH x AS (DELETE FROM runs RETURNING *) SELECT * FROM x", "WITH x AS (INSERT INTO runs (id) VALUES ('x') RETURNING *) FROM x",
           "SELECT * FROM query('DROP TABLE runs')", "CALL pragma_version()", "SELECT 'x" + "x" * 6000 + "'")


@pytest.mark.parametrize("sql", [*OUTSIDE, *CHANGES], ids=lambda sql: sql[:40])
def test_nothing_else_can_be_reached_or_changed(base, tmp_path, sql):
    file = tmp_path / "secret.csv"
    file.write_text("name,value\nquince,1\n")
    with pytest.raises(LabError) as refused:
        question.ask(base, sql.format(file=file, folder=tmp_path))
    assert "quince" not in str(refused.value) and refused.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"] and file.read_text() == "name,value\nquince,1\n"
    assert question.ask(base, "SELECT count(*), count(DISTINCT id) FROM runs").rows == [(60, 60)]


def test_a_question_without_end_is_stopped_and_the_next_one_is_answered(base):
    done = threading.Event()

    def endless():
        with pytest.raises(LabError, match="was stopped"):
            question.ask(base, "SELECT count(*) FROM runs a, runs b, runs c, runs d, runs e, runs f", longest_s=0.3)
        done.set()

    threading.Thread(target=endless, daemon=True).start()
    assert question.ask(base, "SELECT count(*) FROM runs").rows == [(60,)]  # beside it
    assert done.wait(60)


def test_a_question_of_too_much_memory_gets_a_sentence(base):
    with pytest.raises(LabError, match="256MB|was stopped"):
        question.ask(base, "SELECT list(a.id || b.id || c.id || d.id || e.id) FROM runs a, runs b, runs c, runs d, runs e", longest_s=20)
