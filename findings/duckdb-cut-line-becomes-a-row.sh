#!/usr/bin/env bash
# duckdb 2.0.1, read_json: a last line that was cut short is not left out by ignore_errors, it becomes a row of NULLs that is counted;
# and NaN, which JSON does not have, is read without a word and passes every "greater than".
# Seen: two lines, one of them whole -> 2 rows, the second (NULL, NULL); without ignore_errors an InvalidInputException.
#       losses 0.5 and NaN -> "loss > 1000000" finds one of them, max() is NaN.
# Matters to: whoever counts runs from logs that a crash may have cut, or filters runs whose loss grew too large.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
"$work/venv/bin/python" - "$work" <<'PYTHON'
import pathlib
import sys

import duckdb

folder = pathlib.Path(sys.argv[1])
(folder / "cut.jsonl").write_text('{"run": "first", "loss": 0.5}\n{"run": "second", "lo')
(folder / "nan.jsonl").write_text('{"run": "first", "loss": 0.5}\n{"run": "second", "loss": NaN}\n')


def ask(query: str, file: str) -> list[tuple]:
    return duckdb.sql(query.replace("FILE", f"read_json('{folder / file}', format='newline_delimited'")).fetchall()


try:
    ask("SELECT * FROM FILE)", "cut.jsonl")
    strict = "no error"
except duckdb.InvalidInputException:
    strict = "InvalidInputException"
lenient = ask("SELECT * FROM FILE, ignore_errors = true) ORDER BY run NULLS LAST", "cut.jsonl")
large = ask("SELECT run FROM FILE) WHERE loss > 1000000", "nan.jsonl")
top = ask("SELECT isnan(max(loss)), count(loss) FROM FILE)", "nan.jsonl")
print("duckdb", duckdb.__version__)
print("cut line, strict: ", strict)
print("cut line, lenient:", lenient)
print("loss > 1000000:   ", large)
print("max is NaN, count:", top)
assert strict == "InvalidInputException"
assert lenient == [("first", 0.5), (None, None)]
assert large == [("second",)] and top == [(True, 2)]
PYTHON
