"""The auditor on models as people bring them, against the library alone: chats, thinkers, other scripts (../shared/cases)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.engine.errors import LabError
from core.unlearning.answers import after_thinking, answer, speak
from core.unlearning.prompts import put, render
from core.unlearning.questions import read_questions
from tests.unlearning.memorised import FACTS, KINDS, head, memorised

QUICK = {"steps": 0, "reference": None, "actpert": False, "audits": []}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = memorised(tmp_path_factory.mktemp("people"), kind)
        return made[kind]

    return folder


def audit(engine, place: Path, **more) -> dict:
    config = {"model": f"path/{place}", "questions": f"path/{place}/facts.csv"} | QUICK | more
    run = engine.start("unlearning/audit", config, fresh=True)
    state = engine.wait(run.id, timeout=120)
    assert state["outcome"] == "finished", state["error"]
    notes = "".join(event["text"] for event in engine.events(run.id) if event["kind"] == "text" and event["name"] == "notes")
    return engine.result(run.id) | {"notes": notes}


def by_hand(place: Path, before: str = "") -> tuple[float, float]:
    """Probability per token of the true answers and their end token, and exact memorisation, from transformers alone."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(place).eval(), AutoTokenizer.from_pretrained(place)
    found = []
    for question, said, _ in KINDS[place.name][2]:
        text = head(tokenizer, question) + before
        whole = text + said if tokenizer.chat_template else f"{text} {said}"
        begin = [] if tokenizer.chat_template else [tokenizer.bos_token_id]
        start, ids = (begin + tokenizer(part, add_special_tokens=False).input_ids for part in (text, whole))
        border = next((i for i, (a, b) in enumerate(zip(start, ids, strict=False)) if a != b), len(start))  # two line ends may be cut anew
        ids.append(tokenizer.eos_token_id)
        with torch.no_grad():
            logp = model(torch.tensor([ids])).logits[0, border - 1:-1].log_softmax(-1)
        wanted = torch.tensor(ids[border:])
        right = (logp.argmax(-1) == wanted)[:-1].float().mean()
        found.append((logp[range(len(wanted)), wanted].mean().exp(), right))
    return tuple(float(sum(values) / len(values)) for values in zip(*found, strict=True))


@pytest.mark.parametrize("kind", ["plain", "chat", "chinese", "thinks", "empty", "system"])
def test_what_a_model_knows_is_what_the_library_says_it_knows(engine, folder, kind: str) -> None:
    """open-unlearning 195, lighteval 869, adk-python 4122: none of them may look as if it had forgotten."""
    place, n = folder(kind), len(KINDS[kind][2])
    result = audit(engine, place)
    metrics, (probability, exact) = result["metrics"], by_hand(place, KINDS[kind][1])
    assert probability > 0.9 and exact == 1
    assert metrics["answer probability unlearned"] == pytest.approx(probability, abs=1e-4)
    assert metrics["exact memorisation unlearned"] == exact and metrics["direct recall unlearned"] == 1
    assert f"answers {n} of {n} plain questions" in result["verdict"]["text"] and "%" not in result["verdict"]["text"].split("With only")[1]
    assert ("may think before it answers" in result["notes"]) == bool(KINDS[kind][1])


def test_thinking_can_be_switched_off_where_the_template_can_and_the_run_says_so(engine, folder) -> None:
    place = folder("thinks")
    result = audit(engine, place, thinking="off")
    assert result["metrics"]["direct recall unlearned"] == 1 and "Thinking was switched off." in result["notes"]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(place).eval(), AutoTokenizer.from_pretrained(place)
    said = speak(model, tokenizer, [render(put(record), tokenizer) for record in read_questions(place / "facts.csv").records], new_tokens=3)
    assert [own.state for own in said] == ["ended"] * 3 and said[0].thinking == "<think>\nA person.\n</think>\n\n"  # room grows by it
    assert answer(model, tokenizer, [head(tokenizer, FACTS[0][0], enable_thinking=False)], new_tokens=20) == [FACTS[0][1]]
    prompt, plain = after_thinking(model, tokenizer, [render(put(read_questions(place / "facts.csv").records[0]), tokenizer), "Where?"])
    assert prompt.text.endswith("</think>\n\n") and prompt.lead == ""
    config = {"model": f"path/{folder('chat')}", "questions": f"path/{place}/facts.csv", "thinking": "off"}
    run = engine.start("unlearning/audit", config | QUICK)
    assert "no switch for thinking" in engine.wait(run.id, timeout=60)["error"]


def test_who_never_stops_thinking_has_not_missed_an_answer(engine, folder, monkeypatch) -> None:
    monkeypatch.setattr("core.unlearning.answers.THINKING_TOKENS", 40)
    place = folder("endless")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(place).eval(), AutoTokenizer.from_pretrained(place)
    model.generation_config.eos_token_id = None
    [said] = speak(model, tokenizer, [render(put(read_questions(place / "facts.csv").records[0]), tokenizer)], new_tokens=8)
    assert said.state == "unfinished" and not said.answer
    result = audit(engine, place)
    assert "direct recall unlearned" not in result["metrics"]
    assert "of the 3 plain questions it was still thinking" in result["verdict"]["text"]
    assert "Nothing can be said about what it answers" in result["verdict"]["text"]
    assert result["verdict"]["evidence"]["still thinking"] == {"unlearned": 3}


def test_own_questions_are_forgotten_where_something_is_to_be_kept(engine, folder, tmp_path) -> None:
    place = folder("plain")
    rows = [f'"{q}","{a}",{k},{"forget" if i == 0 else "keep"}' for i, (q, a, k) in enumerate(FACTS)]
    (tmp_path / "both.csv").write_text("question,answer,key,set\n" + "\n".join(rows) + "\n")
    more = {"questions": f"path/{tmp_path}/both.csv", "steps": 30, "algorithm": "graddiff", "learning_rate": 3e-3, "audits": ["prefix"],
            "check_every": 1}
    result = audit(engine, place, **more)
    metrics = result["metrics"]
    assert metrics["direct recall original"] == 1 and metrics["direct recall unlearned"] == 0 and metrics["steps taken"] > 0
    assert metrics["retain recall original"] == 1 and metrics["retain recall unlearned"] >= 0.5
    assert "utility unlearned" in metrics and "Nothing is trained" not in result["notes"]
    texts = [event for event in engine.events(result["run_id"]) if event["kind"] == "text" and event["name"] == "plan"]
    assert "million parameters; trained are all of them" in texts[0]["text"] and "GB of memory" in texts[0]["text"]
    alone = audit(engine, place, steps=30)
    assert alone["metrics"]["steps taken"] == 0 and "Nothing is trained" in alone["notes"]


def test_a_table_to_keep_needs_one_to_forget(engine, folder) -> None:
    place = folder("plain")
    run = engine.start("unlearning/audit", {"model": f"path/{place}", "keep": f"path/{place}/facts.csv"} | QUICK)
    assert "none of what to forget" in engine.wait(run.id, timeout=60)["error"]
    with pytest.raises(LabError, match="No file was given"):
        engine.probe("unlearning/questions", {})
    assert engine.probe("unlearning/questions", {"keep": f"path/{place}/facts.csv"})["questions"] == 3


def test_a_system_prompt_of_the_templates_own_is_said_and_can_be_left_out(engine, folder, tmp_path) -> None:
    """SmolLM2 and Qwen2 put one before every question: the run says which, and asks without it if told so."""
    place = folder("chat")
    own = tmp_path / "own"
    shutil.copytree(place, own)
    tokenizer = AutoTokenizer.from_pretrained(place)
    tokenizer.chat_template = (
        "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are kind.<|im_end|>\n{% endif %}" + tokenizer.chat_template)
    tokenizer.save_pretrained(own)
    usual, bare, plain = audit(engine, own), audit(engine, own, system="none"), audit(engine, place)
    assert f'Before every question path/{own} reads: "You are kind." (' in usual["notes"] and "reads:" not in bare["notes"]
    assert bare["metrics"]["answer probability unlearned"] == plain["metrics"]["answer probability unlearned"]
    assert usual["metrics"]["answer probability unlearned"] != plain["metrics"]["answer probability unlearned"]
    asked = {"model": f"path/{own}", "question": FACTS[0][0]}
    said = engine.probe("unlearning/ask", asked)
    assert "You are kind." in said["prompt"] and "You are kind." in said["aside"]
    without = engine.probe("unlearning/ask", asked | {"system": "none"})
    assert without["prompt"] == engine.probe("unlearning/ask", asked | {"model": f"path/{place}"})["prompt"] and not without["aside"]
    run = engine.start("unlearning/audit", {"model": f"path/{place}", "questions": f"path/{place}/facts.csv", "system": "none"} | QUICK)
    assert "puts no words of its own in front" in engine.wait(run.id, timeout=60)["error"]
