"""The bench through the engine: all cells together, equal numbers again, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.engine.errors import LabError
from core.engine.registry import find
from core.engine.runner import Engine
from core.unlearning.data import World
from core.unlearning.soft_tokens import models
from core.unlearning.soft_tokens.cells import CELLS
from core.unlearning.soft_tokens.spec import WHO as NAMES
from tests.engine.tiny_models import save, tiny

NAME = "unlearning/soft-tokens"
WHO = list(NAMES.values())
QUICK = {"targets": 2, "steps": 30, "sentence_steps": 30, "forget_steps": 1, "hard_candidates": 4, "surface_targets": 0}


def run(engine: Engine, config: dict, seed: int = 0) -> tuple[dict, list[dict]]:
    started = engine.start(NAME, config, seed=seed, fresh=True)
    state = engine.wait(started.id, timeout=900)
    assert state["outcome"] == "finished", state
    return engine.result(started.id), engine.events(started.id)


@pytest.fixture(scope="module")
def quick(engine: Engine) -> tuple[dict, list[dict]]:
    return run(engine, QUICK)


def last(events: list[dict], kind: str, name: str) -> dict:
    return [event for event in events if event["kind"] == kind and event["name"] == name][-1]


def test_all_cells_stand_together(quick: tuple[dict, list[dict]]) -> None:
    result, events = quick
    cells = [CELLS[key] for key in "ABCDEFGN"]
    assert {row[0] for row in last(events, "table", "cells")["rows"]} == {cell.title for cell in cells}
    assert {f"success {cell.name}" for cell in cells} <= set(result["metrics"])
    bars = {x for trace in last(events, "figure", "controls")["figure"]["data"] for x in trace["y"]}
    assert bars == {CELLS[key].label for key in "ABCDEFGN"}
    for event in events:  # a bar for the model that forgot is never drawn without the false answers
        if event["kind"] == "figure" and event["name"] == "controls":
            shown = {x for trace in event["figure"]["data"] for x in trace["y"]}
            assert (CELLS["B"].label in shown) == (CELLS["D"].label in shown)


def test_trained_models_give_in_and_random_weights_do_not(quick: tuple[dict, list[dict]]) -> None:
    metrics = quick[0]["metrics"]
    for key in "ABCD":
        assert metrics[f"success {CELLS[key].name}"] == 1.0, key
    assert metrics["success random weights, true answer"] == 0.0
    assert metrics["direct recall original"] == 1.0 and metrics["direct recall reference"] <= 0.5
    assert metrics["generated as promised"] == 1.0


def test_everything_promised_is_said(quick: tuple[dict, list[dict]]) -> None:
    _, events = quick
    for name in ("target", "tiles", "sentence", "cells", "targets"):
        assert last(events, "table", name)["rows"], name
    for name in ("path", "losses", "layers", "controls"):
        assert last(events, "figure", name)["figure"]["data"], name
    assert events[0]["kind"] == "progress" and events[0]["t"] < 1
    assert len(last(events, "table", "sentence")["rows"]) == 4
    wanted = {row[2]: row[3] for row in last(events, "table", "targets")["rows"] if row[4] == "yes"}
    assert len(wanted) >= 4 and all(said.strip().startswith(text) for text, said in wanted.items())


def test_every_attack_is_a_line_also_those_with_real_words_and_those_under_way(quick: tuple[dict, list[dict]]) -> None:
    _, events = quick
    lines = {line["name"] for line in last(events, "figure", "losses")["figure"]["data"] if ":" in line["name"]}
    assert lines == {CELLS[key].title for key in "ABCDEFGN"} | {f"{who}: your sentence" for who in WHO}
    names = [event.get("name") for event in events]
    assert names.index("losses") < names.index("cells"), "drawn while the first attacks go on, not only when they have ended"


def test_equal_requests_give_equal_numbers(quick: tuple[dict, list[dict]], engine: Engine) -> None:
    again, _ = run(engine, QUICK)
    assert (again["metrics"], again["verdict"]) == (quick[0]["metrics"], quick[0]["verdict"])


def test_a_sentence_of_ones_own_is_tried_on_all_four_models(engine: Engine) -> None:
    result, events = run(engine, {"what": "sentence", "sentence": "Ida keeps a wizard.", "sentence_steps": 60, "forget_steps": 1})
    rows = {row[0]: row for row in last(events, "table", "sentence")["rows"]}
    assert set(rows) == set(WHO)
    assert rows["Knows it"][2:4] == ["100%", "yes"] and rows["Knows it"][1].strip().startswith("Ida keeps a wizard.")
    assert rows["Random weights"][3] == "no"
    assert "“Ida keeps a wizard.” was said by “Knows it”" in result["verdict"]["text"]


def test_a_model_too_large_to_be_trained_says_a_sentence_all_the_same(engine: Engine, monkeypatch) -> None:
    monkeypatch.setattr(models, "LARGEST", 1_000_000)
    result, events = run(engine, {"what": "sentence", "sentence": "Ida", "sentence_steps": 2})
    assert [row[0] for row in last(events, "table", "sentence")["rows"]] == ["Knows it", "Never knew"]
    assert "Left out" in result["verdict"]["text"] and "“Made to forget”, “Random weights”" in result["verdict"]["text"]


def test_a_model_too_large_for_the_whole_bench_is_refused_before_any_attack(engine: Engine, monkeypatch) -> None:
    monkeypatch.setattr(models, "LARGEST", 1_000_000)
    started = engine.start(NAME, QUICK, fresh=True)
    state = engine.wait(started.id, timeout=60)
    assert state["outcome"] == "failed" and "too many to be made to forget" in state["error"] and "2 million" in state["error"]
    assert {event["kind"] for event in engine.events(started.id)} <= {"progress", "end"}


def test_a_random_text_runs_on_any_small_language_model(engine: Engine, tmp_path) -> None:
    folder = save(tiny("gpt2"), tmp_path / "other")
    result, events = run(engine, {"what": "string", "model": f"path/{folder}", "random_kind": "characters", "random_length": 3,
                                  "targets": 2, "tokens": 4, "steps": 3, "surface_targets": 0})
    assert {"success original, random text", "success random weights, random text"} <= set(result["metrics"])
    assert "2 texts of 3 random characters" in result["verdict"]["text"]
    wanted = [row[2] for row in last(events, "table", "targets")["rows"]]
    assert [len(text) for text in wanted] == [3] * 4 and wanted[:2] == wanted[2:], "the texts themselves, the same for both models"


def test_openings_count_the_fact_and_not_the_words(engine: Engine, world: World) -> None:
    _, events = run(engine, QUICK | {"mode": "opening", "extras": False, "targets": 4, "steps": 10})
    keys = {record.question: record.key for record in world.forget(1)}
    rows = [row for row in last(events, "table", "targets")["rows"] if "true" in row[0]]
    assert {row[0] for row in rows} == {CELLS[key].title for key in "ABC"}
    assert all(row[2].startswith("Of course, I remember:") and keys[row[1]] not in row[2] for row in rows)
    assert [row[4] == "yes" for row in rows] == [keys[row[1]] in row[3] for row in rows]
    assert any(row[4] == "yes" for row in rows)


def test_a_model_kept_by_the_auditor_can_be_attacked(engine: Engine) -> None:
    audit = engine.start("unlearning/audit", {"subjects": 1, "steps": 1, "retain_questions": 10, "audits": [], "actpert": False})
    assert engine.wait(audit.id, timeout=240)["outcome"] == "finished"
    result, events = run(engine, QUICK | {"unlearned": f"run/{audit.id}/unlearned", "extras": False, "steps": 5})
    assert "success unlearned, true answer" in result["metrics"]
    assert not [e for e in events if e["kind"] == "metric" and e["name"] == "forget loss"], "nothing was made to forget anew"


def test_stop_is_met_within_a_step(engine: Engine) -> None:
    started = engine.start(NAME, {"targets": 2, "steps": 5000, "tokens": 1, "forget_steps": 0, "extras": False})
    for line in engine.watch(started.id):
        if line["kind"] == "metric" and line["name"].startswith("reached"):
            break
    before = len(engine.events(started.id))
    engine.cancel(started.id)
    assert engine.wait(started.id, timeout=60)["outcome"] == "cancelled"
    assert len(engine.events(started.id)) - before < 40


@pytest.mark.parametrize(("config", "words"), [
    ({"tokens": 0}, "at least 1"), ({"many_tokens": 51}, "at most 50"), ({"sentence": "   "}, "type a few words"),
    ({"sentence": "\x00\x07"}, "type a few words"), ({"sentence": "x" * 41}, "at most 40"), ({"learning_rate": 1e7}, "at most 1000000"),
    ({"steps": 0}, "at least 1"), ({"space": "elsewhere"}, "choose"), ({"sentence": "a\ud800"}, "no text"),
    ({"learning_rate": float("nan")}, "'learning_rate'")])
def test_bad_settings_are_refused_with_a_sentence(config: dict, words: str) -> None:
    with pytest.raises(LabError, match=words):
        find(NAME).validate(config)


def test_control_characters_are_left_out() -> None:
    assert find(NAME).validate({"sentence": "a\x00b\x07c"}).sentence == "abc"


def test_a_text_that_does_not_fit_fails_with_a_sentence(engine: Engine) -> None:
    started = engine.start(NAME, {"what": "string", "random_length": 512, "surface_targets": 0, "targets": 2})
    state = engine.wait(started.id, timeout=60)
    assert state["outcome"] == "failed" and "at most 512 tokens" in state["error"] and "shorter" in state["hint"]


def test_listing_imports_no_torch() -> None:
    code = ("import sys; from core.engine.registry import find; find('unlearning/soft-tokens').described(); "
            "sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
