"""Claims: what counts as held is settled before measuring, and an absent model is no excuse for a bug."""

from __future__ import annotations

import json
import math
import sys
import types

import numpy as np
import pytest
from scipy import stats

from core.engine import claims
from core.engine.claims import Claim, interval, judge, measure, recorded, stale, write
from core.engine.errors import LabError


@pytest.mark.parametrize(("low", "high", "threshold", "held"), [
    (0.95, 0.99, ">= 0.95", True), (0.90, 0.94, ">= 0.95", False), (0.90, 0.95, ">= 0.95", "undecided"),
    (0.90, 0.97, ">= 0.95", "undecided"), (0.10, 0.25, "<= 0.25", True), (0.26, 0.30, "<= 0.25", False),
    (0.25, 0.30, "<= 0.25", "undecided"), (0.20, 0.30, "<= 0.25", "undecided"),
    (-math.inf, math.inf, ">= 0", "undecided"), (-0.5, -0.1, "<= -0.1", True), (3, 3, ">= 3", True), (3, 3, "<= 2.5e0", False),
])
def test_held_means_that_the_whole_interval_clears_the_threshold(low, high, threshold, held):
    assert judge(low, high, threshold) is held if held != "undecided" else judge(low, high, threshold) == "undecided"


@pytest.mark.parametrize("threshold", ["> 0.5", "0.5", ">=0.5", ">= x", "== 1"])
def test_a_threshold_that_says_something_else_is_a_bug(threshold):
    with pytest.raises(ValueError):
        judge(0, 1, threshold)


def test_the_interval_is_students_t():
    # By hand: mean 3, s^2 = 10/4, t(0.975, 4) = 2.776445105, half width 2.776445105 * sqrt(2.5 / 5)
    mean, low, high = interval([1, 2, 3, 4, 5])
    assert (mean, low, high) == pytest.approx((3, 3 - 1.963243, 3 + 1.963243), abs=1e-6)
    for n in (2, 3, 10, 50):
        values = np.random.default_rng(n).normal(0.3, 2, n)
        expected = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
        assert interval(values.tolist()) == pytest.approx((values.mean(), *expected), rel=1e-12)
    assert interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5) and interval([0.5]) == (0.5, -math.inf, math.inf)


def claim(**changes) -> Claim:
    base = {"id": "00.1", "paper": "00", "statement": "It counts.", "kind": "gate", "experiment": "test/count",
            "configs": [{"steps": 2}, {"steps": 3}], "threshold": ">= 2",
            "measure": lambda results: results[1]["config"]["steps"] + results[0]["metrics"]["own noise"], "seeds": (0, 1, 2)}
    return Claim(**base | changes)


def test_a_claim_is_measured_over_its_seeds_and_its_runs_are_taken_from_the_record(engine):
    row = measure(claim(), engine)
    noise = [engine.result(engine.start("test/count", {"steps": 2}, seed=seed).id)["metrics"]["own noise"] for seed in range(3)]
    mean, low, high = interval([3 + value for value in noise])
    assert row.pop("when").startswith("20")
    assert row == {"id": "00.1", "paper": "00", "statement": "It counts.", "kind": "gate", "held": low >= 2 or "undecided",
                   "measured": round(mean, 6), "interval": [round(low, 6), round(high, 6)], "threshold": ">= 2",
                   "unit": "mean over seeds", "scale": "number", "seeds": [0, 1, 2], "note": "", "fingerprints": {},
                   "beside": ""}
    assert len(engine.records.list()) == 6
    assert measure(claim(threshold="<= 3"), engine)["held"] is not True and len(engine.records.list()) == 6
    json.dumps(row, allow_nan=False)


def test_a_tiny_number_is_not_shown_as_nothing(engine):
    row = measure(claim(measure=lambda results: 1e-7 * (3 + results[0]["metrics"]["own noise"])), engine)
    assert row["measured"] > 0 and row["interval"][0] < row["measured"] < row["interval"][1]
    nothing = measure(claim(measure=lambda results: 0.0), engine)
    assert nothing["measured"] == 0 and nothing["interval"] == [0, 0]


def test_one_seed_decides_nothing(engine):
    row = measure(claim(seeds=(0,)), engine)
    assert row["held"] == "undecided" and row["interval"] is None and row["measured"] > 3
    json.dumps(row, allow_nan=False)


def test_one_run_on_a_large_model_is_judged_by_the_interval_over_its_questions(engine):
    row = measure(claim(seeds=(0,), spread=lambda results: (0.4, 0.9), threshold=">= 0.3"), engine)
    assert row["held"] is True and row["interval"] == [0.4, 0.9]


def test_only_an_absent_model_leaves_a_claim_open(engine, llama):
    train = {"experiment": "test/train", "measure": lambda results: results[0]["metrics"]["loss"], "threshold": "<= 20"}
    absent = measure(claim(**train, configs=[{"model": "embedded/gpt9"}]), engine)
    assert absent["held"] is None and absent["measured"] is None and "no embedded model" in absent["note"]
    assert measure(claim(needs=["embedded/gpt9"]), engine)["held"] is None
    present = measure(claim(**train, configs=[{"model": llama}]), engine)
    assert present["held"] is True and present["fingerprints"] == {llama: engine.models.fingerprint(llama)}


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"configs": [{"steps": 0}]}, "'steps' cannot be 0"),
    ({"experiment": "test/ending", "configs": [{"how": "sentence"}]}, "Claim 00.1 could not be measured: It went wrong on purpose"),
    ({"measure": lambda results: float("nan")}, "with seed 0 its runs give no number"),
    ({"measure": lambda results: None}, "with seed 0 its runs give no number"),
])
def test_a_claim_with_a_bug_is_an_error_and_not_an_open_claim(engine, changes, sentence):
    with pytest.raises(LabError) as caught:
        measure(claim(**changes), engine)
    assert sentence in str(caught.value)


@pytest.fixture
def table(monkeypatch):
    module = types.ModuleType("claims_for_tests")
    module.CLAIMS = [claim(), claim(id="00.2", needs=["embedded/gpt9"])]
    monkeypatch.setitem(sys.modules, "claims_for_tests", module)
    monkeypatch.setattr(claims, "CLAIM_TABLES", {"00": "claims_for_tests"})
    return module


def test_results_are_stored_by_paper_and_read_back_in_order(engine, table, tmp_path):
    assert [row["note"] for row in recorded(folder=tmp_path)] == ["Not measured yet."] * 2
    rows = list(claims.measure_all(engine, "00"))
    assert [file.name for file in write(rows, tmp_path)] == ["00.json"]
    assert recorded("00", tmp_path) == rows
    write([rows[0] | {"measured": 9.0}], tmp_path)
    assert [row["measured"] for row in recorded("00", tmp_path)] == [9.0, None]
    with pytest.raises(LabError, match="No claims are registered for paper '99'"):
        recorded("99", tmp_path)


@pytest.mark.parametrize("change", [{"threshold": ">= 1"}, {"seeds": (0, 1)}, {"unit": "mean over questions"}])
def test_a_result_measured_under_other_terms_does_not_count(engine, table, tmp_path, change):
    write(list(claims.measure_all(engine)), tmp_path)
    table.CLAIMS[0] = claim(**change)
    row = recorded("00", tmp_path)[0]
    assert row["held"] is None and row["measured"] is None and "measure it again" in row["note"]


def test_results_on_another_version_of_a_model_are_stale(engine, monkeypatch):
    monkeypatch.setattr(engine.models, "fingerprint", lambda ref: {"embedded/a": "1", "embedded/b": "2"}[ref])
    row = {"id": "00.1", "measured": 1.0, "note": "", "fingerprints": {"embedded/a": "1", "hf/x/y": "7"}}
    assert stale([row], engine.models) == []
    assert stale([row | {"fingerprints": {"embedded/b": "1"}}], engine.models) == [
        "Claim 00.1 was measured on another embedded/b: measure it again."]
    assert stale([row | {"measured": None, "note": "Not measured yet."}], engine.models) == ["Claim 00.1: Not measured yet."]
