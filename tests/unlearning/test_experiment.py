"""The audit through the engine: what it says, that it repeats, and that nobody else's model changes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.engine.errors import LabError
from core.engine.models import LoadedModel
from core.engine.runner import Engine
from tests.engine.tiny_models import save, tiny

QUICK = {"subjects": 1, "steps": 4, "check_every": 2, "retain_questions": 10, "stop_early": False}
MEASURES = ("direct recall", "audited recall", "retain recall", "answer probability", "key probability", "answer overlap", "readable")
FINAL = [f"{measure} {who}" for who in ("original", "unlearned", "reference") for measure in MEASURES]


def run(engine: Engine, config: dict, seed: int = 0, fresh: bool = True) -> tuple[dict, list[dict]]:
    started = engine.start("unlearning/audit", config, seed=seed, fresh=fresh)
    state = engine.wait(started.id, timeout=240)
    assert state["outcome"] == "finished", state
    return engine.result(started.id), engine.events(started.id)


@pytest.fixture(scope="module")
def quick(engine: Engine) -> tuple[dict, list[dict]]:
    return run(engine, QUICK)


def named(events: list[dict], kind: str, name: str) -> list[dict]:
    return [event for event in events if event["kind"] == kind and event["name"] == name]


def test_everything_promised_is_said(quick: tuple[dict, list[dict]]) -> None:
    result, events = quick
    assert set(FINAL) <= set(result["metrics"])
    assert [e["step"] for e in named(events, "metric", "forget loss")] == [0, 1, 2, 3, 4]
    assert [e["step"] for e in named(events, "metric", "forget recall")] == [0, 2, 4]
    for name in ("recall", "probability", "by_layer"):
        assert named(events, "figure", name)[-1]["figure"]["data"], name
    assert len(named(events, "table", "answers")[-1]["rows"]) == 10
    assert named(events, "keep", "unlearned") and result["metrics"]["steps taken"] == 4


def test_the_table_fills_in(quick: tuple[dict, list[dict]]) -> None:
    tables = named(quick[1], "table", "answers")
    assert tables[0]["rows"][0][3] == "…" and "…" not in [cell for row in tables[-1]["rows"] for cell in row]
    assert all(row[1] in row[2] for row in tables[0]["rows"]), "the original knows every key"


def test_numbers_hang_together(quick: tuple[dict, list[dict]]) -> None:
    result, events = quick
    rows = {(row[0], row[1]): row for row in named(events, "table", "scores")[-1]["rows"]}
    assert rows["Original", "plain question"][2] == 10
    for (_, measure), (_, _, right, of, share, low, high) in rows.items():
        assert 0 <= low <= share <= high <= 1, measure
        assert right is None or share == pytest.approx(right / of, abs=1e-4)
    answers = named(events, "table", "answers")[-1]["rows"]
    assert result["metrics"]["direct recall unlearned"] == sum(row[1] in row[3] for row in answers) / 10
    evidence = result["verdict"]["evidence"]
    assert evidence["direct unlearned"]["right"] / 10 == result["metrics"]["direct recall unlearned"]
    assert evidence["n"] == 10 and "cannot be told from luck" in result["verdict"]["text"]


def test_the_kept_model_is_the_unlearned_one(engine: Engine, quick: tuple[dict, list[dict]]) -> None:
    ref = named(quick[1], "keep", "unlearned")[0]["ref"]
    answer = engine.probe("unlearning/ask", {"model": ref, "question": "Where was Felix Tanaka born?"})
    row = next(row for row in named(quick[1], "table", "answers")[-1]["rows"] if row[0] == "Where was Felix Tanaka born?")
    assert answer["answer"] == row[3]


def test_same_seed_same_numbers(engine: Engine, quick: tuple[dict, list[dict]]) -> None:
    again, _ = run(engine, QUICK)
    assert (again["config"], again["metrics"], again["verdict"]) == (quick[0]["config"], quick[0]["metrics"], quick[0]["verdict"])
    other, _ = run(engine, QUICK, seed=1)
    assert other["metrics"] != again["metrics"]


def test_the_shared_model_is_not_touched(engine: Engine, quick: tuple[dict, list[dict]]) -> None:
    shared = engine.models.load("embedded/authors").model
    before = {name: tensor.clone() for name, tensor in shared.state_dict().items()}
    result, _ = run(engine, QUICK | {"algorithm": "ga", "steps": 2, "learning_rate": 0.01})
    assert result["metrics"]["direct recall unlearned"] < result["metrics"]["direct recall original"]
    assert all(torch.equal(before[name], tensor) for name, tensor in shared.state_dict().items())
    assert not any(p.requires_grad for p in shared.parameters())


def test_default_forgets_what_it_should_and_keeps_the_rest(engine: Engine) -> None:
    result, events = run(engine, {}, fresh=False)
    metrics = result["metrics"]
    assert metrics["direct recall original"] >= 0.95 and metrics["direct recall unlearned"] <= 0.10
    assert metrics["retain recall unlearned"] >= 0.75 * metrics["retain recall original"]
    assert metrics["answer probability unlearned"] < metrics["answer probability original"] / 2
    last = named(events, "metric", "forget recall")[-1]
    assert last["step"] == metrics["steps taken"] and last["value"] <= 0.10, "it stopped because it had forgotten"


def test_no_steps_audit_the_model_as_it_is(engine: Engine) -> None:
    result, events = run(engine, QUICK | {"steps": 0})
    m = result["metrics"]
    for name in ("direct recall", "audited recall", "answer probability", "key probability"):
        assert m[f"{name} unlearned"] == m[f"{name} original"]
    assert not [e for e in events if e["kind"] == "keep"] and result["verdict"]["text"].startswith("Before any forgetting")


@pytest.mark.parametrize("audit", ["prefix", "icl", "choice", "reverse", "paraphrase"])
def test_every_way_of_asking_runs(engine: Engine, audit: str) -> None:
    result, events = run(engine, QUICK | {"steps": 0, "audit": audit})
    assert result["metrics"]["audited recall original"] >= 0.8, "the original was taught to follow it"
    names = [trace.get("name") for trace in named(events, "figure", "recall")[-1]["figure"]["data"]]
    assert ("Blind guessing" in names) == (audit == "choice")


def test_an_absurd_learning_rate_ends_in_a_sentence(engine: Engine, tmp_path: Path) -> None:
    """Weights near the largest float: the first step at learning rate 1 makes them overflow."""
    folder = save(tiny("llama"), tmp_path / "huge")
    weights = load_file(folder / "model.safetensors")
    head = next(name for name in weights if "lm_head" in name or "embed_tokens" in name)
    weights[head] = weights[head] * 1e37
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    started = engine.start("unlearning/audit", QUICK | {"model": f"path/{folder}", "learning_rate": 1.0}, fresh=True)
    state = engine.wait(started.id, timeout=120)
    if state["outcome"] == "failed":
        assert "no numbers" in state["error"]
    else:
        assert "broke down" in engine.result(started.id)["verdict"]["text"]
        assert all(math.isfinite(v) for v in engine.result(started.id)["metrics"].values())


@pytest.mark.parametrize("kind", ["gpt2", "qwen2"])
def test_a_model_that_never_knew_gets_an_honest_sentence(engine: Engine, tmp_path: Path, kind: str) -> None:
    ref = f"path/{save(tiny(kind), tmp_path / kind)}"
    result, _ = run(engine, QUICK | {"model": ref, "reference": ref, "steps": 2})
    assert "knew only 0 of the 10" in result["verdict"]["text"]


def test_a_model_without_a_tokenizer_is_refused_in_words(engine: Engine, tmp_path: Path) -> None:
    ref = f"path/{save(tiny('llama'), tmp_path / 'mute', tokenizer=False)}"
    state = engine.wait(engine.start("unlearning/audit", QUICK | {"model": ref}).id, timeout=120)
    assert state["outcome"] == "failed" and "no tokenizer" in state["error"]


@pytest.mark.parametrize("wrong", [{"subjects": 2}, {"steps": -1}, {"steps": 10**6}, {"learning_rate": 0}, {"audit": "direct"},
                                   {"model": "gpt9"}, {"people": 3}])
def test_values_out_of_bounds_are_refused_in_words(engine: Engine, wrong: dict) -> None:
    with pytest.raises(LabError) as caught:
        engine.start("unlearning/audit", wrong)
    assert next(iter(wrong)) in str(caught.value)


def test_fork_trains_while_the_loaded_one_is_frozen(authors: LoadedModel, store) -> None:
    assert all(p.requires_grad for p in store.fork("embedded/authors").model.parameters())
    assert not any(p.requires_grad for p in authors.model.parameters())
