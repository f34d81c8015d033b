"""Sweeps: a grid of configs, one recorded run each."""

from __future__ import annotations

import json
import random

import pytest

from core.engine.errors import LabError
from core.engine.index import Index
from core.engine.sweep import grid, sweep
from core.engine.sweeps import Point, Sweeps, across, points, shares
from tests.engine.experiments_for_tests import GATES, Gate
from tests.engine.test_runner import eventually


def test_a_grid_is_every_combination_the_last_field_varying_fastest():
    assert grid({"a": [1, 2], "b": ["x", "y"], "c": "npo"}) == [
        {"a": a, "b": b, "c": "npo"} for a in (1, 2) for b in ("x", "y")]
    assert grid({}) == [{}] and grid({"a": []}) == []


def test_a_sweep_gives_the_results_of_its_runs_in_order(engine):
    rows = list(sweep(engine, "test/count", {"steps": [1, 2], "word": ["a", "b"]}, seeds=[3, 4]))
    assert [(row["config"]["steps"], row["config"]["word"], row["seed"]) for row in rows] == [
        (steps, word, seed) for steps in (1, 2) for word in "ab" for seed in (3, 4)]
    ids = {row.pop("sweep") for row in rows}
    assert len(ids) == 1 and rows == [engine.result(row["run_id"]) for row in rows] and len(engine.records.list("sweep")) == 8
    again = list(sweep(engine, "test/count", {"steps": [1, 2], "word": ["a", "b"]}, seeds=[3, 4]))
    assert [row | {"sweep": None} for row in rows] == [row | {"sweep": None} for row in again] and len(engine.records.list()) == 8
    fresh = next(sweep(engine, "test/count", {"steps": [1], "word": "a"}, seeds=[3], fresh=True))
    assert fresh["run_id"] != rows[0]["run_id"] and fresh["metrics"] == rows[0]["metrics"]


def test_nothing_runs_before_everything_is_checked(engine):
    with pytest.raises(LabError, match="'steps' cannot be 0"):
        next(sweep(engine, "test/count", {"steps": [1, 0]}))
    with pytest.raises(LabError, match="has 10000000000 runs"):
        next(sweep(engine, "test/count", {name: range(100_000) for name in ("steps", "pad")}))
    with pytest.raises(LabError, match="has 600 runs"):
        next(sweep(engine, "test/count", {"steps": range(1, 301)}, seeds=[0, 1]))
    assert engine.records.list() == []


def test_a_run_that_fails_is_a_result_like_any_other(engine):
    rows = list(sweep(engine, "test/ending", {"how": ["sentence", "nothing"]}))
    assert [row["outcome"] for row in rows] == ["failed", "finished"]
    assert rows[0]["error"] == "It went wrong on purpose." and rows[0]["hint"]


def test_whoever_breaks_off_a_sweep_stops_the_run_that_is_going_on(engine, monkeypatch):
    GATES["g"] = Gate()

    def interrupt(run_id):
        assert GATES["g"].reached.wait(120)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(sweep(engine, "test/count", {"steps": [3], "gate": "g"}))
    GATES["g"].open(5)
    assert eventually(lambda: [run["outcome"] for run in engine.records.list()] == ["cancelled"])


def test_a_sweep_notes_which_run_answers_which_cell_and_a_broken_one_repeats_nothing(engine):
    asked = sweep(engine, "test/count", {"steps": [1, 2]}, seeds=[0, 1])
    first = [next(asked), next(asked)]
    asked.close()
    notes = Sweeps(engine.settings.home)
    [held] = notes.list()
    assert held.runs == {0: first[0]["run_id"], 1: first[1]["run_id"]}
    assert (held.size, held.grid, held.seeds) == (4, {"steps": [1, 2]}, [0, 1])
    rows = list(sweep(engine, "test/count", {"steps": [1, 2]}, seeds=[0, 1]))
    assert [row["run_id"] for row in rows[:2]] == [row["run_id"] for row in first] and len(engine.records.list()) == 4
    assert len(points(notes.list()[0], Index(engine.records).rows())) == 4
    notes.delete(held.id)
    assert len(notes.list()) == 1 and len(engine.records.list()) == 4
    with pytest.raises(LabError, match="no such sweep"):
        notes.read("../runs")


def test_a_sweep_keeps_no_models_and_whoever_wants_them_gets_a_run_that_has_them(engine, llama):
    asked = {"model": [llama], "steps": [2]}
    [light] = sweep(engine, "test/train", asked)
    assert not (engine.records.folder(light["run_id"]) / "models").exists() and not engine.state(light["run_id"])["keeps"]
    assert [row["run_id"] for row in sweep(engine, "test/train", asked)] == [light["run_id"]]
    whole = engine.start("test/train", {"model": llama, "steps": 2})
    assert not whole.recorded and engine.wait(whole.id)["keeps"] and engine.models.fingerprint(f"run/{whole.id}/trained")
    assert engine.result(whole.id)["metrics"] == light["metrics"] != {}
    assert [row["run_id"] for row in sweep(engine, "test/train", asked, keep=True)] == [whole.id]
    assert [row["run_id"] for row in sweep(engine, "test/train", asked)] == [whole.id]


def test_workers_give_the_numbers_of_single_runs_and_a_killed_one_is_replaced(python, engine, tmp_path):
    code = """
import json, os, signal, threading, time
import core.engine.sweep as sweeping
sweeping.START = "fork"
here = engine(sys.argv[1])
def kill():
    while True:
        for child in __import__("psutil").Process().children():
            if list((Path(sys.argv[1]) / "runs").glob("2*")):
                os.kill(child.pid, signal.SIGKILL)
                return
        time.sleep(0.02)
if len(sys.argv) > 2:
    threading.Thread(target=kill, daemon=True).start()
rows = list(sweeping.sweep(here, "test/count", {"steps": [2, 3], "word": ["a", "b"]}, seeds=[0, 1], jobs=2))
print(json.dumps([[row["config"], row["seed"], row["metrics"], row["outcome"]] for row in rows]))
"""
    alone = [[row["config"], row["seed"], row["metrics"], row["outcome"]]
             for row in sweep(engine, "test/count", {"steps": [2, 3], "word": ["a", "b"]}, seeds=[0, 1])]
    assert json.loads(python(code, tmp_path / "two").stdout) == alone
    assert json.loads(python(code, tmp_path / "killed", "kill").stdout) == alone


def point(algorithm, steps, seed, value):
    return Point({"algorithm": algorithm, "steps": steps}, seed, f"{algorithm}-{steps}-{seed}", {"score": value})


def test_means_and_intervals_are_those_of_student_and_shares_those_of_an_analysis_of_variance():
    from scipy import stats

    rng = random.Random(1)
    table = [point(a, s, seed, 3 * (a == "npo") + 0.5 * (s == "20") + rng.gauss(0, 0.1))
             for a in ("ga", "npo") for s in ("10", "20") for seed in (0, 1, 2)]
    found = across(table, ["algorithm", "steps"], "score")
    cell = [one.numbers["score"] for one in table if one.settings == {"algorithm": "npo", "steps": "20"}]
    low, high = stats.t.interval(0.95, 2, loc=sum(cell) / 3, scale=stats.sem(cell))
    assert found["npo", "20"].interval == pytest.approx((low, high)) and found["npo", "20"].runs == ("npo-20-0", "npo-20-1", "npo-20-2")
    split = shares(table, ["algorithm", "steps"], "score")
    groups = [[one.numbers["score"] for one in table if one.settings["algorithm"] == name] for name in ("ga", "npo")]
    f = stats.f_oneway(*groups).statistic  # eta squared from F, as textbooks have it
    assert split["algorithm"] == pytest.approx(f / (f + 10)) and sum(split.values()) == pytest.approx(1)
    assert split["algorithm"] > 0.9 > 0.1 > split["steps"] > split["seed"]
    assert shares(table[1:], ["algorithm", "steps"], "score") is None  # a cell is missing
    assert shares([point("ga", "10", seed, 1.0) for seed in (0, 1)], ["algorithm", "steps"], "score") is None  # nothing varies
    assert across(table[:1], ["algorithm"], "score")["ga",].interval is None
