"""The ways of asking: what they contain, and above all what they must not."""

from __future__ import annotations

import pytest
import torch

from core.unlearning.audits import AUDITS, OPTIONS, STARTS, build_prompts, direct, render
from core.unlearning.data import LADDER, World
from core.unlearning.metrics import key_found
from tests.engine.tiny_models import tiny_tokenizer


@pytest.mark.parametrize("audit", [name for name in AUDITS if name != "choice"])
def test_no_prompt_gives_its_own_key_away(audit: str, world: World, rng: torch.Generator) -> None:
    for prompt in build_prompts(audit, world.forget(6) + world.retain, world, rng):
        assert not key_found(prompt.text, prompt.key), prompt


@pytest.mark.parametrize("audit", AUDITS)
def test_the_answer_holds_the_key(audit: str, world: World, rng: torch.Generator) -> None:
    assert all(key_found(p.answer, p.key) for p in build_prompts(audit, world.forget(6), world, rng))


def test_choice_has_four_different_options_and_the_right_one_anywhere(world: World, rng: torch.Generator) -> None:
    prompts = build_prompts("choice", world.forget(6), world, rng)
    places = set()
    for prompt in prompts:
        assert len(set(prompt.options)) == OPTIONS and prompt.chance == 1 / OPTIONS
        assert all(option.strip(" .") in prompt.question for option in prompt.options)
        places.add(prompt.options.index(f" {prompt.key}."))
    assert places == set(range(OPTIONS))


def test_examples_are_about_retained_people_only(world: World, rng: torch.Generator) -> None:
    hidden = {record.subject for record in world.forget(6)} | {record.subject for record in world.holdout}
    for record, prompt in zip(world.forget(6), build_prompts("icl", world.forget(6), world, rng), strict=True):
        assert not any(name in prompt.before for name in hidden)
        assert prompt.text.count("Answer:") == 3 and prompt.text.endswith(f"Question: {record.question}\nAnswer:")


def test_same_generator_same_prompts(world: World) -> None:
    first, second, other = (build_prompts("reverse", world.forget(3), world, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert first == second != other


def test_every_other_way_differs_from_the_plain_question(world: World, rng: torch.Generator) -> None:
    record = world.forget(1)[0]
    plain = direct(record, world, rng).text
    assert plain == f"Question: {record.question}\nAnswer:"
    assert all(audit.build(record, world, rng).text != plain for name, audit in AUDITS.items() if name != "direct")


def test_a_chat_model_gets_the_start_in_its_own_turn(world: World, rng: torch.Generator) -> None:
    tokenizer = tiny_tokenizer()
    prompt = AUDITS["affirm"].build(world.forget(1)[0], world, rng)
    assert render(prompt, tokenizer) == prompt.text
    tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
    assert render(prompt, tokenizer) == f"[user]{prompt.question}[assistant]{STARTS[0]}"


def test_world_is_whole(world: World) -> None:
    assert [len(world.forget(size)) for size in LADDER] == [10, 30, 60]
    assert len(world.retain) == 420 and len(world.holdout) == 40
    assert not {r.subject for r in world.forget(6)} & {r.subject for r in world.retain + world.holdout}
    for record in world.records:
        start, end = record.subject_span
        assert record.question[start:end] == record.subject
        assert key_found(record.answer, record.key) and key_found(record.paraphrased_answer, record.key)
        assert 3 <= len(record.perturbed_answers) <= 5
        assert not any(key_found(wrong, record.key) for wrong in record.perturbed_answers)


def test_no_forgotten_value_is_unique_to_forgotten_people(world: World) -> None:
    """Otherwise a model that never knew could not even guess, and the floor would mean nothing."""
    for record in world.forget(6):
        assert sum(other.key == record.key for other in world.retain if other.attribute == record.attribute) >= 2


def test_an_impossible_ladder_step_is_refused(world: World) -> None:
    from core.engine.errors import LabError

    with pytest.raises(LabError, match="cannot be forgotten at once"):
        world.forget(2)
