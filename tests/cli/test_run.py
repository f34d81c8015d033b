"""glassbox run and sweep: one document, honest exit statuses, values typed by the config."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

RESULT = {"run_id", "name", "config", "seed", "outcome", "metrics", "verdict", "duration_s", "model"}


def test_a_finished_run_is_one_document_and_exit_0(ask) -> None:
    status, result = ask("run", "test/count", "--set", "steps=5", "--seed", "7")
    assert status == 0 and set(result) == RESULT
    assert (result["name"], result["seed"], result["outcome"], result["config"]["steps"]) == ("test/count", 7, "finished", 5)
    assert result["metrics"]["total"] == 3.0 and result["verdict"]["evidence"] == {"steps": 5}


def test_what_libraries_print_goes_to_standard_error(call) -> None:
    _, out, err = call("run", "test/count", "--json")
    assert json.loads(out)["outcome"] == "finished" and out.count("\n") == 1
    assert "a library talks to standard output" in err and "and so does compiled code" in err


def test_equal_requests_give_equal_numbers_and_fresh_computes_again(ask, call) -> None:
    answers = [ask("run", "test/count", "--seed", "3", "--fresh")[1] for _ in range(2)]
    assert answers[0]["run_id"] != answers[1]["run_id"]
    for field in ("config", "metrics", "verdict"):
        assert answers[0][field] == answers[1][field]
    assert ask("run", "test/count", "--seed", "4")[1]["metrics"] != answers[0]["metrics"]
    status, out, err = call("run", "test/count", "--seed", "3")
    assert status == 0 and answers[1]["run_id"] in out and "--fresh computes it again" in err


@pytest.mark.parametrize(("word", "field", "value"), [
    ("steps=4", "steps", 4), ("word=null", "word", "null"), ("word=3", "word", "3"), ("word=a=b", "word", "a=b"),
    ("rate=null", "rate", None), ("rate=0.5", "rate", 0.5), ("mode=loud", "mode", "loud"), ("picks=[4, 5]", "picks", [4, 5]),
    ("fail=false", "fail", False),
])
def test_set_is_typed_through_the_config(ask, word: str, field: str, value: object) -> None:
    status, result = ask("run", "test/count", "--set", word)
    assert status == 0 and result["config"][field] == value and type(result["config"][field]) is type(value)


@pytest.mark.parametrize(("words", "sentence", "hint"), [
    (["run", "test/cuont"], "There is no experiment called 'test/cuont'.", "Did you mean 'test/count'?"),
    (["run", "test/count", "--set", "setps=3"], "test/count has no field called 'setps'.", "Did you mean 'steps'?"),
    (["run", "test/count", "--set", "steps"], "'steps' sets nothing.", "FIELD=VALUE"),
    (["run", "test/count", "--set", "steps=5000"], "'steps' cannot be 5000", "steps"),
    (["run", "test/count", "--set", "steps=many"], "'steps' cannot be 'many'", "steps"),
    (["run", "test/count", "--set", "mode=quiet"], "'mode' cannot be 'quiet'", "mode"),
    (["run", "test/count", "--seed", "-1"], "The seed cannot be -1.", "whole number"),
    (["run", "test/count", "--seed", "x"], "Argument --seed: invalid int value: 'x'.", "glassbox run --help"),
    (["run"], "The following arguments are required: NAME.", "glassbox run --help"),
    (["run", "test/count", "--colour"], "Unrecognized arguments: --colour.", "--help"),
    (["run", "test/echo", "--fresh"], "'test/echo' is a probe", "--fresh"),
    (["sweep", "test/echo"], "'test/echo' is a probe", "glassbox list"),
    (["sweep", "test/count", "--seeds", "0,x"], "The seeds cannot be '0,x'.", "--seeds 0..4"),
    (["sweep", "test/count", "--set", "word=[1"], "'[1' is not a JSON list", "brackets"),
])
def test_wrong_arguments_are_a_sentence_and_exit_2(ask, call, home: Path, words: list[str], sentence: str, hint: str) -> None:
    status, document = ask(*words)
    assert status == 2 and set(document) == {"error", "hint"}
    assert sentence in document["error"] and hint in document["hint"]
    status, out, err = call(*words)
    assert status == 2 and out == "" and sentence in err and "Traceback" not in err
    assert not list(home.glob("runs/*")), "nothing may be recorded"


def test_a_failed_run_is_recorded_and_exit_1(ask, call) -> None:
    status, result = ask("run", "test/count", "--set", "fail=true")
    assert status == 1 and result["outcome"] == "failed"
    assert (result["error"], result["hint"]) == ("The counting failed on purpose.", "Set fail to false.")
    assert ask("runs", "show", result["run_id"])[1]["outcome"] == "failed"


def test_a_bug_shows_a_sentence_and_no_stack_trace(call) -> None:
    status, out, err = call("run", "test/broken")
    assert status == 1 and "ZeroDivisionError" in out
    assert "Traceback" not in out + err


def test_report_and_out_write_the_run(ask, tmp_path: Path) -> None:
    report, folder = tmp_path / "new" / "run.html", tmp_path / "taken"
    status, result = ask("run", "test/count", "--report", str(report), "--out", str(folder))
    assert status == 0 and "Counted to 3" in report.read_text() and "<!doctype html>" in report.read_text()
    assert sorted(file.name for file in folder.iterdir()) == ["data.json", "metrics.csv", "report.html"]
    data = json.loads((folder / "data.json").read_text())
    assert data["run"]["id"] == result["run_id"] and data["events"][-1]["kind"] == "end"
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert [row["name"] for row in rows] == ["noise"] * 3 + ["total"] and float(rows[-1]["value"]) == 3.0


def test_a_report_that_cannot_be_written_is_refused_before_anything_runs(ask, home: Path, tmp_path: Path) -> None:
    status, document = ask("run", "test/count", "--report", str(tmp_path))
    assert status == 2 and "is a folder" in document["error"] and not list(home.glob("runs/*"))


def test_a_probe_answers_at_once(ask, home: Path) -> None:
    status, document = ask("run", "test/echo", "--set", "word=ping", "--set", "steps=2")
    assert status == 0 and document == {"words": ["ping", "ping"]}
    assert not list(home.glob("runs/*"))


def test_a_sweep_runs_every_combination(ask) -> None:
    status, document = ask("sweep", "test/count", "--set", "steps=1,2", "--set", 'word=["a,b", "c"]', "--seeds", "0,1")
    found = [(run["config"]["steps"], run["config"]["word"], run["seed"]) for run in document["runs"]]
    assert status == 0 and found == [(s, w, n) for s in (1, 2) for w in ("a,b", "c") for n in (0, 1)]
    single = ask("run", "test/count", "--set", "steps=2", "--set", "word=c", "--seed", "1", "--fresh")[1]
    assert single["metrics"] == document["runs"][-1]["metrics"]


def test_a_sweep_with_a_failed_run_says_so(ask) -> None:
    status, document = ask("sweep", "test/count", "--set", "fail=false,true")
    assert status == 1 and [run["outcome"] for run in document["runs"]] == ["finished", "failed"]
