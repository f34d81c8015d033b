"""Sweeps: a grid of configs, one recorded run each."""

from __future__ import annotations

import pytest

from core.engine.errors import LabError
from core.engine.sweep import grid, sweep
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
    assert rows == [engine.result(row["run_id"]) for row in rows] and len(engine.records.list("sweep")) == 8
    again = list(sweep(engine, "test/count", {"steps": [1, 2], "word": ["a", "b"]}, seeds=[3, 4]))
    assert again == rows and len(engine.records.list()) == 8
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
