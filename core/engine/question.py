"""Questions to all runs at once, in SQL: an in-memory DuckDB that was filled, then locked, and is asked one SELECT at a time.

    base = load(library.rows(), {run_id: library.lines(run_id)}, claims.recorded())
    ask(base, "SELECT outcome, count(*) FROM runs GROUP BY outcome")     # Found(columns, rows, cut, seconds)

Nothing that is asked can reach a file, the network or a record: there is nothing but the tables. Raises LabError with what to do.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.engine.errors import LabError
from core.engine.index import Row

if TYPE_CHECKING:
    import duckdb

MOST_ROWS, LONGEST_S, LONGEST_SQL, MEMORY = 1000, 5.0, 5000, "256MB"
TABLES = {
    "runs": {"id": "TEXT", "experiment": "TEXT", "question": "TEXT", "paper": "TEXT", "outcome": "TEXT", "seed": "BIGINT",
             "created": "TIMESTAMPTZ", "seconds": "DOUBLE", "model": "TEXT", "headline": "TEXT", "label": "TEXT", "tags": "TEXT"},
    "settings": {"run_id": "TEXT", "field": "TEXT", "value": "TEXT"},
    "numbers": {"run_id": "TEXT", "name": "TEXT", "value": "DOUBLE", "unit": "TEXT"},
    "curves": {"run_id": "TEXT", "name": "TEXT", "step": "BIGINT", "value": "DOUBLE"},
    "claims": {"id": "TEXT", "paper": "TEXT", "statement": "TEXT", "held": "TEXT", "measured": "DOUBLE", "low": "DOUBLE", "high": "DOUBLE",
               "threshold": "TEXT", "unit": "TEXT"},
}
# For people who do not know SQL: what is asked in words, and how it is written.
READY = {
    "Which experiments were run how often, and how long do they take?":
        "SELECT question, count(*) AS runs, round(avg(seconds), 1) AS mean_seconds\nFROM runs WHERE outcome = 'finished'\n"
        "GROUP BY question ORDER BY runs DESC",
    "How did my runs end?":
        "SELECT outcome, count(*) AS runs FROM runs GROUP BY outcome ORDER BY runs DESC",
    "How much does each number vary from run to run?":
        "SELECT r.question, n.name, count(*) AS runs, round(avg(n.value), 3) AS mean, round(min(n.value), 3) AS lowest,\n"
        "       round(max(n.value), 3) AS highest\nFROM numbers n JOIN runs r ON r.id = n.run_id\n"
        "GROUP BY r.question, n.name HAVING count(*) > 1 ORDER BY r.question, n.name",
    "Which runs differ in nothing but their seed?":
        "WITH alike AS (SELECT run_id, string_agg(field || '=' || value, ', ' ORDER BY field) AS settings FROM settings GROUP BY run_id)\n"
        "SELECT r.question, a.settings, count(*) AS runs, string_agg(r.seed::TEXT, ', ' ORDER BY r.seed) AS seeds\n"
        "FROM runs r JOIN alike a ON a.run_id = r.id GROUP BY r.question, a.settings HAVING count(DISTINCT r.seed) > 1 ORDER BY runs DESC",
    "Where did the time go, day by day?":
        "SELECT created::DATE AS day, round(sum(seconds) / 60, 1) AS minutes, count(*) AS runs FROM runs GROUP BY day ORDER BY day",
    "Which claims hold, paper by paper?":
        "SELECT paper, held, count(*) AS claims FROM claims GROUP BY paper, held ORDER BY paper, held",
    "Which claims came closest to their threshold?":
        "SELECT id, statement, measured, threshold, held FROM claims WHERE measured IS NOT NULL\n"
        "ORDER BY abs(measured - split_part(threshold, ' ', 2)::DOUBLE) LIMIT 10",
}


@dataclass(frozen=True)
class Found:
    """An answer. cut: there were more rows than are given."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    cut: bool
    seconds: float


def load(rows: Sequence[Row], lines: Mapping[str, Sequence[dict[str, Any]]],
         claims: Sequence[Mapping[str, Any]]) -> duckdb.DuckDBPyConnection:
    """The tables of `TABLES`, locked; `curves` holds the runs whose `lines` are given."""
    import duckdb

    base = duckdb.connect(":memory:", config={"memory_limit": MEMORY, "threads": 1, "temp_directory": ""})
    for table, columns in TABLES.items():
        base.execute(f"CREATE TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    _insert(base, "runs", [[row.id, row.name, row.title, row.paper, row.outcome, row.seed, row.created, row.duration_s, row.model,
                            row.headline, row.label, ", ".join(row.tags)] for row in rows])
    _insert(base, "settings", [[row.id, field, value if isinstance(value, str) else json.dumps(value)]
                               for row in rows for field, value in row.config.items()])
    _insert(base, "numbers", [[row.id, name, value, unit] for row in rows for name, (value, unit) in row.numbers.items()])
    _insert(base, "curves", [[run_id, line["name"], line["step"], line["value"]] for run_id, said in lines.items()
                             for line in said if line["kind"] == "metric" and line["step"] is not None])
    _insert(base, "claims", [_claim(row) for row in claims])
    base.execute("SET python_enable_replacements=false; SET enable_external_access=false; SET lock_configuration=true")
    return base


def _claim(row: Mapping[str, Any]) -> list[Any]:
    held = {True: "held", False: "did not hold", None: "not measured"}.get(row["held"], row["held"])
    low, high = row["interval"] or (None, None)
    return [row["id"], row["paper"], row["statement"], held, row["measured"], low, high, row["threshold"], row["unit"]]


def _insert(base: duckdb.DuckDBPyConnection, table: str, rows: list[list[Any]]) -> None:
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        base.execute(f"INSERT INTO {table} SELECT {', '.join('unnest(?)' for _ in columns)}", columns)


def ask(base: duckdb.DuckDBPyConnection, sql: str, most: int = MOST_ROWS, longest_s: float = LONGEST_S) -> Found:
    """At most `most` rows of one SELECT, within `longest_s` seconds."""
    import duckdb

    began, out_of_time = time.monotonic(), threading.Event()
    with base.cursor() as cursor:
        _only_a_select(cursor, sql)

        def stop() -> None:
            out_of_time.set()
            cursor.interrupt()

        clock = threading.Timer(longest_s, stop)
        clock.start()
        cursor.execute("BEGIN TRANSACTION READ ONLY")  # for DuckDB, WITH x AS (DELETE ...) SELECT ... is a SELECT too
        try:
            asked = cursor.execute(sql)
            columns = [column[0] for column in asked.description]
            rows = asked.fetchmany(most + 1)
        except duckdb.Error as problem:
            raise _sentence(problem, out_of_time.is_set(), longest_s) from None
        finally:
            clock.cancel()
            with contextlib.suppress(duckdb.Error):
                cursor.execute("ROLLBACK")
    return Found(columns, rows[:most], len(rows) > most, time.monotonic() - began)


def _only_a_select(base: duckdb.DuckDBPyConnection, sql: str) -> None:
    import duckdb

    if len(sql) > LONGEST_SQL:
        raise LabError(f"That question has {len(sql)} characters.", f"At most {LONGEST_SQL} are allowed.")
    try:
        statements = base.extract_statements(sql)
    except duckdb.Error as problem:
        raise _sentence(problem, False, 0) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise LabError("Only one SELECT can be asked at a time: the notebook reads and changes nothing.",
                       f"Begin with SELECT or WITH. The tables are: {', '.join(TABLES)}.")


def _sentence(problem: Exception, out_of_time: bool, longest_s: float) -> LabError:
    if out_of_time:
        return LabError(f"That question took longer than {longest_s:g} seconds and was stopped.",
                        "Ask for fewer rows, or join fewer tables.")
    kind, text = type(problem).__name__, " ".join(str(problem).split())
    if "read-only" in text.lower():
        return LabError("Nothing can be changed from here: the notebook only reads.", "Begin with SELECT or WITH.")
    if kind == "PermissionException" or "disabled" in text:
        return LabError("Files, the network and settings cannot be reached from here.", f"The tables are: {', '.join(TABLES)}.")
    if kind == "OutOfMemoryException":
        return LabError(f"That question needs more than {MEMORY} of memory.", "Ask for fewer rows, or join fewer tables.")
    return LabError(f"DuckDB did not understand that: {text[:300]}", f"The tables are: {', '.join(TABLES)}.")
