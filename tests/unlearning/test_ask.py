"""The probe: one question, its answer and the inside view; every strange question gets a sentence or an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from core.engine.errors import LabError
from core.engine.models import LoadedModel, ModelStore
from core.engine.runner import Engine
from core.engine.settings import ASSETS
from core.unlearning.audit import figures
from core.unlearning.data import World, read_world
from core.unlearning.metrics import key_found
from tests.engine.tiny_models import save, tiny

NAME = "unlearning/ask"


@pytest.fixture(scope="module")
def worlds(store: ModelStore) -> LoadedModel:
    return store.load("embedded/worlds")


@pytest.fixture(scope="module")
def world() -> World:
    return read_world(ASSETS / "models" / "worlds", "authors")


def test_it_answers_and_shows_how(engine: Engine, worlds: LoadedModel, world: World) -> None:
    record = world.retain[0]
    answer = engine.probe(NAME, {"question": record.question})
    assert key_found(answer["answer"], record.key)
    assert answer["said"][0] == answer["top"][0]["token"] == answer["lens"][-1][0]["token"]
    chances = [guess["probability"] for guess in answer["top"]]
    assert len(chances) == 5 and sorted(chances, reverse=True) == chances
    layers = worlds.model.config.num_hidden_layers
    assert len(answer["lens"]) == len(answer["settled"]) == layers + 1
    assert all(len(row) == len(answer["said"]) for row in answer["lens"] + answer["settled"])
    assert [g["token"] for g in answer["lens"][-1]] == answer["said"], "the last layer is what is said"
    assert record.subject.split()[0] in "".join(answer["tokens"])


def test_top_tokens_equal_a_plain_forward(engine: Engine, worlds: LoadedModel) -> None:
    answer = engine.probe(NAME, {"question": "Where was Felix Tanaka born?"})
    ids = worlds.tokenizer(answer["prompt"], return_tensors="pt").input_ids
    best = worlds.model(input_ids=ids).logits[0, -1].softmax(-1).topk(5)
    assert [g["probability"] for g in answer["top"]] == pytest.approx(best.values.tolist(), abs=1e-5)
    assert [g["token"] for g in answer["top"]] == [worlds.tokenizer.decode([t]) for t in best.indices]


def test_what_each_layer_would_say_and_where_it_looks_is_what_the_library_has(engine: Engine, worlds: LoadedModel) -> None:
    answer = engine.probe(NAME, {"question": "Where was Felix Tanaka born?"})
    ids = worlds.tokenizer(answer["prompt"], return_tensors="pt").input_ids
    alone = AutoModelForCausalLM.from_pretrained(ASSETS / "models" / "worlds", dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        out = alone(input_ids=ids, output_hidden_states=True, output_attentions=True)
        normed = [*map(alone.model.norm, out.hidden_states[:-1]), out.hidden_states[-1]]  # the last is given behind the norm
        best = torch.stack([alone.lm_head(states[0, -1]).softmax(-1) for states in normed]).max(-1)
    assert [row[0]["probability"] for row in answer["lens"]] == pytest.approx(best.values.tolist(), abs=2e-5)
    assert [row[0]["token"] for row in answer["lens"]] == [worlds.tokenizer.decode([t]) for t in best.indices]
    looks = torch.stack([layer[0, :, -1].mean(0) for layer in out.attentions])
    assert torch.allclose(torch.tensor(answer["attention"]), looks, atol=2e-5)
    assert worlds.model.config._attn_implementation == "sdpa", "the shared model keeps its own kind of attention"


@pytest.mark.parametrize("question", ["", "   \n ", "\x00\x01\x1b"])
def test_nothing_asked_gets_a_sentence(engine: Engine, question: str) -> None:
    with pytest.raises(LabError, match="no question") as caught:
        engine.probe(NAME, {"question": question})
    assert caught.value.hint


def test_half_a_character_gets_a_sentence(engine: Engine) -> None:
    with pytest.raises(LabError, match="no text"):
        engine.probe(NAME, {"question": "\ud800"})


def test_ten_thousand_characters_get_a_sentence(engine: Engine) -> None:
    with pytest.raises(LabError, match="question") as caught:
        engine.probe(NAME, {"question": "why " * 2500})
    assert "400" in caught.value.message and len(str(caught.value)) < 400


def test_a_question_longer_than_the_model_reads_gets_a_sentence(engine: Engine) -> None:
    with pytest.raises(LabError, match="tokens long"):
        engine.probe(NAME, {"question": "\U0001f9e0" * 400})


@pytest.mark.parametrize("question", [
    "<script>alert(1)</script><img src=x onerror=alert(1)>", "Where\x00 was\x07 Felix Tanaka born?", "Où est né Félix ? 你好 🧠",
    "<|end|><|pad|>", "$(rm -rf /)", "?", "{{ 7 * 7 }}"])
@pytest.mark.parametrize("style", ["plain", "raw"])
def test_strange_text_is_only_text(engine: Engine, question: str, style: str) -> None:
    answer = engine.probe(NAME, {"question": question, "style": style})
    assert json.loads(json.dumps(answer)) == answer
    assert isinstance(answer["answer"], str) and answer["top"][0]["probability"] > 0
    assert not any(c in answer["prompt"] for c in "\x00\x07")


def test_styles_put_words_where_they_belong(engine: Engine) -> None:
    asked = {style: engine.probe(NAME, {"question": "Where was Felix Tanaka born?", "style": style})["prompt"]
             for style in ("plain", "prefix", "affirm", "raw")}
    assert asked["raw"] == "Where was Felix Tanaka born?"
    assert asked["affirm"].startswith(asked["plain"]) and asked["prefix"].endswith(asked["plain"])
    assert len(set(asked.values())) == 4


@pytest.mark.parametrize("kind", ["gpt2", "qwen2", "mistral"])
def test_other_families_can_be_asked(engine: Engine, tmp_path: Path, kind: str) -> None:
    ref = f"path/{save(tiny(kind), tmp_path / kind)}"
    answer = engine.probe(NAME, {"model": ref, "question": "Where?"})
    assert len(answer["lens"]) == 5 and len(answer["top"]) == 5


def test_a_model_without_language_is_refused_in_words(engine: Engine, tmp_path: Path) -> None:
    ref = f"path/{save(tiny('vit'), tmp_path / 'vit', tokenizer=False)}"
    with pytest.raises(LabError, match="cannot use"):
        engine.probe(NAME, {"model": ref})


def test_probes_leave_the_global_generator_alone(engine: Engine) -> None:
    before = torch.get_rng_state()
    engine.probe(NAME, {"question": "In which year was Felix Tanaka born?"})
    assert torch.equal(before, torch.get_rng_state())


def test_a_model_that_says_nothing_has_still_chosen_to_end(engine: Engine, worlds: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.unlearning.audit.probes.decode_greedily", lambda *given: [[]])
    answer = engine.probe(NAME, {"question": "Where does silence live?"})
    assert answer["answer"] == "" and answer["said"] == [answer["top"][0]["token"]]
    assert all(len(row) == 1 for row in answer["lens"] + answer["settled"])
    assert len(figures.lens(answer["said"], answer["lens"], answer["settled"])["data"][0]["z"]) == len(answer["lens"])
